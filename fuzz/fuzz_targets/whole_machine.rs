//! Any machine (text, a NUL, input) runs to an end or to the step limit; its journal replays to the same history, over a
//! snapshot, too.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use serde_json::json;
use stepfn::asl::load::Options;
use stepfn::asl::load::compile;
use stepfn::kernel::event::Command;
use stepfn::kernel::event::EventKind;
use stepfn::kernel::event::Outbox;
use stepfn::kernel::event::Start;
use stepfn::kernel::event::StartTask;
use stepfn::kernel::execution::Execution;
use stepfn::model::history_event::HistoryEvent;
use stepfn::model::id::BlockId;
use stepfn::model::payload::Payload;
use stepfn::model::quota::Quotas;
use stepfn::model::states_error::StatesError;
use stepfn::model::timestamp::Timestamp;
use stepfn::model::token::TokenKey;
use stepfn::sim::driver::Report;
use stepfn::sim::driver::Tasks;
use stepfn::sim::driver::run_with;

const STEPS_MAX: u64 = 2_000;

/// Every third task fails, every fifth never answers.
struct Fickle(u64);

impl Tasks for Fickle {
    fn answer(&mut self, task: &StartTask) -> Vec<Report> {
        self.0 += 1;
        if self.0.is_multiple_of(5) {
            return Vec::new();
        }
        let kind = if self.0.is_multiple_of(3) {
            EventKind::TaskFailed {
                task: task.task,
                error: StatesError::new("Fickle", "every third fails"),
            }
        } else {
            EventKind::TaskSucceeded {
                task: task.task,
                output: task.input.clone(),
            }
        };
        vec![Report {
            delay_millis: 700 * (self.0 % 4),
            kind,
        }]
    }
}

#[derive(Default)]
struct Record(Vec<HistoryEvent>);

impl Outbox for Record {
    fn command(&mut self, _: Command) {}
    fn history(&mut self, event: HistoryEvent) {
        self.0.push(event);
    }
}

fuzz_target!(|data: &str| {
    let (text, input) = data.split_once('\0').unwrap_or((data, "{}"));
    let Ok(definition) = compile(text, &Options::default()) else {
        return;
    };
    let definition = Arc::new(definition);
    let start = Start {
        execution_arn: "arn:aws:states:us-east-1:123456789012:execution:fuzz:one".into(),
        name: "one".into(),
        state_machine_arn: "arn:aws:states:us-east-1:123456789012:stateMachine:fuzz".into(),
        state_machine_name: "fuzz".into(),
        role_arn: "arn:aws:iam::123456789012:role/fuzz".into(),
        input: Payload::parse(input).unwrap_or_else(|_| Payload::new(json!({}))),
        seed: 1,
        quotas: Quotas::Aws,
        token_key: TokenKey::from_seed(1),
        wait_scale: 1.0,
        version_arn: None,
        alias_arn: None,
        express: false,
        synchronous: false,
        block: BlockId(0),
    };
    let outcome = run_with(&definition, start, Timestamp(0), &mut Fickle(0), STEPS_MAX);
    let mut replayed = Record::default();
    let mut execution = Execution::new(Arc::clone(&definition));
    for (number, event) in outcome.journal.iter().enumerate() {
        if number == outcome.journal.len() / 2 && number > 0 {
            execution =
                Execution::restore(Arc::clone(&definition), &execution.snapshot()).expect("a snapshot is readable");
        }
        execution
            .advance(event, &mut replayed)
            .expect("what was accepted is accepted again");
    }
    assert_eq!(replayed.0, outcome.history);
    assert_eq!(execution.status(), &outcome.status);
});
