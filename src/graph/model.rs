//! A definition as a graph: blocks of states, and the edges inside each block.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::asl::definition::Definition;
use crate::asl::definition::State;
use crate::asl::definition::StateKind;
use crate::asl::definition::Transition;
use crate::graph::wording;
use crate::model::history_event::StateType;
use crate::model::id::BlockId;
use crate::model::id::StateId;

/// A whole definition.
#[derive(Clone, Debug)]
pub struct Graph {
    /// By `BlockId`; a block comes after the one that holds it.
    pub blocks: Vec<Block>,
    /// By `StateId`.
    pub nodes: Vec<Node>,
}

/// One `StartAt` + `States` object.
#[derive(Clone, Debug)]
pub struct Block {
    /// The Parallel or Map that holds it; `None` for the machine.
    pub parent: Option<StateId>,
    /// What its frame is called: `Branch 2`. Empty when the state around it says enough.
    pub title: String,
    /// Its states, in the order of the definition.
    pub states: Vec<StateId>,
    /// What leads where, without doubles: edges of one kind between the same two places are one.
    pub edges: Vec<Edge>,
}

/// A state.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its name.
    pub name: Arc<str>,
    /// Its type.
    pub kind: StateType,
    /// What else the definition says of it, one line each: what it does, its timeout, that it retries.
    pub details: Vec<String>,
    /// The block that it belongs to.
    pub block: BlockId,
    /// The blocks inside: branches, or what a Map does with each item.
    pub blocks: Vec<BlockId>,
    /// It is a Distributed Map: its blocks run in executions with histories of their own.
    pub is_distributed: bool,
}

/// An end of an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Where the block begins.
    Start,
    /// A state.
    State(StateId),
    /// Where the block ends.
    End,
}

/// Something that leads from one place to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// From where.
    pub from: Place,
    /// To where.
    pub to: Place,
    /// Why.
    pub kind: EdgeKind,
    /// When: Choice rules or error names. Empty for what always leads on.
    pub labels: Vec<String>,
}

/// Why an edge is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EdgeKind {
    /// `Next`, `End`, `StartAt`.
    Next,
    /// A Choice rule.
    Rule,
    /// `Default`.
    Default,
    /// A catcher.
    Catch,
}

impl Graph {
    /// Makes the graph of a definition. `raw` is the text's own value, for words that compiling has changed
    /// (placeholders).
    pub fn of(definition: &Definition, raw: &Value) -> Self {
        let sources = sources(raw);
        let mut blocks: Vec<Block> = definition
            .blocks
            .iter()
            .map(|block| Block {
                parent: block.parent,
                title: String::new(),
                states: Vec::new(),
                edges: vec![Edge {
                    from: Place::Start,
                    to: Place::State(block.start_at),
                    kind: EdgeKind::Next,
                    labels: Vec::new(),
                }],
            })
            .collect();
        let mut nodes = Vec::with_capacity(definition.states.len());
        let mut edges: Vec<Edges> = blocks.iter().map(|_| Edges::default()).collect();
        for (number, state) in definition.states.iter().enumerate() {
            let id = StateId(u32::try_from(number).unwrap_or(u32::MAX));
            let source = sources.get(&*state.name).copied().unwrap_or(&Value::Null);
            let inner = inner_blocks(state);
            if 1 < inner.len() {
                for (index, block) in inner.iter().enumerate() {
                    blocks[block.index()].title = format!("Branch {}", index + 1);
                }
            }
            blocks[state.block.index()].states.push(id);
            edges[state.block.index()].of_state(id, state, source);
            nodes.push(Node {
                name: Arc::clone(&state.name),
                kind: state.state_type(),
                details: wording::details(state, source),
                block: state.block,
                blocks: inner,
                is_distributed: is_distributed(state),
            });
        }
        for (block, edges) in blocks.iter_mut().zip(edges) {
            block.edges.extend(edges.list);
        }
        Self { blocks, nodes }
    }

    /// Returns a state.
    pub fn node(&self, id: StateId) -> &Node {
        &self.nodes[id.index()]
    }

    /// Returns a block.
    pub fn block(&self, id: BlockId) -> &Block {
        &self.blocks[id.index()]
    }

    /// Tells whether something in a block leads to its end.
    pub fn ends(&self, id: BlockId) -> bool {
        self.block(id).edges.iter().any(|edge| edge.to == Place::End)
    }
}

fn is_distributed(state: &State) -> bool {
    use crate::asl::definition::MapMode;
    matches!(&state.kind, StateKind::Map(map) if matches!(map.mode, MapMode::Distributed { .. }))
}

fn inner_blocks(state: &State) -> Vec<BlockId> {
    match &state.kind {
        StateKind::Map(map) => vec![map.block],
        StateKind::Parallel(branches) => branches.clone(),
        _ => Vec::new(),
    }
}

/// Finds the object of every state. Names are unique in a definition that compiles.
fn sources(raw: &Value) -> BTreeMap<&str, &Value> {
    let mut found = BTreeMap::new();
    let mut open = vec![raw];
    while let Some(block) = open.pop() {
        for (name, state) in block.get("States").and_then(Value::as_object).into_iter().flatten() {
            found.insert(name.as_str(), state);
            open.extend(state.get("Branches").and_then(Value::as_array).into_iter().flatten());
            open.extend(["ItemProcessor", "Iterator"].iter().filter_map(|key| state.get(*key)));
        }
    }
    found
}

/// The edges of a block.
#[derive(Default)]
struct Edges {
    list: Vec<Edge>,
    known: BTreeMap<(Place, Place, EdgeKind), usize>,
}

impl Edges {
    fn of_state(&mut self, id: StateId, state: &State, source: &Value) {
        let from = Place::State(id);
        let at = |list: &str, index: usize| {
            source
                .get(list)
                .and_then(|list| list.get(index))
                .unwrap_or(&Value::Null)
        };
        match &state.kind {
            StateKind::Choice(choice) => {
                for (index, rule) in choice.rules.iter().enumerate() {
                    let label = wording::condition(at("Choices", index));
                    self.add(from, Place::State(rule.next), EdgeKind::Rule, Some(label));
                }
                if let Some(default) = choice.default {
                    self.add(
                        from,
                        Place::State(default),
                        EdgeKind::Default,
                        Some("default".to_owned()),
                    );
                }
            }
            StateKind::Fail(_) => {}
            _ => match state.transition {
                Transition::Next(next) => self.add(from, Place::State(next), EdgeKind::Next, None),
                Transition::End => self.add(from, Place::End, EdgeKind::Next, None),
            },
        }
        for (index, catcher) in state.catchers.iter().enumerate() {
            let label = wording::errors(at("Catch", index), &catcher.error_equals);
            self.add(from, Place::State(catcher.next), EdgeKind::Catch, Some(label));
        }
    }

    fn add(&mut self, from: Place, to: Place, kind: EdgeKind, label: Option<String>) {
        let next = self.list.len();
        let index = *self.known.entry((from, to, kind)).or_insert(next);
        if index == next {
            self.list.push(Edge {
                from,
                to,
                kind,
                labels: Vec::new(),
            });
        }
        self.list[index].labels.extend(label);
    }
}
