//! Jobs and child executions whose end counts.

use std::collections::BTreeSet;

use crate::asl::definition::Pattern;
use crate::asl::definition::State;
use crate::asl::definition::StateKind;
use crate::asl::definition::Task;
use crate::asl::definition::Transition;
use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::integration::Call;
use crate::lint::integration::Effect;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;
use crate::lint::walk;

pub(super) const NO_SYNC: Rule = Rule {
    id: "resource/no-sync",
    severity: Severity::Warning,
    confidence: Confidence::Heuristic,
    summary: "A job is started and nobody waits for its end",
    explanation: "Without .sync the task succeeds when the job has been accepted, not when it has ended: the next state \
        runs while the job still works, and a job that fails goes unnoticed. If the next states need what the job makes, \
        add .sync to Resource. If it is meant to run on by itself, ignore the finding.",
    examples: &[
        Example {
            bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::glue:startJobRun","Parameters":{"JobName":"j"},"Next":"B"},"B":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f"},"End":true}}}"#,
            good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::glue:startJobRun.sync","Parameters":{"JobName":"j"},"Next":"B"},"B":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f"},"End":true}}}"#,
            location: "/States/A/Resource",
        },
        Example {
            bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::athena:startQueryExecution","Parameters":{"QueryString":"q"},"Next":"B"},"B":{"Type":"Task","Resource":"arn:aws:states:::athena:getQueryResults","Parameters":{"QueryExecutionId.$":"$.QueryExecutionId"},"End":true}}}"#,
            good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::athena:startQueryExecution","Parameters":{"QueryString":"q"},"Next":"W"},"W":{"Type":"Wait","Seconds":60,"Next":"B"},"B":{"Type":"Task","Resource":"arn:aws:states:::athena:getQueryResults","Parameters":{"QueryExecutionId.$":"$.QueryExecutionId"},"End":true}}}"#,
            location: "/States/A/Resource",
        },
    ],
    check: no_sync,
};

pub(super) const POLL: Rule = Rule {
    id: "resource/poll-instead-of-sync",
    severity: Severity::Information,
    confidence: Confidence::Heuristic,
    summary: "A loop asks for the end of a job that Step Functions can wait for",
    explanation: "The job is started, and a Wait and a call that reads its state go round until it has ended. With .sync \
        Step Functions does the same in one state: no events for each round (25,000 are allowed), no transitions to pay, \
        an error when the job fails, and the job is stopped when the execution is.",
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::glue:startJobRun","Parameters":{"JobName":"j"},"Next":"W"},"W":{"Type":"Wait","Seconds":60,"Next":"B"},"B":{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:glue:getJobRun","Parameters":{"JobName":"j","RunId.$":"$.JobRunId"},"Next":"C"},"C":{"Type":"Choice","Choices":[{"Variable":"$.JobRun.JobRunState","StringEquals":"RUNNING","Next":"W"}],"Default":"D"},"D":{"Type":"Succeed"}}}"#,
        good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::glue:startJobRun.sync","Parameters":{"JobName":"j"},"Next":"D"},"D":{"Type":"Succeed"}}}"#,
        location: "/States/A/Resource",
    }],
    check: poll,
};

pub(super) const TEXT: Rule = Rule {
    id: "resource/sync-text",
    severity: Severity::Error,
    confidence: Confidence::Static,
    summary: "A path leads into the Output of startExecution.sync, which is text",
    explanation: "With .sync the child's Output is a text that contains JSON, so a path or expression into it finds \
        nothing: States.Runtime, or an undefined value in JSONata. With .sync:2 Output is the JSON value itself.",
    examples: &[
        Example {
            bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::states:startExecution.sync","Parameters":{"StateMachineArn.$":"$.m","Name.$":"$.n"},"ResultSelector":{"total.$":"$.Output.total"},"End":true}}}"#,
            good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::states:startExecution.sync:2","Parameters":{"StateMachineArn.$":"$.m","Name.$":"$.n"},"ResultSelector":{"total.$":"$.Output.total"},"End":true}}}"#,
            location: "/States/A/ResultSelector/total.$",
        },
        Example {
            bad: r#"{"StartAt":"A","QueryLanguage":"JSONata","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::states:startExecution.sync","Arguments":{"StateMachineArn":"m","Name":"n"},"Output":"{% $states.result.Output.total %}","End":true}}}"#,
            good: r#"{"StartAt":"A","QueryLanguage":"JSONata","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::states:startExecution.sync","Arguments":{"StateMachineArn":"m","Name":"n"},"Output":"{% $parse($states.result.Output).total %}","End":true}}}"#,
            location: "/States/A/Output",
        },
    ],
    check: text,
};

fn no_sync(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    let definition = subject.definition;
    let asked = asked(&definition.states);
    let waits = definition
        .states
        .iter()
        .any(|state| matches!(state.kind, StateKind::Wait(_)));
    for (_, state, written) in subject.states() {
        let StateKind::Task(task) = &state.kind else { continue };
        let Some(call) = Call::of(task).filter(|call| !call.is_sdk) else {
            continue;
        };
        let starts = call
            .facts
            .is_some_and(|facts| facts.has_sync && facts.effect == Effect::Repeats);
        let Transition::Next(next) = state.transition else {
            continue;
        };
        if !starts || call.service == "states" || call.pattern != Pattern::RequestResponse || waits {
            continue;
        }
        let next = definition.state(next);
        let StateKind::Task(following) = &next.kind else {
            continue;
        };
        // Who asks the service afterwards, may wait for the end in a loop of his own.
        if asked.contains(&plain(call.service)) && !reads_results(following) {
            continue;
        }
        let Some(node) = written.node.get("Resource") else {
            continue;
        };
        let message = format!(
            "`{}` probably begins while the job still runs, and a job that fails goes unnoticed: the task ends when \
             the job has been accepted",
            next.name
        );
        reporter
            .report(node, format!("{}/Resource", written.location), message)
            .hint(format!("use `{}.sync`", call.action));
    }
}

/// Returns the services of which something is read.
fn asked(states: &[State]) -> BTreeSet<String> {
    let calls = states.iter().filter_map(|state| match &state.kind {
        StateKind::Task(task) => Call::of(task),
        _ => None,
    });
    let reads = calls.filter(|call| call.effect() == Some(Effect::Read));
    reads.map(|call| plain(call.service)).collect()
}

/// Returns one word for a service, whichever integration calls it.
fn plain(service: &str) -> String {
    match service {
        "elasticmapreduce" => "emr".to_owned(),
        "sfn" => "states".to_owned(),
        _ => service.replace('-', ""),
    }
}

/// Athena refuses to give results of a query that still runs.
fn reads_results(task: &Task) -> bool {
    Call::of(task).is_some_and(|call| call.is("athena", "getQueryResults"))
}

fn poll(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    let definition = subject.definition;
    let asked = asked(&definition.states);
    let mut waits = BTreeSet::new();
    for state in &definition.states {
        if matches!(state.kind, StateKind::Wait(_)) {
            waits.insert(state.block.index());
        }
    }
    for (_, state, written) in subject.states() {
        let StateKind::Task(task) = &state.kind else { continue };
        let Some(call) = Call::of(task) else { continue };
        let starts = call
            .facts
            .filter(|facts| facts.has_sync && facts.effect == Effect::Repeats);
        let Some(facts) = starts.filter(|_| call.pattern == Pattern::RequestResponse) else {
            continue;
        };
        // An EXPRESS execution cannot wait with .sync.
        let may_wait = !subject.clock().is_express(state) && waits.contains(&state.block.index());
        if !may_wait || !asked.contains(&plain(call.service)) {
            continue;
        }
        let Some(node) = written.node.get("Resource") else {
            continue;
        };
        let message = format!(
            "Each round of the loop that probably waits for this job writes events and costs transitions; `{}:{}.sync` \
             waits in one state",
            facts.service, facts.action
        );
        reporter
            .report(node, format!("{}/Resource", written.location), message)
            .hint(format!(
                "use `{}:{}.sync` in place of the loop",
                facts.service, facts.action
            ));
    }
}

fn text(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (_, state, written) in subject.states() {
        let StateKind::Task(task) = &state.kind else { continue };
        let is_child = Call::of(task).is_some_and(|call| call.is("states", "startExecution"));
        if !is_child || task.resource.pattern != Pattern::Sync {
            continue;
        }
        for field in ["ResultSelector", "Output", "Assign"] {
            let Some(template) = written.node.get(field) else {
                continue;
            };
            for value in walk::values(template) {
                let text = value.node.text().unwrap_or_default();
                let is_path = field != "Output" && value.key.ends_with(".$");
                let reads = is_path && (text.starts_with("$.Output.") || text.starts_with("$.Output["))
                    || text.starts_with("{%") && text.contains("$states.result.Output.");
                if reads {
                    reporter
                        .report(
                            value.node,
                            walk::place(written, value.node),
                            "It finds nothing: with `.sync` the child's Output is a text that contains JSON",
                        )
                        .hint("use `startExecution.sync:2`, which gives the JSON value");
                }
            }
        }
    }
}
