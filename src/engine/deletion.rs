//! Deleting a state machine: its executions fail where they would go on, then it is gone.

use std::sync::Arc;

use crate::engine::host::Host;
use crate::engine::host::lock;
use crate::engine::machine::StateMachine;
use crate::engine::registry::Edit;
use crate::engine::registry::Edits;
use crate::engine::registry::Registry;
use crate::kernel::event::EventKind;
use crate::model::execution_record::ExecutionRecord;
use crate::model::execution_record::ExecutionStatus;
use crate::model::execution_record::MachineType;
use crate::store::StoreError;
use crate::store::change::ListOf;
use crate::store::change::ListQuery;

impl Host {
    /// Deletes a machine; one that is not there is as good as deleted.
    ///
    /// # Errors
    /// The store has stopped.
    pub async fn delete_machine(self: &Arc<Self>, arn: &str) -> Result<(), StoreError> {
        let is_open = self.edit(|registry| self.delete_or_mark(registry, arn)).await?;
        if is_open {
            // The last execution may have ended before the mark was to be seen.
            self.bury_machine(arn).await?;
        }
        Ok(())
    }

    /// Takes a machine away that is being deleted, once none of its executions is open.
    pub(super) async fn bury_machine(self: &Arc<Self>, arn: &str) -> Result<(), StoreError> {
        self.edit(|registry| match registry.machine(arn) {
            Some(machine) if machine.is_deleting && !self.has_open_executions(&machine)? => {
                Ok(((), vec![Edit::DeleteMachine(Arc::clone(&machine.arn))], Vec::new()))
            }
            _ => Ok(((), Vec::new(), Vec::new())),
        })
        .await
    }

    /// Returns what an event becomes for an execution whose machine is being deleted.
    pub(super) fn unless_deleted(&self, record: &ExecutionRecord, kind: EventKind) -> EventKind {
        // What starts, stops or only reports on a task is no transition.
        let is_transition = match &kind {
            EventKind::TimePassed
            | EventKind::TaskSucceeded { .. }
            | EventKind::TaskFailed { .. }
            | EventKind::TaskTimedOut { .. }
            | EventKind::ChildrenFinished { .. }
            | EventKind::ItemsRead { .. }
            | EventKind::ItemsFailed { .. }
            | EventKind::ResultsWritten { .. }
            | EventKind::ResultsFailed { .. } => true,
            EventKind::Start(_)
            | EventKind::Stop(_)
            | EventKind::MachineDeleted
            | EventKind::MapRunUpdated { .. }
            | EventKind::Redrive
            | EventKind::TaskStarted { .. }
            | EventKind::TaskSubmitted { .. }
            | EventKind::TaskHeartbeat { .. } => false,
        };
        match is_transition && self.registry.is_deleting(&record.facts.machine_arn) {
            true => EventKind::MachineDeleted,
            false => kind,
        }
    }

    /// An execution has ended: perhaps it was the last of a machine that is being deleted.
    pub(super) fn mourn(self: &Arc<Self>, record: &ExecutionRecord) {
        if record.facts.child_of.is_none() && self.registry.is_deleting(&record.facts.machine_arn) {
            let (host, arn) = (Arc::clone(self), Arc::clone(&record.facts.machine_arn));
            // When this fails the store has stopped, and the next start does it.
            tokio::spawn(async move {
                let _ = host.bury_machine(&arn).await;
            });
        }
    }

    /// Tells whether executions are open.
    fn delete_or_mark(&self, registry: &Registry, arn: &str) -> Result<Edits<bool>, StoreError> {
        let Some(machine) = registry.machine(arn) else {
            return Ok((false, Vec::new(), Vec::new()));
        };
        if !self.has_open_executions(&machine)? {
            return Ok((false, vec![Edit::DeleteMachine(Arc::clone(&machine.arn))], Vec::new()));
        }
        let marked = StateMachine {
            is_deleting: true,
            ..(*machine).clone()
        };
        Ok((true, vec![Edit::PutMachine(Arc::new(marked))], Vec::new()))
    }

    fn has_open_executions(&self, machine: &StateMachine) -> Result<bool, StoreError> {
        let live = |record: &ExecutionRecord| record.facts.machine_arn == machine.arn;
        if machine.machine_type == MachineType::Express {
            // They are in memory only.
            let mut shards = self.shards.iter();
            return Ok(shards.any(|shard| lock(shard).live.values().any(|kept| live(&kept.record))));
        }
        let open = self.store.list(&ListQuery {
            of: ListOf::Machine(Arc::clone(&machine.arn)),
            status: Some(ExecutionStatus::Running),
            version_arn: None,
            alias_arn: None,
            redriven: None,
            after: None,
            limit: 1,
        })?;
        Ok(!open.is_empty())
    }
}
