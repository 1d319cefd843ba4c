//! Rules on top of what AWS refuses: what will go wrong at run time, or is not what was meant.
//!
//! May import: `model`, `query`, `asl`. Must not: anything above, no clock, no files.
//! Invariant: a finding is something that a run can show, or it says that it is a guess (`Confidence::Heuristic`).
//! To add a rule: one file under `rule/`, a row in `rule::RULES`; its examples are its first tests, and
//! `stepfn explain` shows them.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![warn(missing_docs)]

pub(crate) mod clock;
pub(crate) mod entry;
pub mod finding;
pub(crate) mod integration;
pub(crate) mod repeat;
pub mod rule;
pub(crate) mod sdk;
pub mod subject;
pub(crate) mod target;
pub(crate) mod walk;
pub(crate) mod wording;

use crate::asl::diagnostic::Diagnostic;
use crate::asl::load;
use crate::asl::load::Options;
use crate::lint::finding::Finding;
use crate::lint::finding::Severity;
use crate::lint::rule::RULES;
use crate::lint::rule::Reporter;
use crate::lint::subject::Subject;

/// Compiles a definition and looks at it with every rule, AWS's own warnings included. The findings stand in the
/// order of the text.
///
/// # Errors
/// What AWS refuses: then no rule looks at it.
pub fn check(text: &str, options: &Options) -> Result<Vec<Finding>, Vec<Diagnostic>> {
    let (definition, root) = load::compile_kept(text, options)?;
    let warnings = load::warnings_of(&root).into_iter();
    let mut findings: Vec<Finding> = warnings
        .map(|warning| Finding::of_aws(warning, Severity::Warning))
        .collect();
    let subject = Subject::new(&definition, &root, options.express);
    for rule in RULES {
        let mut reporter = Reporter::new(rule, &mut findings);
        (rule.check)(&subject, &mut reporter);
    }
    findings.sort_by_key(|finding| finding.span.map_or(0, |span| span.start));
    Ok(findings)
}
