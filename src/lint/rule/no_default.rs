//! A Choice that may match nothing.

use crate::asl::definition::StateKind;
use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::rule::conditions;
use crate::lint::subject::Subject;

pub(super) const RULE: Rule = Rule {
    id: "choice/no-default",
    severity: Severity::Warning,
    confidence: Confidence::Static,
    summary: "A Choice has no Default, and its rules do not cover everything",
    explanation: "When no rule holds and there is no Default, the execution fails with `States.Runtime`, which nothing can catch. Add \
        a Default, if need be one that leads to a Fail with an error of its own.",
    examples: &[Example {
        bad: r#"{"StartAt":"C","States":{"C":{"Type":"Choice","Choices":[{"Variable":"$.n","NumericEquals":1,"Next":"S"}]},"S":{"Type":"Succeed"}}}"#,
        good: r#"{"StartAt":"C","States":{"C":{"Type":"Choice","Choices":[{"Variable":"$.n","NumericGreaterThan":1,"Next":"S"},{"Variable":"$.n","NumericLessThanEquals":1,"Next":"S"}]},"S":{"Type":"Succeed"}}}"#,
        location: "/States/C",
    }],
    check,
};

fn check(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (_, state, written) in subject.states() {
        let StateKind::Choice(choice) = &state.kind else {
            continue;
        };
        let rules: Vec<_> = choice.rules.iter().map(|rule| &rule.condition).collect();
        if written.node.get("Default").is_some()
            || conditions::is_open(written.node)
            || conditions::cover_everything(&rules)
        {
            continue;
        }
        let message = "When no rule holds, the execution fails with `States.Runtime`, which nothing can catch";
        reporter
            .report(written.node, written.location.clone(), message)
            .hint("add a `Default`");
    }
}
