//! What one round of a loop costs.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::BinaryHeap;

use crate::asl::definition::Comparison;
use crate::asl::definition::Condition;
use crate::asl::definition::NumberField;
use crate::asl::definition::Pattern;
use crate::asl::definition::State;
use crate::asl::definition::StateKind;
use crate::asl::definition::Task;
use crate::asl::definition::Wait;
use crate::lint::clock;
use crate::lint::graph::Loop;
use crate::lint::graph::Way;
use crate::lint::subject::Subject;
use crate::model::history_event::TaskFamily;
use crate::model::id::BlockId;
use crate::model::id::StateId;

/// Most events of a STANDARD execution's history.
pub(crate) const EVENTS_MAX: u64 = 25_000;
/// Larger loops are not measured.
const STATES_MAX: usize = 200;

/// The cheapest way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Round {
    /// History events that it writes.
    pub(crate) events: u64,
    /// Seconds that its literal Waits last.
    pub(crate) seconds: u64,
}

impl Round {
    fn plus(self, state: &State) -> Self {
        Self {
            events: self.events + events(&state.kind),
            seconds: self.seconds.saturating_add(literal_wait(&state.kind).unwrap_or(0)),
        }
    }
}

/// Returns how many events a state writes at the least when all goes well, without those of states inside it.
pub(crate) fn events(kind: &StateKind) -> u64 {
    match kind {
        StateKind::Choice(_) | StateKind::Pass(_) | StateKind::Succeed | StateKind::Wait(_) => 2,
        StateKind::Fail(_) => 1,
        // Entered, Started, Succeeded, Exited.
        StateKind::Map(_) | StateKind::Parallel(_) => 4,
        // Entered, Scheduled, Started, Succeeded, Exited.
        StateKind::Task(_) => 5,
    }
}

/// Returns the cheapest way from a state of a loop back to it when nothing fails; nothing when there is none.
pub(crate) fn shortest(subject: &Subject<'_>, found: &Loop, through: StateId) -> Option<Round> {
    if STATES_MAX < found.states.len() {
        return None;
    }
    let start = Round { events: 0, seconds: 0 };
    cheapest(subject, through, start, |id, way| {
        !matches!(way, Way::Catch(_)) && subject.graph().share_loop(through, id)
    })
    .remove(&through)
}

/// Returns how many events an iteration of a block writes at the least.
pub(crate) fn least_events(subject: &Subject<'_>, block: BlockId) -> u64 {
    let start = subject.definition.block(block).start_at;
    let zero = Round { events: 0, seconds: 0 };
    let mut reached = cheapest(subject, start, zero, |_, way| !matches!(way, Way::Catch(_)));
    reached.insert(start, zero);
    let ends = subject.graph().ends(block).iter();
    let ends = ends.filter_map(|id| Some(reached.get(id)?.plus(subject.definition.state(*id)).events));
    // Started and Succeeded of the iteration itself.
    ends.min().unwrap_or(0) + 2
}

/// Returns the cheapest way from a state to those behind it, the states on the way counted.
fn cheapest(
    subject: &Subject<'_>,
    from: StateId,
    start: Round,
    may_go: impl Fn(StateId, Way) -> bool,
) -> BTreeMap<StateId, Round> {
    let mut reached: BTreeMap<StateId, Round> = BTreeMap::new();
    let mut queue = BinaryHeap::from([(Reverse(start), from)]);
    while let Some((Reverse(at), id)) = queue.pop() {
        if (id != from || at != start) && reached.get(&id).is_some_and(|best| *best < at) {
            continue;
        }
        let left = at.plus(subject.definition.state(id));
        for step in subject.graph().successors(id) {
            if may_go(step.to, step.way) && reached.get(&step.to).is_none_or(|best| left < *best) {
                reached.insert(step.to, left);
                if step.to != from {
                    queue.push((Reverse(left), step.to));
                }
            }
        }
    }
    reached
}

/// Tells whether a state takes as long as somebody else likes, or is a machine of its own.
pub(crate) fn waits_for_others(kind: &StateKind) -> bool {
    let waits = |task: &Task| {
        task.resource.pattern != Pattern::RequestResponse || matches!(task.resource.family, TaskFamily::Activity)
    };
    match kind {
        StateKind::Map(_) | StateKind::Parallel(_) => true,
        StateKind::Task(task) => waits(task),
        _ => false,
    }
}

/// Returns the literal seconds of a Wait.
pub(crate) fn literal_wait(kind: &StateKind) -> Option<u64> {
    match kind {
        StateKind::Wait(Wait::Seconds(seconds @ NumberField::Literal(_))) => clock::literal_seconds(Some(seconds)),
        _ => None,
    }
}

/// Tells whether a state is a Choice that may look at a count or a time, so that its loop has a bound.
pub(crate) fn is_counted(state: &State) -> bool {
    fn is_order(condition: &Condition) -> bool {
        match condition {
            Condition::And(all) | Condition::Or(all) => all.iter().any(is_order),
            Condition::Not(inner) => is_order(inner),
            Condition::Compare { comparison, .. } => {
                matches!(comparison, Comparison::Numeric(..) | Comparison::Timestamp(..))
            }
            Condition::Expression(expression) => {
                let text = expression.text();
                text.contains(['<', '>']) || text.contains("$count")
            }
            Condition::Literal(_) => false,
        }
    }
    match &state.kind {
        StateKind::Choice(choice) => choice.rules.iter().any(|rule| is_order(&rule.condition)),
        _ => false,
    }
}
