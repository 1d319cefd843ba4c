//! The states of an execution as a tree, read from its history.

use std::collections::HashMap;

use serde_json::Value;

use crate::cli::client::text;
use crate::cli::table;
use crate::model::timestamp::Timestamp;

/// A visit of a state, or an iteration of an inline Map.
#[derive(Debug, Default)]
pub(crate) struct Node {
    /// The state's name, or `#` and the iteration's index.
    pub(crate) name: String,
    /// `Task`, …; empty for an iteration.
    pub(crate) kind: String,
    pub(crate) entered: Timestamp,
    pub(crate) left: Option<Timestamp>,
    pub(crate) n_attempts: u32,
    /// Error and cause of the last failure.
    pub(crate) error: Option<(String, String)>,
    pub(crate) has_failed: bool,
    /// The state was left for where its `Catch` leads.
    pub(crate) is_caught: bool,
    /// The visit before it in the same run of the block.
    pub(crate) previous: Option<usize>,
    pub(crate) input: Option<String>,
    pub(crate) output: Option<String>,
    pub(crate) children: Vec<usize>,
    parent: Option<usize>,
    /// The last that happened in it is an error.
    pub(crate) fails: bool,
}

/// All visits.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub(crate) nodes: Vec<Node>,
    pub(crate) roots: Vec<usize>,
    /// Which node an event belongs to, and whether a state that follows it stands beside that node.
    owners: HashMap<u64, (Option<usize>, bool)>,
}

impl Tree {
    pub(crate) fn of(events: &[Value]) -> Self {
        let mut tree = Self::default();
        for event in events {
            tree.take(event);
        }
        tree
    }

    fn take(&mut self, event: &Value) {
        let number = |name: &str| event.get(name).and_then(Value::as_u64).unwrap_or(0);
        let kind = text(event, "type");
        let at = table::timestamp(event.get("timestamp")).unwrap_or_default();
        let members = event.as_object().into_iter().flatten();
        let details = members.filter(|(name, _)| name.ends_with("EventDetails"));
        let empty = Value::Null;
        let details = details.map(|(_, details)| details).next().unwrap_or(&empty);
        let (owner, is_over) = self
            .owners
            .get(&number("previousEventId"))
            .copied()
            .unwrap_or((None, false));
        let name = text(details, "name");
        let member = |name: &str| details.get(name).and_then(Value::as_str).map(str::to_owned);
        let mut place = (owner, is_over);
        if let Some(state) = kind.strip_suffix("StateEntered") {
            // A state after another stands beside it; the first of a branch stands in the Parallel or the iteration.
            let parent = if is_over { self.parent(owner) } else { owner };
            place.0 = Some(self.add(parent, name, state, at));
            place.1 = false;
            if let Some(node) = self.node(place.0) {
                node.previous = owner.filter(|_| is_over);
                node.input = member("input");
            }
        } else if kind.ends_with("StateExited") {
            place = (
                self.climb(owner, |node| node.name == name && !node.kind.is_empty()),
                true,
            );
            if let Some(node) = self.node(place.0) {
                node.left = Some(at);
                node.is_caught = node.fails;
                node.output = member("output");
            }
        } else if kind == "MapIterationStarted" {
            let map = self.climb(owner, |node| node.name == name && node.kind == "Map");
            place = (Some(self.add(map, &format!("#{}", details["index"]), "", at)), false);
        } else if let Some(how) = kind.strip_prefix("MapIteration") {
            let index = format!("#{}", details["index"]);
            let iteration = self.climb(owner, |node| node.name == index && node.kind.is_empty());
            if let Some(node) = self.node(iteration) {
                node.left = Some(at);
                node.has_failed = how != "Succeeded";
            }
        } else if kind.ends_with("Scheduled") {
            place.1 = false;
            if let Some(node) = self.node(owner) {
                node.n_attempts += 1;
                node.fails = false;
            }
        } else if matches!(kind, "MapStateStarted" | "ParallelStateStarted") {
            // Retry lets it start once more.
            if let Some(node) = self.node(owner) {
                node.fails = false;
            }
        } else if kind.ends_with("Succeeded") && !kind.starts_with("Execution") {
            place = (self.whole(owner, kind), false);
            if let Some(node) = self.node(place.0) {
                node.fails = false;
            }
        } else if (kind.ends_with("Failed") || kind.ends_with("TimedOut")) && !kind.starts_with("Execution") {
            place = (self.whole(owner, kind), false);
            if let Some(node) = self.node(place.0) {
                node.fails = true;
                let error = |name: &str| member(name).unwrap_or_default();
                if details.get("error").is_some() {
                    node.error = Some((error("error"), error("cause")));
                }
            }
        } else if let Some(state) = kind.strip_suffix("StateAborted") {
            // It may follow an event of the branch that failed.
            let open = |node: &Node| node.kind == state && node.left.is_none();
            let own = owner.filter(|_| !is_over).filter(|index| open(&self.nodes[*index]));
            if let Some(node) = self.node(own.or_else(|| self.nodes.iter().rposition(open))) {
                node.has_failed = true;
                node.left = Some(at);
            }
        } else if kind.starts_with("Execution")
            && kind != "ExecutionSucceeded"
            && let Some(node) = self.node(owner.filter(|_| !is_over))
        {
            node.has_failed = true;
            node.left = Some(at);
            if node.error.is_none() && details.get("error").is_some() {
                let error = |name: &str| member(name).unwrap_or_default();
                node.error = Some((error("error"), error("cause")));
            }
        }
        self.owners.insert(number("id"), place);
    }

    fn add(&mut self, parent: Option<usize>, name: &str, kind: &str, at: Timestamp) -> usize {
        let index = self.nodes.len();
        self.nodes.push(Node {
            name: name.to_owned(),
            kind: kind.to_owned(),
            entered: at,
            parent,
            ..Node::default()
        });
        match self.node(parent) {
            Some(parent) => parent.children.push(index),
            None => self.roots.push(index),
        }
        index
    }

    fn node(&mut self, index: Option<usize>) -> Option<&mut Node> {
        self.nodes.get_mut(index?)
    }

    fn parent(&self, index: Option<usize>) -> Option<usize> {
        self.nodes.get(index?)?.parent
    }

    /// Returns the state that an event speaks of: a Parallel's or Map's own event may follow one of a state inside.
    fn whole(&self, owner: Option<usize>, kind: &str) -> Option<usize> {
        let around = ["Parallel", "Map"].into_iter().find(|around| kind.starts_with(around));
        match around {
            Some(around) => self.climb(owner, |node| node.kind == around),
            None => owner,
        }
    }

    /// Finds the nearest node, itself or around it, that fits.
    fn climb(&self, mut index: Option<usize>, fits: impl Fn(&Node) -> bool) -> Option<usize> {
        while let Some(found) = index {
            if fits(&self.nodes[found]) {
                return Some(found);
            }
            index = self.parent(index);
        }
        None
    }
}
