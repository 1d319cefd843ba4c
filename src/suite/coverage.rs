//! Which parts of a definition were run: states, transitions, Choice rules, retriers, catchers.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::asl::definition::Definition;
use crate::asl::definition::State;
use crate::asl::definition::StateKind;
use crate::asl::definition::Transition;
use crate::kernel::event::Way;
use crate::model::id::StateId;

/// What executions of one definition did, with how often.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    entered: BTreeMap<Arc<str>, u64>,
    ways: BTreeMap<(StateId, Way), u64>,
}

impl Taken {
    /// A state was entered.
    pub fn enter(&mut self, name: &Arc<str>) {
        *self.entered.entry(Arc::clone(name)).or_default() += 1;
    }

    /// A way was taken.
    pub fn take(&mut self, state: StateId, way: Way) {
        *self.ways.entry((state, way)).or_default() += 1;
    }

    /// Adds what others did.
    pub fn add(&mut self, other: &Self) {
        for (name, count) in &other.entered {
            *self.entered.entry(Arc::clone(name)).or_default() += count;
        }
        for (way, count) in &other.ways {
            *self.ways.entry(*way).or_default() += count;
        }
    }
}

/// The coverage of one definition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Everything that can be run, in the order of the definition.
    pub points: Vec<Point>,
    /// The states that did their work and ended their block by it. That is no way out of them, so no point either.
    pub ended: BTreeSet<StateId>,
}

/// Something that can be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// The state.
    pub state: StateId,
    /// The state's name.
    pub name: Arc<str>,
    /// The way out of it; `None` is the state itself.
    pub way: Option<Way>,
    /// How often it was run.
    pub count: u64,
}

impl Coverage {
    /// Compares what can be run with what was.
    pub fn of(definition: &Definition, taken: &Taken) -> Self {
        let mut points = Vec::new();
        let mut ended = BTreeSet::new();
        for (number, state) in definition.states.iter().enumerate() {
            let id = StateId(u32::try_from(number).unwrap_or(u32::MAX));
            let entered = taken.entered.get(&state.name).copied().unwrap_or(0);
            points.push(Point {
                state: id,
                name: Arc::clone(&state.name),
                way: None,
                count: entered,
            });
            if state.transition == Transition::End && taken.ways.contains_key(&(id, Way::Next)) {
                ended.insert(id);
            }
            for way in ways(state) {
                points.push(Point {
                    state: id,
                    name: Arc::clone(&state.name),
                    way: Some(way),
                    count: taken.ways.get(&(id, way)).copied().unwrap_or(0),
                });
            }
        }
        Self { points, ended }
    }

    /// Returns (covered, all) of states.
    pub fn states(&self) -> (usize, usize) {
        self.count(|point| point.way.is_none())
    }

    /// Returns (covered, all) of transitions: every way out of a state, Choice rules and catchers included.
    pub fn transitions(&self) -> (usize, usize) {
        self.count(|point| matches!(point.way, Some(way) if !matches!(way, Way::Retry(_))))
    }

    /// Returns (covered, all) of Choice rules, `Default` included.
    pub fn rules(&self) -> (usize, usize) {
        self.count(|point| matches!(point.way, Some(Way::Rule(_) | Way::Default)))
    }

    /// Returns (covered, all) of retriers.
    pub fn retriers(&self) -> (usize, usize) {
        self.count(|point| matches!(point.way, Some(Way::Retry(_))))
    }

    /// Returns (covered, all) of catchers.
    pub fn catchers(&self) -> (usize, usize) {
        self.count(|point| matches!(point.way, Some(Way::Catch(_))))
    }

    /// Returns (covered, all) of everything.
    pub fn all(&self) -> (usize, usize) {
        self.count(|_| true)
    }

    fn count(&self, belongs: impl Fn(&Point) -> bool) -> (usize, usize) {
        let points = self.points.iter().filter(|point| belongs(point));
        points.fold((0, 0), |(covered, all), point| {
            (covered + usize::from(point.count > 0), all + 1)
        })
    }

    /// Returns what was not run, one line each.
    pub fn missing(&self) -> Vec<String> {
        let never: BTreeSet<StateId> = self
            .points
            .iter()
            .filter(|point| point.way.is_none() && point.count == 0)
            .map(|point| point.state)
            .collect();
        let is_told = |point: &&Point| point.count == 0 && (point.way.is_none() || !never.contains(&point.state));
        self.points.iter().filter(is_told).map(Point::to_string).collect()
    }
}

impl std::fmt::Display for Point {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.way {
            None => write!(f, "state `{}`", self.name),
            Some(Way::Next) => write!(f, "the way out of `{}`", self.name),
            Some(Way::Default) => write!(f, "`{}`/Default", self.name),
            Some(Way::Rule(n)) => write!(f, "`{}`/Choices[{n}]", self.name),
            Some(Way::Retry(n)) => write!(f, "`{}`/Retry[{n}]", self.name),
            Some(Way::Catch(n)) => write!(f, "`{}`/Catch[{n}]", self.name),
        }
    }
}

fn ways(state: &State) -> Vec<Way> {
    let mut ways = Vec::new();
    match &state.kind {
        StateKind::Choice(choice) => {
            ways.extend((0..choice.rules.len()).map(Way::Rule));
            ways.extend(choice.default.map(|_| Way::Default));
        }
        // They end; nothing leads on.
        StateKind::Fail(_) | StateKind::Succeed => {}
        _ if matches!(state.transition, Transition::Next(_)) => ways.push(Way::Next),
        _ => {}
    }
    ways.extend((0..state.retriers.len()).map(Way::Retry));
    ways.extend((0..state.catchers.len()).map(Way::Catch));
    ways
}
