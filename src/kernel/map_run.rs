//! A Distributed Map: children are executions of their own.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::asl::definition::ItemBatcher;
use crate::asl::definition::Map;
use crate::asl::definition::State;
use crate::asl::definition::StateKind;
use crate::kernel::context::Extra;
use crate::kernel::context::Item;
use crate::kernel::core::Cx;
use crate::kernel::data_flow::Completion;
use crate::kernel::event::Command;
use crate::kernel::event::Status;
use crate::kernel::failure::Failure;
use crate::kernel::frame::FrameId;
use crate::kernel::frame::MapRun;
use crate::kernel::frame::Step;
use crate::model::history_event::HistoryEventKind;
use crate::model::history_event::StateType;
use crate::model::id::BlockId;
use crate::model::id::ChildId;
use crate::model::payload::Payload;
use crate::model::quota::PAYLOAD_BYTES_MAX;
use crate::model::states_error::StatesError;

/// Children that run at the same time, at most. AWS has 10,000; one machine is served by fewer.
const CONCURRENCY_MAX: u64 = 1_000;

/// Returns the block that a Map state's children run.
pub(super) fn block(state: &State) -> Option<BlockId> {
    match &state.kind {
        StateKind::Map(map) => Some(map.block),
        _ => None,
    }
}

/// Returns a child's name: stable for one Map Run, so that a re-issued command names the same child.
pub(super) fn child_name(map_run_arn: &str, index: u64) -> Arc<str> {
    let run = map_run_arn.rsplit(':').next().unwrap_or(map_run_arn);
    Arc::from(format!("{run}-{index}"))
}

impl Cx<'_> {
    /// Starts a Map Run over `items` (an array, or an object's pairs).
    pub(super) fn map_run(
        &mut self,
        frame: FrameId,
        state: &State,
        map: &Map,
        effective: Payload,
        items: Payload,
    ) -> Result<(), Failure> {
        let pairs = pairs(items.value());
        self.chain(
            frame,
            HistoryEventKind::MapStateStarted {
                length: pairs.len() as u64,
            },
        );
        if self.core.status != Status::Running {
            return Ok(());
        }
        let number = |field: &Option<_>, name: &str| match field {
            Some(field) => self.whole_number(frame, field, name, &effective, 0).map(Some),
            None => Ok(None),
        };
        let concurrency = number(&map.max_concurrency, "MaxConcurrency")?.unwrap_or(0);
        let tolerated_count = number(&map.tolerated_failure_count, "ToleratedFailureCount")?;
        let tolerated_percentage = match &map.tolerated_failure_percentage {
            Some(field) => Some(self.percentage(frame, field, &effective)?),
            None => None,
        };
        let n_items = pairs.len() as u64;
        let selected = self.select(frame, map, &effective, pairs)?;
        let inputs = match &map.item_batcher {
            Some(batcher) => self.batch(frame, batcher, &effective, selected)?,
            None => selected.into_iter().map(|item| (Payload::new(item), 1)).collect(),
        };
        let arn = self.map_run_arn(state, map);
        let started = self.chain(
            frame,
            HistoryEventKind::MapRunStarted {
                map_run_arn: arn.clone(),
            },
        );
        if self.core.status != Status::Running {
            return Ok(());
        }
        let problem = match (map.item_reader, map.result_writer) {
            (true, _) => Some((
                "States.ItemReaderFailed",
                "ItemReader is not supported here yet. Pass the items in the state's input instead.",
            )),
            (false, Some(writer)) if writer.exports => Some((
                "States.ResultWriterFailed",
                "ResultWriter with a Resource is not supported here yet. Drop it to get the results as output.",
            )),
            _ => None,
        };
        let n_children = inputs.len();
        let run = MapRun {
            arn,
            started,
            inputs,
            concurrency: if concurrency == 0 {
                CONCURRENCY_MAX
            } else {
                concurrency.min(CONCURRENCY_MAX)
            },
            next_index: 0,
            running: BTreeMap::new(),
            results: vec![None; n_children],
            n_items,
            n_done: 0,
            n_items_failed: 0,
            tolerated_count,
            tolerated_percentage,
        };
        self.core.frame_mut(frame).step = Step::MapRun(Box::new(run));
        match problem {
            Some((name, cause)) => self.map_run_fails(frame, StatesError::new(name, cause)),
            None => self.start_children(frame),
        }
        Ok(())
    }

    /// A child execution ended.
    pub(super) fn child_finished(&mut self, child: ChildId, result: &Result<Payload, StatesError>) {
        let Some(frame) = self.core.children.remove(&child) else {
            return;
        };
        let Step::MapRun(run) = &mut self.core.frame_mut(frame).step else {
            return;
        };
        let Some(index) = run.running.remove(&child) else {
            return;
        };
        run.n_done += 1;
        match result {
            Ok(output) => {
                if let Some(slot) = run.results.get_mut(index as usize) {
                    *slot = Some(output.clone());
                }
            }
            Err(_) => run.n_items_failed += run.inputs.get(index as usize).map_or(1, |(_, n_items)| *n_items),
        }
        if run.is_over_threshold() {
            self.map_run_fails(frame, over_threshold());
        } else {
            self.start_children(frame);
        }
    }

    fn start_children(&mut self, frame: FrameId) {
        let state_id = self.core.frame(frame).state;
        let Some(block) = block(self.definition.state(state_id)) else {
            return;
        };
        loop {
            let child = ChildId(self.core.last_child + 1);
            let Step::MapRun(run) = &mut self.core.frame_mut(frame).step else {
                return;
            };
            if run.n_done == run.inputs.len() as u64 {
                self.map_run_succeeds(frame);
                return;
            }
            if run.running.len() as u64 >= run.concurrency {
                return;
            }
            let index = run.next_index;
            let Some((input, _)) = run.inputs.get(index as usize) else {
                return;
            };
            let (input, name) = (input.clone(), child_name(&run.arn, index));
            run.next_index += 1;
            match self.fits(frame, input.clone()) {
                Ok(_) => {}
                Err(Failure::Error { error, .. }) => return self.map_run_fails(frame, error),
                Err(failure) => return self.fail(frame, failure),
            }
            let Step::MapRun(run) = &mut self.core.frame_mut(frame).step else {
                return;
            };
            run.running.insert(child, index);
            self.core.last_child = child.0;
            self.core.children.insert(child, frame);
            self.out.command(Command::StartChild {
                child,
                state: state_id,
                block,
                name,
                input,
            });
        }
    }

    fn map_run_succeeds(&mut self, frame: FrameId) {
        let flattens = match &self.state(frame).kind {
            StateKind::Map(map) => map.result_writer.is_some_and(|writer| writer.flattens),
            _ => false,
        };
        let live = self.core.frame_mut(frame);
        let Step::MapRun(run) = std::mem::replace(&mut live.step, Step::Work) else {
            return;
        };
        let mut outputs = Vec::with_capacity(run.results.len());
        // A tolerated failure leaves no element behind.
        for output in run.results.into_iter().flatten() {
            match output.value() {
                Value::Array(inner) if flattens => outputs.extend(inner.iter().cloned()),
                other => outputs.push(other.clone()),
            }
        }
        let succeeded = self.history(run.started, HistoryEventKind::MapRunSucceeded);
        let succeeded = self.history(succeeded, HistoryEventKind::StateSucceeded { state: StateType::Map });
        if self.core.status != Status::Running {
            return;
        }
        // Since 2024-11 AWS chains the exit to MapRunStarted (recorded).
        self.core.frame_mut(frame).cursor = run.started;
        self.complete(
            frame,
            &Completion {
                result: Payload::new(Value::Array(outputs)),
                worked: true,
                succeeded: Some(succeeded),
            },
        );
    }

    fn map_run_fails(&mut self, frame: FrameId, error: StatesError) {
        let children: Vec<ChildId> = match &mut self.core.frame_mut(frame).step {
            Step::MapRun(run) => std::mem::take(&mut run.running).into_keys().collect(),
            _ => Vec::new(),
        };
        for child in children {
            self.core.children.remove(&child);
            self.out.command(Command::StopChild { child });
        }
        self.chain(frame, HistoryEventKind::MapRunFailed(error.clone()));
        if self.core.status == Status::Running {
            self.fail(frame, Failure::error(error));
        }
    }

    fn select(
        &self,
        frame: FrameId,
        map: &Map,
        effective: &Payload,
        pairs: Vec<(Option<String>, Value)>,
    ) -> Result<Vec<Value>, Failure> {
        let mut selected = Vec::with_capacity(pairs.len());
        for (index, (key, value)) in (0..).zip(pairs) {
            selected.push(match &map.item_selector {
                Some(template) => {
                    let item = Some(Item {
                        index,
                        key,
                        value,
                        source: Some("STATE_DATA"),
                    });
                    let extra = Extra {
                        item,
                        ..Extra::default()
                    };
                    self.evaluate(frame, template, effective.clone(), &extra, "ItemSelector")?
                        .value()
                        .clone()
                }
                None => plain(key, value),
            });
        }
        Ok(selected)
    }

    /// Groups items into children's inputs: `{"BatchInput"?: …, "Items": […]}`.
    pub(super) fn batch(
        &self,
        frame: FrameId,
        batcher: &ItemBatcher,
        effective: &Payload,
        items: Vec<Value>,
    ) -> Result<Vec<(Payload, u64)>, Failure> {
        let per_batch = match &batcher.items_per_batch {
            Some(field) => self.whole_number(frame, field, "MaxItemsPerBatch", effective, 1)?,
            None => u64::MAX,
        };
        let bytes_max = match &batcher.input_bytes_per_batch {
            Some(field) => self.whole_number(frame, field, "MaxInputBytesPerBatch", effective, 1)?,
            None => PAYLOAD_BYTES_MAX as u64,
        };
        let shared = match &batcher.batch_input {
            Some(template) => {
                let field = "ItemBatcher/BatchInput";
                let shared = self.evaluate(frame, template, effective.clone(), &Extra::default(), field)?;
                Some(shared.value().clone())
            }
            None => None,
        };
        let frame_bytes = shared.as_ref().map_or(0, |shared| shared.to_string().len() + 14) + "{\"Items\":[]}".len();
        let mut batches = Vec::new();
        let (mut batch, mut bytes) = (Vec::new(), frame_bytes as u64);
        let finish = |batch: Vec<Value>| {
            let n_items = batch.len() as u64;
            let mut input = serde_json::Map::new();
            if let Some(shared) = &shared {
                input.insert("BatchInput".to_owned(), shared.clone());
            }
            input.insert("Items".to_owned(), Value::Array(batch));
            (Payload::new(Value::Object(input)), n_items)
        };
        for item in items {
            let size = item.to_string().len() as u64 + 1;
            if !batch.is_empty() && (batch.len() as u64 >= per_batch || bytes + size > bytes_max) {
                batches.push(finish(std::mem::take(&mut batch)));
                bytes = frame_bytes as u64;
            }
            bytes += size;
            batch.push(item);
        }
        if !batch.is_empty() {
            batches.push(finish(batch));
        }
        Ok(batches)
    }

    /// `arn:P:states:R:A:mapRun:Machine/Label:uuid`.
    fn map_run_arn(&self, state: &State, map: &Map) -> Arc<str> {
        let start = self.core.start();
        let base = start.state_machine_arn.replacen(":stateMachine:", ":mapRun:", 1);
        let label = map.label.as_deref().unwrap_or(&state.name);
        Arc::from(format!("{base}/{label}:{}", self.core.entropy.borrow_mut().uuid()))
    }
}

impl MapRun {
    fn is_over_threshold(&self) -> bool {
        if self.n_items_failed == 0 {
            return false;
        }
        let over_count = self.tolerated_count.is_some_and(|count| self.n_items_failed > count);
        let percentage = self.n_items_failed as f64 / self.n_items.max(1) as f64 * 100.0;
        let over_percentage = self
            .tolerated_percentage
            .is_some_and(|tolerated| percentage > tolerated);
        match (self.tolerated_count, self.tolerated_percentage) {
            (None, None) => true,
            _ => over_count || over_percentage,
        }
    }
}

/// More failed than is tolerated.
pub(super) fn over_threshold() -> StatesError {
    StatesError::new(
        "States.ExceedToleratedFailureThreshold",
        "The specified tolerated failure threshold was exceeded",
    )
}

/// An item without `ItemSelector`.
pub(super) fn plain(key: Option<String>, value: Value) -> Value {
    match key {
        Some(key) => serde_json::json!({ "Key": key, "Value": value }),
        None => value,
    }
}

/// The items with their keys, where they have some.
pub(super) fn pairs(items: &Value) -> Vec<(Option<String>, Value)> {
    match items {
        Value::Array(items) => items.iter().map(|item| (None, item.clone())).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (Some(key.clone()), value.clone()))
            .collect(),
        _ => Vec::new(),
    }
}
