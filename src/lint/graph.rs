//! Where each state leads: the definition as a graph.
//!
//! A step leads from a state to another one of the same block. Inner blocks hang under the Parallel or Map that holds
//! them (`blocks`), and a block ends where its `ends` are: so no walk leaves a block by accident.

use std::collections::BTreeSet;

use crate::asl::definition::Definition;
use crate::asl::definition::StateKind;
use crate::asl::definition::Transition;
use crate::model::id::BlockId;
use crate::model::id::StateId;

/// Why an execution goes from a state to another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// An error that this catcher takes.
    Catch(usize),
    /// `Default`.
    Default,
    /// `Next`.
    Next,
    /// This Choice rule.
    Rule(usize),
}

/// A way from a state to another one of the same block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Step {
    /// Where it begins.
    pub from: StateId,
    /// Why it is taken.
    pub way: Way,
    /// Where it leads.
    pub to: StateId,
}

/// A set of states that all reach each other: the states of one or several loops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loop {
    /// In the order of the definition.
    pub states: Vec<StateId>,
}

/// All ways through a definition.
#[derive(Debug)]
pub struct Graph {
    successors: Vec<Vec<Step>>,
    predecessors: Vec<Vec<Step>>,
    /// The inner blocks of each state.
    blocks: Vec<Vec<BlockId>>,
    /// The states of each block, in the order of the definition.
    members: Vec<Vec<StateId>>,
    /// The states that end a block well.
    ends: Vec<Vec<StateId>>,
    loops: Vec<Loop>,
    loop_of: Vec<Option<usize>>,
}

impl Graph {
    /// Draws the graph of a definition, in time linear in its size.
    pub fn new(definition: &Definition) -> Self {
        let n_states = definition.states.len();
        let mut graph = Self {
            successors: vec![Vec::new(); n_states],
            predecessors: vec![Vec::new(); n_states],
            blocks: vec![Vec::new(); n_states],
            members: vec![Vec::new(); definition.blocks.len()],
            ends: vec![Vec::new(); definition.blocks.len()],
            loops: Vec::new(),
            loop_of: vec![None; n_states],
        };
        for (number, state) in definition.states.iter().enumerate() {
            let from = StateId(u32::try_from(number).unwrap_or(u32::MAX));
            let mut ways = Vec::new();
            match &state.kind {
                StateKind::Choice(choice) => {
                    let rules = choice.rules.iter().enumerate();
                    ways.extend(rules.map(|(index, rule)| (Way::Rule(index), rule.next)));
                    ways.extend(choice.default.map(|to| (Way::Default, to)));
                }
                StateKind::Fail(_) => {}
                _ => match state.transition {
                    Transition::Next(to) => ways.push((Way::Next, to)),
                    Transition::End => graph.ends[state.block.index()].push(from),
                },
            }
            let catchers = state.catchers.iter().enumerate();
            ways.extend(catchers.map(|(index, catcher)| (Way::Catch(index), catcher.next)));
            for (way, to) in ways {
                let step = Step { from, way, to };
                graph.successors[from.index()].push(step);
                graph.predecessors[to.index()].push(step);
            }
            graph.members[state.block.index()].push(from);
        }
        for (number, block) in definition.blocks.iter().enumerate() {
            if let Some(holder) = block.parent {
                let id = BlockId(u32::try_from(number).unwrap_or(u32::MAX));
                graph.blocks[holder.index()].push(id);
            }
        }
        graph.find_loops();
        graph
    }

    /// Returns the ways out of a state, in the order rules, `Default` or `Next`, catchers.
    pub fn successors(&self, id: StateId) -> &[Step] {
        &self.successors[id.index()]
    }

    /// Returns the ways into a state.
    pub fn predecessors(&self, id: StateId) -> &[Step] {
        &self.predecessors[id.index()]
    }

    /// Returns the inner blocks of a Parallel or Map.
    pub fn blocks(&self, id: StateId) -> &[BlockId] {
        &self.blocks[id.index()]
    }

    /// Returns the states of a block, without those of its inner blocks.
    pub fn members(&self, block: BlockId) -> &[StateId] {
        &self.members[block.index()]
    }

    /// Returns the states that end a block well: `End` and Succeed.
    pub fn ends(&self, block: BlockId) -> &[StateId] {
        &self.ends[block.index()]
    }

    /// Returns the sets of states that reach each other.
    pub fn loops(&self) -> &[Loop] {
        &self.loops
    }

    /// Returns the loop that a state is in.
    pub fn loop_of(&self, id: StateId) -> Option<&Loop> {
        self.loop_of[id.index()].and_then(|index| self.loops.get(index))
    }

    /// Tells whether two states are in one loop.
    pub fn share_loop(&self, a: StateId, b: StateId) -> bool {
        let index = self.loop_of[a.index()];
        index.is_some() && index == self.loop_of[b.index()]
    }

    /// Returns the states that can come after `start` in its block, `start` itself only when it is in a loop. With
    /// `inner`, the states inside of those too.
    pub fn after(&self, definition: &Definition, start: StateId, inner: bool) -> BTreeSet<StateId> {
        let next = self.successors(start).iter().map(|step| step.to);
        self.reached(definition, next, inner)
    }

    /// Returns `starts` and everything that can come after them, as [`Self::after`] does.
    pub fn reached(
        &self,
        definition: &Definition,
        starts: impl IntoIterator<Item = StateId>,
        inner: bool,
    ) -> BTreeSet<StateId> {
        let mut reached = BTreeSet::new();
        let mut queue: Vec<StateId> = starts.into_iter().collect();
        while let Some(id) = queue.pop() {
            if !reached.insert(id) {
                continue;
            }
            queue.extend(self.successors(id).iter().map(|step| step.to));
            if inner {
                let blocks = self.blocks(id).iter();
                queue.extend(blocks.map(|block| definition.block(*block).start_at));
            }
        }
        reached
    }

    /// Returns `ends` and every state of their blocks from which one of them can come.
    pub fn leading_to(&self, ends: impl IntoIterator<Item = StateId>) -> BTreeSet<StateId> {
        let mut found = BTreeSet::new();
        let mut queue: Vec<StateId> = ends.into_iter().collect();
        while let Some(id) = queue.pop() {
            if found.insert(id) {
                queue.extend(self.predecessors(id).iter().map(|step| step.from));
            }
        }
        found
    }

    /// Finds the strongly connected parts (Tarjan), without recursion: a chain may have 10,000 states.
    fn find_loops(&mut self) {
        const UNSEEN: usize = usize::MAX;
        let n_states = self.successors.len();
        let (mut order, mut low) = (vec![UNSEEN; n_states], vec![0; n_states]);
        let (mut on_stack, mut stack, mut n_seen) = (vec![false; n_states], Vec::new(), 0);
        for root in 0..n_states {
            if order[root] != UNSEEN {
                continue;
            }
            // A state under examination, and its next way out.
            let mut open = vec![(root, 0)];
            while let Some((state, way)) = open.pop() {
                if way == 0 {
                    order[state] = n_seen;
                    low[state] = n_seen;
                    n_seen += 1;
                    stack.push(state);
                    on_stack[state] = true;
                }
                if let Some(step) = self.successors[state].get(way) {
                    open.push((state, way + 1));
                    let to = step.to.index();
                    if order[to] == UNSEEN {
                        open.push((to, 0));
                    } else if on_stack[to] {
                        low[state] = low[state].min(order[to]);
                    }
                    continue;
                }
                if let Some((above, _)) = open.last() {
                    low[*above] = low[*above].min(low[state]);
                }
                if low[state] == order[state] {
                    let mut states = Vec::new();
                    while let Some(top) = stack.pop() {
                        on_stack[top] = false;
                        states.push(StateId(u32::try_from(top).unwrap_or(u32::MAX)));
                        if top == state {
                            break;
                        }
                    }
                    let returns = self.successors[state].iter().any(|step| step.to.index() == state);
                    if states.len() > 1 || returns {
                        states.sort_unstable();
                        self.loops.push(Loop { states });
                    }
                }
            }
        }
        self.loops.sort_by_key(|found| found.states.first().copied());
        for (index, found) in self.loops.iter().enumerate() {
            for state in &found.states {
                self.loop_of[state.index()] = Some(index);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use expect_test::Expect;
    use expect_test::expect;

    use super::*;
    use crate::asl::load::Options;
    use crate::asl::load::compile;

    fn compiled(text: &str) -> Definition {
        compile(text, &Options::default()).unwrap_or_else(|refused| panic!("{refused:?}"))
    }

    #[track_caller]
    fn check(text: &str, expected: &Expect) {
        let definition = compiled(text);
        let graph = Graph::new(&definition);
        let names = |ids: &[StateId]| -> String {
            let names: Vec<&str> = ids.iter().map(|id| &*definition.state(*id).name).collect();
            names.join(" ")
        };
        let mut shown = String::new();
        for block in (0..).map(BlockId).take(definition.blocks.len()) {
            let (members, ends) = (names(graph.members(block)), names(graph.ends(block)));
            let _ = writeln!(shown, "block {}: {members}; ends: {ends}", block.index());
            for id in graph.members(block) {
                for step in graph.successors(*id) {
                    assert!(graph.predecessors(step.to).contains(step));
                    let _ = writeln!(shown, "  {} {:?} {}", names(&[step.from]), step.way, names(&[step.to]));
                }
                for inner in graph.blocks(*id) {
                    let _ = writeln!(shown, "  {} holds {}", names(&[*id]), inner.index());
                }
            }
        }
        for found in graph.loops() {
            let _ = writeln!(shown, "loop: {}", names(&found.states));
        }
        expected.assert_eq(&shown);
    }

    #[test]
    fn every_way_is_a_step() {
        check(
            r#"{"StartAt":"C","States":{
                "C":{"Type":"Choice","Choices":[{"Variable":"$.a","IsNull":true,"Next":"T"},{"Variable":"$.a","IsPresent":true,"Next":"P"}],"Default":"F"},
                "T":{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage","Parameters":{"QueueUrl":"q","MessageBody":"m"},"Catch":[{"ErrorEquals":["A"],"Next":"C"},{"ErrorEquals":["States.ALL"],"Next":"F"}],"Next":"W"},
                "W":{"Type":"Wait","Seconds":1,"Next":"W2"},
                "W2":{"Type":"Choice","Choices":[{"Variable":"$.a","IsNull":true,"Next":"W2"}],"Default":"S"},
                "P":{"Type":"Parallel","Branches":[{"StartAt":"X","States":{"X":{"Type":"Pass","End":true}}},{"StartAt":"Y","States":{"Y":{"Type":"Map","ItemProcessor":{"StartAt":"Z","States":{"Z":{"Type":"Succeed"}}},"End":true}}}],"Next":"S"},
                "F":{"Type":"Fail"},
                "S":{"Type":"Succeed"}}}"#,
            &expect![[r#"
                block 0: C T W W2 P F S; ends: S
                  C Rule(0) T
                  C Rule(1) P
                  C Default F
                  T Next W
                  T Catch(0) C
                  T Catch(1) F
                  W Next W2
                  W2 Rule(0) W2
                  W2 Default S
                  P Next S
                  P holds 1
                  P holds 2
                block 1: X; ends: X
                block 2: Y; ends: Y
                  Y holds 3
                block 3: Z; ends: Z
                loop: C T
                loop: W2
            "#]],
        );
    }

    #[test]
    fn what_comes_after_a_state() {
        let definition = compiled(
            r#"{"StartAt":"A","States":{
                "A":{"Type":"Pass","Next":"P"},
                "P":{"Type":"Parallel","Branches":[{"StartAt":"X","States":{"X":{"Type":"Pass","End":true}}}],"Next":"S"},
                "S":{"Type":"Succeed"}}}"#,
        );
        let graph = Graph::new(&definition);
        let names = |inner| -> Vec<String> {
            let after = graph.after(&definition, definition.blocks[0].start_at, inner);
            after.iter().map(|id| definition.state(*id).name.to_string()).collect()
        };
        assert_eq!(names(false), ["P", "S"]);
        assert_eq!(names(true), ["P", "S", "X"]);
    }

    #[test]
    fn a_chain_of_10_000_states_needs_no_stack() {
        let mut states = String::new();
        for number in 0..9_999 {
            let _ = write!(states, r#""s{number}":{{"Type":"Pass","Next":"s{}"}},"#, number + 1);
        }
        let text = format!(r#"{{"StartAt":"s0","States":{{{states}"s9999":{{"Type":"Succeed"}}}}}}"#);
        let definition = compiled(&text);
        let graph = Graph::new(&definition);
        assert_eq!(graph.loops(), []);
        assert_eq!(
            graph.after(&definition, definition.blocks[0].start_at, true).len(),
            9_999
        );
    }
}
