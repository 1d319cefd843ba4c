//! The forms that a secret takes in texts: as it is, in Base64, hexadecimal, escaped.

use std::collections::BTreeSet;
use std::fmt::Write;

use base64::Engine;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

/// A value with fewer bytes stands in texts by chance.
pub const BYTES_MIN: usize = 6;
/// A line of a longer secret that counts by itself has at least so many bytes.
const LINE_BYTES_MIN: usize = 8;

/// Returns every form of a value that is looked for. None has fewer than `BYTES_MIN` bytes.
pub fn forms(value: &[u8]) -> Vec<Zeroizing<Vec<u8>>> {
    if value.len() < BYTES_MIN {
        return Vec::new();
    }
    let mut forms = BTreeSet::from([value.to_vec()]);
    for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
        forms.insert(engine.encode(value).into_bytes());
        for shift in 0..3 {
            forms.insert(shifted_base64(value, shift, engine));
        }
    }
    let hex = hex(value);
    forms.insert(hex.to_ascii_uppercase().into_bytes());
    forms.insert(hex.into_bytes());
    for is_plain in PERCENT_PLAIN {
        for space in ["%20", "+"] {
            let upper = percent(value, *is_plain, space, |text, byte| write!(text, "%{byte:02X}"));
            let lower = percent(value, *is_plain, space, |text, byte| write!(text, "%{byte:02x}"));
            forms.extend([upper, lower]);
        }
    }
    if let Ok(text) = std::str::from_utf8(value) {
        for json in json_forms(text) {
            // A text in JSON in a text in JSON: the cause of an error that holds an output.
            forms.extend(json_forms(&json).into_iter().map(String::into_bytes));
            forms.insert(json.into_bytes());
        }
        // As shells show what they run.
        for quote in ["'\\''", "'\"'\"'"] {
            forms.insert(text.replace('\'', quote).into_bytes());
        }
        // What writes line by line shows a key of many lines so.
        for line in text.lines().map(str::trim) {
            if line.len() < value.len() && LINE_BYTES_MIN <= line.len() && !line.starts_with("-----") {
                forms.insert(line.as_bytes().to_vec());
            }
        }
    }
    forms
        .into_iter()
        .filter(|form| BYTES_MIN <= form.len())
        .map(Zeroizing::new)
        .collect()
}

/// Returns the characters that depend on the value alone when it begins `shift` bytes behind the beginning of three.
fn shifted_base64(value: &[u8], shift: usize, engine: &GeneralPurpose) -> Vec<u8> {
    let mut bytes = vec![0; shift];
    bytes.extend_from_slice(value);
    let text = Zeroizing::new(engine.encode(&bytes));
    // Six bits a character.
    let (first, end) = ((shift * 8).div_ceil(6), bytes.len() * 8 / 6);
    text.as_bytes()[first..end].to_vec()
}

fn hex(value: &[u8]) -> String {
    value.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What stays as it is: RFC 3986; the same with `/`, as in paths; `encodeURIComponent`; forms.
const PERCENT_PLAIN: &[fn(u8) -> bool] = &[
    |byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte),
    |byte| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte),
    |byte| byte.is_ascii_alphanumeric() || b"-._~!'()*".contains(&byte),
    |byte| byte.is_ascii_alphanumeric() || b"-._*".contains(&byte),
];

fn percent(
    value: &[u8],
    is_plain: fn(u8) -> bool,
    space: &str,
    escape: fn(&mut String, u8) -> std::fmt::Result,
) -> Vec<u8> {
    let mut text = String::new();
    for &byte in value {
        match byte {
            b' ' => text.push_str(space),
            byte if is_plain(byte) => text.push(char::from(byte)),
            byte => {
                let _ = escape(&mut text, byte);
            }
        }
    }
    text.into_bytes()
}

/// The inside of a JSON text, as common writers make it.
fn json_forms(text: &str) -> Vec<String> {
    let quoted = serde_json::Value::from(text).to_string();
    let plain = &quoted[1..quoted.len() - 1];
    // Go keeps `<`, `>` and `&` from browsers.
    let careful = plain
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026");
    let mut forms = vec![plain.to_owned(), plain.replace('/', "\\/")];
    for text in [plain, &careful] {
        forms.push(ascii(text, |text, unit| write!(text, "\\u{unit:04x}")));
        forms.push(ascii(text, |text, unit| write!(text, "\\u{unit:04X}")));
    }
    forms.push(careful);
    forms
}

fn ascii(text: &str, escape: fn(&mut String, u16) -> std::fmt::Result) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character.is_ascii() {
            true => escaped.push(character),
            false => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    let _ = escape(&mut escaped, *unit);
                }
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(value: &str, form: &str) -> bool {
        forms(value.as_bytes()).iter().any(|it| **it == form.as_bytes())
    }

    #[test]
    fn what_writers_make_of_a_secret_is_looked_for() {
        for (value, form) in [
            ("hunter2!", "hunter2!"),
            ("hunter2!", "aHVudGVyMiE"),
            ("hunter2!", "68756e7465723221"),
            ("hunter2!", "hunter2%21"),
            ("a b/c&dé", "a+b%2Fc%26d%C3%A9"),
            ("a b/c&dé", "a%20b/c%26d%c3%a9"),
            ("a\"b\\c\nd", "a\\\"b\\\\c\\nd"),
            ("a\"b\\c\nd", "a\\\\\\\"b\\\\\\\\c\\\\nd"),
            ("a/b<é>😀", "a\\/b<é>😀"),
            ("a/b<é>😀", "a/b\\u003c\\u00e9\\u003e\\ud83d\\ude00"),
            ("it's mine", "it'\\''s mine"),
            ("first line\nsecond line", "second line"),
        ] {
            assert!(has(value, form), "{value:?} as {form:?}");
        }
        assert!(forms(b"short").is_empty());
        assert!(forms(&[0xff; 6]).iter().all(|form| BYTES_MIN <= form.len()));
    }
}
