//! Branches and iterations: starting them, and what happens when one ends.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::asl::definition::StateKind;
use crate::kernel::context::Extra;
use crate::kernel::context::Item;
use crate::kernel::core::Cx;
use crate::kernel::data_flow::Completion;
use crate::kernel::event::Status;
use crate::kernel::frame::FrameId;
use crate::kernel::frame::Join;
use crate::kernel::frame::Step;
use crate::model::history_event::HistoryEventKind;
use crate::model::id::EventId;
use crate::model::payload::Payload;

impl Cx<'_> {
    /// The frame's block came to its end with `output`.
    pub(super) fn block_ended(&mut self, frame: FrameId, output: Payload) {
        let cursor = self.core.frame(frame).cursor;
        let Some((parent, index)) = self.core.frame(frame).parent else {
            self.end(cursor, Status::Succeeded(output));
            return;
        };
        self.drop_frame(frame);
        let name = self.state(parent).name.clone();
        let Step::Join(join) = &mut self.core.frame_mut(parent).step else {
            return;
        };
        join.running.remove(&index);
        if let Some(slot) = join.results.get_mut(index as usize) {
            *slot = Some(output);
        }
        join.n_done += 1;
        let (is_map, is_done) = (join.items.is_some(), join.n_done == join.n_children);
        let mut last = cursor;
        if is_map {
            last = self.history(cursor, HistoryEventKind::MapIterationSucceeded { name, index });
        }
        if self.core.status != Status::Running {
            return;
        }
        match is_done {
            // The next MapIterationStarted points at the last event inside the iteration that made room (recorded).
            false => self.start_iterations(parent, cursor),
            true => self.join_ended(parent, last),
        }
    }

    /// Starts as many iterations as there is room for; the new ones point at `previous`.
    pub(super) fn start_iterations(&mut self, parent: FrameId, previous: EventId) {
        let state = self.definition.state(self.core.frame(parent).state);
        let StateKind::Map(map) = &state.kind else {
            return;
        };
        loop {
            let Step::Join(join) = &mut self.core.frame_mut(parent).step else {
                return;
            };
            if join.next_index >= join.n_children || join.running.len() as u64 >= join.concurrency {
                return;
            }
            let index = join.next_index;
            let Some(item) = join
                .items
                .as_ref()
                .and_then(|items| items.value().get(index as usize))
                .cloned()
            else {
                return;
            };
            let effective = join.effective.clone();
            let input = match &map.item_selector {
                None => Ok(Payload::new(item)),
                Some(template) => {
                    let item = Some(Item {
                        index,
                        key: None,
                        value: item,
                        source: None,
                    });
                    let extra = Extra {
                        item,
                        ..Extra::default()
                    };
                    self.evaluate(parent, template, effective, &extra, "ItemSelector")
                        .and_then(|input| self.fits(parent, input))
                }
            };
            let input = match input {
                Ok(input) => input,
                Err(failure) => {
                    self.fail(parent, failure);
                    return;
                }
            };
            let id = self.history(
                previous,
                HistoryEventKind::MapIterationStarted {
                    name: state.name.clone(),
                    index,
                },
            );
            if self.core.status != Status::Running {
                return;
            }
            let first = self.definition.block(map.block).start_at;
            let child = self.spawn(Some((parent, index)), first, input, id);
            if let Step::Join(join) = &mut self.core.frame_mut(parent).step {
                // Only now: an item whose input fails is still to be begun when the execution is redriven.
                join.next_index += 1;
                join.running.insert(index, child);
            }
        }
    }

    /// All children are done: the state's result is the array of their outputs.
    pub(super) fn join_ended(&mut self, frame: FrameId, last: EventId) {
        let state_type = self.state(frame).state_type();
        let live = self.core.frame_mut(frame);
        live.cursor = last;
        // The results stay until the state is left: a redrive needs no child for them.
        let Step::Join(join) = &mut live.step else {
            return;
        };
        join.last = last;
        let outputs = join
            .results
            .iter()
            .map(|output| output.as_ref().map_or(Value::Null, |output| output.value().clone()));
        let result = Payload::new(Value::Array(outputs.collect()));
        let succeeded = self.history(last, HistoryEventKind::StateSucceeded { state: state_type });
        if self.core.status != Status::Running {
            return;
        }
        self.complete(
            frame,
            &Completion {
                result,
                worked: true,
                succeeded: Some(succeeded),
            },
        );
    }

    /// Starts the branches of a Parallel.
    pub(super) fn start_branches(&mut self, frame: FrameId, effective: Payload) {
        let state = self.definition.state(self.core.frame(frame).state);
        let StateKind::Parallel(branches) = &state.kind else {
            return;
        };
        let started = self.chain(frame, HistoryEventKind::ParallelStateStarted);
        if self.core.status != Status::Running {
            return;
        }
        let n_children = branches.len() as u64;
        let mut join = Join {
            items: None,
            effective: effective.clone(),
            n_children,
            concurrency: n_children,
            next_index: n_children,
            running: BTreeMap::new(),
            cut: BTreeMap::new(),
            results: vec![None; branches.len()],
            n_done: 0,
            started,
            last: EventId::NONE,
        };
        for (index, block) in (0..).zip(branches) {
            let first = self.definition.block(*block).start_at;
            let child = self.spawn(Some((frame, index)), first, effective.clone(), started);
            join.running.insert(index, child);
        }
        self.core.frame_mut(frame).step = Step::Join(Box::new(join));
    }
}
