//! Findings with the lines that they are about.

use annotate_snippets::AnnotationKind;
use annotate_snippets::Level;
use annotate_snippets::Renderer;
use annotate_snippets::Snippet;

use crate::cli::error;
use crate::cli::error::printable;
use crate::lint::finding::Finding;
use crate::lint::finding::Severity;

/// Longest line that is shown as an excerpt: a definition can be one line of a megabyte.
const LINE_BYTES_MAX: usize = 500;
/// Most findings that are shown: a definition of a megabyte can have a hundred thousand.
const FINDINGS_SHOWN_MAX: usize = 100;

/// Renders findings for people; the colors are those of stderr.
pub(crate) fn render(path: &str, text: &str, findings: &[Finding]) -> String {
    let renderer = if error::colored() {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    render_with(&renderer, path, text, findings)
}

/// Renders findings for a file: without colors.
pub(crate) fn render_plain(path: &str, text: &str, findings: &[Finding]) -> String {
    render_with(&Renderer::plain(), path, text, findings)
}

fn render_with(renderer: &Renderer, path: &str, text: &str, findings: &[Finding]) -> String {
    let mut output = String::new();
    let path = printable(path);
    let path = path.as_str();
    for finding in findings.iter().take(FINDINGS_SHOWN_MAX) {
        let title = match &finding.location {
            Some(location) => format!("{} at {location}", finding.message),
            None => finding.message.clone(),
        };
        let title = printable(&title);
        let level = match finding.severity {
            Severity::Error => Level::ERROR,
            Severity::Information => Level::INFO,
            Severity::Warning => Level::WARNING,
        };
        let group = level.primary_title(title.as_str());
        // What no rule found has no name.
        let group = match finding.rule {
            "" => group,
            rule => group.id(rule),
        };
        let place = finding
            .span
            .and_then(|span| place(text, span.start as usize, span.end as usize));
        let group = match (&place, finding.span) {
            (Some((line, source, range)), _) => group.element(
                Snippet::source(*source)
                    .path(path)
                    .line_start(*line)
                    .annotation(AnnotationKind::Primary.span(range.clone())),
            ),
            (None, Some(span)) => group.element(
                annotate_snippets::Origin::path(path)
                    .line(span.line as usize)
                    .char_column(span.column as usize),
            ),
            (None, None) => group.element(annotate_snippets::Origin::path(path)),
        };
        let hint = finding.hint.as_deref().map(printable);
        let group = match &hint {
            Some(hint) => group.element(Level::HELP.message(hint.as_str())),
            None => group,
        };
        output += &renderer.render(&[group]);
        output.push_str("\n\n");
    }
    if FINDINGS_SHOWN_MAX < findings.len() {
        let n_hidden = findings.len() - FINDINGS_SHOWN_MAX;
        output += &format!("The first {FINDINGS_SHOWN_MAX} findings are shown; {n_hidden} more are not.\n\n");
    }
    output
}

/// Returns the first line of a span, with its number and the span's part of it.
fn place(text: &str, start: usize, end: usize) -> Option<(usize, &str, std::ops::Range<usize>)> {
    let before = text.get(..start)?;
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let rest = text.get(line_start..)?;
    // No further than a line may be long: its end can be a megabyte away.
    let line_end = rest
        .bytes()
        .take(LINE_BYTES_MAX + 1)
        .position(|byte| matches!(byte, b'\n' | b'\r'));
    let line_end = line_end.unwrap_or(rest.len());
    if LINE_BYTES_MAX < line_end {
        return None;
    }
    let line = rest.get(..line_end)?;
    let from = (start - line_start).min(line.len());
    let to = end.saturating_sub(line_start).clamp(from, line.len());
    line.get(from..to)?;
    let number = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
    Some((number, line, from..to))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asl::diagnostic::Diagnostic;
    use crate::asl::load::Options;
    use crate::asl::load::compile;
    use crate::cli::advice;
    use crate::model::span::Span;

    fn finding(span: Option<Span>) -> Finding {
        let diagnostic = Diagnostic {
            code: "SCHEMA_VALIDATION_FAILED",
            message: "Value is not valid".to_owned(),
            location: Some("/States/A".to_owned()),
            span,
        };
        Finding::of_aws(diagnostic, Severity::Error)
    }

    #[test]
    fn a_finding_shows_its_line() {
        let text = "{\n  \"A\": \"é\"\n}\n";
        let span = Span {
            line: 2,
            column: 8,
            start: 9,
            end: 13,
        };
        let shown = render("a.json", text, &[finding(Some(span))]);
        for part in [
            "error[SCHEMA_VALIDATION_FAILED]",
            "at /States/A",
            "a.json:2:8",
            "\"A\": \"é\"",
            "^^^",
        ] {
            assert!(shown.contains(part), "{part} in\n{shown}");
        }
    }

    #[test]
    fn only_the_first_findings_are_shown() {
        let findings = vec![finding(None); FINDINGS_SHOWN_MAX + 7];
        let shown = render("a.json", "{}", &findings);
        assert_eq!(shown.matches("error[").count(), FINDINGS_SHOWN_MAX);
        assert!(
            shown.ends_with("The first 100 findings are shown; 7 more are not.\n\n"),
            "{shown}"
        );
    }

    #[test]
    fn the_source_is_not_repeated() {
        let text = r#"{"a": [1, 2"#;
        let findings = compile(text, &Options::default()).unwrap_err().into_iter();
        let findings: Vec<Finding> = findings.map(advice::finding).collect();
        let shown = render("a.json", text, &findings);
        let title = "error[INVALID_JSON_DESCRIPTION]: Unexpected end-of-input: expected close marker for Array (start marker at line 1, column 7)";
        assert_eq!(shown.lines().next(), Some(title));
    }

    #[test]
    fn odd_spans_do_not_panic() {
        let long = "x".repeat(10_000);
        for text in ["", "é", "a\r\nb", long.as_str()] {
            for (start, end) in [(0, 0), (1, 1), (1, 9), (3, 1), (9, 99), (u32::MAX, 0)] {
                let span = Span {
                    line: 0,
                    column: 0,
                    start,
                    end,
                };
                render("f", text, &[finding(Some(span)), finding(None)]);
            }
        }
    }
}
