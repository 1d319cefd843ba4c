//! A variable that one of the ways does not assign.

use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::flow::From;
use crate::lint::flow::Verdict;
use crate::lint::flow::describe;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;
use crate::query::jsonata::outline::Need;
use std::collections::BTreeSet;

pub(super) const RULE: Rule = Rule {
    id: "variable/maybe-unassigned",
    severity: Severity::Warning,
    confidence: Confidence::Path,
    summary: "A variable is read that one of the ways before it does not assign",
    explanation: "Several ways lead to the state; one of them does not assign the variable, and no Choice stands between. The finding \
        names that way. Assign it at the start, or on that way too.",
    examples: &[Example {
        bad: r#"{"StartAt":"F","States":{"F":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","Assign":{"id.$":"$.id"},"Catch":[{"ErrorEquals":["States.ALL"],"Next":"U"}],"Next":"U"},"U":{"Type":"Pass","Parameters":{"id.$":"$id"},"End":true}}}"#,
        good: r#"{"StartAt":"F","States":{"F":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","Assign":{"id.$":"$.id"},"Catch":[{"ErrorEquals":["States.ALL"],"Assign":{"id":"none"},"Next":"U"}],"Next":"U"},"U":{"Type":"Pass","Parameters":{"id.$":"$id"},"End":true}}}"#,
        location: "/States/U/Parameters/id.$",
    }],
    check,
};

fn check(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    let mut seen = BTreeSet::new();
    for read in subject.flow().reads() {
        let (Verdict::Maybe(origin), From::Variable(name)) = (&read.verdict, &read.from) else {
            continue;
        };
        if read.need != Need::Required || !seen.insert((name, *origin)) {
            continue;
        }
        let message = format!(
            "`{}` has no value {}; {}",
            read.text,
            describe::origin(subject, *origin),
            describe::outcome(subject, read)
        );
        reporter
            .report_read(subject, read, message)
            .hint("assign it on that way too, or at the start");
    }
}
