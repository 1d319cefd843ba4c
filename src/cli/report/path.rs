//! How reports name files: in one way, so that CI systems find them in the repository.

use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

/// Spells a path as it is told: the same for every spelling of it, relative to the current directory if it is below.
pub(crate) fn told(path: &Path) -> String {
    let below = std::env::current_dir().ok();
    let below = below.as_ref().and_then(|directory| path.strip_prefix(directory).ok());
    let parts = below.unwrap_or(path).components();
    let clean: PathBuf = parts.filter(|part| *part != Component::CurDir).collect();
    if clean.as_os_str().is_empty() {
        return path.display().to_string();
    }
    clean.display().to_string()
}

/// Returns a path as a URI reference: what is special there is escaped.
pub(crate) fn uri(path: &str) -> String {
    let mut uri = match path.starts_with('/') {
        true => "file://".to_owned(),
        false => String::new(),
    };
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => uri.push(char::from(byte)),
            _ => uri += &format!("%{byte:02X}"),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_told_in_one_way() {
        let here = std::env::current_dir().unwrap();
        for (path, expected) in [
            (PathBuf::from("./a/./b.json"), "a/b.json"),
            (here.join("a/b.json"), "a/b.json"),
            (PathBuf::from("/a/b.json"), "/a/b.json"),
            (PathBuf::from("../b.json"), "../b.json"),
            (PathBuf::from("."), "."),
        ] {
            assert_eq!(told(&path), expected, "{path:?}");
        }
    }

    #[test]
    fn a_path_is_escaped_for_a_uri() {
        assert_eq!(uri("a b/é%.json"), "a%20b/%C3%A9%25.json");
        assert_eq!(uri("/a"), "file:///a");
    }
}
