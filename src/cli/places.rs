//! Which visit of which state each history event belongs to, without keeping the history.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::history_event::HistoryEvent;
use crate::model::history_event::HistoryEventKind;
use crate::model::history_event::StateType;
use crate::model::id::EventId;
use crate::model::timestamp::Timestamp;

/// Visits that are remembered: those of states that were aborted never end.
const VISITS_MAX: usize = 20_000;

/// One visit of a state.
#[derive(Clone, Debug)]
pub(crate) struct Visit {
    pub(crate) name: Arc<str>,
    pub(crate) state: StateType,
    pub(crate) since: Timestamp,
    pub(crate) attempt: u32,
    /// Iterations that have ended, and all of them.
    pub(crate) iterations: Option<(u64, u64)>,
    has_children: bool,
    events: Vec<EventId>,
}

/// The visits that go on.
#[derive(Debug, Default)]
pub(crate) struct Places {
    visits: BTreeMap<EventId, Visit>,
    owners: BTreeMap<EventId, EventId>,
    last_failure: Option<Arc<str>>,
    last_entered: Option<Arc<str>>,
    /// The state in which the execution failed.
    pub(crate) failed_in: Option<Arc<str>>,
}

/// What an event means for its visit.
#[derive(Debug)]
pub(crate) enum Change {
    Attempt(EventId, Visit),
    AttemptFailed(Visit, String),
    Iterated(EventId, Visit),
    Left(EventId, Visit),
    Aborted(EventId, Visit),
}

impl Places {
    /// Takes an event in.
    pub(crate) fn take(&mut self, event: &HistoryEvent) -> Option<Change> {
        use HistoryEventKind as K;
        match &event.kind {
            K::StateEntered { state, name, .. } => {
                let visit = Visit {
                    name: Arc::clone(name),
                    state: *state,
                    since: event.at,
                    attempt: 0,
                    iterations: None,
                    has_children: false,
                    events: vec![event.id],
                };
                while self.visits.len() >= VISITS_MAX
                    && let Some((_, old)) = self.visits.pop_first()
                {
                    self.forget(&old);
                }
                self.last_entered = Some(Arc::clone(name));
                self.owners.insert(event.id, event.id);
                self.visits.insert(event.id, visit);
                None
            }
            K::StateExited { name, .. } => {
                let id = self.owner(event).or_else(|| self.by_name(name))?;
                let visit = self.visits.remove(&id)?;
                self.forget(&visit);
                // Whatever failed here or within was caught.
                let holds_blocks = matches!(visit.state, StateType::Map | StateType::Parallel);
                if holds_blocks || self.last_failure.as_ref() == Some(&visit.name) {
                    self.last_failure = None;
                }
                Some(Change::Left(id, visit))
            }
            K::StateAborted { .. } => {
                let id = self.owner(event)?;
                let visit = self.visits.remove(&id)?;
                self.forget(&visit);
                Some(Change::Aborted(id, visit))
            }
            K::MapStateStarted { length } => {
                let (id, visit) = self.follow(event)?;
                visit.iterations = Some((0, *length));
                Some(Change::Iterated(id, visit.clone()))
            }
            K::MapRunStarted { .. } => {
                let (_, visit) = self.follow(event)?;
                visit.has_children = true;
                None
            }
            K::MapIterationSucceeded { name, .. } | K::MapIterationFailed { name, .. } => {
                let id = self.by_name(name)?;
                let visit = self.visits.get_mut(&id)?;
                if let Some((done, _)) = &mut visit.iterations {
                    *done = done.saturating_add(1);
                }
                Some(Change::Iterated(id, visit.clone()))
            }
            K::TaskScheduled { .. } => {
                let (id, visit) = self.follow(event)?;
                visit.attempt = visit.attempt.saturating_add(1);
                Some(Change::Attempt(id, visit.clone()))
            }
            K::TaskFailed { error, .. } | K::TaskTimedOut { error, .. } => {
                let name = error.name.clone().unwrap_or_default();
                let (_, visit) = self.follow(event)?;
                let visit = visit.clone();
                self.last_failure = Some(Arc::clone(&visit.name));
                Some(Change::AttemptFailed(visit, name))
            }
            K::EvaluationFailed { state, .. } => {
                self.last_failure = Some(Arc::clone(state));
                self.follow(event);
                None
            }
            K::ExecutionFailed(_) => {
                let owner = self.owner(event).and_then(|id| self.visits.get(&id));
                self.failed_in = match owner {
                    Some(visit) if !matches!(visit.state, StateType::Map | StateType::Parallel) => {
                        Some(Arc::clone(&visit.name))
                    }
                    _ => self.last_failure.clone().or_else(|| self.last_entered.clone()),
                };
                None
            }
            _ => {
                self.follow(event);
                None
            }
        }
    }

    /// Counts the end of a child execution to the Distributed Map that was entered last.
    pub(crate) fn child_ended(&mut self) -> Option<Change> {
        let (id, visit) = self.visits.iter_mut().rev().find(|(_, visit)| visit.has_children)?;
        let (done, _) = visit.iterations.as_mut()?;
        *done = done.saturating_add(1);
        Some(Change::Iterated(*id, visit.clone()))
    }

    /// Returns the visits that go on, in the order of their entries.
    pub(crate) fn visits(&self) -> impl Iterator<Item = (EventId, &Visit)> {
        self.visits.iter().map(|(id, visit)| (*id, visit))
    }

    fn owner(&self, event: &HistoryEvent) -> Option<EventId> {
        self.owners.get(&event.previous).copied()
    }

    /// Counts the event to the visit of the event before it.
    fn follow(&mut self, event: &HistoryEvent) -> Option<(EventId, &mut Visit)> {
        let id = self.owner(event)?;
        let visit = self.visits.get_mut(&id)?;
        visit.events.push(event.id);
        self.owners.insert(event.id, id);
        Some((id, visit))
    }

    fn by_name(&self, name: &str) -> Option<EventId> {
        let found = self.visits.iter().rev().find(|(_, visit)| &*visit.name == name);
        found.map(|(id, _)| *id)
    }

    fn forget(&mut self, visit: &Visit) {
        for event in &visit.events {
            self.owners.remove(event);
        }
    }
}
