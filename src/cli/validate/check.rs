//! One definition to its findings.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::asl::load::Options;
use crate::cli::advice;
use crate::cli::report::path::told;
use crate::cli::validate::actions;
use crate::lint::finding::Finding;
use crate::lint::finding::Fix;
use crate::lint::finding::Severity;
use crate::lint::look;
use crate::model::span::Span;
use crate::template::find;
use crate::template::find::Found;
use crate::template::find::Notice;

/// A definition to check, wherever it stands.
pub(crate) struct Subject {
    /// The file, as it is told: relative to the current directory where it is below it.
    pub(crate) path: String,
    /// The definition's text.
    pub(crate) text: Arc<str>,
    pub(crate) options: Options,
    /// The file around it, when the file is not the definition itself.
    pub(crate) outer: Option<Outer>,
}

/// What a definition stands in, such as a template.
pub(crate) struct Outer {
    /// Which one of the file it is: `Resources/OrderMachine`.
    pub(crate) name: String,
    /// The file's text.
    pub(crate) text: Arc<str>,
    /// From a place in the definition to the same in the file. None where there is no such place.
    pub(crate) place: Place,
    /// The same, but only where the same bytes stand.
    pub(crate) exact: Place,
}

/// From a place to a place.
pub(crate) type Place = Box<dyn Fn(Span) -> Option<Span> + Send + Sync>;

/// A definition that was checked. Places are those in the file.
#[derive(Clone, Debug)]
pub(crate) struct Checked {
    pub(crate) path: String,
    /// Which one of the file it is, when the file is not the definition itself.
    pub(crate) name: Option<String>,
    /// The file's text.
    pub(crate) text: Arc<str>,
    pub(crate) findings: Vec<Finding>,
    /// What a marker in a comment suppresses, with its reason.
    pub(crate) ignored: Vec<(Finding, String)>,
    /// How many findings could be mended if they did not stand in another file's text.
    pub(crate) n_out_of_reach: usize,
    /// It is what a template says of its machines, and no definition.
    pub(crate) is_notice: bool,
}

impl Subject {
    /// Takes a definition that was found in a file.
    pub(crate) fn of(found: Found, express: bool) -> Self {
        let mut options = found.options();
        options.express |= express;
        let outer = (!found.is_whole_file()).then(|| Outer {
            name: found.name.clone(),
            text: Arc::clone(&found.origin.text),
            place: Box::new({
                let found = found.clone();
                move |span| Some(found.outer(span))
            }),
            exact: Box::new({
                let found = found.clone();
                move |span| found.exact(span)
            }),
        });
        Self {
            path: told(Path::new(&found.origin.path)),
            text: found.text,
            options,
            outer,
        }
    }

    /// Looks at it with all that there is: what AWS refuses, what this machine's actions take, the rules.
    pub(crate) fn check(&self) -> Checked {
        let (mut findings, mut ignored) = match look(&self.text, &self.options) {
            Ok(looked) => {
                let mut findings = looked.findings;
                findings.extend(actions::of_definition(&self.text, &self.options, &looked.definition));
                (findings, looked.ignored)
            }
            Err(refused) => {
                let of_actions = actions::of_text(&self.text, &self.options, &refused);
                let refused = refused.into_iter().map(advice::finding);
                (refused.chain(of_actions).collect(), Vec::new())
            }
        };
        let mut n_out_of_reach = 0;
        if let Some(outer) = &self.outer {
            for finding in &mut findings {
                let has_fix = finding.fix.is_some();
                outer.lift(finding);
                n_out_of_reach += usize::from(has_fix && finding.fix.is_none());
            }
            ignored.iter_mut().for_each(|(finding, _)| outer.lift(finding));
        }
        findings.sort_by_key(|finding| finding.span.map_or(0, |span| span.start));
        Checked {
            is_notice: false,
            path: self.path.clone(),
            name: self.outer.as_ref().map(|outer| outer.name.clone()),
            text: Arc::clone(self.outer.as_ref().map_or(&self.text, |outer| &outer.text)),
            findings,
            ignored,
            n_out_of_reach,
        }
    }
}

impl Outer {
    /// Moves a finding to its place in the file.
    fn lift(&self, finding: &mut Finding) {
        finding.span = finding.span.and_then(&self.place);
        finding.fix = finding.fix.take().and_then(|fix| self.lift_fix(&fix));
    }

    /// Moves a change to its place in the file. Nothing when other bytes stand there, or when the new text might be
    /// escaped there or mean something else.
    fn lift_fix(&self, fix: &Fix) -> Option<Fix> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
        let edits = fix.edits.iter().map(|(span, new)| {
            let is_word = new.starts_with(|c: char| c.is_ascii_alphabetic())
                && new.ends_with(|c: char| c.is_ascii_alphanumeric())
                && new.chars().all(is_plain);
            let place = (self.exact)(*span).filter(|_| is_word)?;
            Some((place, new.clone()))
        });
        let edits = edits.collect::<Option<Vec<_>>>()?;
        Some(Fix { edits })
    }
}

/// What a template says of its machines, by file.
pub(crate) fn notices(notices: Vec<Notice>) -> impl Iterator<Item = Checked> {
    let mut by_file: BTreeMap<String, Checked> = BTreeMap::new();
    for notice in notices {
        let path = told(Path::new(&notice.origin.path));
        let checked = by_file.entry(path.clone()).or_insert_with(|| Checked {
            path,
            name: None,
            text: Arc::clone(&notice.origin.text),
            findings: Vec::new(),
            ignored: Vec::new(),
            n_out_of_reach: 0,
            is_notice: true,
        });
        checked.findings.push(match notice.severity {
            find::Severity::Error => advice::finding(notice.diagnostic),
            find::Severity::Warning => Finding::of_aws(notice.diagnostic, Severity::Warning),
        });
    }
    by_file.into_values()
}
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_the_file_around() {
        let inner = r#"{"Comment":"lint-ignore: NO_PATH","StartAt":"A","States":{"A":{"Type":"Pass","Parameters":{"a":"$.a"},"End":true}}}"#;
        let outer = format!("Definition:\n    {inner}\n");
        let shift = |span: Span| {
            Some(Span {
                line: span.line + 1,
                column: span.column + 4,
                start: span.start + 16,
                end: span.end + 16,
            })
        };
        let subject = Subject {
            path: "template.yaml".to_owned(),
            text: inner.into(),
            options: Options::default(),
            outer: Some(Outer {
                name: "Machine".to_owned(),
                text: outer.as_str().into(),
                place: Box::new(shift),
                exact: Box::new(shift),
            }),
        };
        let checked = subject.check();
        // It could be mended, were it not inside of another file: to take a member away needs more than its own place.
        assert_eq!(
            (checked.findings[0].rule, checked.n_out_of_reach),
            ("lint/unused-ignore", 1)
        );
        assert_eq!(checked.findings[0].fix, None);
        let span = checked.findings[1].span.unwrap();
        assert_eq!(&checked.text[span.start as usize..span.end as usize], "\"$.a\"");
        assert_eq!((span.line, checked.name.as_deref()), (2, Some("Machine")));
    }
}
