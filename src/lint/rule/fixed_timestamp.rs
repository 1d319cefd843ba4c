//! A Wait until a moment that is written down.

use crate::asl::definition::StateKind;
use crate::asl::definition::Wait;
use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;

pub(super) const RULE: Rule = Rule {
    id: "time/fixed-timestamp",
    severity: Severity::Information,
    confidence: Confidence::Static,
    summary: "A Wait ends at a moment that is written in the definition",
    explanation: "Every execution waits for the same moment, and once that is past, none waits any more: the state is left at once. \
        Take the moment from the input (TimestampPath, or an expression), or start the execution by a schedule.",
    examples: &[Example {
        bad: r#"{"StartAt":"W","States":{"W":{"Type":"Wait","Timestamp":"2027-01-01T00:00:00Z","End":true}}}"#,
        good: r#"{"StartAt":"W","States":{"W":{"Type":"Wait","TimestampPath":"$.start","End":true}}}"#,
        location: "/States/W/Timestamp",
    }],
    check,
};

fn check(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (_, state, written) in subject.states() {
        let node = written.node.get("Timestamp").filter(|node| !node.is_open());
        if let (StateKind::Wait(Wait::Until(_)), Some(node)) = (&state.kind, node) {
            reporter
                .report(
                    node,
                    format!("{}/Timestamp", written.location),
                    "Executions that come here after this moment do not wait",
                )
                .hint("take the moment from the input");
        }
    }
}
