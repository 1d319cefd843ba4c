//! Calling off what runs beside a failure.
//!
//! The frames stay in memory until it is known who answers the failure: a Retry or a Catch around them drops them, a
//! redrive goes on with them.

use std::collections::BTreeSet;

use crate::kernel::core::Cx;
use crate::kernel::event::Command;
use crate::kernel::frame::FrameId;
use crate::kernel::frame::Step;
use crate::model::history_event::HistoryEventKind;
use crate::model::history_event::StateType;
use crate::model::id::EventId;

/// One step of the walk over what is to be called off.
enum Visit {
    Frame { frame: FrameId, failed: bool },
    Event(HistoryEventKind),
}

impl Cx<'_> {
    /// Ends all children of `parent`, because child `failed` did.
    ///
    /// AWS writes the block in index order (recorded): for each running iteration `MapIterationFailed` or
    /// `MapIterationAborted`, then the `…StateAborted` of what it was doing, all pointing at the failing event.
    pub(super) fn cut_children(&mut self, parent: FrameId, failed: Option<u64>, failing: EventId) {
        let mut todo = vec![];
        let mut cut = BTreeSet::new();
        self.push_children(parent, failed, &mut todo);
        while let Some(visit) = todo.pop() {
            match visit {
                Visit::Event(kind) => {
                    self.history(failing, kind);
                }
                Visit::Frame { frame, failed } => {
                    let state_type = self.state(frame).state_type();
                    let aborted = match state_type {
                        StateType::Task => true,
                        StateType::Wait => !failed,
                        StateType::Map | StateType::Parallel => !failed,
                        _ => false,
                    } && !matches!(self.core.frame(frame).step, Step::Enter);
                    if aborted {
                        todo.push(Visit::Event(HistoryEventKind::StateAborted { state: state_type }));
                    }
                    self.push_children(frame, None, &mut todo);
                    self.cut(frame);
                    cut.insert(frame);
                }
            }
        }
        // Once for all: a frame's number may be given to another one, which must not find itself queued already.
        if !cut.is_empty() {
            self.core.ready.retain(|frame| !cut.contains(frame));
        }
    }

    /// Takes the children that were called off out of memory: the failure is answered.
    pub(super) fn drop_cut_children(&mut self, parent: FrameId) {
        let mut todo = vec![parent];
        while let Some(frame) = todo.pop() {
            if let Step::Join(join) = &mut self.core.frame_mut(frame).step {
                todo.extend(std::mem::take(&mut join.cut).into_values());
            }
            if frame != parent {
                self.free_frame(frame);
            }
        }
    }

    /// Queues a join's running children, last first, so that they are visited in index order.
    fn push_children(&mut self, parent: FrameId, failed: Option<u64>, todo: &mut Vec<Visit>) {
        let name = self.state(parent).name.clone();
        let Step::Join(join) = &mut self.core.frame_mut(parent).step else {
            return;
        };
        let is_map = join.items.is_some();
        let children = std::mem::take(&mut join.running);
        join.cut.extend(&children);
        for (index, frame) in children.into_iter().rev() {
            let is_failed = failed == Some(index);
            todo.push(Visit::Frame {
                frame,
                failed: is_failed,
            });
            if is_map {
                let name = name.clone();
                todo.push(Visit::Event(match is_failed {
                    true => HistoryEventKind::MapIterationFailed { name, index },
                    false => HistoryEventKind::MapIterationAborted { name, index },
                }));
            }
        }
    }

    /// Calls off a frame's task or its Map Run.
    fn cut(&mut self, frame: FrameId) {
        match &self.core.frame(frame).step {
            Step::Task(open) => {
                let task = open.task;
                self.core.tasks.remove(&task);
                self.out.command(Command::CancelTask { task });
            }
            Step::MapRun(_) => self.abort_map_run(frame),
            _ => {}
        }
        self.quiet_frame(frame);
    }
}
