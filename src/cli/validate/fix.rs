//! Mends what can be mended mechanically, and leaves every other byte as it is.

use std::collections::BTreeMap;

use similar::TextDiff;

use crate::cli::validate::check::Subject;
use crate::cli::validate::policy::Policy;
use crate::cli::validate::policy::Told;
use crate::lint::finding::Fix;

/// How often a text is looked at again: a change may uncover, or have been in the way of, another.
const ROUNDS_MAX: usize = 10;

/// A text that was mended.
#[derive(Debug)]
pub(crate) struct Mended {
    before: String,
    pub(crate) after: String,
    /// How many findings, by rule.
    pub(crate) by_rule: BTreeMap<&'static str, usize>,
}

impl Mended {
    /// Returns the difference in the unified form.
    pub(crate) fn difference(&self, path: &str) -> String {
        let difference = TextDiff::from_lines(&self.before, &self.after);
        let mut difference = difference.unified_diff();
        difference
            .header(&format!("a/{path}"), &format!("b/{path}"))
            .to_string()
    }
}

/// Mends a definition that is a file of its own; what is not told is not mended. None when there is nothing to mend.
pub(crate) fn mend(subject: &Subject, policy: &Policy) -> Option<Mended> {
    if subject.outer.is_some() {
        return None;
    }
    let mut text = subject.text.to_string();
    let mut by_rule = BTreeMap::new();
    for _ in 0..ROUNDS_MAX {
        let told = policy.judge(subject.with(&text).check()).told;
        let fixes: Vec<(&'static str, &Fix)> = told
            .iter()
            .filter_map(|told| Some((told.finding.rule, told.finding.fix.as_ref()?)))
            .collect();
        let (changed, applied) = apply(&text, &fixes);
        if changed == text {
            break;
        }
        let again = policy.judge(subject.with(&changed).check()).told;
        if again.iter().any(Told::is_refusal) && !told.iter().any(Told::is_refusal) {
            // It must not break what works; the finding stays, and people mend it.
            break;
        }
        text = changed;
        for rule in applied {
            *by_rule.entry(rule).or_default() += 1;
        }
    }
    let before = subject.text.to_string();
    (text != before).then_some(Mended {
        before,
        after: text,
        by_rule,
    })
}

/// Applies fixes, each as a whole or not at all; one that touches what an earlier one changes waits. Returns the text and
/// the rules whose fixes were applied.
fn apply(text: &str, fixes: &[(&'static str, &Fix)]) -> (String, Vec<&'static str>) {
    // By start: where an edit ends, and what comes there.
    let mut edits: BTreeMap<usize, (usize, &str)> = BTreeMap::new();
    let mut applied = Vec::new();
    for (rule, fix) in fixes {
        let mut with = edits.clone();
        let fits = fix.edits.iter().all(|(span, new)| {
            let (start, end) = (span.start as usize, span.end as usize);
            // Two that only touch could both insert at one place, in an order that nobody chose.
            let before = with.range(..=end).next_back();
            let is_free = before.is_none_or(|(_, (before_end, _))| *before_end < start);
            let fits = is_free && text.get(start..end).is_some();
            with.insert(start, (end, new.as_str()));
            fits
        });
        if fits {
            edits = with;
            applied.push(*rule);
        }
    }
    let mut changed = String::with_capacity(text.len());
    let mut at = 0;
    for (start, (end, new)) in edits {
        changed += &text[at..start];
        changed += new;
        at = end;
    }
    (changed + &text[at..], applied)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::span::Span;

    fn fix(edits: &[(u32, u32, &str)]) -> Fix {
        let edits = edits.iter().map(|(start, end, text)| {
            let span = Span {
                line: 1,
                column: 1,
                start: *start,
                end: *end,
            };
            (span, (*text).to_owned())
        });
        Fix { edits: edits.collect() }
    }

    #[test]
    fn a_fix_is_applied_as_a_whole_or_not_at_all() {
        let text = "0123456789é";
        let rows: &[(&[Fix], &str, &[&str])] = &[
            (&[], text, &[]),
            (&[fix(&[(8, 9, ""), (1, 3, "ab")])], "0ab345679é", &["a"]),
            (
                &[fix(&[(1, 3, "x")]), fix(&[(5, 6, "y"), (2, 4, "z")])],
                "0x3456789é",
                &["a"],
            ),
            (&[fix(&[(1, 3, "x")]), fix(&[(3, 3, "y")])], "0x3456789é", &["a"]),
            (&[fix(&[(3, 5, "x")]), fix(&[(1, 3, "y")])], "012x56789é", &["a"]),
            (&[fix(&[(4, 4, "x")]), fix(&[(4, 4, "x")])], "0123x456789é", &["a"]),
            (&[fix(&[(3, 5, "x")]), fix(&[(1, 2, "y")])], "0y2x56789é", &["a", "b"]),
            (&[fix(&[(10, 11, "")]), fix(&[(99, 100, "")])], text, &[]),
        ];
        for (fixes, expected, expected_rules) in rows {
            let fixes: Vec<(&'static str, &Fix)> = ["a", "b"].into_iter().zip(*fixes).collect();
            let (changed, applied) = apply(text, &fixes);
            assert_eq!((changed.as_str(), applied.as_slice()), (*expected, *expected_rules));
        }
    }
}
