//! Maps that call functions without a limit.

use std::collections::BTreeSet;

use crate::asl::definition::MapMode;
use crate::asl::definition::StateKind;
use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::integration;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;

pub(super) const RULE: Rule = Rule {
    id: "map/no-concurrency",
    severity: Severity::Information,
    confidence: Confidence::Static,
    summary: "A Map calls Lambda functions without MaxConcurrency",
    explanation: "Without MaxConcurrency an inline Map runs about 40 iterations at once, a Distributed Map up to 10,000 \
        child executions. Each calls the function at once; what the account's or the function's concurrency does not \
        allow fails with Lambda.TooManyRequestsException.",
    examples: &[Example {
        bad: r#"{"StartAt":"M","States":{"M":{"Type":"Map","ItemProcessor":{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f"},"End":true}}},"End":true}}}"#,
        good: r#"{"StartAt":"M","States":{"M":{"Type":"Map","MaxConcurrency":10,"ItemProcessor":{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f"},"End":true}}},"End":true}}}"#,
        location: "/States/M",
    }],
    check,
};

fn check(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    let definition = subject.definition;
    let mut reported = BTreeSet::new();
    for (_, state, _) in subject.states() {
        let StateKind::Task(task) = &state.kind else { continue };
        if !integration::is_lambda(task) {
            continue;
        }
        let mut parent = definition.block(state.block).parent;
        while let Some(id) = parent {
            let holder = definition.state(id);
            parent = definition.block(holder.block).parent;
            let StateKind::Map(map) = &holder.kind else { continue };
            // Who writes 0 has thought of it.
            if map.max_concurrency.is_none() && reported.insert(id) {
                let most = match map.mode {
                    MapMode::Inline => "Up to about 40 iterations",
                    MapMode::Distributed { .. } => "Up to 10,000 child executions",
                };
                let message = format!(
                    "{most} call the function of `{}` at the same time: those that its concurrency does not allow fail \
                     with Lambda.TooManyRequestsException",
                    state.name
                );
                let written = subject.written(id);
                reporter
                    .report(written.node, written.location.clone(), message)
                    .hint("set `MaxConcurrency` to what the function and what it calls can bear");
            }
            break;
        }
    }
}
