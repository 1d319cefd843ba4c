//! What an execution remembers, and the few operations that every state shares.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;

use serde::Deserialize;
use serde::Serialize;

use crate::asl::definition::Definition;
use crate::asl::definition::State;
use crate::kernel::event::Command;
use crate::kernel::event::Outbox;
use crate::kernel::event::Start;
use crate::kernel::event::Status;
use crate::kernel::frame::Frame;
use crate::kernel::frame::FrameId;
use crate::kernel::frame::Step;
use crate::kernel::isolated::Watch;
use crate::model::entropy::Entropy;
use crate::model::history_event::HistoryEvent;
use crate::model::history_event::HistoryEventKind;
use crate::model::id::ChildId;
use crate::model::id::EventId;
use crate::model::id::MapRunId;
use crate::model::id::StateId;
use crate::model::id::TaskId;
use crate::model::payload::Payload;
use crate::model::quota::HISTORY_EVENTS_MAX;
use crate::model::quota::Quotas;
use crate::model::states_error::StatesError;
use crate::model::timestamp::Timestamp;

/// Everything that a snapshot holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Core {
    pub(super) start: Option<Start>,
    pub(super) started_at: Timestamp,
    pub(super) redrive_count: u32,
    pub(super) redriven_at: Option<Timestamp>,
    pub(super) now: Timestamp,
    pub(super) status: Status,
    pub(super) last_event: EventId,
    pub(super) last_task: u64,
    pub(super) last_child: u64,
    pub(super) entropy: RefCell<Entropy>,
    pub(super) frames: Vec<Option<Frame>>,
    pub(super) free_frames: Vec<FrameId>,
    /// The sum of all variables in memory, as JSON text.
    pub(super) variables_bytes: usize,
    pub(super) ready: VecDeque<FrameId>,
    pub(super) timers: BTreeSet<(Timestamp, FrameId)>,
    pub(super) timeout_at: Option<Timestamp>,
    pub(super) tasks: BTreeMap<TaskId, FrameId>,
    pub(super) children: BTreeMap<ChildId, FrameId>,
    pub(super) last_map_run: u64,
    pub(super) map_runs: BTreeMap<MapRunId, FrameId>,
    /// Set while one state is under test, which no snapshot ever holds.
    #[serde(skip)]
    pub(super) watch: Option<Box<Watch>>,
}

impl Core {
    pub(super) fn new() -> Self {
        Self {
            start: None,
            started_at: Timestamp(0),
            redrive_count: 0,
            redriven_at: None,
            now: Timestamp(0),
            status: Status::New,
            last_event: EventId::NONE,
            last_task: 0,
            last_child: 0,
            entropy: RefCell::new(Entropy::new(0)),
            frames: Vec::new(),
            free_frames: Vec::new(),
            variables_bytes: 0,
            ready: VecDeque::new(),
            timers: BTreeSet::new(),
            timeout_at: None,
            tasks: BTreeMap::new(),
            children: BTreeMap::new(),
            last_map_run: 0,
            map_runs: BTreeMap::new(),
            watch: None,
        }
    }

    /// Returns how long a wait or a pause takes here, in milliseconds.
    pub(super) fn scaled(&self, millis: u64) -> u64 {
        match &self.start {
            Some(start) if start.wait_scale != 1.0 => (millis as f64 * start.wait_scale) as u64,
            _ => millis,
        }
    }

    /// Returns a frame that the caller knows to be live.
    pub(super) fn frame(&self, id: FrameId) -> &Frame {
        self.frames[id.0 as usize].as_ref().expect("live frame")
    }

    /// Returns a frame that the caller knows to be live.
    pub(super) fn frame_mut(&mut self, id: FrameId) -> &mut Frame {
        self.frames[id.0 as usize].as_mut().expect("live frame")
    }

    /// Returns the facts that the execution started with.
    pub(super) fn start(&self) -> &Start {
        self.start.as_ref().expect("a running execution has started")
    }

    pub(super) fn quotas(&self) -> Quotas {
        self.start().quotas
    }
}

/// One call of `advance`: the definition, the memory, the way out.
pub(super) struct Cx<'a> {
    pub(super) definition: &'a Definition,
    pub(super) core: &'a mut Core,
    pub(super) out: &'a mut dyn Outbox,
}

impl Cx<'_> {
    /// Writes a history event and returns its id. Writes nothing once the execution has ended.
    ///
    /// The event that would be number 25,000 becomes `ExecutionFailed` unless it ends the execution itself (recorded).
    pub(super) fn history(&mut self, previous: EventId, kind: HistoryEventKind) -> EventId {
        if self.core.status != Status::Running {
            return self.core.last_event;
        }
        let id = EventId(self.core.last_event.0 + 1);
        let limited = self.core.quotas() == Quotas::Aws && !self.core.start().express;
        if limited && id.0 >= HISTORY_EVENTS_MAX && !kind.ends_execution() {
            let error = StatesError::new(
                "States.Runtime",
                "The execution reached the maximum number of history events (25000).",
            );
            self.end(self.core.last_event, Status::Failed(error));
            return self.core.last_event;
        }
        self.core.last_event = id;
        let at = self.core.now;
        self.out.history(HistoryEvent { id, previous, at, kind });
        id
    }

    /// Writes a history event after the frame's last one and moves its cursor there.
    pub(super) fn chain(&mut self, frame: FrameId, kind: HistoryEventKind) -> EventId {
        let previous = self.core.frame(frame).cursor;
        let id = self.history(previous, kind);
        self.core.frame_mut(frame).cursor = id;
        id
    }

    /// Ends the execution: writes its last event and calls off everything that is open.
    pub(super) fn end(&mut self, previous: EventId, status: Status) {
        if self.core.status != Status::Running {
            return;
        }
        let kind = match &status {
            Status::Succeeded(output) => HistoryEventKind::ExecutionSucceeded { output: output.clone() },
            Status::Failed(error) => HistoryEventKind::ExecutionFailed(error.clone()),
            Status::TimedOut(error) => HistoryEventKind::ExecutionTimedOut(error.clone()),
            Status::Aborted(error) => HistoryEventKind::ExecutionAborted(error.clone()),
            Status::New | Status::Running => return,
        };
        self.abort_map_runs(&status);
        self.history(previous, kind);
        self.core.status = status;
        for task in std::mem::take(&mut self.core.tasks).into_keys() {
            self.out.command(Command::CancelTask { task });
        }
        for child in std::mem::take(&mut self.core.children).into_keys() {
            self.out.command(Command::StopChild { child });
        }
    }

    /// Makes a frame and queues it.
    pub(super) fn spawn(
        &mut self,
        parent: Option<(FrameId, u64)>,
        state: StateId,
        input: Payload,
        cursor: EventId,
    ) -> FrameId {
        let frame = Frame {
            parent,
            state,
            step: Step::Enter,
            input,
            variables: BTreeMap::new(),
            attempts: Vec::new(),
            retry_count: 0,
            cursor,
            entered: EventId::NONE,
            entered_previous: EventId::NONE,
            entered_at: self.core.now,
            evaluation_failed: None,
        };
        let id = match self.core.free_frames.pop() {
            Some(id) => {
                self.core.frames[id.0 as usize] = Some(frame);
                id
            }
            None => {
                self.core.frames.push(Some(frame));
                FrameId(u32::try_from(self.core.frames.len() - 1).expect("frames are bounded by the history limit"))
            }
        };
        self.core.ready.push_back(id);
        id
    }

    /// Takes a frame out of memory.
    pub(super) fn drop_frame(&mut self, id: FrameId) {
        self.quiet_frame(id);
        self.free_frame(id);
    }

    /// Lets a frame wait for nothing and count for nothing any more.
    pub(super) fn quiet_frame(&mut self, id: FrameId) {
        self.clear_timers(id);
        self.core.variables_bytes -= self.core.frame(id).variables_bytes();
    }

    /// Takes a quiet frame out of memory.
    pub(super) fn free_frame(&mut self, id: FrameId) {
        if self.core.frames[id.0 as usize].take().is_some() {
            self.core.free_frames.push(id);
        }
    }

    /// Asks for `TimePassed` at `at`.
    pub(super) fn set_timer(&mut self, frame: FrameId, at: Timestamp) {
        self.core.timers.insert((at, frame));
    }

    /// Drops the timers that the frame's step has set.
    pub(super) fn clear_timers(&mut self, id: FrameId) {
        let Some(Some(frame)) = self.core.frames.get(id.0 as usize) else {
            return;
        };
        let times = match &frame.step {
            Step::Task(task) => [task.timeout_at, task.heartbeat_at],
            Step::Waiting { until } | Step::Pause { until } => [Some(*until), None],
            _ => [None, None],
        };
        for at in times.into_iter().flatten() {
            self.core.timers.remove(&(at, id));
        }
    }

    /// Returns the definition's state that the frame is in.
    pub(super) fn state(&self, frame: FrameId) -> &State {
        self.definition.state(self.core.frame(frame).state)
    }
}
