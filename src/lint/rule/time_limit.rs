//! Waits, tasks and retries that the end of the execution cuts short.

use crate::asl::definition::NumberField;
use crate::asl::definition::StateKind;
use crate::asl::definition::Wait;
use crate::asl::node::Node;
use crate::lint::clock;
use crate::lint::clock::Limit;
use crate::lint::entry;
use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;

pub(super) const WAIT: Rule = Rule {
    id: "time/wait-outlives-machine",
    severity: Severity::Error,
    confidence: Confidence::Path,
    summary: "A Wait is longer than the execution may last",
    explanation: "The execution is timed out while it waits here, on every way that leads to this state: the literal \
        Waits before it on the shortest way and its own come to at least the machine's TimeoutSeconds (or the year \
        that a STANDARD execution may last). The history ends with ExecutionTimedOut, which nothing can catch.",
    examples: &[
        Example {
            bad: r#"{"StartAt":"W","TimeoutSeconds":60,"States":{"W":{"Type":"Wait","Seconds":60,"Next":"B"},"B":{"Type":"Pass","End":true}}}"#,
            good: r#"{"StartAt":"W","TimeoutSeconds":61,"States":{"W":{"Type":"Wait","Seconds":60,"Next":"B"},"B":{"Type":"Pass","End":true}}}"#,
            location: "/States/W",
        },
        Example {
            bad: r#"{"StartAt":"P","TimeoutSeconds":60,"States":{"P":{"Type":"Parallel","Branches":[{"StartAt":"A","States":{"A":{"Type":"Wait","Seconds":40,"End":true}}},{"StartAt":"B","States":{"B":{"Type":"Pass","End":true}}}],"Next":"C"},"C":{"Type":"Wait","Seconds":20,"End":true}}}"#,
            good: r#"{"StartAt":"P","TimeoutSeconds":60,"States":{"P":{"Type":"Choice","Choices":[{"Variable":"$.x","IsPresent":true,"Next":"A"}],"Default":"C"},"A":{"Type":"Wait","Seconds":40,"Next":"C"},"C":{"Type":"Wait","Seconds":20,"End":true}}}"#,
            location: "/States/C",
        },
        Example {
            bad: r#"{"StartAt":"P","TimeoutSeconds":60,"States":{"P":{"Type":"Parallel","Branches":[{"StartAt":"A","States":{"A":{"Type":"Wait","Seconds":40,"End":true}}},{"StartAt":"B","States":{"B":{"Type":"Fail"}}}],"Catch":[{"ErrorEquals":["States.ALL"],"Next":"C"}],"Next":"D"},"C":{"Type":"Wait","Seconds":20,"End":true},"D":{"Type":"Wait","Seconds":20,"End":true}}}"#,
            good: r#"{"StartAt":"P","TimeoutSeconds":60,"States":{"P":{"Type":"Parallel","Branches":[{"StartAt":"A","States":{"A":{"Type":"Wait","Seconds":40,"End":true}}},{"StartAt":"B","States":{"B":{"Type":"Fail"}}}],"Catch":[{"ErrorEquals":["States.ALL"],"Next":"C"}],"End":true},"C":{"Type":"Wait","Seconds":20,"End":true}}}"#,
            location: "/States/D",
        },
    ],
    check: wait,
};

pub(super) const EXPRESS_WAIT: Rule = Rule {
    id: "express/wait-too-long",
    severity: Severity::Error,
    confidence: Confidence::Path,
    summary: "A Wait is longer than an EXPRESS execution may last",
    explanation: "An EXPRESS execution is timed out after 5 minutes: the literal Waits on the shortest way to here, \
        and this one, take longer. Use a STANDARD machine (for a Distributed Map, ExecutionType STANDARD), or wait \
        outside.",
    examples: &[Example {
        bad: r#"{"StartAt":"M","States":{"M":{"Type":"Map","Label":"m","ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"EXPRESS"},"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":300,"End":true}}},"End":true}}}"#,
        good: r#"{"StartAt":"M","States":{"M":{"Type":"Map","Label":"m","ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":300,"End":true}}},"End":true}}}"#,
        location: "/States/M/ItemProcessor/States/W",
    }],
    check: express_wait,
};

pub(super) const TASK: Rule = Rule {
    id: "time/task-outlives-machine",
    severity: Severity::Warning,
    confidence: Confidence::Static,
    summary: "A task's TimeoutSeconds is not less than the machine's",
    explanation: "When the task hangs, the machine's TimeoutSeconds ends the whole execution first: the history shows \
        ExecutionTimedOut in place of TaskTimedOut, and neither Retry nor Catch gets to see States.Timeout. Give the \
        task less time than the machine has.",
    examples: &[Example {
        bad: r#"{"StartAt":"A","TimeoutSeconds":60,"States":{"A":{"Type":"Task","Resource":"arn:aws:states:::http:invoke","Parameters":{"ApiEndpoint":"https://example.com","Method":"GET","Authentication":{"ConnectionArn.$":"$.c"}},"TimeoutSeconds":60,"End":true}}}"#,
        good: r#"{"StartAt":"A","TimeoutSeconds":60,"States":{"A":{"Type":"Task","Resource":"arn:aws:states:::http:invoke","Parameters":{"ApiEndpoint":"https://example.com","Method":"GET","Authentication":{"ConnectionArn.$":"$.c"}},"TimeoutSeconds":30,"End":true}}}"#,
        location: "/States/A/TimeoutSeconds",
    }],
    check: task,
};

pub(super) const EXPRESS_TASK: Rule = Rule {
    id: "express/timeout-too-long",
    severity: Severity::Information,
    confidence: Confidence::Static,
    summary: "A task of an EXPRESS execution may take more than 5 minutes",
    explanation: "An EXPRESS execution is timed out after 5 minutes, so a TimeoutSeconds of 300 and more is never \
        reached, and neither Retry nor Catch gets to see States.Timeout.",
    examples: &[Example {
        bad: r#"{"StartAt":"M","States":{"M":{"Type":"Map","Label":"m","ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"EXPRESS"},"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f"},"TimeoutSeconds":900,"End":true}}},"End":true}}}"#,
        good: r#"{"StartAt":"M","States":{"M":{"Type":"Map","Label":"m","ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"EXPRESS"},"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f"},"TimeoutSeconds":90,"End":true}}},"End":true}}}"#,
        location: "/States/M/ItemProcessor/States/A/TimeoutSeconds",
    }],
    check: express_task,
};

pub(super) const RETRIES: Rule = Rule {
    id: "time/retries-outlive-machine",
    severity: Severity::Warning,
    confidence: Confidence::Static,
    summary: "The last retries cannot begin before the execution is over",
    explanation: "The delays before a retry, with the TimeoutSeconds of the attempts before it when the retrier \
        matches States.Timeout, come to more than the execution may last. The history ends with ExecutionTimedOut in \
        place of the task's own error, and Catch does not see it. Allow fewer attempts, hold the delays with \
        MaxDelaySeconds, or give the machine more time.",
    examples: &[
        Example {
            bad: r#"{"StartAt":"A","TimeoutSeconds":90,"States":{"A":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f"},"TimeoutSeconds":30,"Retry":[{"ErrorEquals":["States.ALL"],"MaxAttempts":3}],"End":true}}}"#,
            good: r#"{"StartAt":"A","TimeoutSeconds":200,"States":{"A":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f"},"TimeoutSeconds":30,"Retry":[{"ErrorEquals":["States.ALL"],"MaxAttempts":3}],"End":true}}}"#,
            location: "/States/A/Retry[0]",
        },
        Example {
            bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f"},"Retry":[{"ErrorEquals":["States.ALL"],"IntervalSeconds":60,"MaxAttempts":30}],"End":true}}}"#,
            good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f"},"Retry":[{"ErrorEquals":["States.ALL"],"IntervalSeconds":60,"MaxAttempts":30,"MaxDelaySeconds":3600}],"End":true}}}"#,
            location: "/States/A/Retry[0]",
        },
    ],
    check: retries,
};

fn wait(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    waits(subject, reporter, false);
}

fn express_wait(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    waits(subject, reporter, true);
}

fn waits(subject: &Subject<'_>, reporter: &mut Reporter<'_>, express: bool) {
    let clock = subject.clock();
    for (id, state, written) in subject.states() {
        let StateKind::Wait(Wait::Seconds(NumberField::Literal(_))) = &state.kind else {
            continue;
        };
        let limit = clock.limit(state);
        if (limit == Limit::Express) != express || !clock.ends_in(id, state) {
            continue;
        }
        let message = format!("The execution is timed out (ExecutionTimedOut) while it waits here: {limit} are over");
        reporter
            .report(written.node, written.location.clone(), message)
            .hint("wait for less, or allow the execution more time");
    }
}

fn task(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    tasks(subject, reporter, false);
}

fn express_task(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    tasks(subject, reporter, true);
}

fn tasks(subject: &Subject<'_>, reporter: &mut Reporter<'_>, express: bool) {
    let clock = subject.clock();
    for (_, state, written) in subject.states() {
        let StateKind::Task(task) = &state.kind else { continue };
        let limit = clock.limit(state);
        let seconds = clock::literal_seconds(task.timeout_seconds.as_ref());
        let (Some(seconds), Some(node)) = (seconds, written.node.get("TimeoutSeconds")) else {
            continue;
        };
        if (limit == Limit::Express) != express || seconds < limit.seconds() || node.is_open() {
            continue;
        }
        let message = format!(
            "When the task hangs, the execution ends with ExecutionTimedOut before the task's TimeoutSeconds of \
             {seconds}: it may last no longer than {limit}"
        );
        reporter
            .report(node, format!("{}/TimeoutSeconds", written.location), message)
            .hint("give the task less time than its execution has, so that Retry and Catch see `States.Timeout`");
    }
}

fn retries(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    let clock = subject.clock();
    for (_, state, written) in subject.states() {
        let limit = clock.limit(state);
        let timeout_seconds = match &state.kind {
            StateKind::Task(task) => clock::literal_seconds(task.timeout_seconds.as_ref()),
            _ => None,
        };
        let is_open = written.node.get("TimeoutSeconds").is_some_and(Node::is_open);
        let timeout_seconds = timeout_seconds.filter(|_| !is_open).unwrap_or(0);
        if limit.seconds() <= timeout_seconds {
            continue;
        }
        for entry in entry::retriers(state, written).filter(|entry| !entry.has_open_number()) {
            let attempt_seconds = if entry.matches("States.Timeout") {
                timeout_seconds
            } else {
                0
            };
            let n_retries = entry.what.max_attempts;
            let Some(retry) = clock::first_retry_beyond(entry.what, attempt_seconds, limit.seconds()) else {
                continue;
            };
            let attempts = if attempt_seconds == 0 {
                "the delays before it alone"
            } else {
                "attempts that run into their TimeoutSeconds, and the delays between them,"
            };
            let message = format!("Retry {retry} of {n_retries} cannot begin: {attempts} take longer than {limit}");
            reporter
                .report(entry.node, entry.location.clone(), message)
                .hint("allow fewer attempts, hold the delays with `MaxDelaySeconds`, or allow the execution more time");
        }
    }
}
