//! Many executions on virtual time over a store that crashes: whatever is lost in a crash, the histories are those
//! without one.
//!
//! Seeds choose everything: when batches reach the disk, when the host dies and how many unsynced batches survive it,
//! which workers outlive it, who reports twice, who is taken out of memory. `STEPFN_SIMULATION_SEED` replays one seed.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;

use serde_json::Value;
use serde_json::json;

use crate::asl::definition::Definition;
use crate::asl::load;
use crate::engine::live::Live;
use crate::kernel::event::Command;
use crate::kernel::event::EventKind;
use crate::kernel::event::Start;
use crate::kernel::event::StartTask;
use crate::model::entropy::Entropy;
use crate::model::execution_record::ExecutionFacts;
use crate::model::execution_record::ExecutionId;
use crate::model::execution_record::ExecutionRecord;
use crate::model::execution_record::ExecutionStatus;
use crate::model::execution_record::MachineType;
use crate::model::id::BlockId;
use crate::model::id::TaskId;
use crate::model::payload::Payload;
use crate::model::quota::Quotas;
use crate::model::states_error::StatesError;
use crate::model::timestamp::Timestamp;
use crate::model::token::TokenKey;
use crate::store::Store;
use crate::store::change::Change;
use crate::store::change::HistoryQuery;
use crate::store::fake::FakeStore;

const SEEDS: u64 = 1_000;
const N_SEQUENCES: usize = 2;
const N_EXECUTIONS: u64 = 4;
/// Choices of one run; more means that it does not end.
const STEPS_MAX: u32 = 100_000;
const LAMBDA: &str = "arn:aws:lambda:us-east-1:123456789012:function:F";

/// What came out of a commit and waits to be carried out.
struct Safe {
    id: ExecutionId,
    commands: Vec<Command>,
    deadline: Option<Timestamp>,
    has_ended: bool,
    is_start: bool,
}

/// The host as far as it dies in a crash.
#[derive(Default)]
struct Memory {
    live: BTreeMap<ExecutionId, Live>,
    safe: Arc<Mutex<VecDeque<Safe>>>,
    timers: BTreeSet<(Timestamp, ExecutionId)>,
}

struct World {
    chance: Entropy,
    /// Outcomes of tasks: the same with and without crashes.
    seed: u64,
    crashes_left: u32,
    store: FakeStore,
    memory: Memory,
    now: Timestamp,
    definitions: Vec<Arc<Definition>>,
    /// Reports on their way.
    reports: Vec<(Timestamp, ExecutionId, EventKind)>,
    /// What workers were told: an id always means the same attempt.
    told: BTreeMap<(ExecutionId, TaskId), (Arc<str>, u32, String)>,
    /// Numbers of executions whose start was acknowledged, by name.
    started: BTreeMap<u64, ExecutionId>,
    ended: BTreeSet<ExecutionId>,
    next_id: u64,
}

/// The first `N_SEQUENCES` do one thing after the other, so that the order of their events is always the same.
fn definitions() -> Vec<Arc<Definition>> {
    let retry =
        |n: u32| json!([{ "ErrorEquals": ["Flaky"], "IntervalSeconds": 1, "BackoffRate": 1, "MaxAttempts": n }]);
    let catch = json!([{ "ErrorEquals": ["States.ALL"], "Next": "Caught" }]);
    let task = |next: &str| json!({ "Type": "Task", "Resource": LAMBDA, "HeartbeatSeconds": 3600, "Retry": retry(2), "Catch": catch, "Next": next });
    let wait = |seconds: u32, next: &str| json!({ "Type": "Wait", "Seconds": seconds, "Next": next });
    // No branch may fail: what the others have done by then is a matter of time.
    let block = |name: &str| {
        let task =
            json!({ "Type": "Task", "Resource": LAMBDA, "HeartbeatSeconds": 3600, "Retry": retry(99), "End": true });
        json!({ "StartAt": name, "States": { name: task } })
    };
    let machine = |start: &str, mut states: Value| {
        states["Caught"] = json!({ "Type": "Fail", "Error": "Caught" });
        states["Good"] = json!({ "Type": "Succeed" });
        json!({ "StartAt": start, "States": states })
    };
    let machines = [
        machine("A", json!({ "A": task("B"), "B": wait(100, "C"), "C": task("Good") })),
        machine("A", json!({ "A": wait(1, "B"), "B": task("Good") })),
        machine(
            "P",
            json!({ "P": { "Type": "Parallel", "Branches": [block("X"), block("Y")], "Next": "A" }, "A": task("Good") }),
        ),
        machine(
            "M",
            json!({ "M": { "Type": "Map", "MaxConcurrency": 2, "ItemProcessor": block("I"), "Next": "A" }, "A": task("Good") }),
        ),
    ];
    let compile = |machine: &Value| {
        let options = load::Options::default();
        Arc::new(load::compile(&machine.to_string(), &options).unwrap_or_else(|findings| panic!("{findings:?}")))
    };
    machines.iter().map(compile).collect()
}

impl World {
    fn new(seed: u64, crashes_left: u32, definitions: &[Arc<Definition>]) -> Self {
        let store = FakeStore::default();
        store.hold();
        Self {
            chance: Entropy::new(seed ^ u64::from(crashes_left) << 32),
            seed,
            crashes_left,
            store,
            memory: Memory::default(),
            now: Timestamp(1_000_000),
            definitions: definitions.to_vec(),
            reports: Vec::new(),
            told: BTreeMap::new(),
            started: BTreeMap::new(),
            ended: BTreeSet::new(),
            next_id: 1,
        }
    }

    /// Returns a number below `n`.
    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.chance.next_u64() % n as u64).unwrap()
    }

    /// Runs until every execution has ended; returns what can be seen of each.
    fn run(mut self) -> Vec<(ExecutionStatus, Vec<String>)> {
        for name in 0..N_EXECUTIONS {
            self.start(name);
        }
        for _ in 0..STEPS_MAX {
            if self.is_over() {
                return (0..N_EXECUTIONS).map(|name| self.seen(name)).collect();
            }
            match self.below(12) {
                0..4 => self.dispatch(),
                4..6 => {
                    let n = 1 + self.below(3);
                    self.store.commit(n);
                }
                6..10 => self.go_on(),
                10 => self.evict(),
                _ if 0 < self.crashes_left && self.below(4) == 0 => self.crash(),
                _ => {}
            }
        }
        panic!("it does not end");
    }

    fn is_over(&self) -> bool {
        self.started.len() as u64 == N_EXECUTIONS && self.started.values().all(|id| self.ended.contains(id))
    }

    fn machine(&self, name: u64) -> usize {
        usize::try_from(self.seed.wrapping_add(name) % self.definitions.len() as u64).unwrap()
    }

    fn definition(&self, name: u64) -> Arc<Definition> {
        Arc::clone(&self.definitions[self.machine(name)])
    }

    fn start(&mut self, name: u64) {
        let id = ExecutionId(self.next_id);
        self.next_id += 1;
        let arn: Arc<str> = format!("arn:execution:{name}").into();
        let record = ExecutionRecord {
            id,
            facts: Arc::new(ExecutionFacts {
                arn: Arc::clone(&arn),
                name: name.to_string().into(),
                machine_arn: "arn:machine".into(),
                machine_type: MachineType::Standard,
                version_arn: None,
                alias_arn: None,
                revision_id: None,
                revision_date: Timestamp(0),
                definition: "hash".into(),
                role_arn: "arn:role".into(),
                child_of: None,
                trace_header: None,
                mock_case: None,
                started_by: None,
                started: self.now,
            }),
            status: ExecutionStatus::Running,
            stopped: None,
            input: "[1, 2, 3]".into(),
            output: None,
            error: None,
            cause: None,
            redrive_count: 0,
            redriven: None,
            version: 0,
            n_events: 0,
        };
        let start = Start {
            execution_arn: arn,
            name: name.to_string().into(),
            state_machine_arn: "arn:machine".into(),
            state_machine_name: "M".into(),
            role_arn: "arn:role".into(),
            input: Payload::parse("[1, 2, 3]").unwrap(),
            seed: self.seed ^ name,
            quotas: Quotas::Aws,
            wait_scale: 1.0,
            synchronous: false,
            express: false,
            version_arn: None,
            alias_arn: None,
            token_key: TokenKey::derive(&[0; 32], id),
            block: BlockId(0),
        };
        let live = Live::new(self.definition(name), Arc::new(record));
        self.memory.live.insert(id, live);
        self.step(id, EventKind::Start(start));
    }

    /// Gives an event to an execution, from memory or from the store, and its step to the store.
    fn step(&mut self, id: ExecutionId, kind: EventKind) {
        if !self.load(id) {
            return;
        }
        let live = self.memory.live.get_mut(&id).unwrap();
        let is_start = matches!(kind, EventKind::Start(_));
        if matches!(kind, EventKind::TimePassed) && live.execution.next_deadline().is_none_or(|at| self.now < at) {
            return;
        }
        let Ok(stepped) = live.step(self.now, kind, true) else {
            return;
        };
        let Some(transition) = stepped.transition else {
            return;
        };
        live.n_in_flight += 1;
        let safe = Safe {
            id,
            commands: stepped.commands,
            deadline: stepped.deadline,
            has_ended: stepped.has_ended,
            is_start,
        };
        let queue = Arc::clone(&self.memory.safe);
        let batch = vec![Change::Transition(Box::new(transition))];
        self.store.submit(
            batch,
            Box::new(move |result| {
                result.unwrap();
                queue.lock().unwrap().push_back(safe);
            }),
        );
    }

    /// Brings an open execution into memory; tells whether it is there.
    fn load(&mut self, id: ExecutionId) -> bool {
        if self.memory.live.contains_key(&id) {
            return true;
        }
        let loaded = self
            .store
            .load(id)
            .unwrap()
            .expect("what the world hears of is on the disk");
        if loaded.record.status != ExecutionStatus::Running {
            return false;
        }
        let name = loaded.record.facts.name.parse().unwrap();
        let live = Live::restore(self.definition(name), loaded).unwrap();
        self.memory.live.insert(id, live);
        true
    }

    /// Carries out what the oldest commit brought.
    fn dispatch(&mut self) {
        let Some(safe) = self.memory.safe.lock().unwrap().pop_front() else {
            return;
        };
        let id = safe.id;
        for command in safe.commands {
            self.obey(id, command);
        }
        if safe.is_start {
            let name = self.store.execution(id).unwrap().unwrap().facts.name.parse().unwrap();
            assert_eq!(self.started.insert(name, id), None, "it was started twice");
        }
        if safe.has_ended {
            assert!(self.ended.insert(id), "it ended twice");
            self.memory.live.remove(&id);
            return;
        }
        if let Some(at) = safe.deadline {
            self.memory.timers.insert((at, id));
        }
        if let Some(live) = self.memory.live.get_mut(&id) {
            live.n_in_flight -= 1;
        }
    }

    fn obey(&mut self, id: ExecutionId, command: Command) {
        if let Command::StartTask(task) = command {
            let told = (Arc::clone(&task.state_name), task.attempt, task.input.text().to_owned());
            let before = self.told.entry((id, task.task)).or_insert_with(|| told.clone());
            assert_eq!(*before, told, "one id, two attempts");
            self.work(id, &task);
        }
    }

    /// A worker takes a task: the outcome depends on the attempt alone, the time on chance.
    fn work(&mut self, id: ExecutionId, task: &StartTask) {
        let name = self.store.execution(id).unwrap().unwrap().facts.name.clone();
        let what = format!(
            "{} {name} {} {} {}",
            self.seed,
            task.state_name,
            task.attempt,
            task.input.text()
        );
        let hash = what.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let failure = |name| EventKind::TaskFailed {
            task: task.task,
            error: StatesError::named(name),
        };
        let is_inside = ["X", "Y", "I"].contains(&&*task.state_name);
        let end = match Entropy::new(hash).next_u64() % 10 {
            0..3 => failure("Flaky"),
            3 if !is_inside => failure("Broken"),
            _ => EventKind::TaskSucceeded {
                task: task.task,
                output: Payload::parse("[4, 5]").unwrap(),
            },
        };
        let started = EventKind::TaskStarted {
            task: task.task,
            worker_name: None,
        };
        let mut at = self.now;
        let beat = EventKind::TaskHeartbeat { task: task.task };
        for kind in [started, beat, end] {
            at = at.plus_millis(self.below(3_000) as u64);
            self.reports.push((at, id, kind.clone()));
            if self.below(5) == 0 {
                let later = at.plus_millis(self.below(3_000) as u64);
                self.reports.push((later, id, kind));
            }
        }
    }

    /// Lets the next thing happen: a report or a timer. Time goes on when nothing is due.
    fn go_on(&mut self) {
        self.reports.sort_by_key(|(at, ..)| *at);
        let report = self.reports.first().map(|(at, ..)| *at);
        let timer = self.memory.timers.first().map(|(at, _)| *at);
        let Some(next) = report.into_iter().chain(timer).min() else {
            return;
        };
        // Long pauses pass only when everything else is done.
        let is_quiet = self.store.n_queued() == 0 && self.memory.safe.lock().unwrap().is_empty();
        if !is_quiet && self.now.plus_millis(5_000) < next {
            return;
        }
        self.now = self.now.max(next);
        if report == Some(next) {
            let (_, id, kind) = self.reports.remove(0);
            self.step(id, kind);
        } else if let Some((_, id)) = self.memory.timers.pop_first() {
            self.step(id, EventKind::TimePassed);
        }
    }

    fn evict(&mut self) {
        self.memory.live.retain(|_, live| !live.is_idle());
    }

    /// The host dies; some of what was not synced survives, and so do some workers.
    fn crash(&mut self) {
        self.crashes_left -= 1;
        let n_kept = self.below(self.store.n_queued() + 1);
        self.store = self.store.reopen(n_kept);
        self.store.hold();
        self.memory = Memory::default();
        for index in (0..self.reports.len()).rev() {
            if self.below(2) == 0 {
                self.reports.remove(index);
            }
        }
        // What was acknowledged is there.
        for id in self.started.values() {
            assert!(
                self.store.execution(*id).unwrap().is_some(),
                "an acknowledged start is lost"
            );
        }
        for id in &self.ended {
            let record = self.store.execution(*id).unwrap().unwrap();
            assert_ne!(record.status, ExecutionStatus::Running, "an end that was told is lost");
        }
        self.next_id = self.store.last_execution().unwrap().0 + 1;
        // Whoever was not answered asks again.
        for name in 0..N_EXECUTIONS {
            match self.store.find(&format!("arn:execution:{name}")).unwrap() {
                None => self.start(name),
                Some(record) => {
                    self.started.insert(name, record.id);
                    if record.status != ExecutionStatus::Running {
                        self.ended.insert(record.id);
                    }
                }
            }
        }
        for id in self.store.busy(ExecutionId(0), usize::MAX).unwrap() {
            assert!(self.load(id));
            for command in self.memory.live[&id].outstanding() {
                self.obey(id, command);
            }
        }
        let timers = self.store.due_timers(Timestamp(i64::MAX), usize::MAX).unwrap();
        self.memory.timers.extend(timers);
    }

    /// The status and the history without times. Branches and items are done in any order, so lines are sorted.
    fn seen(&self, name: u64) -> (ExecutionStatus, Vec<String>) {
        let record = self.store.execution(self.started[&name]).unwrap().unwrap();
        let query = HistoryQuery {
            execution: record.id,
            from: 1,
            limit: usize::MAX,
            reverse: false,
        };
        let history = self.store.history(&query).unwrap();
        let is_sequence = self.machine(name) < N_SEQUENCES;
        let mut lines: Vec<String> = history
            .into_iter()
            .map(|mut event| {
                event.as_object_mut().unwrap().remove("timestamp");
                if !is_sequence {
                    event.as_object_mut().unwrap().remove("id");
                    event.as_object_mut().unwrap().remove("previousEventId");
                }
                event.to_string()
            })
            .collect();
        if !is_sequence {
            lines.sort_unstable();
        }
        (record.status, lines)
    }
}

#[test]
fn crashes_change_no_history() {
    let definitions = definitions();
    let seeds = match std::env::var("STEPFN_SIMULATION_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (0..SEEDS).collect(),
    };
    for seed in seeds {
        let run = |n_crashes| {
            let world = || World::new(seed, n_crashes, &definitions).run();
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(world))
                .unwrap_or_else(|_| panic!("replay with STEPFN_SIMULATION_SEED={seed}"))
        };
        assert_eq!(run(8), run(0), "replay with STEPFN_SIMULATION_SEED={seed}");
    }
}
