//! Child executions of a Distributed Map.
//!
//! STANDARD children are executions like all others. EXPRESS children run in memory; their records are written
//! together with the step by which their parent learns of their end. Ends are told to a parent in groups: while
//! one group is on its way to the store, the next one gathers.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::asl::definition::Definition;
use crate::engine::answers::SharedAnswers;
use crate::engine::dispatch::After;
use crate::engine::host::Host;
use crate::engine::host::Refused;
use crate::engine::host::lock;
use crate::engine::live::Live;
use crate::engine::logs::Logging;
use crate::engine::map_runs::child_record;
use crate::kernel::event::ChildOutcome;
use crate::kernel::event::Command;
use crate::kernel::event::EventKind;
use crate::kernel::event::FinishedChild;
use crate::kernel::event::Start;
use crate::kernel::event::WantedResult;
use crate::model::execution_record::ChildOf;
use crate::model::execution_record::ExecutionFacts;
use crate::model::execution_record::ExecutionId;
use crate::model::execution_record::ExecutionRecord;
use crate::model::execution_record::ExecutionStatus;
use crate::model::execution_record::MachineType;
use crate::model::id::BlockId;
use crate::model::id::ChildId;
use crate::model::id::StateId;
use crate::model::payload::Payload;
use crate::model::states_error::StatesError;
use crate::model::timestamp::Timestamp;
use crate::model::token::TokenKey;
use crate::store::change::Change;
use crate::store::change::Transition;

/// EXPRESS children that one task runs: others get their turn in between.
const CHUNK: usize = 128;

/// A child to be started: `Command::StartChild`.
pub(super) struct NewChild {
    pub(super) child: ChildId,
    pub(super) state: StateId,
    pub(super) block: BlockId,
    pub(super) map_run_arn: Arc<str>,
    pub(super) name: Arc<str>,
    /// `None` for one that is redriven: its record has it.
    pub(super) input: Option<Payload>,
    pub(super) n_items: u64,
    pub(super) is_redriven: bool,
}

/// What the children of one parent have in common.
struct Family {
    parent: ExecutionId,
    facts: Arc<ExecutionFacts>,
    start: Start,
    definition: Arc<Definition>,
    answers: Option<SharedAnswers>,
    logging: Option<Arc<Logging>>,
    /// The parent's last event: no child begins or goes on earlier.
    now: Timestamp,
    /// When the parent was redriven.
    redriven: Option<Timestamp>,
}

impl NewChild {
    /// Reads the command; hands back one that starts no child.
    #[expect(clippy::result_large_err, reason = "the command itself is handed back, once")]
    pub(super) fn of(command: Command) -> Result<Self, Command> {
        match command {
            Command::StartChild {
                child,
                state,
                block,
                map_run_arn,
                name,
                input,
                n_items,
                is_redriven,
            } => Ok(Self {
                child,
                state,
                block,
                map_run_arn,
                name,
                input,
                n_items,
                is_redriven,
            }),
            other => Err(other),
        }
    }
}

impl Host {
    /// Starts children, lets them go on, or finds them when a restart asks for them again.
    pub(super) fn start_children(
        self: &Arc<Self>,
        parent: ExecutionId,
        children: Vec<NewChild>,
        is_again: bool,
        work: &mut VecDeque<After>,
    ) {
        if children.is_empty() {
            return;
        }
        let mut fresh = Vec::with_capacity(children.len());
        let family = {
            let mut shard = self.shard(parent);
            let Some(live) = shard.live.get_mut(&parent) else {
                return;
            };
            let Some(start) = live.execution.start_facts() else {
                return;
            };
            let family = Arc::new(Family {
                parent,
                facts: Arc::clone(&live.record.facts),
                start: Start {
                    input: Payload::new(serde_json::Value::Null),
                    ..start.clone()
                },
                definition: Arc::clone(live.execution.definition()),
                answers: live.answers.clone(),
                logging: live.logging.clone(),
                now: live.execution.now(),
                redriven: live.record.redriven,
            });
            for child in children {
                // From now on it can be stopped.
                if let std::collections::btree_map::Entry::Vacant(place) = live.children.entry(child.child) {
                    let id = *place.insert(self.fresh_id());
                    fresh.push((id, child));
                }
            }
            family
        };
        let mut express = Vec::new();
        for (id, mut child) in fresh {
            let mut start = self.start_of_child(&family, id, &child);
            let known = match is_again || child.is_redriven {
                true => self.store.find(&start.execution_arn).ok().flatten(),
                false => None,
            };
            if let Some(known) = &known
                && child.input.is_none()
            {
                child.input = Payload::parse(&known.input).ok();
                start.input = child.input.clone().unwrap_or(start.input);
            }
            match (start.express, known) {
                (true, Some(known)) if known.status == ExecutionStatus::Succeeded => self.child_ended(&known),
                (true, known) => express.push((id, child, start, known.map_or(0, |known| known.redrive_count + 1))),
                (false, Some(known)) => self.find_child(&family, &child, &known, is_again, work),
                (false, None) => self.begin_child(&family, id, &child, start, 0, work),
            }
        }
        while !express.is_empty() {
            let rest = express.split_off(express.len().min(CHUNK));
            let chunk = std::mem::replace(&mut express, rest);
            let (host, family) = (Arc::clone(self), Arc::clone(&family));
            tokio::spawn(async move {
                for (id, child, start, redrive_count) in chunk {
                    host.run_child(&family, id, &child, start, redrive_count);
                }
            });
        }
    }

    fn start_of_child(&self, family: &Family, id: ExecutionId, child: &NewChild) -> Start {
        let name = Arc::clone(&child.name);
        let input = child
            .input
            .clone()
            .unwrap_or_else(|| Payload::new(serde_json::Value::Null));
        Start {
            token_key: TokenKey::derive(&self.secret, id),
            ..family
                .start
                .of_child(&family.definition, child.state, child.block, name, input, self.draw())
        }
    }

    /// Goes on with a STANDARD child that has begun before.
    fn find_child(
        self: &Arc<Self>,
        family: &Family,
        child: &NewChild,
        known: &Arc<ExecutionRecord>,
        is_again: bool,
        work: &mut VecDeque<After>,
    ) {
        self.adopt(family.parent, child.child, known.id);
        // After a restart it may have been redriven already, and more.
        let is_to_go_on = child.is_redriven && (!is_again || is_of_an_earlier_drive(known, family.redriven));
        if is_to_go_on && self.redrive_step(known.id, family.now, Vec::new(), None, work).is_ok() {
            return;
        }
        let live = self
            .shard(known.id)
            .live
            .get(&known.id)
            .map(|live| Arc::clone(&live.record));
        let now = live.or_else(|| self.store.execution(known.id).ok().flatten());
        if let Some(now) = now.filter(|now| now.status != ExecutionStatus::Running) {
            // It has ended meanwhile; or its history is full, and its end counts once more.
            let redriven = now.redriven.max(family.redriven);
            self.child_ended(&Arc::new(ExecutionRecord {
                redriven,
                ..(*now).clone()
            }));
        }
    }

    fn run_child(
        self: &Arc<Self>,
        family: &Family,
        id: ExecutionId,
        child: &NewChild,
        start: Start,
        redrive_count: u32,
    ) {
        let mut work = VecDeque::new();
        self.begin_child(family, id, child, start, redrive_count, &mut work);
        self.drain(work);
        let is_open = self.shard(id).live.contains_key(&id);
        // It may have been stopped before there was anything to stop.
        let is_wanted = |host: &Self| {
            let shard = host.shard(family.parent);
            let live = shard.live.get(&family.parent);
            live.is_some_and(|live| live.children.get(&child.child) == Some(&id))
        };
        if is_open && !is_wanted(self) {
            let _ = self.give(id, EventKind::Stop(StatesError::default()), None);
        }
    }

    fn begin_child(
        self: &Arc<Self>,
        family: &Family,
        id: ExecutionId,
        child: &NewChild,
        start: Start,
        redrive_count: u32,
        work: &mut VecDeque<After>,
    ) {
        let now = self.clock.now().max(family.now);
        let (machine_type, name) = match start.express {
            // The second UUID belongs to the name (recorded).
            true => (MachineType::Express, express_name(&start.execution_arn)),
            false => (MachineType::Standard, Arc::clone(&start.name)),
        };
        let record = ExecutionRecord {
            id,
            facts: Arc::new(ExecutionFacts {
                arn: start.execution_arn.clone(),
                name,
                machine_arn: start.state_machine_arn.clone(),
                machine_type,
                version_arn: None,
                alias_arn: None,
                child_of: Some(ChildOf {
                    parent: family.parent,
                    child: child.child.0,
                    map_run_arn: Arc::clone(&child.map_run_arn),
                    n_items: child.n_items,
                    block: child.block.0,
                }),
                trace_header: None,
                started: now,
                ..(*family.facts).clone()
            }),
            status: ExecutionStatus::Running,
            stopped: None,
            input: start.input.text().into(),
            output: None,
            error: None,
            cause: None,
            redrive_count,
            redriven: None,
            version: 0,
            n_events: 0,
        };
        self.measures.started.inc();
        let mut live = Live::new(Arc::clone(&family.definition), Arc::new(record));
        live.answers = family.answers.clone();
        live.logging = family.logging.clone();
        live.earliest = now;
        let mut shard = self.shard(id);
        shard.live.insert(id, live);
        let _ = self.step_live(&mut shard, id, EventKind::Start(start), None, work);
    }

    fn adopt(&self, parent: ExecutionId, child: ChildId, id: ExecutionId) {
        if let Some(live) = self.shard(parent).live.get_mut(&parent) {
            live.children.insert(child, id);
        }
    }

    /// Notes that a child has ended; its parent is told soon.
    pub(super) fn child_ended(self: &Arc<Self>, record: &Arc<ExecutionRecord>) {
        let Some(place) = &record.facts.child_of else {
            return;
        };
        let parent = place.parent;
        let is_first = {
            let mut finished = lock(&self.map_runs.finished);
            let is_first = !finished.contains_key(&parent);
            finished.entry(parent).or_default().push(Arc::clone(record));
            is_first
        };
        if is_first {
            let host = Arc::clone(self);
            tokio::spawn(async move { host.tell(parent).await });
        }
    }

    /// Tells a parent of its children's ends, group after group, until there are no more.
    async fn tell(self: Arc<Self>, parent: ExecutionId) {
        loop {
            // Others that are about to end can join the group.
            tokio::task::yield_now().await;
            let group = {
                let mut finished = lock(&self.map_runs.finished);
                let group = finished.get_mut(&parent).map(std::mem::take).unwrap_or_default();
                if group.is_empty() {
                    finished.remove(&parent);
                    return;
                }
                group
            };
            let (ack, safe) = oneshot::channel();
            let mut work = VecDeque::new();
            let told = self.tell_group(parent, &group, ack, &mut work);
            self.drain(work);
            match told {
                Ok(()) => {
                    let _ = safe.await;
                }
                // The parent has ended, or has stopped waiting for them.
                Err(_) => {
                    let _ = self.commit(records(&group)).await;
                }
            }
        }
    }

    fn tell_group(
        self: &Arc<Self>,
        parent: ExecutionId,
        group: &[Arc<ExecutionRecord>],
        ack: crate::engine::host::Ack,
        work: &mut VecDeque<After>,
    ) -> Result<(), Refused> {
        let mut shard = self.shard(parent);
        self.bring(&mut shard, parent, work)?;
        let Some(live) = shard.live.get_mut(&parent) else {
            return Err(Refused::NotOpen);
        };
        let mut children = Vec::with_capacity(group.len());
        for record in group {
            // A redrive of the parent may have overtaken the end of a child that was called off.
            let is_late = is_of_an_earlier_drive(record, live.record.redriven);
            let Some(place) = record.facts.child_of.as_ref().filter(|_| !is_late) else {
                continue;
            };
            let child = ChildId(place.child);
            live.children.remove(&child);
            if let Some(wanted) = live.execution.wanted_result(child) {
                children.push(finished(child, record, wanted));
            }
        }
        let kind = EventKind::ChildrenFinished { children };
        let told = self.step_live_with(&mut shard, parent, kind, Some(ack), records(group), work);
        if told.is_err() {
            self.let_go(&mut shard, parent);
        }
        told
    }
}

/// Tells whether a child ended unsuccessfully before its parent was redriven.
fn is_of_an_earlier_drive(record: &ExecutionRecord, redriven: Option<Timestamp>) -> bool {
    let begun = record.redriven.unwrap_or(record.facts.started);
    record.status != ExecutionStatus::Succeeded && redriven.is_some_and(|at| begun < at)
}

/// Returns what is written of children that were in memory only: their records as they ended.
fn records(group: &[Arc<ExecutionRecord>]) -> Vec<Change> {
    let of_express = group
        .iter()
        .filter(|record| record.facts.machine_type == MachineType::Express);
    let last = of_express.map(|record| {
        Change::Transition(Box::new(Transition {
            // No transitions and no history of it are stored.
            record: Arc::new(ExecutionRecord {
                version: 0,
                n_events: 0,
                ..(**record).clone()
            }),
            journal: String::new(),
            history: Vec::new(),
            deadline: None,
            is_busy: false,
            snapshot: None,
        }))
    });
    last.collect()
}

fn finished(child: ChildId, record: &ExecutionRecord, wanted: WantedResult) -> FinishedChild {
    let outcome = match record.status {
        ExecutionStatus::Succeeded => ChildOutcome::Succeeded,
        ExecutionStatus::TimedOut => ChildOutcome::TimedOut,
        ExecutionStatus::Aborted => ChildOutcome::Aborted,
        ExecutionStatus::Failed | ExecutionStatus::Running | ExecutionStatus::PendingRedrive => ChildOutcome::Failed,
    };
    let result = match wanted {
        WantedResult::Nothing => None,
        WantedResult::Output => record.output.as_deref().and_then(|output| Payload::parse(output).ok()),
        WantedResult::Record => {
            let error = StatesError {
                name: record.error.as_deref().map(ToOwned::to_owned),
                cause: record.cause.as_deref().map(ToOwned::to_owned),
            };
            Some(Payload::new(child_record(record, &error).whole()))
        }
    };
    FinishedChild { child, outcome, result }
}

fn express_name(arn: &str) -> Arc<str> {
    let mut parts = arn.rsplitn(3, ':');
    let (second, first) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    format!("{first}:{second}").into()
}
