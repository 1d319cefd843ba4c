//! JUnit's XML.

/// Escapes a text for XML; what XML cannot hold becomes U+FFFD.
pub(crate) fn xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            '\t' => escaped.push_str("&#9;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Writes the suite of a file that cannot be read: one case, which is an error.
pub(crate) fn unreadable(path: &str, message: &str) -> String {
    let (path, message) = (xml(path), xml(message));
    format!(
        "  <testsuite name=\"{path}\" tests=\"1\" failures=\"0\" errors=\"1\" skipped=\"0\" time=\"0\">\n    \
         <testcase name=\"read\" classname=\"{path}\" file=\"{path}\" line=\"1\" time=\"0\">\n      \
         <error type=\"unreadable\" message=\"{message}\"/>\n    </testcase>\n  </testsuite>\n"
    )
}
