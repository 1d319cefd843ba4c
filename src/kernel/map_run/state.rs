//! What a Map Run remembers, and what can be told from it.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::sync::Arc;

use serde::Deserialize;
use serde::Serialize;

use crate::asl::definition::Definition;
use crate::asl::definition::StateKind;
use crate::asl::definition::Transformation;
use crate::kernel::core::Core;
use crate::kernel::event::ChildOutcome;
use crate::kernel::event::Command;
use crate::kernel::event::Outbox;
use crate::kernel::event::ReadItem;
use crate::kernel::event::WantedResult;
use crate::model::entropy::Entropy;
use crate::model::id::ChildId;
use crate::model::id::EventId;
use crate::model::id::MapRunId;
use crate::model::id::StateId;
use crate::model::map_run_record::Counts;
use crate::model::map_run_record::MapRunRecord;
use crate::model::map_run_record::MapRunStatus;
use crate::model::payload::Payload;
use crate::model::quota::MAP_RUN_CONCURRENCY_MAX;
use crate::model::quota::PAYLOAD_BYTES_MAX;
use crate::model::quota::Quotas;
use crate::model::states_error::StatesError;
use crate::model::timestamp::Timestamp;

/// Items that are asked for at once, at least and at most.
const WANTED_MIN: u64 = 100;
const WANTED_MAX: u64 = 10_000;
/// Items of a reader that are held beside those of running children, in bytes of JSON, about.
const BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// A Distributed Map under way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::kernel) struct MapRun {
    pub(in crate::kernel) id: MapRunId,
    pub(in crate::kernel) arn: Arc<str>,
    pub(in crate::kernel) begun: Timestamp,
    /// `MapStateStarted`: its `MapRunRedriven` points at it.
    pub(in crate::kernel) state_started: EventId,
    /// Its `MapRunStarted`, or its last `MapRunRedriven`.
    pub(in crate::kernel) started: EventId,
    pub(in crate::kernel) redrive_count: u32,
    pub(in crate::kernel) redriven_at: Option<Timestamp>,
    /// What the children's names are drawn from.
    pub(in crate::kernel) seed: u64,
    /// The effective input, `$` of `ItemSelector`.
    pub(in crate::kernel) effective: Payload,
    pub(in crate::kernel) source: Source,
    /// Items that were taken from the source.
    pub(in crate::kernel) n_taken: u64,
    /// Items that are known of.
    pub(in crate::kernel) n_items: u64,
    pub(in crate::kernel) batching: Option<Batching>,
    /// The number of the next child.
    pub(in crate::kernel) next_index: u64,
    pub(in crate::kernel) running: BTreeMap<ChildId, Child>,
    /// Children that did not succeed: a redrive lets them go on. Their inputs are elsewhere, unless they were stopped.
    pub(in crate::kernel) unsuccessful: BTreeMap<ChildId, Child>,
    /// Those of them that a redrive has still to let go on.
    pub(in crate::kernel) to_redrive: BTreeMap<ChildId, Child>,
    pub(in crate::kernel) max_concurrency: u64,
    pub(in crate::kernel) tolerated_count: Option<u64>,
    pub(in crate::kernel) tolerated_percentage: Option<f64>,
    /// What has ended, by items and by children.
    pub(in crate::kernel) items: Counts,
    pub(in crate::kernel) executions: Counts,
    pub(in crate::kernel) results: Results,
    /// Where the results go instead: the evaluated `ResultWriter`.
    pub(in crate::kernel) writer: Option<Payload>,
    pub(in crate::kernel) phase: Phase,
}

/// Where the items come from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::kernel) enum Source {
    /// An array, or an object whose pairs are the items.
    Data(Payload),
    /// A reader.
    Reader {
        /// The evaluated `ItemReader`.
        request: Payload,
        n_read: u64,
        buffer: VecDeque<ReadItem>,
        buffer_bytes: usize,
        is_reading: bool,
        is_last: bool,
    },
}

/// The batch that is being filled.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::kernel) struct Batching {
    pub(in crate::kernel) batch_input: Option<Payload>,
    pub(in crate::kernel) items_max: u64,
    pub(in crate::kernel) bytes_max: u64,
    pub(in crate::kernel) items: Vec<Payload>,
    pub(in crate::kernel) bytes: u64,
}

/// A child. Its input is kept while it runs, because a restart asks for it again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::kernel) struct Child {
    pub(in crate::kernel) index: u64,
    pub(in crate::kernel) n_items: u64,
    pub(in crate::kernel) input: Option<Payload>,
    pub(in crate::kernel) is_redriven: bool,
}

/// The results that become the state's own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::kernel) struct Results {
    pub(in crate::kernel) wanted: WantedResult,
    pub(in crate::kernel) by_index: BTreeMap<u64, Payload>,
    pub(in crate::kernel) bytes: usize,
    /// There were more than a state may have.
    pub(in crate::kernel) is_over: bool,
}

/// What a Map Run is at.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::kernel) enum Phase {
    /// Children run.
    Running,
    /// Results are being written; then it fails with the error, or succeeds.
    Writing(Option<StatesError>),
}

impl MapRun {
    /// Returns how many children may run at the same time.
    pub(in crate::kernel) fn limit(&self) -> u64 {
        match self.max_concurrency {
            0 => MAP_RUN_CONCURRENCY_MAX,
            limit => limit.min(MAP_RUN_CONCURRENCY_MAX),
        }
    }

    pub(in crate::kernel) fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Running)
    }

    pub(in crate::kernel) fn is_writing(&self) -> bool {
        matches!(self.phase, Phase::Writing(_))
    }

    pub(in crate::kernel) fn is_reading(&self) -> bool {
        matches!(self.source, Source::Reader { is_reading: true, .. })
    }

    /// Tells whether all items that there are have been found.
    pub(in crate::kernel) fn has_all_items(&self) -> bool {
        match &self.source {
            Source::Data(_) => true,
            Source::Reader { is_last, .. } => *is_last,
        }
    }

    /// Tells whether nothing is left to be done.
    pub(in crate::kernel) fn is_done(&self) -> bool {
        let is_quiet = self.running.is_empty() && self.to_redrive.is_empty();
        is_quiet && self.has_all_items() && self.n_taken == self.n_items
    }

    pub(in crate::kernel) fn wanted_result(&self) -> WantedResult {
        self.results.wanted
    }

    /// Tells whether it is time to ask for items.
    pub(in crate::kernel) fn wants_items(&self) -> bool {
        let Source::Reader {
            buffer,
            buffer_bytes,
            is_reading: false,
            is_last: false,
            ..
        } = &self.source
        else {
            return false;
        };
        self.is_running() && (buffer.len() as u64) < self.wave() && *buffer_bytes < BUFFER_BYTES
    }

    /// Returns the number of items that all children together take at once: with so many in the buffer, the next
    /// children need not wait for the reader.
    fn wave(&self) -> u64 {
        let per_child = self.batching.as_ref().map_or(1, |batching| batching.items_max);
        self.limit().saturating_mul(per_child).clamp(WANTED_MIN, WANTED_MAX)
    }

    /// Returns a child's name: drawn, but the same when a command is issued again.
    ///
    /// The names of one Map Run come in the order of its children, so that the pages of a store's index are filled one
    /// after another: a million names in any order would touch a page each.
    pub(in crate::kernel) fn child_name(&self, index: u64) -> Arc<str> {
        let mut entropy = Entropy::new(self.seed ^ index.wrapping_mul(0xd6e8_feb8_6659_fd93));
        // 32 bits of the Map Run, then 28 of the index; the 4 between their parts tell the version of the UUID.
        let order = ((self.seed >> 32) << 32) | (((index >> 12) & 0xffff) << 16) | (index & 0xfff);
        entropy.uuid_after(order).into()
    }

    /// Notes how a child ended.
    pub(in crate::kernel) fn count(&mut self, id: ChildId, child: Child, outcome: ChildOutcome) {
        for (counts, n) in [(&mut self.items, child.n_items), (&mut self.executions, 1)] {
            match outcome {
                ChildOutcome::Succeeded => counts.succeeded += n,
                ChildOutcome::Failed => counts.failed += n,
                ChildOutcome::TimedOut => counts.timed_out += n,
                ChildOutcome::Aborted => counts.aborted += n,
            }
        }
        if outcome != ChildOutcome::Succeeded {
            self.unsuccessful.insert(id, child);
        }
    }

    /// Gets ready to go on with what did not succeed. Items that were read are not read again.
    pub(in crate::kernel) fn redrive(&mut self, now: Timestamp) {
        self.redrive_count += 1;
        self.redriven_at = Some(now);
        self.phase = Phase::Running;
        if let Source::Reader { is_reading, .. } = &mut self.source {
            *is_reading = false;
        }
        for counts in [&mut self.items, &mut self.executions] {
            (counts.failed, counts.timed_out, counts.aborted) = (0, 0, 0);
        }
        self.to_redrive.append(&mut self.unsuccessful);
        for child in self.to_redrive.values_mut() {
            child.is_redriven = true;
            self.results.drop(child.index);
        }
    }

    pub(in crate::kernel) fn is_over_threshold(&self) -> bool {
        // A child that somebody stopped counts as failed, too.
        let n_failed = self.items.failed + self.items.timed_out + self.items.aborted;
        if n_failed == 0 {
            return false;
        }
        // The share of all items is known when all are.
        let share = self
            .has_all_items()
            .then(|| n_failed as f64 / self.n_items.max(1) as f64 * 100.0);
        match (self.tolerated_count, self.tolerated_percentage) {
            (None, None) => true,
            (count, percentage) => {
                count.is_some_and(|count| count < n_failed)
                    || percentage.is_some_and(|tolerated| share.is_some_and(|share| tolerated < share))
            }
        }
    }

    /// Issues its open commands again.
    pub(in crate::kernel) fn outstanding(&self, definition: &Definition, state: StateId, out: &mut dyn Outbox) {
        for (id, child) in &self.running {
            if let Some(command) = self.start_child(definition, state, *id, child) {
                out.command(command);
            }
        }
        if let Source::Reader { is_reading: true, .. } = self.source
            && let Some(command) = self.read_items()
        {
            out.command(command);
        }
        if self.is_writing()
            && let Some(command) = self.write_results()
        {
            out.command(command);
        }
    }

    pub(in crate::kernel) fn start_child(
        &self,
        definition: &Definition,
        state: StateId,
        id: ChildId,
        child: &Child,
    ) -> Option<Command> {
        let StateKind::Map(map) = &definition.state(state).kind else {
            return None;
        };
        Some(Command::StartChild {
            child: id,
            state,
            block: map.block,
            map_run_arn: Arc::clone(&self.arn),
            name: self.child_name(child.index),
            input: child.input.clone(),
            n_items: child.n_items,
            is_redriven: child.is_redriven,
        })
    }

    pub(in crate::kernel) fn read_items(&self) -> Option<Command> {
        let Source::Reader { request, n_read, .. } = &self.source else {
            return None;
        };
        Some(Command::ReadItems {
            map_run: self.id,
            reader: request.clone(),
            offset: *n_read,
            wanted: self.wave(),
        })
    }

    pub(in crate::kernel) fn write_results(&self) -> Option<Command> {
        Some(Command::WriteResults {
            map_run: self.id,
            map_run_arn: Arc::clone(&self.arn),
            writer: self.writer.clone()?,
        })
    }

    /// Returns how it stands; `end` is its status and time when it has ended.
    pub(in crate::kernel) fn record(&self, core: &Core, end: Option<MapRunStatus>) -> MapRunRecord {
        let start = core.start();
        let state_machine_arn = self.arn.replacen(":mapRun:", ":stateMachine:", 1);
        let state_machine_arn = state_machine_arn.rsplit_once(':').map_or("", |(arn, _)| arn);
        let n_items = |children: &BTreeMap<ChildId, Child>| children.values().map(|child| child.n_items).sum();
        let (n_items_running, n_items_to_redrive): (u64, u64) = (n_items(&self.running), n_items(&self.to_redrive));
        let written = |counts: &Counts| match end {
            Some(MapRunStatus::Succeeded) => counts.succeeded,
            _ => 0,
        };
        let ended = self.items.total();
        // Children of items that wait are not made yet: they are counted as AWS would make them, one for each.
        let waiting = self
            .n_items
            .saturating_sub(ended + n_items_running + n_items_to_redrive);
        let n_waiting_children = match &self.batching {
            None => waiting,
            Some(batching) => waiting.div_ceil(batching.items_max.max(1)),
        };
        MapRunRecord {
            arn: Arc::clone(&self.arn),
            map_run: self.id,
            execution_arn: Arc::clone(&start.execution_arn),
            state_machine_arn: Arc::from(state_machine_arn),
            status: end.unwrap_or(MapRunStatus::Running),
            started: self.begun,
            redrive_count: self.redrive_count,
            redriven: self.redriven_at,
            stopped: end.map(|_| core.now),
            max_concurrency: self.max_concurrency,
            tolerated_failure_count: self.tolerated_count.unwrap_or(0),
            tolerated_failure_percentage: self.tolerated_percentage.unwrap_or(0.0),
            items: Counts {
                pending: waiting,
                running: n_items_running,
                pending_redrive: n_items_to_redrive,
                results_written: written(&self.items),
                ..self.items
            },
            executions: Counts {
                pending: n_waiting_children,
                running: self.running.len() as u64,
                pending_redrive: self.to_redrive.len() as u64,
                results_written: written(&self.executions),
                ..self.executions
            },
        }
    }
}

impl Results {
    pub(in crate::kernel) fn new(exports: bool, transformation: Option<Transformation>) -> Self {
        let wanted = match (exports, transformation) {
            (true, _) => WantedResult::Nothing,
            (false, Some(Transformation::None)) => WantedResult::Record,
            (false, _) => WantedResult::Output,
        };
        Self {
            wanted,
            by_index: BTreeMap::new(),
            bytes: 0,
            is_over: false,
        }
    }

    /// Gives up the result of a child that is redriven.
    fn drop(&mut self, index: u64) {
        if let Some(result) = self.by_index.remove(&index) {
            self.bytes -= result.text().len() + 1;
        }
    }

    /// Keeps a result, unless they are too large already.
    pub(in crate::kernel) fn keep(&mut self, index: u64, result: Payload, quotas: Quotas) {
        if self.wanted == WantedResult::Nothing {
            return;
        }
        // With the comma; one bracket is left over.
        self.bytes += result.text().len() + 1;
        self.by_index.insert(index, result);
        if quotas == Quotas::Aws && PAYLOAD_BYTES_MAX <= self.bytes {
            self.is_over = true;
            self.wanted = WantedResult::Nothing;
            self.by_index.clear();
        }
    }
}
