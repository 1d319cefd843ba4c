//! Markers in comments, which suppress findings: `"Comment": "… lint-ignore: time/no-timeout an operator answers"`.

use crate::asl::node::Node;
use crate::lint::catalog;
use crate::lint::catalog::UNKNOWN_RULE;
use crate::lint::catalog::UNUSED_IGNORE;
use crate::lint::finding::Confidence;
use crate::lint::finding::Finding;
use crate::lint::finding::Fix;
use crate::lint::finding::Severity;
use crate::lint::level::Level;
use crate::lint::level::Levels;
use crate::model::glob;
use crate::model::span::Span;

/// What begins a marker.
const BEGIN: &str = "lint-ignore:";

/// A marker for one name or pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Marker {
    /// A rule, AWS's code of a warning, or a pattern like `time/*`.
    rule: String,
    /// Why, in the author's words; may be empty.
    reason: String,
    /// Where the comment stands: `/States/A/Comment`.
    location: String,
    /// Where the comment stands in the text.
    span: Span,
    /// What it counts for.
    scope: Span,
    /// What removes it, when nothing else stands in the way.
    removal: Option<Fix>,
}

impl Marker {
    /// Tells whether it suppresses a finding: one of its names within the object that has the comment.
    fn suppresses(&self, finding: &Finding) -> bool {
        let is_inside = match finding.span {
            Some(span) => self.scope.start <= span.start && span.end <= self.scope.end,
            // It is about the whole machine.
            None => self.location == "/Comment",
        };
        is_inside && glob::matches(&self.rule, finding.rule)
    }

    /// Says that it suppresses nothing.
    fn unused(&self) -> Finding {
        let message = format!("`{BEGIN} {}` suppresses nothing here", self.rule);
        Finding {
            fix: self.removal.clone(),
            ..self.finding(UNUSED_IGNORE, Severity::Information, message, "remove it")
        }
    }

    fn finding(&self, rule: &'static str, severity: Severity, message: String, hint: &str) -> Finding {
        Finding {
            rule,
            severity,
            confidence: Confidence::Static,
            message,
            hint: Some(hint.to_owned()),
            location: Some(self.location.clone()),
            span: Some(self.span),
            fix: None,
        }
    }
}

/// What markers leave of findings.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    /// What no marker suppresses, and what is wrong with the markers themselves.
    pub(super) findings: Vec<Finding>,
    /// What a marker suppresses, with its reason.
    pub(super) ignored: Vec<(Finding, String)>,
}

/// Takes out of findings what the markers of a definition suppress. What cannot be used stays.
pub(super) fn sort(text: &str, root: &Node, findings: Vec<Finding>) -> Sorted {
    let (markers, wrong) = markers(text, root);
    let mut sorted = Sorted::default();
    let mut used = vec![false; markers.len()];
    for finding in findings {
        let is_refusal = catalog::named(finding.rule).is_some_and(|entry| entry.is_refusal);
        let mut reason = None;
        for (marker, used) in markers.iter().zip(&mut used) {
            if !is_refusal && marker.suppresses(&finding) {
                *used = true;
                reason = Some(&marker.reason);
            }
        }
        match reason {
            Some(reason) => sorted.ignored.push((finding, reason.clone())),
            None => sorted.findings.push(finding),
        }
    }
    let unused = markers.iter().zip(used).filter(|(_, used)| !used);
    sorted.findings.extend(unused.map(|(marker, _)| marker.unused()));
    sorted.findings.extend(wrong);
    sorted
}

/// Finds the markers of a definition: in the comments of the machine, its blocks, states, choice rules, retriers and
/// catchers. Returns them and what is wrong with others.
fn markers(text: &str, root: &Node) -> (Vec<Marker>, Vec<Finding>) {
    let mut found = Vec::new();
    // Blocks wait in a list, so that nesting costs no stack.
    let mut blocks = vec![(root, String::new())];
    while let Some((block, at)) = blocks.pop() {
        read(text, block, &at, &mut found);
        for member in block.get("States").map_or(&[][..], Node::members) {
            let (state, at) = (&member.value, format!("{at}/States/{}", member.key));
            read(text, state, &at, &mut found);
            for name in ["Choices", "Retry", "Catch"] {
                let rules = state.get(name).map_or(&[][..], Node::elements).iter().enumerate();
                rules.for_each(|(index, rule)| read(text, rule, &format!("{at}/{name}[{index}]"), &mut found));
            }
            for name in ["ItemProcessor", "Iterator"] {
                blocks.extend(state.get(name).map(|block| (block, format!("{at}/{name}"))));
            }
            let branches = state.get("Branches").map_or(&[][..], Node::elements).iter().enumerate();
            blocks.extend(branches.map(|(index, block)| (block, format!("{at}/Branches[{index}]"))));
        }
    }
    found.sort_by_key(|marker| marker.span.start);
    let mut wrong = Vec::new();
    found.retain(
        |marker: &Marker| match Levels::default().set(&marker.rule, Level::Allow) {
            Ok(()) => true,
            Err(error) => {
                let hint = format!("write `{BEGIN} RULE reason`; `stepfn explain` lists the rules");
                let message = match marker.rule.as_str() {
                    "" => format!("`{BEGIN}` names no rule"),
                    _ => format!("`{BEGIN} {}` is not obeyed: {error}", marker.rule),
                };
                wrong.push(marker.finding(UNKNOWN_RULE, Severity::Error, message, &hint));
                false
            }
        },
    );
    (found, wrong)
}

/// Reads the markers of one object's comment.
fn read(source: &str, object: &Node, at: &str, found: &mut Vec<Marker>) {
    let Some(comment) = object.get("Comment") else { return };
    let text = comment.text().unwrap_or_default();
    for marker in text.split(BEGIN).skip(1) {
        // The names end where a word does not go on with a comma: `a, b reason`.
        let mut rest = marker.lines().next().unwrap_or_default().trim_start();
        let mut rules = Vec::new();
        loop {
            let end = rest.find(|c: char| c == ',' || c.is_whitespace()).unwrap_or(rest.len());
            let (rule, after) = rest.split_at(end);
            rules.push(rule.to_owned());
            let after = after.trim_start();
            match after.strip_prefix(',') {
                Some(more) => rest = more.trim_start(),
                None => {
                    rest = after;
                    break;
                }
            }
        }
        let removal = match rules.len() {
            1 => removal(source, comment.span, marker.lines().next().unwrap_or_default()),
            _ => None,
        };
        found.extend(rules.into_iter().map(|rule| Marker {
            rule,
            reason: rest.trim_end().to_owned(),
            location: format!("{at}/Comment"),
            span: comment.span,
            scope: object.span,
            removal: removal.clone(),
        }));
    }
}

/// Returns the edit that takes a marker out of a comment, where the comment is written as it reads.
fn removal(source: &str, comment: Span, marker: &str) -> Option<Fix> {
    let written = source.get(comment.start as usize..comment.end as usize)?;
    let marker = format!("{BEGIN}{}", marker.trim_end());
    let (before, after) = written.split_once(&marker)?;
    if after.contains(&marker) || written.contains(['\\', '\n']) {
        return None;
    }
    let offset = |at: usize| u32::try_from(at).ok().map(|at| comment.start + at);
    let start = offset(before.trim_end_matches(' ').len())?;
    let end = offset(before.len() + marker.len())?;
    let column = comment.column + u32::try_from(before.trim_end_matches(' ').chars().count()).ok()?;
    let span = Span {
        line: comment.line,
        column,
        start,
        end,
    };
    Some(Fix {
        edits: vec![(span, String::new())],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asl::load::Options;
    use crate::lint::check_kept;

    #[test]
    fn names_end_where_the_reason_begins() {
        for (comment, expected) in [
            ("no marker", vec![]),
            ("lint-ignore: NO_DOLLAR", vec![("NO_DOLLAR", "")]),
            (
                "Asks. lint-ignore: time/no-timeout, NO_*  an operator, who answers",
                vec![
                    ("time/no-timeout", "an operator, who answers"),
                    ("NO_*", "an operator, who answers"),
                ],
            ),
            (
                "lint-ignore: NO_PATH a\nmore lint-ignore:NO_DOLLAR b",
                vec![("NO_PATH", "a"), ("NO_DOLLAR", "b")],
            ),
            ("lint-ignore: lint/unused-ignore", vec![("lint/unused-ignore", "")]),
        ] {
            let text =
                serde_json::json!({ "Comment": comment, "StartAt": "A", "States": { "A": { "Type": "Succeed" } } });
            let text = text.to_string();
            let kept = check_kept(&text, &Options::default()).unwrap();
            let (markers, wrong) = markers(&text, &kept.root);
            let markers = markers
                .iter()
                .map(|marker| (marker.rule.as_str(), marker.reason.as_str()));
            assert_eq!(markers.collect::<Vec<_>>(), expected, "{comment}");
            assert_eq!(wrong, [], "{comment}");
        }
    }

    #[test]
    fn a_marker_counts_for_what_is_inside() {
        let text = r#"{"StartAt":"P","States":{"P":{"Type":"Parallel","End":true,"Comment":"lint-ignore: NO_DOLLAR","Branches":[
            {"StartAt":"A","States":{"A":{"Type":"Pass","Parameters":{"a":"$.a"},"End":true}}}],
            "Next":"B"},"B":{"Type":"Pass","Parameters":{"a":"$.a"},"End":true}}}"#
            .replace(r#""End":true,"Comment""#, r#""Comment""#);
        let kept = check_kept(&text, &Options::default()).unwrap();
        let (markers, _) = markers(&text, &kept.root);
        let told = |finding: &Finding| (finding.location.clone().unwrap(), markers[0].suppresses(finding));
        let own = kept.findings.iter().filter(|finding| finding.rule == "NO_DOLLAR");
        let told: Vec<_> = own.map(told).collect();
        assert_eq!(
            told,
            [
                ("/States/P/Branches[0]/States/A/Parameters/a".to_owned(), true),
                ("/States/B/Parameters/a".to_owned(), false)
            ]
        );
    }

    #[test]
    fn what_a_marker_leaves_is_told() {
        let text = r#"{"Comment":"lint-ignore: NO_PATH","StartAt":"A","States":{
            "A":{"Type":"Pass","Comment":"lint-ignore: NO_DOLLAR it is a text","Parameters":{"a":"$.a"},"Next":"B"},
            "B":{"Type":"Pass","Parameters":{"a":"$.a"},"End":true}}}"#;
        let kept = check_kept(text, &Options::default()).unwrap();
        let sorted = sort(text, &kept.root, kept.findings);
        let told = sorted
            .findings
            .iter()
            .map(|finding| (finding.rule, finding.location.as_deref().unwrap()));
        assert_eq!(
            told.collect::<Vec<_>>(),
            [("NO_DOLLAR", "/States/B/Parameters/a"), (UNUSED_IGNORE, "/Comment")]
        );
        assert_eq!(sorted.ignored.len(), 1);
        assert_eq!(sorted.ignored[0].1, "it is a text");
    }

    #[test]
    fn a_marker_is_removed_where_it_is_written_as_it_reads() {
        for (comment, expected) in [
            ("é lint-ignore: NO_PATH why", Some("é")),
            ("lint-ignore: NO_PATH ", Some(" ")),
            (
                "a lint-ignore: NO_PATH b lint-ignore: NO_DOLLAR",
                Some("a lint-ignore: NO_DOLLAR"),
            ),
            ("a lint-ignore: NO_PATH, NO_DOLLAR", None),
            ("a\\tlint-ignore: NO_PATH", None),
        ] {
            let text = format!(r#"{{"Comment":"{comment}","StartAt":"A","States":{{"A":{{"Type":"Succeed"}}}}}}"#);
            let kept = check_kept(&text, &Options::default()).unwrap();
            let unused = sort(&text, &kept.root, Vec::new()).findings.remove(0);
            let removed = unused.fix.map(|fix| {
                let (span, _) = &fix.edits[0];
                format!("{}{}", &text[..span.start as usize], &text[span.end as usize..])
            });
            assert_eq!(
                removed,
                expected.map(|expected| text.replace(comment, expected)),
                "{comment}"
            );
        }
    }

    #[test]
    fn a_name_that_nothing_has_is_told() {
        for (rules, expected) in [
            (
                "time/no-timeot",
                "`lint-ignore: time/no-timeot` is not obeyed: there is no rule or code `time/no-timeot`; the nearest is \
                 `time/no-timeout`",
            ),
            (
                "MISSING_END_STATE",
                "`lint-ignore: MISSING_END_STATE` is not obeyed: `MISSING_END_STATE` is refused at any level: the \
                 definition cannot be used",
            ),
            ("", "`lint-ignore:` names no rule"),
        ] {
            let text =
                format!(r#"{{"StartAt":"A","States":{{"A":{{"Type":"Succeed","Comment":"lint-ignore: {rules}"}}}}}}"#);
            let kept = check_kept(&text, &Options::default()).unwrap();
            let (markers, wrong) = markers(&text, &kept.root);
            assert_eq!(markers, []);
            let wrong = wrong.iter().map(|finding| finding.message.as_str()).collect::<Vec<_>>();
            assert_eq!(wrong, [expected]);
            assert!(catalog::named(UNKNOWN_RULE).is_some());
        }
    }
}
