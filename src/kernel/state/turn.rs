//! One turn of a frame: enter the state, do its work, or go on after a wait.

use crate::asl::definition::StateKind;
use crate::kernel::core::Cx;
use crate::kernel::event::Status;
use crate::kernel::failure::Failure;
use crate::kernel::frame::FrameId;
use crate::kernel::frame::Step;
use crate::model::history_event::HistoryEventKind;

impl Cx<'_> {
    /// Moves a ready frame on until it leaves its state or waits.
    pub(in crate::kernel) fn turn(&mut self, frame: FrameId) {
        match self.core.frame(frame).step.clone_light() {
            Turn::Enter => {
                self.enter(frame);
                if self.core.status == Status::Running {
                    self.work(frame);
                }
            }
            Turn::Work => self.work(frame),
            Turn::Waited => self.wait_ended(frame),
            Turn::Redriven => self.redriven(frame),
            Turn::Failing => {
                if let Step::Failing { error, heartbeat } = &self.core.frame(frame).step {
                    let (error, heartbeat) = (error.clone(), *heartbeat);
                    self.fail(frame, Failure::Error { error, heartbeat });
                }
            }
            Turn::None => {}
        }
    }

    fn enter(&mut self, frame: FrameId) {
        let now = self.core.now;
        let state = self.state(frame);
        let (state_type, name) = (state.state_type(), state.name.clone());
        let live = self.core.frame_mut(frame);
        let previous = live.cursor;
        live.step = Step::Work;
        live.attempts.clear();
        live.retry_count = 0;
        live.entered_at = now;
        live.entered_previous = previous;
        live.evaluation_failed = None;
        let input = live.input.clone();
        let id = self.history(
            previous,
            HistoryEventKind::StateEntered {
                state: state_type,
                name,
                input,
            },
        );
        if self.core.status == Status::Running {
            let live = self.core.frame_mut(frame);
            live.entered = id;
            live.cursor = id;
        }
    }

    /// Does the state's work, for the first time or again. The table of state types.
    fn work(&mut self, frame: FrameId) {
        let definition = self.definition;
        let state = definition.state(self.core.frame(frame).state);
        let done = match &state.kind {
            StateKind::Choice(choice) => self.choice(frame, state, choice),
            StateKind::Fail(fail) => self.fail_state(frame, fail),
            StateKind::Map(map) => self.map(frame, state, map),
            StateKind::Parallel(_) => self.parallel(frame),
            StateKind::Pass(result) => self.pass(frame, result.as_ref()),
            StateKind::Succeed => self.succeed(frame, state),
            StateKind::Task(task) => self.task(frame, task),
            StateKind::Wait(wait) => self.wait(frame, state, wait),
        };
        if let Err(failure) = done {
            self.fail(frame, failure);
        }
    }
}

/// A step, without what it holds.
enum Turn {
    Enter,
    Work,
    Waited,
    Failing,
    Redriven,
    None,
}

impl Step {
    fn clone_light(&self) -> Turn {
        match self {
            Self::Enter => Turn::Enter,
            Self::Work => Turn::Work,
            Self::Waiting { .. } => Turn::Waited,
            Self::Failing { .. } => Turn::Failing,
            // Only a redrive queues these.
            Self::Join(_) | Self::MapRun(_) | Self::Skip => Turn::Redriven,
            Self::Task(_) | Self::Pause { .. } => Turn::None,
        }
    }
}
