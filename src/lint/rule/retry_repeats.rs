//! Retries that do something a second time.

use crate::asl::definition::MapMode;
use crate::asl::definition::Pattern;
use crate::asl::definition::StateKind;
use crate::asl::definition::Task;
use crate::lint::entry;
use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::integration::Call;
use crate::lint::repeat;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;
use crate::lint::walk;

pub(super) const TASK: Rule = Rule {
    id: "retry/not-idempotent",
    severity: Severity::Warning,
    confidence: Confidence::Heuristic,
    summary: "A retry may do again what the failed attempt did already",
    explanation: "After a timeout or a lost connection nobody knows whether the service did what was asked. A retrier \
        with States.ALL, States.TaskFailed or States.Timeout asks again: one more message, event, job or execution. \
        Give the call what makes a second one harmless (MessageDeduplicationId, Name, ClientRequestToken, \
        ConditionExpression, Idempotency-Key), or retry only errors that say that nothing was done.",
    examples: &[
        Example {
            bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::states:startExecution","Parameters":{"StateMachineArn.$":"$.m"},"Retry":[{"ErrorEquals":["States.ALL"]}],"End":true}}}"#,
            good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::states:startExecution","Parameters":{"StateMachineArn.$":"$.m","Name.$":"$.order"},"Retry":[{"ErrorEquals":["States.ALL"]}],"End":true}}}"#,
            location: "/States/A/Retry[0]",
        },
        Example {
            bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::dynamodb:updateItem","Parameters":{"TableName":"t","Key":{"k":{"S":"x"}},"UpdateExpression":"SET n = n + :one","ExpressionAttributeValues":{":one":{"N":"1"}}},"TimeoutSeconds":9,"Retry":[{"ErrorEquals":["States.Timeout"]}],"End":true}}}"#,
            good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::dynamodb:updateItem","Parameters":{"TableName":"t","Key":{"k":{"S":"x"}},"UpdateExpression":"SET n = :n","ExpressionAttributeValues":{":n":{"N":"1"}}},"TimeoutSeconds":9,"Retry":[{"ErrorEquals":["States.Timeout"]}],"End":true}}}"#,
            location: "/States/A/Retry[0]",
        },
    ],
    check: task,
};

pub(super) const MAP: Rule = Rule {
    id: "map/retry-repeats",
    severity: Severity::Warning,
    confidence: Confidence::Heuristic,
    summary: "A retry of a Map does again what its successful iterations did",
    explanation: "Retry of a Map starts all iterations again (a Distributed Map starts a new Map Run), also those that \
        succeeded. What they sent or started is sent or started a second time. Retry the task inside instead, or make \
        a second call harmless.",
    examples: &[Example {
        bad: r#"{"StartAt":"M","States":{"M":{"Type":"Map","ItemProcessor":{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage","Parameters":{"QueueUrl":"q","MessageBody.$":"$"},"End":true}}},"Retry":[{"ErrorEquals":["States.ALL"]}],"End":true}}}"#,
        good: r#"{"StartAt":"M","States":{"M":{"Type":"Map","ItemProcessor":{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage","Parameters":{"QueueUrl":"q.fifo","MessageGroupId":"g","MessageDeduplicationId.$":"$.id","MessageBody.$":"$"},"End":true}}},"Retry":[{"ErrorEquals":["States.ALL"]}],"End":true}}}"#,
        location: "/States/M/Retry[0]",
    }],
    check: map,
};

pub(super) const PARALLEL: Rule = Rule {
    id: "parallel/retry-repeats",
    severity: Severity::Warning,
    confidence: Confidence::Heuristic,
    summary: "A retry of a Parallel does again what its successful branches did",
    explanation: "Retry of a Parallel starts all branches again, also those that succeeded. What they sent or started \
        is sent or started a second time. Retry the task inside instead, or make a second call harmless.",
    examples: &[Example {
        bad: r#"{"StartAt":"P","States":{"P":{"Type":"Parallel","Branches":[{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::sns:publish","Parameters":{"TopicArn":"t","Message":"m"},"End":true}}},{"StartAt":"B","States":{"B":{"Type":"Pass","End":true}}}],"Retry":[{"ErrorEquals":["States.ALL"]}],"End":true}}}"#,
        good: r#"{"StartAt":"P","States":{"P":{"Type":"Parallel","Branches":[{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::sns:publish","Parameters":{"TopicArn":"t","Message":"m"},"End":true}}},{"StartAt":"B","States":{"B":{"Type":"Pass","End":true}}}],"End":true}}}"#,
        location: "/States/P/Retry[0]",
    }],
    check: parallel,
};

pub(super) const FIXED_NAME: Rule = Rule {
    id: "retry/fixed-execution-name",
    severity: Severity::Warning,
    confidence: Confidence::Static,
    summary: "A retry starts a child execution under the name of the failed one",
    explanation: "The name of an execution that has ended is taken for 90 days. When the child failed, a retry with \
        the same Name fails with StepFunctions.ExecutionAlreadyExistsException, each time. Put State.RetryCount of \
        the context object into the name, or leave Retry out.",
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::states:startExecution.sync:2","Parameters":{"StateMachineArn.$":"$.m","Name.$":"$$.Execution.Name"},"Retry":[{"ErrorEquals":["States.TaskFailed"]}],"End":true}}}"#,
        good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::states:startExecution.sync:2","Parameters":{"StateMachineArn.$":"$.m","Name.$":"States.Format('{}-{}', $$.Execution.Name, $$.State.RetryCount)"},"Retry":[{"ErrorEquals":["States.TaskFailed"]}],"End":true}}}"#,
        location: "/States/A/Retry[0]",
    }],
    check: fixed_name,
};

fn task(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (_, state, written) in subject.states() {
        let StateKind::Task(task) = &state.kind else { continue };
        if state.retriers.is_empty() || waits_for_answer(task) {
            continue;
        }
        let Some(consequence) = repeat::consequence(state, written) else {
            continue;
        };
        // The finding stands at one retrier: the first that asks again without knowing.
        let mut retriers = entry::retriers(state, written);
        let unsure = retriers.find(|entry| {
            let mut names = entry.names();
            0 < entry.what.max_attempts
                && names.any(|(name, _)| {
                    matches!(name, "States.ALL" | "States.TaskFailed" | "States.Timeout")
                        || name.ends_with(".SdkClientException")
                })
        });
        if let Some(entry) = unsure {
            let message = format!("If the failed attempt did reach the service, the retry {consequence}");
            reporter
                .report(entry.node, entry.location.clone(), message)
                .hint("make a second call harmless, or retry only errors after which nothing can have been done");
        }
    }
}

/// A child that failed is started again on purpose, and so is a callback that was not answered.
fn waits_for_answer(task: &Task) -> bool {
    task.resource.pattern != Pattern::RequestResponse
}

fn map(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    groups(subject, reporter, "iterations", |kind| match kind {
        StateKind::Map(map) => Some(map.mode != MapMode::Inline),
        _ => None,
    });
}

fn parallel(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    groups(subject, reporter, "branches", |kind| {
        matches!(kind, StateKind::Parallel(_)).then_some(false)
    });
}

fn groups(subject: &Subject<'_>, reporter: &mut Reporter<'_>, parts: &str, is_group: fn(&StateKind) -> Option<bool>) {
    let definition = subject.definition;
    // The innermost retried group that each effect is in; an outer one is found by its own.
    let mut found = std::collections::BTreeMap::new();
    for (_, state, written) in subject.states() {
        let Some(consequence) = repeat::consequence(state, written) else {
            continue;
        };
        let mut parent = definition.block(state.block).parent;
        while let Some(id) = parent {
            let group = definition.state(id);
            if is_group(&group.kind).is_some() && !group.retriers.is_empty() {
                found.entry(id).or_insert((&state.name, consequence));
                break;
            }
            parent = definition.block(group.block).parent;
        }
    }
    for (id, (name, consequence)) in found {
        let (state, written) = (definition.state(id), subject.written(id));
        let retried = entry::retriers(state, written).find(|entry| 0 < entry.what.max_attempts);
        let Some(entry) = retried else { continue };
        let run = match is_group(&state.kind) {
            Some(true) => ", as a new Map Run",
            _ => "",
        };
        let message = format!(
            "The retry starts all {parts} again{run}, also those that succeeded: their `{name}` probably {consequence}"
        );
        reporter
            .report(entry.node, entry.location.clone(), message)
            .hint("retry the task inside, or make a second call harmless");
    }
}

fn fixed_name(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (_, state, written) in subject.states() {
        let StateKind::Task(task) = &state.kind else { continue };
        let waits = matches!(task.resource.pattern, Pattern::Sync | Pattern::Sync2);
        let starts = Call::of(task).is_some_and(|call| call.is("states", "startExecution"));
        if !waits || !starts {
            continue;
        }
        let name = walk::arguments(written).and_then(|arguments| walk::member(arguments, "Name"));
        let Some(text) = name.and_then(|member| member.value.text()) else {
            continue;
        };
        // Within one visit of the state only these give another value.
        let varies = ["RetryCount", "UUID", "uuid", "random", "now", "millis"];
        if varies.iter().any(|part| text.contains(part)) {
            continue;
        }
        let mut retriers = entry::retriers(state, written);
        let again = retriers.find(|entry| 0 < entry.what.max_attempts && entry.matches("States.TaskFailed"));
        if let Some(entry) = again {
            reporter
                .report(
                    entry.node,
                    entry.location.clone(),
                    "When the child execution fails, each retry fails with \
                     StepFunctions.ExecutionAlreadyExistsException: its name is taken",
                )
                .hint("put `State.RetryCount` of the context object into `Name`");
        }
    }
}
