//! What the rules look at: a definition, compiled and as it is written.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use crate::asl::definition::Definition;
use crate::asl::definition::State;
use crate::asl::node::Node;
use crate::lint::clock::Clock;
use crate::lint::flow::Flow;
use crate::lint::graph::Graph;
use crate::model::id::StateId;

/// A definition under examination.
#[derive(Debug)]
pub struct Subject<'a> {
    /// Compiled.
    pub definition: &'a Definition,
    /// As written, placeholders filled.
    pub(crate) root: &'a Node,
    /// The text that `root` was read from, or nothing.
    pub(crate) text: &'a str,
    /// The machine is EXPRESS.
    pub express: bool,
    written: Vec<Written<'a>>,
    is_whole: bool,
    clock: OnceCell<Clock>,
    flow: OnceCell<Flow>,
    graph: OnceCell<Graph>,
}

/// A state as written.
#[derive(Clone, Debug)]
pub(crate) struct Written<'a> {
    /// Its object.
    pub(crate) node: &'a Node,
    /// Its place: `/States/A/Branches[0]/States/B`.
    pub(crate) location: String,
}

impl<'a> Subject<'a> {
    /// Puts the compiled states and the written ones together.
    pub(crate) fn new(definition: &'a Definition, root: &'a Node, express: bool) -> Self {
        let mut by_start: BTreeMap<u32, Written<'a>> = BTreeMap::new();
        // Blocks wait in a list, so that nesting costs no stack.
        let mut blocks = vec![(root, String::new())];
        let mut n_blocks = 0;
        while let Some((block, at)) = blocks.pop() {
            n_blocks += 1;
            for member in block.get("States").map_or(&[][..], Node::members) {
                let (node, location) = (&member.value, format!("{at}/States/{}", member.key));
                for name in ["ItemProcessor", "Iterator"] {
                    blocks.extend(node.get(name).map(|block| (block, format!("{location}/{name}"))));
                }
                let branches = node.get("Branches").map_or(&[][..], Node::elements);
                let branches = branches.iter().enumerate();
                blocks.extend(branches.map(|(index, block)| (block, format!("{location}/Branches[{index}]"))));
                by_start.insert(node.span.start, Written { node, location });
            }
        }
        let is_whole = (by_start.len(), n_blocks) == (definition.states.len(), definition.blocks.len());
        let nowhere = Written {
            node: root,
            location: String::new(),
        };
        let written = definition.states.iter();
        let written = written.map(|state| by_start.remove(&state.span.start).unwrap_or_else(|| nowhere.clone()));
        Self {
            definition,
            root,
            text: "",
            express,
            written: written.collect(),
            is_whole,
            clock: OnceCell::new(),
            flow: OnceCell::new(),
            graph: OnceCell::new(),
        }
    }

    /// Tells whether all its states are there. A placeholder may stand for one, or for all of a block: then some targets
    /// lead to states that do not exist, or to others than are meant.
    pub(crate) fn is_whole(&self) -> bool {
        let mut blocks = self.definition.blocks.iter();
        self.is_whole && blocks.all(|block| block.start_at.index() < self.definition.states.len())
    }

    /// Returns all states, compiled and as written, in the order of the definition.
    pub(crate) fn states(&self) -> impl Iterator<Item = (StateId, &'a State, &Written<'a>)> {
        let states = self.definition.states.iter().zip(&self.written).enumerate();
        states.map(|(number, (state, written))| (StateId(u32::try_from(number).unwrap_or(u32::MAX)), state, written))
    }

    /// Returns a state as written.
    pub(crate) fn written(&self, id: StateId) -> &Written<'a> {
        &self.written[id.index()]
    }

    /// Returns the times of the definition.
    pub(crate) fn clock(&self) -> &Clock {
        self.clock.get_or_init(|| Clock::new(self))
    }

    /// Returns what is known of the data that every state gets.
    pub(crate) fn flow(&self) -> &Flow {
        self.flow.get_or_init(|| Flow::new(self))
    }

    /// Tells whether a placeholder stands where a state is named: then nobody knows all the ways.
    pub(crate) fn has_open_target(&self) -> bool {
        let is_open = |node: &Node, name: &str| node.get(name).is_some_and(Node::is_open);
        let mut states = self.written.iter().map(|written| written.node);
        is_open(self.root, "StartAt")
            || states.any(|state| {
                let blocks = ["ItemProcessor", "Iterator"]
                    .into_iter()
                    .filter_map(|name| state.get(name));
                let lists = ["Branches", "Catch", "Choices"]
                    .into_iter()
                    .filter_map(|name| state.get(name));
                let mut within = blocks.chain(lists.flat_map(Node::elements));
                is_open(state, "Next")
                    || is_open(state, "Default")
                    || within.any(|node| is_open(node, "Next") || is_open(node, "StartAt"))
            })
    }

    /// Returns where each state leads.
    pub(crate) fn graph(&self) -> &Graph {
        self.graph.get_or_init(|| Graph::new(self.definition))
    }
}
