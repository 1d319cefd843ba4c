//! What happens once a step is safe: commands go out, those who wait are told.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::OwnedMutexGuard;
use tokio::sync::oneshot;

use crate::asl::definition::StateKind;
use crate::engine::activities::Waiting;
use crate::engine::children::NewChild;
use crate::engine::host::Ack;
use crate::engine::host::Closing;
use crate::engine::host::Host;
use crate::engine::host::keeps;
use crate::engine::host::lock;
use crate::engine::logs::Batch;
use crate::kernel::event::Command;
use crate::kernel::event::EventKind;
use crate::kernel::event::StartTask;
use crate::kernel::event::TaskProgress;
use crate::model::execution_record::ExecutionId;
use crate::model::execution_record::ExecutionRecord;
use crate::model::history_event::TaskFamily;
use crate::model::id::TaskId;
use crate::model::states_error::StatesError;
use crate::model::timestamp::Timestamp;
use crate::store::StoreError;
use crate::worker;
use crate::worker::Cancel;
use crate::worker::Job;

/// What waits for one commit.
pub(super) struct After {
    pub(super) id: ExecutionId,
    pub(super) record: Arc<ExecutionRecord>,
    pub(super) commands: Vec<Command>,
    pub(super) deadline: Option<Timestamp>,
    pub(super) has_ended: bool,
    /// The step counts as in flight.
    pub(super) is_counted: bool,
    /// The commands are issued again after a restart.
    pub(super) is_again: bool,
    pub(super) ack: Option<Ack>,
    pub(super) waiters: Vec<oneshot::Sender<Arc<ExecutionRecord>>>,
    /// The work of an execution that has ended: dropping it cancels.
    pub(super) jobs: BTreeMap<TaskId, oneshot::Sender<()>>,
    /// The turn among starts of one name: given on once the store can find the name.
    pub(super) turn: Option<OwnedMutexGuard<()>>,
    /// The step's log events.
    pub(super) log: Option<Batch>,
    is_safe: bool,
}

impl After {
    pub(super) fn new(id: ExecutionId, record: Arc<ExecutionRecord>, commands: Vec<Command>) -> Self {
        Self {
            id,
            record,
            commands,
            deadline: None,
            has_ended: false,
            is_counted: false,
            is_again: false,
            ack: None,
            waiters: Vec::new(),
            jobs: BTreeMap::new(),
            turn: None,
            log: None,
            is_safe: false,
        }
    }

    /// The store has answered: whoever waits for the commit alone is told at once.
    pub(super) fn committed(&mut self, result: &Result<(), StoreError>) {
        self.is_safe = result.is_ok();
        self.turn.take();
        if let Some(ack) = self.ack.take() {
            let _ = ack.send(result.clone().map(|()| Arc::clone(&self.record)));
        }
    }
}

impl Host {
    pub(super) fn dispatch(self: &Arc<Self>, after: After, work: &mut VecDeque<After>) {
        if !after.is_safe {
            // The store has stopped: nothing more leaves this process.
            return;
        }
        if let (Some(logs), Some(batch)) = (&self.logs, after.log) {
            logs.offer(batch);
        }
        let id = after.id;
        let mut children = Vec::new();
        for command in after.commands {
            match NewChild::of(command) {
                Ok(child) => children.push(child),
                Err(command) => {
                    if let Command::StopChild { child } = command {
                        // Called off in the step that made it: it never begins.
                        children.retain(|new| new.child != child);
                    }
                    self.obey(id, command, work);
                }
            }
        }
        self.start_children(id, children, after.is_again, work);
        if after.has_ended {
            drop(after.jobs);
            let waiters = lock(&self.ended).remove(&id).unwrap_or_default();
            for waiter in after.waiters.into_iter().chain(waiters) {
                let _ = waiter.send(Arc::clone(&after.record));
            }
            // A redrive may have overtaken this end.
            let alarm = {
                let mut shard = self.shard(id);
                match shard.live.get_mut(&id) {
                    Some(live) if after.record.redrive_count < live.record.redrive_count => {
                        live.n_in_flight -= u32::from(after.is_counted);
                        None
                    }
                    _ => shard.live.remove(&id).and_then(|live| live.alarm),
                }
            };
            if let Some(at) = alarm {
                self.timers.disarm(at, id);
            }
            self.child_ended(&after.record);
            self.mourn(&after.record);
            self.roll_back(&after.record);
            return;
        }
        if let Some(at) = after.deadline {
            match keeps(&after.record) {
                true => self.timers.arm(at, id),
                false => self.set_alarm(at, id),
            }
        }
        if after.is_counted {
            let mut shard = self.shard(id);
            if let Some(live) = shard.live.get_mut(&id) {
                live.n_in_flight -= 1;
            }
            self.let_go(&mut shard, id);
        }
    }

    fn obey(self: &Arc<Self>, id: ExecutionId, command: Command, work: &mut VecDeque<After>) {
        match command {
            Command::StartTask(task) => self.start_task(id, task, work),
            Command::CancelTask { task } => {
                let job = self
                    .shard(id)
                    .live
                    .get_mut(&id)
                    .and_then(|live| live.jobs.remove(&task));
                if job.is_none() {
                    self.activities.withdraw(id, task);
                }
            }
            // They are started together.
            Command::StartChild { .. } => {}
            Command::ReadItems {
                map_run,
                reader,
                offset,
                wanted,
            } => self.read_items(id, map_run, reader, (offset, wanted)),
            Command::WriteResults {
                map_run,
                map_run_arn,
                writer,
            } => self.write_results(id, map_run, map_run_arn, writer),
            Command::MapRunChanged(record) => self.map_run_ended(id, &record),
            Command::StopChild { child } => {
                let found = self
                    .shard(id)
                    .live
                    .get_mut(&id)
                    .and_then(|live| live.children.remove(&child));
                if let Some(child) = found {
                    let _ = self.step(child, EventKind::Stop(StatesError::default()), None, work);
                }
            }
        }
    }

    /// Notes the deadline of an execution that the store does not know.
    fn set_alarm(&self, at: Timestamp, id: ExecutionId) {
        let before = match self.shard(id).live.get_mut(&id) {
            Some(live) => live.alarm.replace(at),
            None => return,
        };
        if before != Some(at) {
            if let Some(before) = before {
                self.timers.disarm(before, id);
            }
            self.timers.arm_at_any_time(at, id);
        }
    }

    fn start_task(self: &Arc<Self>, id: ExecutionId, task: StartTask, work: &mut VecDeque<After>) {
        if *self.closing.borrow() == Closing::Resting {
            // The next process issues it again.
            return;
        }
        let mut shard = self.shard(id);
        let Some(live) = shard.live.get_mut(&id) else {
            return;
        };
        if !live.execution.is_open(task.task) {
            return;
        }
        let answered = live.answers.as_ref().and_then(|answers| lock(answers).answer(&task));
        if let Some(reports) = answered {
            drop(shard);
            self.report_later(id, reports, work);
            return;
        }
        let StateKind::Task(state) = &live.execution.definition().state(task.state).kind else {
            return;
        };
        let parent = live.record.facts.child_of.as_ref().map(|child| child.parent);
        let mut job = Job {
            execution_arn: live.record.facts.arn.clone(),
            parent_arn: None,
            started_by: live.record.facts.started_by.clone(),
            role_arn: live.record.facts.role_arn.clone(),
            state_machine: worker::machine_name(&live.record.facts.machine_arn),
            machine_arn: live.record.facts.machine_arn.clone(),
            definition: Some(live.record.facts.definition.clone()),
            resource: state.resource.clone(),
            quotas: self.quotas,
            site: Arc::clone(&self.site),
            task,
        };
        if job.resource.family == TaskFamily::Activity && worker::leaves_to_others(&job) {
            let has_worker = job.task.progress != TaskProgress::Scheduled;
            drop(shard);
            if !has_worker && let Some(token) = job.task.token {
                let waiting = Waiting {
                    execution: id,
                    task: job.task.task,
                    input: job.task.input,
                    token,
                };
                self.activities.offer(&job.task.resource_arn, waiting);
            }
            return;
        }
        if job.task.progress == TaskProgress::Submitted && job.task.token.is_some() {
            // Its request was made; the answer comes by token.
            return;
        }
        let (sender, cancel) = Cancel::pair();
        live.jobs.insert(job.task.task, sender);
        drop(shard);
        if let Some(parent) = parent {
            // It waits for its children, so it is here.
            let shard = self.shard(parent);
            job.parent_arn = shard.live.get(&parent).map(|live| live.record.facts.arn.clone());
        }
        let intent = job.intend();
        tokio::spawn(worker::carry_out(job, intent, id.0, self.messages.clone(), cancel));
    }

    /// Gives the reports of an answer, each after its delay.
    fn report_later(
        self: &Arc<Self>,
        id: ExecutionId,
        reports: Vec<crate::sim::driver::Report>,
        work: &mut VecDeque<After>,
    ) {
        let mut reports = VecDeque::from(reports);
        while let Some(report) = reports.front()
            && report.delay_millis == 0
        {
            let kind = report.kind.clone();
            reports.pop_front();
            let _ = self.step(id, kind, None, work);
        }
        let mut at = self.clock.now();
        for report in reports {
            at = at.plus_millis(report.delay_millis);
            self.timers.plan(at, id, report.kind);
        }
    }
}
