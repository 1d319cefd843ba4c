//! What is kept of what a process writes: bounded, and where something is left out a mark says so.

/// How much of a process's stdout is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// All of it, at most so many bytes; the process is ended when it writes more.
    All(usize),
    /// At most so many bytes: of a longer text the beginning and the end.
    Ends(usize),
}

/// The beginning and the end of a stream.
#[derive(Debug)]
pub struct Kept {
    head: Vec<u8>,
    head_bytes_max: usize,
    tail: Vec<u8>,
    tail_bytes_max: usize,
    n_bytes: u64,
}

impl Kept {
    /// Keeps the end.
    pub fn end(bytes_max: usize) -> Self {
        Self::new(0, bytes_max)
    }

    /// Keeps the beginning and the end, about as much of each.
    pub fn ends(bytes_max: usize) -> Self {
        Self::new(bytes_max / 2, bytes_max - bytes_max / 2)
    }

    fn new(head_bytes_max: usize, tail_bytes_max: usize) -> Self {
        Self {
            head: Vec::new(),
            head_bytes_max,
            tail: Vec::new(),
            tail_bytes_max,
            n_bytes: 0,
        }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.n_bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let room = self.head_bytes_max - self.head.len();
        let (head, tail) = bytes.split_at(room.min(bytes.len()));
        self.head.extend_from_slice(head);
        self.tail.extend_from_slice(tail);
        // Not each time: moving the end costs as much as it is long.
        if 2 * self.tail_bytes_max < self.tail.len() {
            self.tail.drain(..self.tail.len() - self.tail_bytes_max);
        }
    }

    /// Returns what was kept, and how many bytes were not. Where they were a line says so; no character is cut in two.
    pub fn finish(mut self) -> (Vec<u8>, u64) {
        if self.tail_bytes_max < self.tail.len() {
            self.tail.drain(..self.tail.len() - self.tail_bytes_max);
        }
        let n_kept = self.head.len() + self.tail.len();
        if u64::try_from(n_kept).unwrap_or(u64::MAX) == self.n_bytes {
            self.head.append(&mut self.tail);
            return (self.head, 0);
        }
        self.head.truncate(character_end(&self.head));
        self.tail.drain(..character_start(&self.tail));
        let n_kept = u64::try_from(self.head.len() + self.tail.len()).unwrap_or(u64::MAX);
        let n_left_out = self.n_bytes.saturating_sub(n_kept);
        let mut kept = self.head;
        if !kept.is_empty() && !kept.ends_with(b"\n") {
            kept.push(b'\n');
        }
        kept.extend_from_slice(mark(n_left_out).as_bytes());
        kept.append(&mut self.tail);
        (kept, n_left_out)
    }
}

/// The line that stands where bytes are left out.
pub fn mark(n_bytes: u64) -> String {
    format!("[… {n_bytes} bytes left out …]\n")
}

/// Returns the length without the beginning of a character at the end.
fn character_end(bytes: &[u8]) -> usize {
    // A character has at most four bytes; what is no text at all is left as it is.
    for length in 1..=bytes.len().min(3) {
        let at = bytes.len() - length;
        let first = bytes[at];
        if first & 0xc0 != 0x80 {
            let expected = match first {
                0xc0..=0xdf => 2,
                0xe0..=0xef => 3,
                0xf0..=0xf7 => 4,
                _ => 1,
            };
            return if length < expected { at } else { bytes.len() };
        }
    }
    bytes.len()
}

/// Returns the length of the end of a character at the beginning.
fn character_start(bytes: &[u8]) -> usize {
    let rest = bytes.iter().take(4).take_while(|byte| **byte & 0xc0 == 0x80).count();
    if rest < 4 { rest } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(mut kept: Kept, pieces: &[&str]) -> (String, u64) {
        for piece in pieces {
            kept.push(piece.as_bytes());
        }
        let (bytes, n_left_out) = kept.finish();
        (String::from_utf8(bytes).unwrap(), n_left_out)
    }

    #[test]
    fn what_is_left_out_is_marked() {
        for (stream, pieces, text, n_left_out) in [
            (Kept::end(4), &["ab", "cd"][..], "abcd", 0),
            (Kept::end(4), &["abc", "de"], "[… 1 bytes left out …]\nbcde", 1),
            (Kept::end(4), &["aé", "bcd"], "[… 3 bytes left out …]\nbcd", 3),
            (Kept::end(0), &["abc"], "[… 3 bytes left out …]\n", 3),
            (Kept::ends(4), &["abcd"], "abcd", 0),
            (Kept::ends(4), &["a", "bcd", "e"], "ab\n[… 1 bytes left out …]\nde", 1),
            (Kept::ends(4), &["a\nbcdef"], "a\n[… 3 bytes left out …]\nef", 3),
            (Kept::ends(4), &["aébcdé"], "a\n[… 5 bytes left out …]\né", 5),
        ] {
            assert_eq!(kept(stream, pieces), (text.to_owned(), n_left_out), "{pieces:?}");
        }
    }

    #[test]
    fn memory_is_bounded_and_the_end_is_kept() {
        let mut kept = Kept::end(1000);
        for n in 0..100_000 {
            kept.push(format!("{n}\n").as_bytes());
            assert!(kept.tail.len() <= 2000);
        }
        let (bytes, n_left_out) = kept.finish();
        assert_eq!(n_left_out, 588_890 - 1000);
        assert!(bytes.ends_with(b"99998\n99999\n"));
    }

    #[test]
    fn what_is_no_text_is_not_changed() {
        let mut kept = Kept::ends(8);
        kept.push(&[0x80; 20]);
        let (bytes, n_left_out) = kept.finish();
        assert_eq!(
            (n_left_out, bytes.iter().filter(|byte| **byte == 0x80).count()),
            (12, 8 + 2)
        );
    }
}
