//! What data every state gets: all ways through a machine, followed until nothing new comes.
//!
//! `shape` is the lattice, `eval` gives the shape of a field's value and notes what it reads, `results` knows the
//! integrations, `state` says what a state makes of its input, and this file walks until all is known.
//!
//! Invariant: what is not known is `Unknown`, and nothing is ever said of it.
//! Bound: a state is looked at `VISITS_MAX` times at most before it counts as unknown; shapes have bounded depth and
//! breadth. So the time is linear in the size of a definition.

pub(crate) mod describe;
mod eval;
mod results;
mod shape;
mod state;
#[cfg(test)]
mod tests;
mod variables;

use std::collections::BTreeSet;

use crate::asl::definition::Definition;
use crate::asl::node::Node;
use crate::lint::flow::state::Effects;
use crate::lint::graph::Graph;
use crate::lint::subject::Subject;
use crate::model::id::StateId;

pub(crate) use crate::lint::flow::eval::From;
pub(crate) use crate::lint::flow::eval::Read;
pub(crate) use crate::lint::flow::eval::Source;
pub(crate) use crate::lint::flow::eval::assigned;
pub(crate) use crate::lint::flow::shape::Object;
pub(crate) use crate::lint::flow::shape::Origin;
pub(crate) use crate::lint::flow::shape::Scalar;
pub(crate) use crate::lint::flow::shape::Shape;
pub(crate) use crate::lint::flow::shape::Verdict;
pub(crate) use crate::lint::flow::variables::Variables;

/// How often a state is looked at before it counts as unknown.
const VISITS_MAX: u32 = 24;

/// What is known when a state is entered.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) input: Shape,
    pub(crate) variables: Variables,
    /// The first way that led here.
    via: Origin,
    visits: u32,
}

/// What is known of all states.
#[derive(Debug)]
pub(crate) struct Flow {
    /// What each state gets; nothing for one that no execution can reach.
    facts: Vec<Option<Facts>>,
    /// What each block gives.
    outputs: Vec<Option<Shape>>,
    /// Everything that is read, state by state in the order of the definition.
    reads: Vec<Read>,
}

impl Flow {
    pub(crate) fn new(subject: &Subject<'_>) -> Self {
        let definition = subject.definition;
        let mut flow = Self {
            facts: vec![None; definition.states.len()],
            outputs: vec![None; definition.blocks.len()],
            reads: Vec::new(),
        };
        let open: Vec<bool> = subject.states().map(|(_, _, written)| is_open(written.node)).collect();
        let order = order(definition, subject.graph());
        let mut queue = BTreeSet::new();
        if subject.has_open_target() {
            return flow;
        }
        if let Some(machine) = definition.blocks.first() {
            flow.facts[machine.start_at.index()] = Some(Facts {
                input: Shape::Unknown,
                variables: Variables::none(),
                via: Origin::Start,
                visits: 0,
            });
            queue.insert((order[machine.start_at.index()], machine.start_at));
        }
        while let Some((_, id)) = queue.pop_first() {
            let Some(facts) = flow.facts[id.index()].clone() else {
                continue;
            };
            let effects = state::run(definition, id, &facts, &flow.outputs, open[id.index()], None);
            flow.spread(definition, id, effects, &mut |id| {
                queue.insert((order[id.index()], id));
            });
        }
        let mut reads = Vec::new();
        for (id, _, written) in subject.states() {
            let Some(facts) = &flow.facts[id.index()] else { continue };
            let before = reads.len();
            let _ = state::run(definition, id, facts, &flow.outputs, open[id.index()], Some(&mut reads));
            for read in reads.iter_mut().skip(before) {
                // The old spelling, and that of JSONata.
                for (new, old) in [
                    ("/ItemSelector", "/Parameters"),
                    ("/ResultWriter/Parameters", "/ResultWriter/Arguments"),
                ] {
                    if let Some(rest) = read.place.strip_prefix(new)
                        && std::ptr::eq(written.node.follow(new), written.node)
                    {
                        read.place = format!("{old}{rest}");
                    }
                }
            }
            if open[id.index()] {
                // What stands in for a placeholder says nothing.
                for read in reads.iter_mut().skip(before) {
                    if written.node.follow(&read.place).is_open() {
                        read.verdict = Verdict::Possible;
                    }
                }
            }
        }
        flow.reads = reads;
        flow
    }

    /// Returns what a state gets; nothing when no execution can reach it.
    pub(crate) fn facts(&self, id: StateId) -> Option<&Facts> {
        self.facts[id.index()].as_ref()
    }

    /// Returns everything that is read.
    pub(crate) fn reads(&self) -> &[Read] {
        &self.reads
    }

    /// Gives what a state makes to those behind it; `wake` gets those that learnt something new.
    fn spread(&mut self, definition: &Definition, id: StateId, effects: Effects, wake: &mut dyn FnMut(StateId)) {
        for (step, input, variables) in effects.steps {
            self.enter(step.to, input, variables, Origin::Way(step), wake);
        }
        for (block, input, variables) in effects.blocks {
            let start = definition.block(block).start_at;
            self.enter(start, input, variables, Origin::Start, wake);
        }
        if let Some(output) = effects.end {
            let block = definition.state(id).block;
            let joined = match &self.outputs[block.index()] {
                None => output,
                Some(known) => {
                    let joined = known.join(&output);
                    if joined == *known {
                        return;
                    }
                    joined
                }
            };
            self.outputs[block.index()] = Some(joined);
            if let Some(holder) = definition.block(block).parent {
                wake(holder);
            }
        }
    }

    fn enter(&mut self, id: StateId, input: Shape, variables: Variables, via: Origin, wake: &mut dyn FnMut(StateId)) {
        let place = &mut self.facts[id.index()];
        let Some(facts) = place else {
            *place = Some(Facts {
                input,
                variables,
                via,
                visits: 1,
            });
            wake(id);
            return;
        };
        if VISITS_MAX < facts.visits {
            return;
        }
        let joined = facts.input.join(&input);
        let variables = facts.variables.join(facts.via, &variables, via);
        if joined == facts.input && variables == facts.variables {
            return;
        }
        facts.visits += 1;
        if VISITS_MAX < facts.visits {
            facts.input = Shape::Unknown;
            facts.variables = Variables::Unknown;
        } else {
            facts.input = joined;
            facts.variables = variables;
        }
        wake(id);
    }
}

/// Tells whether a placeholder without a value is anywhere in a state, not counting the states inside it.
fn is_open(state: &Node) -> bool {
    let mut queue = vec![state];
    while let Some(node) = queue.pop() {
        if node.is_open() {
            return true;
        }
        let inner = |key: &str| matches!(key, "Branches" | "ItemProcessor" | "Iterator");
        queue.extend(
            node.members()
                .iter()
                .filter(|member| !inner(&member.key))
                .map(|member| &member.value),
        );
        queue.extend(node.elements());
    }
    false
}

/// Returns each state's place in an order in which most ways lead forward, inner blocks behind their holder.
fn order(definition: &Definition, graph: &Graph) -> Vec<u32> {
    let mut places = vec![u32::MAX; definition.states.len()];
    let mut seen = vec![false; definition.states.len()];
    let mut left = Vec::new();
    let Some(machine) = definition.blocks.first() else {
        return places;
    };
    // A state under examination, and its next way out: first behind it, then inside it.
    let mut open = vec![(machine.start_at, 0)];
    seen[machine.start_at.index()] = true;
    while let Some((id, way)) = open.pop() {
        let (steps, blocks) = (graph.successors(id), graph.blocks(id));
        let next = match steps.get(way) {
            Some(step) => Some(step.to),
            None => blocks
                .get(way - steps.len())
                .map(|block| definition.block(*block).start_at),
        };
        let Some(next) = next else {
            left.push(id);
            continue;
        };
        open.push((id, way + 1));
        if !std::mem::replace(&mut seen[next.index()], true) {
            open.push((next, 0));
        }
    }
    for (place, id) in left.iter().rev().enumerate() {
        places[id.index()] = u32::try_from(place).unwrap_or(u32::MAX);
    }
    places
}
