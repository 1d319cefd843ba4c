//! Child executions of a Distributed Map.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::asl::definition::MapMode;
use crate::asl::definition::StateKind;
use crate::engine::dispatch::After;
use crate::engine::host::Host;
use crate::engine::live::Live;
use crate::kernel::event::EventKind;
use crate::kernel::event::Start;
use crate::model::execution_record::ChildOf;
use crate::model::execution_record::ExecutionFacts;
use crate::model::execution_record::ExecutionId;
use crate::model::execution_record::ExecutionRecord;
use crate::model::execution_record::ExecutionStatus;
use crate::model::execution_record::MachineType;
use crate::model::id::BlockId;
use crate::model::id::ChildId;
use crate::model::id::StateId;
use crate::model::payload::Payload;
use crate::model::states_error::StatesError;
use crate::model::token::TokenKey;

impl Host {
    /// Starts a child, or finds it when a restart asks for it again.
    pub(super) fn start_child(
        self: &Arc<Self>,
        parent: ExecutionId,
        (child, state, block): (ChildId, StateId, BlockId),
        (name, input): (Arc<str>, Payload),
        is_again: bool,
        work: &mut VecDeque<After>,
    ) {
        let Some((start, definition, express)) = self.child_start(parent, (child, state, block), name, input) else {
            return;
        };
        if is_again && let Ok(Some(record)) = self.store.find(&start.execution_arn) {
            match record.status {
                ExecutionStatus::Running => self.adopt(parent, child, record.id),
                _ => self.child_ended(&record, work),
            }
            return;
        }
        let id = self.fresh_id();
        let (parent_facts, answers, logging) = match self.shard(parent).live.get(&parent) {
            Some(live) => (
                Arc::clone(&live.record.facts),
                live.answers.clone(),
                live.logging.clone(),
            ),
            None => return,
        };
        let record = ExecutionRecord {
            id,
            facts: Arc::new(ExecutionFacts {
                arn: start.execution_arn.clone(),
                name: start.name.clone(),
                machine_arn: start.state_machine_arn.clone(),
                machine_type: if express {
                    MachineType::Express
                } else {
                    MachineType::Standard
                },
                version_arn: None,
                alias_arn: None,
                child_of: Some(ChildOf {
                    parent,
                    child: child.0,
                    map_run_arn: map_run_arn(&start),
                    n_items: 1,
                    block: block.0,
                }),
                trace_header: None,
                started: self.clock.now(),
                ..(*parent_facts).clone()
            }),
            status: ExecutionStatus::Running,
            stopped: None,
            input: start.input.text().into(),
            output: None,
            error: None,
            cause: None,
            redrive_count: 0,
            redriven: None,
            version: 0,
            n_events: 0,
        };
        self.adopt(parent, child, id);
        self.measures.started.inc();
        let mut live = Live::new(definition, Arc::new(record));
        live.answers = answers;
        live.logging = logging;
        let start = Start {
            token_key: TokenKey::derive(&self.secret, id),
            ..start
        };
        let mut shard = self.shard(id);
        shard.live.insert(id, live);
        let _ = self.step_live(&mut shard, id, EventKind::Start(start), None, work);
    }

    fn child_start(
        &self,
        parent: ExecutionId,
        (child, state, block): (ChildId, StateId, BlockId),
        name: Arc<str>,
        input: Payload,
    ) -> Option<(Start, Arc<crate::asl::definition::Definition>, bool)> {
        let seed = self.draw();
        let shard = self.shard(parent);
        let live = shard.live.get(&parent)?;
        if live.children.contains_key(&child) {
            return None;
        }
        let definition = Arc::clone(live.execution.definition());
        let express = match &definition.state(state).kind {
            StateKind::Map(map) => map.mode == MapMode::Distributed { express: true },
            _ => false,
        };
        let facts = live.execution.start_facts()?;
        Some((
            facts.of_child(&definition, state, block, name, input, seed),
            definition,
            express,
        ))
    }

    fn adopt(&self, parent: ExecutionId, child: ChildId, id: ExecutionId) {
        if let Some(live) = self.shard(parent).live.get_mut(&parent) {
            live.children.insert(child, id);
        }
    }

    /// Tells the parent of a child that has ended.
    pub(super) fn child_ended(self: &Arc<Self>, record: &ExecutionRecord, work: &mut VecDeque<After>) {
        let Some(place) = &record.facts.child_of else {
            return;
        };
        let result = match (record.status, &record.output) {
            (ExecutionStatus::Succeeded, Some(output)) => match Payload::parse(output) {
                Ok(output) => Ok(output),
                Err(error) => Err(StatesError::new("States.Runtime", error.to_string())),
            },
            _ => Err(StatesError {
                name: record.error.as_deref().map(ToOwned::to_owned),
                cause: record.cause.as_deref().map(ToOwned::to_owned),
            }),
        };
        let child = ChildId(place.child);
        if let Some(live) = self.shard(place.parent).live.get_mut(&place.parent) {
            live.children.remove(&child);
        }
        // The parent may have ended, or have stopped waiting for it.
        let _ = self.step(place.parent, EventKind::ChildFinished { child, result }, None, work);
    }
}

/// `arn:P:states:R:A:mapRun:Machine/Label:uuid` of a child's facts: its name begins with the run's.
fn map_run_arn(start: &Start) -> Arc<str> {
    let run = start.name.rsplit_once('-').map_or(&*start.name, |(run, _)| run);
    Arc::from(format!(
        "{}:{run}",
        start.state_machine_arn.replacen(":stateMachine:", ":mapRun:", 1)
    ))
}
