//! Effects of EXPRESS executions, which may run twice.

use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::repeat;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;

pub(super) const RULE: Rule = Rule {
    id: "express/not-idempotent",
    severity: Severity::Information,
    confidence: Confidence::Heuristic,
    summary: "An EXPRESS execution does something that a second run does again",
    explanation: "AWS runs an asynchronous EXPRESS execution at least once, not exactly once: it may run the same \
        execution twice. What it sends or starts is then sent or started twice, unless the call lets the service notice \
        (MessageDeduplicationId, Name, ClientRequestToken, ConditionExpression, Idempotency-Key).",
    examples: &[Example {
        bad: r#"{"StartAt":"M","States":{"M":{"Type":"Map","Label":"m","ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"EXPRESS"},"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::sns:publish","Parameters":{"Message":"m","TopicArn":"t"},"End":true}}},"End":true}}}"#,
        good: r#"{"StartAt":"M","States":{"M":{"Type":"Map","Label":"m","ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"EXPRESS"},"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::sns:publish","Parameters":{"Message":"m","TopicArn":"t.fifo","MessageGroupId":"g","MessageDeduplicationId.$":"$.id"},"End":true}}},"End":true}}}"#,
        location: "/States/M/ItemProcessor/States/A",
    }],
    check,
};

fn check(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    let clock = subject.clock();
    for (_, state, written) in subject.states() {
        if !clock.is_express(state) {
            continue;
        }
        if let Some(consequence) = repeat::consequence(state, written) {
            let message = format!("If AWS runs the EXPRESS execution twice, the second run {consequence}");
            reporter
                .report(written.node, written.location.clone(), message)
                .hint("make a second call harmless, or use a STANDARD machine");
        }
    }
}
