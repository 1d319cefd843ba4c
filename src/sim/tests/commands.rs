//! What the kernel asks for, and the clocks that run behind it.

use super::*;
use crate::kernel::event::ChildOutcome;
use crate::kernel::event::FinishedChild;
use crate::model::id::ChildId;
use crate::model::map_run_record::MapRunStatus;

fn begun(definition: &Value, input: &str) -> (Execution, Asked) {
    let definition = Arc::new(compile(&definition.to_string(), &Options::default()).expect("valid"));
    let mut execution = Execution::new(definition);
    let mut asked = Asked::default();
    give(&mut execution, 0, EventKind::Start(start(input)), &mut asked);
    (execution, asked)
}

fn give(execution: &mut Execution, seconds: i64, kind: EventKind, asked: &mut Asked) {
    asked.0.clear();
    let at = Timestamp(seconds * 1_000);
    assert_eq!(execution.advance(&Event { at, kind }, asked), Ok(()));
}

#[derive(Debug, Default)]
struct Asked(Vec<Command>);

impl Outbox for Asked {
    fn command(&mut self, command: Command) {
        self.0.push(command);
    }
    fn history(&mut self, _: HistoryEvent) {}
}

#[test]
fn a_failed_map_run_stops_its_children() {
    let pass = json!({"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}});
    let (mut execution, mut asked) = begun(
        &one(&json!({"Type": "Map", "ItemProcessor": pass, "End": true})),
        "[1,2,3]",
    );
    let changed = |asked: &mut Asked| match asked.0.iter().position(|one| matches!(one, Command::MapRunChanged(_))) {
        Some(index) => match asked.0.remove(index) {
            Command::MapRunChanged(record) => record,
            _ => unreachable!(),
        },
        None => panic!("nothing changed: {asked:?}"),
    };
    assert_eq!(changed(&mut asked).items.pending, 3);
    assert_eq!(asked.0.len(), 3);
    let mut open = Asked::default();
    execution.outstanding(&mut open);
    assert_eq!(open.0, asked.0);
    let finished = FinishedChild {
        child: ChildId(2),
        outcome: ChildOutcome::Failed,
        result: None,
    };
    let children = vec![finished];
    give(&mut execution, 1, EventKind::ChildrenFinished { children }, &mut asked);
    let record = changed(&mut asked);
    assert_eq!(record.status, MapRunStatus::Failed);
    assert_eq!((record.items.failed, record.items.aborted), (1, 2));
    let stopped = [1, 3].map(|child| Command::StopChild { child: ChildId(child) });
    assert_eq!(asked.0, stopped);
}

#[test]
fn the_clocks_of_each_kind_of_task_start_where_they_should() {
    let year = Timestamp(31_536_000_000);
    let deadlines = |resource: &str| {
        let state = json!({"Type": "Task", "Resource": resource, "Parameters": {"a": 1},
            "TimeoutSeconds": 900, "HeartbeatSeconds": 50, "End": true});
        let (mut execution, mut asked) = begun(&one(&state), "{}");
        let task = TaskId(1);
        let worker_name = None;
        let mut deadlines = vec![execution.next_deadline()];
        let output = Payload::new(json!({}));
        for (seconds, kind) in [
            (10, EventKind::TaskStarted { task, worker_name }),
            (20, EventKind::TaskSubmitted { task, output }),
            (30, EventKind::TaskHeartbeat { task }),
        ] {
            give(&mut execution, seconds, kind, &mut asked);
            deadlines.push(execution.next_deadline());
        }
        deadlines
    };
    for (resource, expected) in [
        // Before it starts, started at 10, submitted at 20, alive at 30.
        ("arn:aws:states:::sqs:sendMessage.waitForTaskToken", [900, 900, 70, 80]),
        ("arn:aws:states:us-east-1:111111111111:activity:a", [0, 60, 70, 80]),
        ("arn:aws:lambda:us-east-1:111111111111:function:f", [50, 50, 70, 80]),
    ] {
        let expected = expected.map(|seconds| Some(if seconds == 0 { year } else { Timestamp(seconds * 1_000) }));
        assert_eq!(deadlines(resource), expected, "{resource}");
    }
}
