//! What an execution did, laid over the graph: how each state ended, how often it ran, which edges were taken.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::graph::model::Edge;
use crate::graph::model::EdgeKind;
use crate::graph::model::Graph;
use crate::graph::model::Place;
use crate::model::id::BlockId;
use crate::model::id::StateId;

/// One visit of a state, as a history tells it.
#[derive(Clone, Debug)]
pub struct Visit {
    /// The state's name.
    pub name: String,
    /// How long it took; `None` when the history does not tell.
    pub millis: Option<u64>,
    /// How often its task was scheduled; 0 for states without one.
    pub n_attempts: u32,
    /// The name of its last error.
    pub error: Option<String>,
    /// How it ended.
    pub ending: Ending,
    /// The visit before it in the same run of the block, as an index into the list of visits.
    pub previous: Option<usize>,
}

/// How a visit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// An error was caught by the state's own `Catch`.
    Caught,
    /// An error ended it.
    Failed,
    /// It was left for the next state.
    Left,
    /// The history ends before, or something else stopped it.
    Open,
}

/// What became of a state, the worst of all its visits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It never ran.
    NotReached,
    /// It stands in a Distributed Map, whose child executions have histories of their own.
    Elsewhere,
    /// Tests ran all of it.
    Covered,
    /// Tests ran it, but not all that leads out of it.
    PartlyCovered,
    /// It ran and went on.
    Succeeded,
    /// It was entered and neither left nor failed.
    Unfinished,
    /// It failed, and its own `Catch` took over.
    Caught,
    /// It failed.
    Failed,
}

/// All visits of a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The worst of them.
    pub outcome: Outcome,
    /// How many.
    pub n_visits: u64,
    /// Attempts of its task, over all visits.
    pub n_attempts: u64,
    /// Time spent, over all visits.
    pub millis: u64,
    /// The names of the errors.
    pub errors: BTreeSet<String>,
}

/// What tests ran of a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Covered {
    /// How much.
    pub outcome: Outcome,
    /// What its box says of it.
    pub lines: Vec<String>,
}

/// What an execution did, or what tests covered.
#[derive(Clone, Debug, Default)]
pub struct Overlay {
    records: BTreeMap<StateId, Record>,
    covered: BTreeMap<StateId, Covered>,
    taken: BTreeSet<(BlockId, usize)>,
}

impl Overlay {
    /// Lays over a graph what tests covered: states, and edges as a block and an index into its edges.
    pub fn of_coverage(
        covered: impl IntoIterator<Item = (StateId, Covered)>,
        edges: impl IntoIterator<Item = (BlockId, usize)>,
    ) -> Self {
        Self {
            covered: covered.into_iter().collect(),
            taken: edges.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Lays visits over a graph.
    ///
    /// # Errors
    /// The name of a state that the graph does not have: the history is of another definition.
    pub fn of(graph: &Graph, visits: &[Visit]) -> Result<Self, String> {
        let mut overlay = Self::default();
        let ids: BTreeMap<&str, StateId> = (0..)
            .map(StateId)
            .zip(&graph.nodes)
            .map(|(id, node)| (&*node.name, id))
            .collect();
        let edges = edges_between(graph);
        let mut places = Vec::with_capacity(visits.len());
        for visit in visits {
            places.push(*ids.get(visit.name.as_str()).ok_or_else(|| visit.name.clone())?);
        }
        let mut endings: Vec<Ending> = visits.iter().map(|visit| visit.ending).collect();
        let mut goes_on = BTreeSet::new();
        for (visit, id) in visits.iter().zip(&places) {
            let block = graph.node(*id).block;
            let to = Place::State(*id);
            let Some((index, from)) = visit.previous.and_then(|index| Some((index, places.get(index)?))) else {
                overlay.take(&edges, (block, Place::Start, to), false);
                continue;
            };
            goes_on.insert(index);
            let way = (block, Place::State(*from), to);
            let found = edges.get(&way).map(Vec::as_slice).unwrap_or_default();
            // Not every error has an event of its own; where only a catcher leads tells it, too.
            let only_catch = !found.is_empty() && found.iter().all(|(_, edge)| edge.kind == EdgeKind::Catch);
            if only_catch && endings[index] == Ending::Left {
                endings[index] = Ending::Caught;
            }
            overlay.take(&edges, way, endings[index] == Ending::Caught);
        }
        for (index, ((visit, id), ending)) in visits.iter().zip(&places).zip(&endings).enumerate() {
            overlay.add(*id, visit, *ending);
            if *ending == Ending::Left && !goes_on.contains(&index) {
                overlay.take(&edges, (graph.node(*id).block, Place::State(*id), Place::End), false);
            }
        }
        overlay.mark_elsewhere(graph);
        Ok(overlay)
    }

    fn add(&mut self, id: StateId, visit: &Visit, ending: Ending) {
        let outcome = match ending {
            Ending::Caught => Outcome::Caught,
            Ending::Failed => Outcome::Failed,
            Ending::Left => Outcome::Succeeded,
            Ending::Open => Outcome::Unfinished,
        };
        let record = self.records.entry(id).or_insert_with(|| Record {
            outcome,
            n_visits: 0,
            n_attempts: 0,
            millis: 0,
            errors: BTreeSet::new(),
        });
        record.outcome = record.outcome.max(outcome);
        record.n_visits += 1;
        record.n_attempts += u64::from(visit.n_attempts);
        record.millis = record.millis.saturating_add(visit.millis.unwrap_or(0));
        record.errors.extend(visit.error.clone());
    }

    fn take(&mut self, edges: &Edges<'_>, way: (BlockId, Place, Place), is_caught: bool) {
        let Some(found) = edges.get(&way) else { return };
        let fits = |edge: &Edge| (edge.kind == EdgeKind::Catch) == is_caught;
        let fitting = found.iter().find(|(_, edge)| fits(edge)).or_else(|| found.first());
        self.taken.extend(fitting.map(|(index, _)| (way.0, *index)));
    }

    /// A visited Distributed Map whose inside has no visits ran it in executions of their own.
    fn mark_elsewhere(&mut self, graph: &Graph) {
        let mut open: Vec<StateId> = (0..)
            .map(StateId)
            .zip(&graph.nodes)
            .filter(|(id, node)| node.is_distributed && self.records.contains_key(id))
            .map(|(id, _)| id)
            .collect();
        while let Some(id) = open.pop() {
            for block in &graph.node(id).blocks {
                for state in &graph.block(*block).states {
                    self.records.entry(*state).or_insert_with(|| Record {
                        outcome: Outcome::Elsewhere,
                        n_visits: 0,
                        n_attempts: 0,
                        millis: 0,
                        errors: BTreeSet::new(),
                    });
                    open.push(*state);
                }
            }
        }
    }

    /// Returns what became of a state.
    pub fn outcome(&self, id: StateId) -> Outcome {
        if let Some(covered) = self.covered.get(&id) {
            return covered.outcome;
        }
        self.records
            .get(&id)
            .map_or(Outcome::NotReached, |record| record.outcome)
    }

    /// Tells whether an edge was taken; `index` counts the edges of the block.
    pub fn is_taken(&self, block: BlockId, index: usize) -> bool {
        self.taken.contains(&(block, index))
    }

    /// Says what became of a state, one line for each thing; nothing for one that has no visit.
    pub fn lines(&self, id: StateId) -> Vec<String> {
        if let Some(covered) = self.covered.get(&id) {
            return covered.lines.clone();
        }
        let Some(record) = self.records.get(&id).filter(|record| 0 < record.n_visits) else {
            return Vec::new();
        };
        let mut facts = vec![elapsed(record.millis)];
        if 1 < record.n_visits {
            facts.push(format!("{} visits", record.n_visits));
        }
        if record.n_visits < record.n_attempts {
            facts.push(format!("{} attempts", record.n_attempts));
        }
        let mut lines = vec![facts.join(", ")];
        lines.extend(record.errors.iter().cloned());
        lines
    }
}

type Edges<'a> = BTreeMap<(BlockId, Place, Place), Vec<(usize, &'a Edge)>>;

fn edges_between(graph: &Graph) -> Edges<'_> {
    let mut edges = Edges::new();
    for (block, number) in graph.blocks.iter().zip(0..) {
        for (index, edge) in block.edges.iter().enumerate() {
            let between = edges.entry((BlockId(number), edge.from, edge.to)).or_default();
            between.push((index, edge));
        }
    }
    edges
}

/// Says a time as people read it.
fn elapsed(millis: u64) -> String {
    let seconds = millis / 1000;
    match seconds {
        0 => format!("{millis} ms"),
        1..60 => format!("{seconds}.{} s", millis % 1000 / 100),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}
