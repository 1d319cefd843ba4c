//! A Distributed Map: children are executions of their own.
//!
//! ```text
//! MapRunStarted -> Running -> (Writing) -> MapRunSucceeded | MapRunFailed
//! ```
//! It holds counters, the children that run, the items of the next wave, and results only where they become the
//! state's own: its size does not depend on the number of items.

pub(in crate::kernel) mod items;
pub(in crate::kernel) mod state;

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::Value;

use crate::asl::definition::Map;
use crate::asl::definition::State;
use crate::asl::definition::StateKind;
use crate::asl::definition::Transformation;
use crate::kernel::core::Core;
use crate::kernel::core::Cx;
use crate::kernel::data_flow::Completion;
use crate::kernel::data_flow::data_limit;
use crate::kernel::event::ChildOutcome;
use crate::kernel::event::Command;
use crate::kernel::event::FinishedChild;
use crate::kernel::event::ReadItem;
use crate::kernel::event::Status;
use crate::kernel::event::WantedResult;
use crate::kernel::failure::Failure;
use crate::kernel::frame::FrameId;
use crate::kernel::frame::Step;
use crate::kernel::map_run::items::Input;
use crate::kernel::map_run::state::Child;
use crate::kernel::map_run::state::MapRun;
use crate::kernel::map_run::state::Phase;
use crate::kernel::map_run::state::Results;
use crate::kernel::map_run::state::Source;
use crate::model::history_event::HistoryEventKind;
use crate::model::history_event::StateType;
use crate::model::id::ChildId;
use crate::model::id::MapRunId;
use crate::model::map_run_record::Counts;
use crate::model::map_run_record::MapRunStatus;
use crate::model::payload::Payload;
use crate::model::quota::MAP_RUN_REDRIVES_MAX as REDRIVES_MAX;
use crate::model::states_error::StatesError;

impl Core {
    /// Returns the Map Run of a frame, if it has one.
    pub(super) fn map_run(&self, frame: FrameId) -> Option<&MapRun> {
        match &self.frames.get(frame.0 as usize)?.as_ref()?.step {
            Step::MapRun(run) => Some(run),
            _ => None,
        }
    }

    /// Returns the Map Run of a frame, if it has one.
    pub(super) fn map_run_mut(&mut self, frame: FrameId) -> Option<&mut MapRun> {
        match &mut self.frames.get_mut(frame.0 as usize)?.as_mut()?.step {
            Step::MapRun(run) => Some(run),
            _ => None,
        }
    }
}

impl Cx<'_> {
    /// Starts a Map Run over `items` (an array, or an object's pairs), or over what its reader reads.
    pub(super) fn map_run(
        &mut self,
        frame: FrameId,
        state: &State,
        map: &Map,
        effective: Payload,
        items: Payload,
    ) -> Result<(), Failure> {
        let length = match (&map.item_reader, items.value()) {
            // Recorded: how many there are is not known yet.
            (Some(_), _) => 0,
            (None, Value::Array(items)) => items.len() as u64,
            (None, Value::Object(pairs)) => pairs.len() as u64,
            (None, _) => 0,
        };
        let state_started = self.chain(frame, HistoryEventKind::MapStateStarted { length });
        if self.core.status != Status::Running {
            return Ok(());
        }
        let number = |field: &Option<_>, name: &str| match field {
            Some(field) => self.whole_number(frame, field, name, &effective, 0).map(Some),
            None => Ok(None),
        };
        let max_concurrency = number(&map.max_concurrency, "MaxConcurrency")?.unwrap_or(0);
        let tolerated_count = number(&map.tolerated_failure_count, "ToleratedFailureCount")?;
        let tolerated_percentage = match &map.tolerated_failure_percentage {
            Some(field) => Some(self.percentage(frame, field, &effective)?),
            None => None,
        };
        let batching = match &map.item_batcher {
            Some(batcher) => Some(self.batching(frame, batcher, &effective)?),
            None => None,
        };
        let source = match &map.item_reader {
            Some(reader) => Source::Reader {
                request: self.reader_request(frame, reader, &effective)?,
                n_read: 0,
                buffer: VecDeque::new(),
                buffer_bytes: 0,
                is_reading: false,
                is_last: false,
            },
            None => Source::Data(items),
        };
        let writer = match &map.result_writer {
            Some(writer) => self.writer_request(frame, writer, &effective)?,
            None => None,
        };
        let arn = self.map_run_arn(map);
        let seed = self.core.entropy.borrow_mut().next_u64();
        let started = self.chain(
            frame,
            HistoryEventKind::MapRunStarted {
                map_run_arn: arn.clone(),
            },
        );
        if self.core.status != Status::Running {
            return Ok(());
        }
        self.core.last_map_run += 1;
        let id = MapRunId(self.core.last_map_run);
        let transformation = map.result_writer.as_ref().and_then(|writer| writer.transformation);
        let run = MapRun {
            id,
            arn,
            begun: self.core.now,
            state_started,
            started,
            redrive_count: 0,
            redriven_at: None,
            seed,
            effective,
            source,
            n_taken: 0,
            n_items: length,
            batching,
            next_index: 0,
            running: BTreeMap::new(),
            unsuccessful: BTreeMap::new(),
            to_redrive: BTreeMap::new(),
            max_concurrency,
            tolerated_count,
            tolerated_percentage,
            items: Counts::default(),
            executions: Counts::default(),
            results: Results::new(writer.is_some(), transformation),
            writer,
            phase: Phase::Running,
        };
        debug_assert_eq!(state.state_type(), StateType::Map);
        self.core.frame_mut(frame).step = Step::MapRun(Box::new(run));
        self.begin_map_run(frame, id);
        Ok(())
    }

    /// Goes on with a Map Run of an execution that is redriven. Those that failed within the threshold are redriven, too.
    pub(super) fn redrive_map_run(&mut self, frame: FrameId) {
        let now = self.core.now;
        let Some(run) = self.core.map_run_mut(frame) else {
            return;
        };
        if REDRIVES_MAX <= run.redrive_count {
            let text = format!("The Map Run was redriven {REDRIVES_MAX} times already.");
            return self.fail(frame, Failure::runtime(text));
        }
        run.redrive(now);
        let (id, previous) = (run.id, run.state_started);
        let kind = HistoryEventKind::MapRunRedriven {
            map_run_arn: Arc::clone(&run.arn),
            redrive_count: run.redrive_count,
        };
        let redriven = self.history(previous, kind);
        self.core.frame_mut(frame).cursor = redriven;
        if let Some(run) = self.core.map_run_mut(frame) {
            run.started = redriven;
        }
        if self.core.status == Status::Running {
            self.begin_map_run(frame, id);
        }
    }

    fn begin_map_run(&mut self, frame: FrameId, id: MapRunId) {
        self.core.map_runs.insert(id, frame);
        self.map_run_changed(frame, None);
        if self.max_items_is_negative(frame) {
            let error = StatesError::new("States.ItemReaderFailed", "field MaxItems must be positive");
            self.map_run_fails(frame, Failure::error(error));
            return;
        }
        self.pump(frame);
    }

    /// Children ended. Those that nobody waits for are passed over.
    pub(super) fn children_finished(&mut self, children: &[FinishedChild]) {
        let mut frames = Vec::new();
        let quotas = self.core.quotas();
        for finished in children {
            let Some(frame) = self.core.children.remove(&finished.child) else {
                continue;
            };
            let Some(run) = self.core.map_run_mut(frame) else {
                continue;
            };
            let Some(mut child) = run.running.remove(&finished.child) else {
                continue;
            };
            let keeps = run.results.wanted == WantedResult::Record || finished.outcome == ChildOutcome::Succeeded;
            if let Some(result) = finished.result.clone().filter(|_| keeps) {
                run.results.keep(child.index, result, quotas);
            }
            // The child has its input.
            child.input = None;
            run.count(finished.child, child, finished.outcome);
            if !frames.contains(&frame) {
                frames.push(frame);
            }
        }
        for frame in frames {
            self.pump(frame);
        }
    }

    pub(super) fn items_read(&mut self, map_run: MapRunId, items: &[ReadItem], is_end: bool) {
        let Some((frame, run)) = self.find_map_run(map_run) else {
            return;
        };
        run.n_items += items.len() as u64;
        if let Source::Reader {
            n_read,
            buffer,
            buffer_bytes,
            is_reading,
            is_last,
            ..
        } = &mut run.source
        {
            *n_read += items.len() as u64;
            *buffer_bytes += items.iter().map(|item| item.value.text().len()).sum::<usize>();
            buffer.extend(items.iter().cloned());
            *is_reading = false;
            *is_last = is_end;
        }
        self.pump(frame);
    }

    pub(super) fn items_failed(&mut self, map_run: MapRunId, error: &StatesError) {
        if let Some((frame, _)) = self.find_map_run(map_run) {
            self.map_run_fails(frame, Failure::error(error.clone()));
        }
    }

    pub(super) fn results_written(&mut self, map_run: MapRunId, result: &Payload) {
        let Some((frame, run)) = self.find_map_run(map_run) else {
            return;
        };
        let Phase::Writing(error) = &run.phase else {
            return;
        };
        match error.clone() {
            Some(error) => self.map_run_fails(frame, Failure::error(error)),
            None => self.map_run_succeeds(frame, result.clone()),
        }
    }

    pub(super) fn results_failed(&mut self, map_run: MapRunId, error: &StatesError) {
        let Some((frame, run)) = self.find_map_run(map_run) else {
            return;
        };
        // What made it fail before comes first.
        let error = match &run.phase {
            Phase::Writing(Some(first)) => first.clone(),
            _ => error.clone(),
        };
        self.map_run_fails(frame, Failure::error(error));
    }

    pub(super) fn update_map_run(
        &mut self,
        map_run: MapRunId,
        max_concurrency: Option<u64>,
        tolerated_count: Option<u64>,
        tolerated_percentage: Option<f64>,
    ) {
        let Some((frame, run)) = self.find_map_run(map_run) else {
            return;
        };
        run.max_concurrency = max_concurrency.unwrap_or(run.max_concurrency);
        run.tolerated_count = tolerated_count.or(run.tolerated_count);
        run.tolerated_percentage = tolerated_percentage.or(run.tolerated_percentage);
        self.map_run_changed(frame, None);
        self.pump(frame);
    }

    /// Goes on with a Map Run: fails it, starts children, asks for items, ends it.
    fn pump(&mut self, frame: FrameId) {
        let Some(run) = self.core.map_run_mut(frame) else {
            return;
        };
        if !run.is_running() {
            return;
        }
        if run.is_over_threshold() {
            let error = over_threshold();
            if self.write_results(frame, Some(error.clone())) {
                return;
            }
            return self.map_run_fails(frame, Failure::error(error));
        }
        loop {
            let Some(run) = self.core.map_run_mut(frame) else {
                return;
            };
            if run.limit() <= run.running.len() as u64 {
                break;
            }
            if let Some((id, child)) = run.to_redrive.pop_first() {
                self.let_run(frame, id, child);
                continue;
            }
            match self.next_input(frame).and_then(|input| self.checked(frame, input)) {
                Ok(Some(input)) => self.start_child(frame, input),
                Ok(None) => break,
                Err(failure) => {
                    // The state's own fields failed: a redrive begins a new Map Run.
                    self.map_run_ends(frame, &failure);
                    self.core.frame_mut(frame).step = Step::Work;
                    if self.core.status == Status::Running {
                        self.fail(frame, failure);
                    }
                    return;
                }
            }
        }
        self.ask_for_items(frame);
        let is_done = self.core.map_run(frame).is_some_and(|run| run.is_done());
        if is_done && !self.write_results(frame, None) {
            self.collected(frame);
        }
    }

    fn checked(&self, frame: FrameId, input: Option<Input>) -> Result<Option<Input>, Failure> {
        if let Some(input) = &input {
            self.fits(frame, input.input.clone())?;
        }
        Ok(input)
    }

    fn start_child(&mut self, frame: FrameId, input: Input) {
        self.core.last_child += 1;
        let id = ChildId(self.core.last_child);
        let Some(run) = self.core.map_run_mut(frame) else {
            return;
        };
        let child = Child {
            index: run.next_index,
            n_items: input.n_items,
            input: Some(input.input),
            is_redriven: false,
        };
        run.next_index += 1;
        self.let_run(frame, id, child);
    }

    fn let_run(&mut self, frame: FrameId, id: ChildId, child: Child) {
        let state = self.core.frame(frame).state;
        let Some(run) = self.core.map_run_mut(frame) else {
            return;
        };
        let command = run.start_child(self.definition, state, id, &child);
        run.running.insert(id, child);
        self.core.children.insert(id, frame);
        if let Some(command) = command {
            self.out.command(command);
        }
    }

    fn ask_for_items(&mut self, frame: FrameId) {
        let Some(run) = self.core.map_run_mut(frame) else {
            return;
        };
        if !run.wants_items() {
            return;
        }
        if let Source::Reader { is_reading, .. } = &mut run.source {
            *is_reading = true;
        }
        if let Some(command) = run.read_items() {
            self.out.command(command);
        }
    }

    /// Stops what runs and lets the results be written, when they are to be. Then the Map Run ends.
    fn write_results(&mut self, frame: FrameId, error: Option<StatesError>) -> bool {
        if self.core.map_run(frame).is_none_or(|run| run.writer.is_none()) {
            return false;
        }
        self.stop_children(frame);
        let Some(run) = self.core.map_run_mut(frame) else {
            return false;
        };
        run.phase = Phase::Writing(error);
        if let Some(command) = run.write_results() {
            self.out.command(command);
        }
        true
    }

    /// All children are done, and their results are the state's own.
    fn collected(&mut self, frame: FrameId) {
        let transformation = match &self.state(frame).kind {
            StateKind::Map(map) => map.result_writer.as_ref().and_then(|writer| writer.transformation),
            _ => None,
        };
        let name = self.state(frame).name.clone();
        let Some(run) = self.core.map_run_mut(frame) else {
            return;
        };
        if run.results.is_over {
            let started = run.started;
            self.map_run_changed(frame, Some(MapRunStatus::Succeeded));
            let succeeded = self.history(started, HistoryEventKind::MapRunSucceeded);
            self.core.frame_mut(frame).cursor = succeeded;
            if self.core.status == Status::Running {
                self.fail(frame, Failure::error(data_limit(&name)));
            }
            return;
        }
        let results = std::mem::take(&mut run.results.by_index);
        let mut outputs = Vec::with_capacity(results.len());
        // A tolerated failure leaves no element behind.
        for output in results.into_values() {
            match output.value() {
                Value::Array(inner) if transformation == Some(Transformation::Flatten) => {
                    outputs.extend(inner.iter().cloned());
                }
                other => outputs.push(other.clone()),
            }
        }
        self.map_run_succeeds(frame, Payload::new(Value::Array(outputs)));
    }

    fn map_run_succeeds(&mut self, frame: FrameId, result: Payload) {
        self.map_run_changed(frame, Some(MapRunStatus::Succeeded));
        let live = self.core.frame_mut(frame);
        let Step::MapRun(run) = std::mem::replace(&mut live.step, Step::Work) else {
            return;
        };
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
                result,
                worked: true,
                succeeded: Some(succeeded),
            },
        );
    }

    fn map_run_fails(&mut self, frame: FrameId, failure: Failure) {
        self.map_run_ends(frame, &failure);
        if self.core.status == Status::Running {
            self.fail(frame, failure);
        }
    }

    fn map_run_ends(&mut self, frame: FrameId, failure: &Failure) {
        self.stop_children(frame);
        self.map_run_changed(frame, Some(MapRunStatus::Failed));
        let error = self.shown(frame, failure);
        self.chain(frame, HistoryEventKind::MapRunFailed(error));
    }

    /// Calls a Map Run off whose execution, or whose block, has ended without it.
    pub(super) fn abort_map_run(&mut self, frame: FrameId) {
        let id = self.core.map_run(frame).map(|run| run.id);
        if id.is_some_and(|id| self.core.map_runs.contains_key(&id)) {
            self.stop_children(frame);
            self.map_run_changed(frame, Some(MapRunStatus::Aborted));
        }
    }

    /// Calls off all Map Runs of an execution that ends with `status`.
    pub(super) fn abort_map_runs(&mut self, status: &Status) {
        for frame in self.core.map_runs.values().copied().collect::<Vec<_>>() {
            if let Some(started) = self.core.map_run(frame).map(|run| run.started)
                && matches!(status, Status::Aborted(_) | Status::TimedOut(_))
            {
                self.history(started, HistoryEventKind::MapRunAborted);
            }
            self.abort_map_run(frame);
        }
    }

    fn stop_children(&mut self, frame: FrameId) {
        let Some(run) = self.core.map_run_mut(frame) else {
            return;
        };
        let stopped = std::mem::take(&mut run.running);
        let ids: Vec<ChildId> = stopped.keys().copied().collect();
        for (id, child) in stopped {
            run.count(id, child, ChildOutcome::Aborted);
        }
        run.unsuccessful.append(&mut run.to_redrive);
        for child in ids {
            self.core.children.remove(&child);
            self.out.command(Command::StopChild { child });
        }
    }

    /// Tells the outside how a Map Run stands; one that has ended takes no more events.
    fn map_run_changed(&mut self, frame: FrameId, end: Option<MapRunStatus>) {
        let Some(run) = self.core.map_run(frame) else {
            return;
        };
        let (id, record) = (run.id, run.record(self.core, end));
        if end.is_some() {
            self.core.map_runs.remove(&id);
        }
        self.out.command(Command::MapRunChanged(Box::new(record)));
    }

    fn find_map_run(&mut self, map_run: MapRunId) -> Option<(FrameId, &mut MapRun)> {
        let frame = *self.core.map_runs.get(&map_run)?;
        self.core.map_run_mut(frame).map(|run| (frame, run))
    }

    fn max_items_is_negative(&self, frame: FrameId) -> bool {
        let Some(Source::Reader { request, .. }) = self.core.map_run(frame).map(|run| &run.source) else {
            return false;
        };
        let max_items = request.value().pointer("/ReaderConfig/MaxItems");
        max_items.and_then(Value::as_i64).is_some_and(|n| n < 0)
    }

    /// `arn:P:states:R:A:mapRun:Machine/Label:uuid`.
    fn map_run_arn(&self, map: &Map) -> Arc<str> {
        let start = self.core.start();
        let machine_arn = start.state_machine_arn.split('/').next().unwrap_or_default();
        let base = machine_arn.replacen(":stateMachine:", ":mapRun:", 1);
        let uuid = self.core.entropy.borrow_mut().uuid();
        Arc::from(format!("{base}/{}:{uuid}", map.label))
    }
}

/// More failed than is tolerated.
pub(super) fn over_threshold() -> StatesError {
    StatesError::new(
        "States.ExceedToleratedFailureThreshold",
        "The specified tolerated failure threshold was exceeded",
    )
}
