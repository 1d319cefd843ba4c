//! Redrive: what an execution that ended unsuccessfully keeps, and how it goes on.
//!
//! No state is entered a second time: what continues points at the state's own `…StateEntered` (captured).

use crate::kernel::core::Core;
use crate::kernel::core::Cx;
use crate::kernel::event::Status;
use crate::kernel::frame::FrameId;
use crate::kernel::frame::Step;
use crate::model::history_event::HistoryEventKind;
use crate::model::history_event::StateType;
use crate::model::id::EventId;
use crate::model::quota::HISTORY_EVENTS_MAX;
use crate::model::quota::Quotas;

/// The frame of the block that an execution starts with: it is made first and dropped never.
const FIRST: FrameId = FrameId(0);

impl Core {
    /// Tells whether a redrive is taken: it is a STANDARD execution, ended unsuccessfully, and its history has room.
    pub(super) fn is_redrivable(&self) -> bool {
        let Some(start) = &self.start else {
            return false;
        };
        let has_room = start.quotas == Quotas::Off || self.last_event.0 < HISTORY_EVENTS_MAX - 1;
        let has_failed = matches!(
            self.status,
            Status::Failed(_) | Status::TimedOut(_) | Status::Aborted(_)
        );
        has_failed && has_room && !start.express
    }
}

impl Cx<'_> {
    /// Puts an execution that has ended to rest: what a redrive needs stays. Only at the end of `advance`: until then
    /// callers may still hold frame ids.
    pub(super) fn settle(&mut self) {
        self.core.ready.clear();
        self.core.timers.clear();
        self.core.timeout_at = None;
        if !self.core.is_redrivable() {
            self.core.frames.clear();
            self.core.free_frames.clear();
            return;
        }
        for frame in self.core.frames.iter_mut().flatten() {
            match &frame.step {
                Step::Enter | Step::Join(_) | Step::MapRun(_) | Step::Work => {}
                Step::Task(_) | Step::Waiting { .. } | Step::Pause { .. } | Step::Failing { .. } | Step::Skip => {
                    frame.step = Step::Work;
                }
            }
        }
    }

    /// Goes on with everything that was entered and not left, and with what was still to be entered.
    pub(super) fn redrive(&mut self) {
        let terminal = self.core.last_event;
        self.core.status = Status::Running;
        self.core.redrive_count += 1;
        self.core.redriven_at = Some(self.core.now);
        let redrive_count = self.core.redrive_count;
        let redriven = self.history(terminal, HistoryEventKind::ExecutionRedriven { redrive_count });
        self.start_clock();
        let frames = self.core.frames.iter().flatten();
        self.core.variables_bytes = frames.map(|frame| frame.variables_bytes()).sum();
        let frames = self.cut_frames_again();
        for frame in &frames {
            self.prepare(*frame, redriven);
        }
        self.core.ready.extend(frames);
    }

    /// Takes a turn of a frame that a redrive has queued and whose state's work is under way.
    pub(super) fn redriven(&mut self, frame: FrameId) {
        match &self.core.frame(frame).step {
            Step::Join(join) => match (join.n_done == join.n_children, join.last, join.started) {
                // What failed came behind the work.
                (true, last, _) => self.join_ended(frame, last),
                // There is room when it was an item's input that failed.
                (false, _, started) => self.start_iterations(frame, started),
            },
            Step::MapRun(_) => self.redrive_map_run(frame),
            Step::Skip => {
                let input = self.core.frame(frame).input.clone();
                let transition = self.state(frame).transition;
                self.leave(frame, input, Vec::new(), transition);
            }
            _ => {}
        }
    }

    /// Counts all children that were cut as running again; returns all frames in index order, parents before their
    /// children: once a child's turn comes, its parent's has been.
    fn cut_frames_again(&mut self) -> Vec<FrameId> {
        let mut frames = Vec::new();
        let mut todo = vec![FIRST];
        while let Some(frame) = todo.pop() {
            frames.push(frame);
            if let Step::Join(join) = &mut self.core.frame_mut(frame).step {
                join.running.append(&mut join.cut);
                todo.extend(join.running.values().rev());
            }
        }
        frames
    }

    fn prepare(&mut self, frame: FrameId, redriven: EventId) {
        let state_type = self.state(frame).state_type();
        let live = self.core.frame_mut(frame);
        if matches!(live.step, Step::Enter) {
            return;
        }
        live.attempts.clear();
        live.retry_count = 0;
        live.evaluation_failed = None;
        if !matches!(live.step, Step::Work) {
            return;
        }
        // The second end of a Fail state points at the redrive (captured).
        live.cursor = match state_type {
            StateType::Fail => redriven,
            _ => live.entered,
        };
        if state_type == StateType::Pass {
            live.step = Step::Skip;
        }
    }
}
