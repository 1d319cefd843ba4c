//! How long an execution may last, and when it reaches a state at the earliest.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::BinaryHeap;

use crate::asl::definition::Definition;
use crate::asl::definition::MapMode;
use crate::asl::definition::NumberField;
use crate::asl::definition::Retrier;
use crate::asl::definition::State;
use crate::asl::definition::StateKind;
use crate::asl::definition::Transition;
use crate::asl::definition::Wait;
use crate::asl::node::Node;
use crate::lint::subject::Subject;
use crate::model::id::BlockId;
use crate::model::id::StateId;

/// Longest EXPRESS execution, in seconds.
const EXPRESS_SECONDS: u64 = 300;
/// Longest STANDARD execution, in seconds.
const STANDARD_SECONDS: u64 = YEAR_SECONDS;
/// A year.
pub(crate) const YEAR_SECONDS: u64 = 365 * 24 * 60 * 60;

/// What ends an execution that lasts too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// An EXPRESS execution lasts 5 minutes.
    Express,
    /// The machine's `TimeoutSeconds`.
    Machine(u64),
    /// A STANDARD execution lasts a year.
    Standard,
}

impl Limit {
    /// In seconds.
    pub(crate) fn seconds(self) -> u64 {
        match self {
            Self::Express => EXPRESS_SECONDS,
            Self::Machine(seconds) => seconds,
            Self::Standard => STANDARD_SECONDS,
        }
    }
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Express => write!(f, "the {EXPRESS_SECONDS} seconds of an EXPRESS execution"),
            Self::Machine(seconds) => write!(f, "the machine's TimeoutSeconds of {seconds}"),
            Self::Standard => f.write_str("the year that an execution may last"),
        }
    }
}

/// The times of a definition.
#[derive(Debug)]
pub(crate) struct Clock {
    /// For each block, what ends the execution that it belongs to.
    limits: Vec<Limit>,
    /// For each block, whether it belongs to an EXPRESS execution.
    express: Vec<bool>,
    /// For each state, the least seconds from the start of its execution until it is entered.
    entered: Vec<u64>,
    /// For each state, the least seconds that it lasts.
    lasts: Vec<u64>,
}

impl Clock {
    /// Reads the literal times of a definition.
    pub(crate) fn new(subject: &Subject<'_>) -> Self {
        let definition = subject.definition;
        let n_states = definition.states.len();
        let mut clock = Self {
            limits: vec![Limit::Standard; definition.blocks.len()],
            express: vec![subject.express; definition.blocks.len()],
            entered: vec![u64::MAX; n_states],
            lasts: vec![0; n_states],
        };
        let mut states: Vec<Vec<StateId>> = vec![Vec::new(); definition.blocks.len()];
        for (id, state, _) in subject.states() {
            states[state.block.index()].push(id);
        }
        // A block ends before the state that holds it: the inner ones first.
        let order = outer_first(definition);
        for block in order.iter().rev() {
            clock.measure(subject, *block, &states[block.index()]);
        }
        for block in &order {
            let (limit, start) = clock.start_of(subject, *block);
            clock.limits[block.index()] = limit;
            clock.express[block.index()] = clock.express_of(subject, *block);
            for id in &states[block.index()] {
                let entered = &mut clock.entered[id.index()];
                *entered = entered.saturating_add(start);
            }
        }
        clock
    }

    /// Returns what ends the execution that a state belongs to.
    pub(crate) fn limit(&self, state: &State) -> Limit {
        self.limits[state.block.index()]
    }

    /// Tells whether a state belongs to an EXPRESS execution.
    pub(crate) fn is_express(&self, state: &State) -> bool {
        self.express[state.block.index()]
    }

    /// Tells whether an execution is over, at the latest, while it is in that state, but not before.
    pub(crate) fn ends_in(&self, id: StateId, state: &State) -> bool {
        let (entered, limit) = (self.entered[id.index()], self.limit(state).seconds());
        entered < limit && limit <= entered.saturating_add(self.lasts[id.index()])
    }

    /// Fills in the times of a block, counted from its own start, and how long the state that holds it lasts.
    fn measure(&mut self, subject: &Subject<'_>, block: BlockId, states: &[StateId]) {
        let definition = subject.definition;
        for id in states {
            let is_open = subject.written(*id).node.get("Seconds").is_some_and(Node::is_open);
            if let StateKind::Wait(Wait::Seconds(NumberField::Literal(seconds))) = &definition.state(*id).kind
                && !is_open
            {
                self.lasts[id.index()] = whole_seconds(*seconds);
            }
        }
        let start = definition.block(block).start_at;
        let mut queue = BinaryHeap::from([(Reverse(0), start.index())]);
        let mut end = u64::MAX;
        while let Some((Reverse(at), index)) = queue.pop() {
            if self.entered[index] <= at {
                continue;
            }
            self.entered[index] = at;
            let state = &definition.states[index];
            let left = at.saturating_add(self.lasts[index]);
            if is_end(state) {
                end = end.min(left);
            }
            // What is caught may happen at once.
            let caught = state.catchers.iter().map(|catcher| (Reverse(at), catcher.next.index()));
            queue.extend(caught);
            queue.extend(onward(state).into_iter().map(|target| (Reverse(left), target.index())));
        }
        let parent = definition.block(block).parent;
        if let Some(parent) = parent
            && matches!(definition.state(parent).kind, StateKind::Parallel(_))
        {
            // It goes on when the last branch has ended; a branch that fails counts as ended, too, so this is no more
            // than it takes.
            let lasts = &mut self.lasts[parent.index()];
            *lasts = (*lasts).max(end);
        }
    }

    fn express_of(&self, subject: &Subject<'_>, block: BlockId) -> bool {
        let definition = subject.definition;
        let Some(parent) = definition.block(block).parent else {
            return subject.express;
        };
        match &definition.state(parent).kind {
            StateKind::Map(map) if map.mode != MapMode::Inline => map.mode == MapMode::Distributed { express: true },
            _ => self.is_express(definition.state(parent)),
        }
    }

    /// Returns the limit of a block's execution, and when in it the block starts.
    fn start_of(&self, subject: &Subject<'_>, block: BlockId) -> (Limit, u64) {
        let definition = subject.definition;
        let Some(parent) = definition.block(block).parent else {
            let own = if subject.express {
                Limit::Express
            } else {
                Limit::Standard
            };
            let is_open = subject.root.get("TimeoutSeconds").is_some_and(Node::is_open);
            let machine = definition.timeout_seconds;
            let machine = machine.filter(|seconds| !is_open && *seconds < own.seconds());
            return (machine.map_or(own, Limit::Machine), 0);
        };
        match &definition.state(parent).kind {
            StateKind::Map(map) if map.mode == (MapMode::Distributed { express: true }) => (Limit::Express, 0),
            StateKind::Map(map) if map.mode != MapMode::Inline => (Limit::Standard, 0),
            _ => {
                let state = definition.state(parent);
                (self.limit(state), self.entered[parent.index()])
            }
        }
    }
}

/// Returns the blocks, each after the one that holds it.
fn outer_first(definition: &Definition) -> Vec<BlockId> {
    let mut held: BTreeMap<Option<BlockId>, Vec<BlockId>> = BTreeMap::new();
    for (number, block) in definition.blocks.iter().enumerate() {
        let holder = block.parent.map(|parent| definition.state(parent).block);
        let id = BlockId(u32::try_from(number).unwrap_or(u32::MAX));
        held.entry(holder).or_default().push(id);
    }
    let mut order = held.remove(&None).unwrap_or_default();
    let mut next = 0;
    while let Some(block) = order.get(next).copied() {
        order.extend(held.remove(&Some(block)).unwrap_or_default());
        next += 1;
    }
    order
}

/// Returns the states that a state leads to within its block.
pub(crate) fn targets(state: &State) -> Vec<StateId> {
    let mut targets = onward(state);
    targets.extend(state.catchers.iter().map(|catcher| catcher.next));
    targets
}

/// Returns the states that a state leads to when nothing fails.
fn onward(state: &State) -> Vec<StateId> {
    let mut targets = Vec::new();
    match (&state.kind, state.transition) {
        (StateKind::Choice(choice), _) => {
            targets.extend(choice.rules.iter().map(|rule| rule.next));
            targets.extend(choice.default);
        }
        (_, Transition::Next(next)) => targets.push(next),
        (_, Transition::End) => {}
    }
    targets
}

/// Tells whether a block can end here.
pub(crate) fn is_end(state: &State) -> bool {
    !matches!(state.kind, StateKind::Choice(_)) && matches!(state.transition, Transition::End)
}

/// Returns a literal number of seconds.
pub(crate) fn literal_seconds(field: Option<&NumberField>) -> Option<u64> {
    match field {
        Some(NumberField::Literal(seconds)) => Some(whole_seconds(*seconds)),
        _ => None,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates"
)]
pub(crate) fn whole_seconds(seconds: f64) -> u64 {
    seconds as u64
}

/// Returns the first retry that cannot begin within `limit` seconds, counted from 1, when each attempt takes
/// `attempt_seconds`.
pub(crate) fn first_retry_beyond(retrier: &Retrier, attempt_seconds: u64, limit: u64) -> Option<u64> {
    /// Rates below grow too slowly to be added up one by one.
    const RATE_MIN: f64 = 1.01;
    let n_retries = u64::from(retrier.max_attempts);
    let max = retrier.max_delay_seconds.unwrap_or(u64::MAX);
    // With jitter a delay may be nothing.
    let interval = if retrier.full_jitter {
        0
    } else {
        retrier.interval_seconds
    };
    let grows = RATE_MIN <= retrier.backoff_rate;
    let mut delay = f64::from(u32::try_from(interval).unwrap_or(u32::MAX));
    let mut spent = 0_u64;
    for retry in 1..=n_retries {
        let step = attempt_seconds.saturating_add(whole_seconds(delay).min(max));
        if !grows || max <= whole_seconds(delay) || delay == 0.0 {
            // From here on all steps are equal.
            let fitting = limit.saturating_sub(spent).saturating_sub(1).checked_div(step)?;
            let beyond = retry.saturating_add(fitting);
            return (beyond <= n_retries).then_some(beyond);
        }
        spent = spent.saturating_add(step);
        if limit <= spent {
            return Some(retry);
        }
        delay *= retrier.backoff_rate;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asl::load;
    use crate::asl::load::Options;

    fn beyond(fields: &str, attempt_seconds: u64, limit: u64) -> Option<u64> {
        let text = format!(
            r#"{{"StartAt":"A","States":{{"A":{{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage","End":true,"Retry":[{{"ErrorEquals":["States.ALL"],{fields}}}]}}}}}}"#
        );
        let definition = load::compile(&text, &Options::default()).unwrap();
        first_retry_beyond(&definition.states[0].retriers[0], attempt_seconds, limit)
    }

    #[test]
    fn a_retry_begins_after_the_attempts_and_delays_before_it() {
        for (fields, attempt_seconds, limit, expected) in [
            // Delays 10, 20, 40: retries begin at 10, 30, 70.
            (r#""IntervalSeconds":10"#, 0, 71, None),
            (r#""IntervalSeconds":10"#, 0, 70, Some(3)),
            (r#""IntervalSeconds":10"#, 0, 30, Some(2)),
            // Attempts of 5 seconds: 15, 40, 85.
            (r#""IntervalSeconds":10"#, 5, 85, Some(3)),
            // Equal delays: 10, 20, 30, …
            (
                r#""IntervalSeconds":10,"BackoffRate":1,"MaxAttempts":5"#,
                0,
                50,
                Some(5),
            ),
            (r#""IntervalSeconds":10,"BackoffRate":1,"MaxAttempts":5"#, 0, 51, None),
            // Held: 10, 25, 40, 55.
            (
                r#""IntervalSeconds":10,"MaxDelaySeconds":15,"MaxAttempts":9"#,
                0,
                41,
                Some(4),
            ),
            // Any delay may be nothing.
            (r#""IntervalSeconds":10,"JitterStrategy":"FULL""#, 0, 1, None),
            (r#""IntervalSeconds":10,"JitterStrategy":"FULL""#, 5, 11, Some(3)),
            (r#""IntervalSeconds":1,"MaxAttempts":99999999"#, 0, 31_536_000, Some(25)),
            (
                r#""MaxAttempts":99999999,"BackoffRate":1"#,
                0,
                31_536_000,
                Some(31_536_000),
            ),
            (r#""MaxAttempts":0"#, 100, 10, None),
        ] {
            assert_eq!(beyond(fields, attempt_seconds, limit), expected, "{fields}");
        }
    }
}
