//! Task: schedule it, hear of it, time it out.

use std::sync::Arc;

use crate::asl::definition::NumberField;
use crate::asl::definition::Pattern;
use crate::asl::definition::State;
use crate::asl::definition::StateKind;
use crate::asl::definition::Task;
use crate::kernel::context::Extra;
use crate::kernel::context::enclosing_iteration;
use crate::kernel::core::Core;
use crate::kernel::core::Cx;
use crate::kernel::data_flow;
use crate::kernel::data_flow::Completion;
use crate::kernel::event::Command;
use crate::kernel::event::StartTask;
use crate::kernel::event::Status;
use crate::kernel::event::TaskProgress;
use crate::kernel::failure::Failure;
use crate::kernel::frame::Frame;
use crate::kernel::frame::FrameId;
use crate::kernel::frame::OpenTask;
use crate::kernel::frame::Step;
use crate::model::history_event::HistoryEventKind;
use crate::model::history_event::TaskFamily;
use crate::model::id::TaskId;
use crate::model::payload::Payload;
use crate::model::quota::PAYLOAD_BYTES_MAX;
use crate::model::quota::Quotas;
use crate::model::states_error::StatesError;

/// Makes the command that starts, or after a restart re-issues, an open task.
pub(in crate::kernel) fn command(core: &Core, state: &State, frame: &Frame, open: &OpenTask) -> StartTask {
    let resource_arn = match &state.kind {
        StateKind::Task(task) => task.resource.arn.clone(),
        _ => Arc::from(""),
    };
    StartTask {
        task: open.task,
        state: frame.state,
        state_name: state.name.clone(),
        resource_arn,
        attempt: frame.retry_count + 1,
        item: enclosing_iteration(core, frame).map(|(index, _)| index),
        input: open.input.clone(),
        timeout_seconds: open.timeout_seconds,
        heartbeat_seconds: open.heartbeat_seconds,
        role_arn: open.role_arn.clone(),
        token: open.token.clone(),
        progress: open.progress,
    }
}

impl Cx<'_> {
    pub(super) fn task(&mut self, frame: FrameId, task: &Task) -> Result<(), Failure> {
        let has_token =
            task.resource.pattern == Pattern::WaitForTaskToken || matches!(task.resource.family, TaskFamily::Activity);
        let next = TaskId(self.core.last_task + 1);
        let token: Option<Arc<str>> = has_token.then(|| Arc::from(self.core.start().token_key.token(next)));
        let extra = Extra {
            token: token.clone(),
            ..Extra::default()
        };
        let input = self.effective_input(frame, &extra)?;
        let input = self.fits(frame, input)?;
        let timeout_seconds = self.seconds_field(frame, task.timeout_seconds.as_ref(), "TimeoutSeconds")?;
        let heartbeat_seconds = self.seconds_field(frame, task.heartbeat_seconds.as_ref(), "HeartbeatSeconds")?;
        let role_arn = match &task.credentials {
            Some(role) => Some(Arc::from(self.text(frame, role, "Credentials/RoleArn", "RoleArn.$")?)),
            None => None,
        };
        self.history_scheduled(
            frame,
            task,
            &input,
            timeout_seconds,
            heartbeat_seconds,
            role_arn.clone(),
        );
        if self.core.status != Status::Running {
            return Ok(());
        }
        self.core.last_task += 1;
        let id = TaskId(self.core.last_task);
        let mut open = OpenTask {
            task: id,
            progress: TaskProgress::Scheduled,
            input,
            timeout_seconds,
            heartbeat_seconds,
            role_arn,
            token,
            timeout_at: None,
            heartbeat_at: None,
        };
        // An activity's clocks start when a worker takes the task, any other's with the request; a callback's
        // heartbeat when the request was accepted (recorded).
        if task.resource.family != TaskFamily::Activity {
            self.start_clocks(frame, &mut open, task.resource.pattern == Pattern::RequestResponse);
        }
        let start = command(
            self.core,
            self.definition.state(self.core.frame(frame).state),
            self.core.frame(frame),
            &open,
        );
        self.core.tasks.insert(id, frame);
        self.core.frame_mut(frame).step = Step::Task(open);
        self.out.command(Command::StartTask(start));
        Ok(())
    }

    pub(in crate::kernel) fn task_started(&mut self, task: TaskId, worker_name: Option<Arc<str>>) {
        let frame = self.core.tasks[&task];
        self.ensure_started(frame, worker_name);
    }

    pub(in crate::kernel) fn task_submitted(&mut self, task: TaskId, output: &Payload) {
        let frame = self.core.tasks[&task];
        self.ensure_started(frame, None);
        let family = self.family(frame);
        let Step::Task(open) = &mut self.core.frame_mut(frame).step else {
            return;
        };
        // A task that was issued again after a restart is submitted again; history shows it once.
        if open.progress != TaskProgress::Submitted {
            open.progress = TaskProgress::Submitted;
            self.chain(
                frame,
                HistoryEventKind::TaskSubmitted {
                    family,
                    output: output.clone(),
                },
            );
        }
        self.restart_heartbeat(frame);
    }

    pub(in crate::kernel) fn task_heartbeat(&mut self, task: TaskId) {
        let frame = self.core.tasks[&task];
        self.restart_heartbeat(frame);
    }

    pub(in crate::kernel) fn task_succeeded(&mut self, task: TaskId, output: &Payload) {
        let frame = self.core.tasks[&task];
        if self.core.quotas() == Quotas::Aws && output.text().len() > PAYLOAD_BYTES_MAX {
            let who = match &self.resource(frame).0 {
                TaskFamily::Integration { resource_type, .. } => resource_type.to_string(),
                _ => self.resource(frame).1.to_string(),
            };
            self.task_failed(task, &data_flow::data_limit(&who));
            return;
        }
        if let Err(Failure::Runtime { text, .. }) = data_flow::check_depth(output.value()) {
            self.task_failed(task, &StatesError::new("States.TaskFailed", text));
            return;
        }
        self.ensure_started(frame, None);
        let family = self.family(frame);
        self.chain(
            frame,
            HistoryEventKind::TaskSucceeded {
                family,
                output: output.clone(),
            },
        );
        if self.core.status != Status::Running {
            return;
        }
        self.close_task(frame, task);
        self.core.frame_mut(frame).step = Step::Work;
        self.complete(
            frame,
            &Completion {
                result: output.clone(),
                worked: true,
                succeeded: None,
            },
        );
    }

    pub(in crate::kernel) fn task_failed(&mut self, task: TaskId, error: &StatesError) {
        let frame = self.core.tasks[&task];
        self.ensure_started(frame, None);
        let family = self.family(frame);
        self.chain(
            frame,
            HistoryEventKind::TaskFailed {
                family,
                error: error.clone(),
            },
        );
        self.task_ends_badly(frame, task, error.clone(), false);
    }

    pub(in crate::kernel) fn task_timed_out(&mut self, task: TaskId, error: &StatesError) {
        let frame = self.core.tasks[&task];
        self.time_out(frame, task, error.clone(), false);
    }

    /// One of the task's clocks ran out.
    pub(in crate::kernel) fn task_expired(&mut self, frame: FrameId) {
        let now = self.core.now;
        let Step::Task(open) = &self.core.frame(frame).step else {
            return;
        };
        let task = open.task;
        // AWS reports a missed heartbeat as States.Timeout, too (recorded).
        let heartbeat = open.timeout_at.is_none_or(|at| at > now);
        self.out.command(Command::CancelTask { task });
        self.time_out(frame, task, StatesError::named("States.Timeout"), heartbeat);
    }

    fn time_out(&mut self, frame: FrameId, task: TaskId, error: StatesError, heartbeat: bool) {
        let family = self.family(frame);
        self.chain(
            frame,
            HistoryEventKind::TaskTimedOut {
                family,
                error: error.clone(),
            },
        );
        self.task_ends_badly(frame, task, error, heartbeat);
    }

    fn task_ends_badly(&mut self, frame: FrameId, task: TaskId, error: StatesError, heartbeat: bool) {
        if self.core.status != Status::Running {
            return;
        }
        self.close_task(frame, task);
        self.core.frame_mut(frame).step = Step::Failing { error, heartbeat };
        self.core.ready.push_back(frame);
    }

    fn close_task(&mut self, frame: FrameId, task: TaskId) {
        self.clear_timers(frame);
        self.core.tasks.remove(&task);
    }

    fn ensure_started(&mut self, frame: FrameId, worker_name: Option<Arc<str>>) {
        let definition = self.definition;
        let StateKind::Task(task) = &definition.state(self.core.frame(frame).state).kind else {
            return;
        };
        let Step::Task(open) = &mut self.core.frame_mut(frame).step else {
            return;
        };
        if open.progress != TaskProgress::Scheduled {
            return;
        }
        open.progress = TaskProgress::Started;
        let family = task.resource.family.clone();
        if family == TaskFamily::Activity {
            let mut open = open.clone();
            self.start_clocks(frame, &mut open, true);
            self.core.frame_mut(frame).step = Step::Task(open);
        }
        self.chain(frame, HistoryEventKind::TaskStarted { family, worker_name });
    }

    fn start_clocks(&mut self, frame: FrameId, open: &mut OpenTask, heartbeat: bool) {
        let now = self.core.now;
        let after = |seconds: u64| now.plus_millis(seconds.saturating_mul(1000));
        open.timeout_at = open.timeout_seconds.map(after);
        if heartbeat {
            open.heartbeat_at = open.heartbeat_seconds.map(after);
        }
        for at in [open.timeout_at, open.heartbeat_at].into_iter().flatten() {
            self.set_timer(frame, at);
        }
    }

    fn restart_heartbeat(&mut self, frame: FrameId) {
        let now = self.core.now;
        let Step::Task(open) = &mut self.core.frame_mut(frame).step else {
            return;
        };
        let Some(seconds) = open.heartbeat_seconds else {
            return;
        };
        let (old, timeout_at) = (open.heartbeat_at, open.timeout_at);
        let new = now.plus_millis(seconds.saturating_mul(1000));
        open.heartbeat_at = Some(new);
        if let Some(old) = old
            && Some(old) != timeout_at
        {
            self.core.timers.remove(&(old, frame));
        }
        self.set_timer(frame, new);
    }

    fn seconds_field(&self, frame: FrameId, field: Option<&NumberField>, name: &str) -> Result<Option<u64>, Failure> {
        let Some(field) = field else {
            return Ok(None);
        };
        let live = self.core.frame(frame);
        let state = self.definition.state(live.state);
        let input = self.apply_path(frame, &state.input_path, &live.input)?;
        self.whole_number(frame, field, name, &input, 1).map(Some)
    }

    fn history_scheduled(
        &mut self,
        frame: FrameId,
        task: &Task,
        input: &Payload,
        timeout_seconds: Option<u64>,
        heartbeat_seconds: Option<u64>,
        role_arn: Option<Arc<str>>,
    ) {
        let region = self
            .core
            .start()
            .execution_arn
            .split(':')
            .nth(3)
            .unwrap_or("us-east-1")
            .to_owned();
        let kind = HistoryEventKind::TaskScheduled {
            family: task.resource.family.clone(),
            resource_arn: task.resource.arn.clone(),
            region: Arc::from(region),
            input: input.clone(),
            timeout_seconds,
            heartbeat_seconds,
            role_arn,
        };
        self.chain(frame, kind);
    }

    fn family(&self, frame: FrameId) -> TaskFamily {
        self.resource(frame).0
    }

    fn resource(&self, frame: FrameId) -> (TaskFamily, Arc<str>) {
        match &self.state(frame).kind {
            StateKind::Task(task) => (task.resource.family.clone(), task.resource.arn.clone()),
            _ => (TaskFamily::Lambda, Arc::from("")),
        }
    }
}
