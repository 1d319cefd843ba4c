//! Rules on top of what AWS refuses: what will go wrong at run time, or is not what was meant.
//!
//! May import: `model`, `query`, `asl`. Must not: anything above, no clock, no files.
//! Invariant: a finding is something that a run can show, or it says that it is a guess (`Confidence::Heuristic`).
//! To add a rule: one file under `rule/`, a row in `rule::RULES`; its examples are its first tests, and
//! `stepfn explain` shows them.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![warn(missing_docs)]

pub mod catalog;
pub(crate) mod clock;
pub(crate) mod destination;
pub(crate) mod entry;
pub mod finding;
pub(crate) mod flow;
pub mod graph;
pub(crate) mod integration;
pub mod level;
mod marker;
pub mod own_error;
pub(crate) mod repeat;
pub(crate) mod round;
pub mod rule;
pub(crate) mod sdk;
pub mod subject;
pub(crate) mod target;
pub(crate) mod walk;
pub(crate) mod wording;

use crate::asl::definition::Definition;
use crate::asl::diagnostic::Diagnostic;
use crate::asl::load;
use crate::asl::load::Options;
use crate::asl::node::Node;
use crate::lint::finding::Finding;
use crate::lint::finding::Severity;
use crate::lint::rule::RULES;
use crate::lint::rule::Reporter;
use crate::lint::subject::Subject;

/// Compiles a definition and looks at it with every rule, AWS's own warnings included. The findings stand in the
/// order of the text. Where a placeholder stands for a whole state, no rule looks.
///
/// # Errors
/// What AWS refuses: then no rule looks at it.
pub fn check(text: &str, options: &Options) -> Result<Vec<Finding>, Vec<Diagnostic>> {
    check_kept(text, options).map(|kept| kept.findings)
}

/// A definition that was looked at, its own comments obeyed.
#[derive(Debug)]
pub struct Looked {
    /// Compiled.
    pub definition: Definition,
    /// What no comment suppresses, and what is wrong with such comments, in the order of the text.
    pub findings: Vec<Finding>,
    /// What a comment suppresses, with its reason, which may be empty.
    pub ignored: Vec<(Finding, String)>,
}

/// As [`check`], but `lint-ignore:` in comments counts.
///
/// # Errors
/// As for [`check`].
pub fn look(text: &str, options: &Options) -> Result<Looked, Vec<Diagnostic>> {
    let kept = check_kept(text, options)?;
    let mut sorted = marker::sort(text, &kept.root, kept.findings);
    sorted
        .findings
        .sort_by_key(|finding| finding.span.map_or(0, |span| span.start));
    Ok(Looked {
        definition: kept.definition,
        findings: sorted.findings,
        ignored: sorted.ignored,
    })
}

struct Kept {
    findings: Vec<Finding>,
    definition: Definition,
    /// As written, placeholders filled.
    root: Node,
}

fn check_kept(text: &str, options: &Options) -> Result<Kept, Vec<Diagnostic>> {
    let (definition, root) = load::compile_kept(text, options)?;
    let warnings = load::warnings_of(&root).into_iter();
    let mut findings: Vec<Finding> = warnings
        .map(|warning| Finding::of_aws(warning, Severity::Warning))
        .collect();
    let mut subject = Subject::new(&definition, &root, options.express);
    subject.text = text;
    let rules = if subject.is_whole() { RULES } else { &[] };
    for rule in rules {
        let mut reporter = Reporter::new(rule, &mut findings);
        (rule.check)(&subject, &mut reporter);
    }
    findings.sort_by_key(|finding| finding.span.map_or(0, |span| span.start));
    Ok(Kept {
        findings,
        definition,
        root,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_placeholder_hides_is_not_judged() {
        let text = r#"{"StartAt":"T","TimeoutSeconds":${T},"States":{
            "T":{"Type":"Task","Resource":"${R}","TimeoutSeconds":${T},"HeartbeatSeconds":${H},"Retry":${Y},"Next":"L"},
            "L":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"${F}","${K}":1},
                "Retry":[{"ErrorEquals":["${E}"],"MaxAttempts":${N},"IntervalSeconds":60,"MaxDelaySeconds":${D}}],
                "Catch":[{"ErrorEquals":["${E}"],"Next":"S"}],"Next":"S"},
            "S":{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage.waitForTaskToken","Parameters":"${P}",
                "TimeoutSeconds":60,"Next":"A"},
            "A":{"Type":"Task","Resource":"arn:${AWS::Partition}:states:::aws-sdk:${Service}:${Action}","Next":"W"},
            "W":{"Type":"Wait","Seconds":${W},"Next":"P"},
            "P":{"Type":"Parallel","Next":"M","Branches":[
                {"StartAt":"B","States":{"B":{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:s3:putObject",
                    "Parameters":{"Bucket":"${B1}","Key":"k"},"End":true}}},
                {"StartAt":"C","States":{"C":{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:s3:putObject",
                    "Parameters":{"Bucket":"${B2}","Key":"k","Password":"${Secret}"},"End":true}}}]},
            "M":{"Type":"Map","Label":"L","MaxConcurrency":${C},"ToleratedFailurePercentage":${F},"ItemProcessor":{
                "ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},"StartAt":"X","States":{
                "X":{"Type":"Task","Resource":"arn:aws:states:::http:invoke","End":true,"Parameters":{
                    "ApiEndpoint":"${U}","Method":"GET","Authentication":{"ConnectionArn":"${A}"}}}}},"End":true}}}"#;
        let options = Options {
            open_placeholders: true,
            ..Options::default()
        };
        for text in [
            text,
            r#"{"StartAt":"A","States":{"A":{"Type":"Pass","Next":"${N}"},"B":{"Type":"Choice","Choices":[{"Variable":"$.x","IsPresent":true,"Next":"A"}],"Default":"${D}"}}}"#,
            r#"{"StartAt":"P","States":{"P":{"Type":"Parallel","Branches":[{"StartAt":"A","States":${S}},${B}],"End":true}}}"#,
            r#"{"StartAt":"M","States":{"M":{"Type":"Map","ItemProcessor":{"StartAt":"A","States":${S}},"End":true}}}"#,
            r#"{"StartAt":"A","States":${S}}"#,
            r#"{"StartAt":"A","States":{"A":${A},"B":{"Type":"Wait","Seconds":9,"Next":"A"}}}"#,
        ] {
            let findings = check(text, &options).unwrap_or_else(|refused| panic!("{refused:?}\n{text}"));
            let findings: Vec<&str> = findings.iter().map(|finding| finding.rule).collect();
            assert_eq!(findings, Vec::<&str>::new(), "{text}");
        }
    }

    #[test]
    fn equal_placeholders_are_equal_targets() {
        let branch = |table: &str| {
            format!(
                r#"{{"StartAt":"{table}","States":{{"{table}":{{"Type":"Task","Resource":"arn:aws:states:::dynamodb:putItem",
                "Parameters":{{"TableName":"${{{table}}}","Item":{{"k":{{"S":"1"}}}}}},"End":true}}}}}}"#
            )
        };
        let options = Options {
            open_placeholders: true,
            ..Options::default()
        };
        let found = |first: &str, second: &str| {
            let second = branch(second).replace(r#""StartAt":""#, r#""StartAt":"Other"#);
            let second = second.replace(r#""States":{""#, r#""States":{"Other"#);
            let text = format!(
                r#"{{"StartAt":"P","States":{{"P":{{"Type":"Parallel","Branches":[{},{second}],"End":true}}}}}}"#,
                branch(first)
            );
            let findings = check(&text, &options).unwrap().into_iter();
            findings.map(|finding| finding.rule).collect::<Vec<_>>()
        };
        assert_eq!(found("Orders", "Orders"), ["parallel/same-target"]);
        assert_eq!(found("Orders", "Stock"), Vec::<&str>::new());
    }

    #[test]
    fn an_express_machine_has_its_own_limits() {
        let text = r#"{"StartAt":"A","TimeoutSeconds":900,"States":{
            "A":{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage","TimeoutSeconds":300,"Parameters":
                {"QueueUrl":"q","MessageBody":"m"},"Next":"W"},
            "W":{"Type":"Wait","Seconds":300,"End":true}}}"#;
        let found = |express| {
            let options = Options {
                express,
                ..Options::default()
            };
            let findings = check(text, &options).unwrap().into_iter();
            findings.map(|finding| finding.rule).collect::<Vec<_>>()
        };
        assert_eq!(found(false), Vec::<&str>::new());
        assert_eq!(
            found(true),
            [
                "express/not-idempotent",
                "express/timeout-too-long",
                "express/wait-too-long"
            ]
        );
    }

    #[test]
    fn findings_stand_in_the_order_of_the_text() {
        let text = r#"{"StartAt":"A","States":{"A":{"Type":"Wait","Seconds":0,"Next":"M"},"M":{"Type":"Map","Iterator":
            {"StartAt":"B","States":{"B":{"Type":"Pass","End":true}}},"Parameters":{"x":1},"End":true}}}"#;
        let findings = check(text, &Options::default()).unwrap();
        let found = findings.iter().map(|finding| {
            let span = finding.span.unwrap_or_default();
            let edits = finding.fix.iter().flat_map(|fix| &fix.edits);
            let changed: Vec<String> = edits
                .map(|(span, new)| format!("{} -> {new}", &text[span.start as usize..span.end as usize]))
                .collect();
            format!("{}:{} {} {changed:?}", span.line, span.column, finding.rule)
        });
        let found: Vec<String> = found.collect();
        assert_eq!(
            found,
            [
                r#"1:87 resource/deprecated-iterator ["Iterator -> ItemProcessor"]"#,
                r#"2:71 resource/deprecated-map-parameters ["Parameters -> ItemSelector"]"#,
            ]
        );
    }
}
