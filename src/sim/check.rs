//! What a finished execution is held against: its own journal.

use std::fmt::Write as _;
use std::sync::Arc;

use crate::asl::definition::Definition;
use crate::kernel::event::Command;
use crate::kernel::event::Event;
use crate::kernel::event::Outbox;
use crate::kernel::execution::Execution;
use crate::model::history_event::HistoryEvent;
use crate::model::timestamp::Timestamp;

/// Up to this many events every prefix is restored and continued alone; longer journals are walked once.
const PREFIXES_MAX: usize = 64;

/// Replays a journal and asserts that it gives `history`; then again with a snapshot restored after every event.
///
/// Journals of up to 64 events also continue from every prefix with only that one restore.
///
/// # Panics
/// Anything differs: history, commands, deadline or status.
pub fn replay_and_restore(definition: &Arc<Definition>, journal: &[Event], history: &[HistoryEvent]) {
    let mut execution = Execution::new(Arc::clone(definition));
    let straight: Vec<Step> = journal.iter().map(|event| step(&mut execution, event)).collect();
    let written: Vec<HistoryEvent> = straight.iter().flat_map(|step| step.out.history.clone()).collect();
    if written != history {
        panic!(
            "the replay writes another history:\n{}instead of:\n{}",
            print_history(&written),
            print_history(history)
        );
    }
    let mut execution = Execution::new(Arc::clone(definition));
    for (n, (event, expected)) in journal.iter().zip(&straight).enumerate() {
        let got = step(&mut execution, event);
        assert_same(
            &format!("with a restore after every event, at event {n}"),
            expected,
            &got,
        );
        execution = restored(definition, &execution);
    }
    if journal.len() > PREFIXES_MAX {
        return;
    }
    for n_before in 1..journal.len() {
        let mut execution = Execution::new(Arc::clone(definition));
        for event in journal.iter().take(n_before) {
            step(&mut execution, event);
        }
        let mut execution = restored(definition, &execution);
        for (n, (event, expected)) in journal.iter().zip(&straight).enumerate().skip(n_before) {
            let got = step(&mut execution, event);
            assert_same(
                &format!("restored after {n_before} events, at event {n}"),
                expected,
                &got,
            );
        }
    }
}

/// Prints a history, one line for each event: `id<previous Type:name seconds`.
///
/// The seconds count from the first event. Only types that have a name in their details show one.
pub fn print_history(history: &[HistoryEvent]) -> String {
    let start = history.first().map_or(Timestamp::default(), |event| event.at);
    let mut text = String::new();
    for event in history {
        let _ = write!(text, "{}<{} {}", event.id, event.previous, event.type_name());
        if let Some((_, details)) = event.details()
            && let Some(name) = details.get("name").and_then(serde_json::Value::as_str)
        {
            let _ = write!(text, ":{name}");
        }
        let millis = event.at.0.saturating_sub(start.0);
        let _ = writeln!(text, " {}.{:03}", millis.div_euclid(1000), millis.rem_euclid(1000));
    }
    text
}

/// What one event led to.
struct Step {
    out: Tray,
    deadline: Option<Timestamp>,
    status: String,
}

#[derive(Default)]
struct Tray {
    history: Vec<HistoryEvent>,
    commands: Vec<Command>,
}

impl Outbox for Tray {
    fn command(&mut self, command: Command) {
        self.commands.push(command);
    }
    fn history(&mut self, event: HistoryEvent) {
        self.history.push(event);
    }
}

fn step(execution: &mut Execution, event: &Event) -> Step {
    let mut out = Tray::default();
    if let Err(refused) = execution.advance(event, &mut out) {
        panic!("a replay is refused: {refused}: {event:?}");
    }
    Step {
        out,
        deadline: execution.next_deadline(),
        status: format!("{:?}", execution.status()),
    }
}

fn restored(definition: &Arc<Definition>, execution: &Execution) -> Execution {
    let snapshot = execution.snapshot();
    match Execution::restore(Arc::clone(definition), &snapshot) {
        Ok(copy) => {
            assert_eq!(copy.status(), execution.status(), "the status survives a snapshot");
            assert_eq!(
                copy.next_deadline(),
                execution.next_deadline(),
                "the deadline survives a snapshot"
            );
            let mut before = Tray::default();
            let mut after = Tray::default();
            execution.outstanding(&mut before);
            copy.outstanding(&mut after);
            assert_eq!(before.commands, after.commands, "the open commands survive a snapshot");
            copy
        }
        Err(error) => panic!("{error}"),
    }
}

fn assert_same(when: &str, expected: &Step, got: &Step) {
    assert_eq!(
        print_history(&expected.out.history),
        print_history(&got.out.history),
        "history, {when}"
    );
    assert_eq!(expected.out.history, got.out.history, "history details, {when}");
    assert_eq!(expected.out.commands, got.out.commands, "commands, {when}");
    assert_eq!(expected.deadline, got.deadline, "deadline, {when}");
    assert_eq!(expected.status, got.status, "status, {when}");
}
