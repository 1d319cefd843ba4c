//! Measures and breaks texts, in the font that pictures are drawn with.

use skrifa::FontRef;
use skrifa::MetadataProvider;
use skrifa::charmap::Charmap;
use skrifa::instance::LocationRef;
use skrifa::instance::Size;
use skrifa::metrics::GlyphMetrics;

/// The fonts of a picture, as SVG names them. Verdana is as wide as DejaVu Sans, and where that is missing it is there.
pub const FAMILY: &str = "DejaVu Sans, Verdana, sans-serif";

/// How a line is set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Style {
    /// In pixels.
    pub size: f64,
    /// It is bold.
    pub bold: bool,
}

impl Style {
    /// The distance from one line to the next, in pixels.
    pub fn line_height(self) -> f64 {
        (self.size * 1.3).round()
    }
}

/// Measures texts.
pub struct Ruler {
    regular: Face,
    bold: Face,
}

struct Face {
    letters: Charmap<'static>,
    widths: GlyphMetrics<'static>,
}

impl Face {
    fn of(data: &'static [u8]) -> Self {
        let font = FontRef::new(data).expect("the font of the program can be read");
        Self {
            letters: font.charmap(),
            widths: font.glyph_metrics(Size::new(1.0), LocationRef::default()),
        }
    }

    /// Returns how wide a letter is, for a size of 1.
    fn width(&self, letter: char) -> f64 {
        let known = self
            .letters
            .map(letter)
            .and_then(|glyph| self.widths.advance_width(glyph));
        // What this font lacks comes from another; hardly any letter is wider than high.
        known.map_or(1.0, f64::from)
    }
}

impl Default for Ruler {
    fn default() -> Self {
        Self {
            regular: Face::of(dejavu::sans::regular()),
            bold: Face::of(dejavu::sans::bold()),
        }
    }
}

impl Ruler {
    /// Returns how wide a text is, in pixels.
    pub fn width(&self, text: &str, style: Style) -> f64 {
        let face = self.face(style);
        text.chars().map(|letter| face.width(letter)).sum::<f64>() * style.size
    }

    /// Tells whether the font of the program has every letter of a text.
    pub fn has(&self, text: &str) -> bool {
        text.chars()
            .all(|letter| letter.is_control() || self.regular.letters.map(letter).is_some())
    }

    fn face(&self, style: Style) -> &Face {
        if style.bold { &self.bold } else { &self.regular }
    }

    /// Breaks a text into at most `lines_max` lines of at most `width_max` pixels; what is left over is cut off with `…`.
    pub fn wrap(&self, text: &str, style: Style, width_max: f64, lines_max: usize) -> Vec<String> {
        let mut lines = vec![String::new()];
        for piece in pieces(text) {
            let mut rest = piece;
            loop {
                let line = lines.last_mut().expect("there is a first line");
                let whole = format!("{line}{rest}");
                if self.width(whole.trim_end(), style) <= width_max {
                    *line = whole;
                    break;
                }
                if line.is_empty() {
                    // A piece wider than a whole line is broken anywhere.
                    let end = self.fitting(rest, style, width_max);
                    line.push_str(&rest[..end]);
                    rest = &rest[end..];
                }
                if rest.trim().is_empty() {
                    break;
                }
                lines.push(String::new());
            }
        }
        if lines_max < lines.len() {
            lines.truncate(lines_max);
            let last = lines.last_mut().expect("a line is left");
            let end = self.fitting(last.trim_end(), style, width_max - self.width("…", style));
            last.truncate(end);
            last.push('…');
        }
        lines.iter().map(|line| line.trim().to_owned()).collect()
    }

    /// Returns how many bytes of a text fit, but at least those of its first letter.
    fn fitting(&self, text: &str, style: Style, width_max: f64) -> usize {
        let face = self.face(style);
        let mut width = 0.0;
        for (at, letter) in text.char_indices() {
            width += face.width(letter) * style.size;
            if width_max < width && 0 < at {
                return at;
            }
        }
        text.len()
    }
}

/// Cuts a text where a line may end: behind spaces and signs, and before a capital that follows a small letter.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut before = ' ';
    for (at, letter) in text.char_indices() {
        let after_sign = matches!(before, ' ' | '-' | '_' | '.' | ':' | '/' | ',' | '|' | '&') && letter != ' ';
        let new_word = before.is_lowercase() && letter.is_uppercase();
        if start < at && (after_sign || new_word) {
            pieces.push(&text[start..at]);
            start = at;
        }
        before = letter;
    }
    pieces.push(&text[start..]);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    const STYLE: Style = Style {
        size: 10.0,
        bold: false,
    };

    #[test]
    fn lines_break_where_words_end_and_fit() {
        let ruler = Ruler::default();
        for (text, width, lines_max, expected) in [
            ("", 100.0, 3, &[""][..]),
            ("Check order", 100.0, 3, &["Check order"]),
            (
                "Check the order of the customer",
                90.0,
                3,
                &["Check the order", "of the customer"],
            ),
            (
                "CheckTheOrderOfTheCustomer",
                90.0,
                3,
                &["CheckTheOrderOf", "TheCustomer"],
            ),
            (
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                70.0,
                3,
                &["aaaaaaaaaaa", "aaaaaaaaaaa", "aaaaaaaaaa"],
            ),
            ("one two three four five six", 40.0, 2, &["one", "two…"]),
        ] {
            let lines = ruler.wrap(text, STYLE, width, lines_max);
            assert_eq!(lines, expected, "{text}");
            assert!(lines.iter().all(|line| ruler.width(line, STYLE) <= width), "{text}");
        }
    }

    #[test]
    fn the_marks_are_in_the_font() {
        let ruler = Ruler::default();
        assert!(ruler.has("✓✗⚠↗◌◐↻→×…Ünïcödé Привет"));
        assert!(!ruler.has("状态"));
    }
}
