//! The entries of `Retry` and `Catch`, compiled and as written.

use std::sync::Arc;

use crate::asl::definition::Catcher;
use crate::asl::definition::Retrier;
use crate::asl::definition::State;
use crate::asl::node::Node;
use crate::lint::subject::Written;

/// Names that no retrier or catcher ever sees.
const NEVER: &[&str] = &["States.NoChoiceMatched", "States.Runtime"];

/// One entry.
#[derive(Debug)]
pub(crate) struct Entry<'a, T> {
    pub(crate) what: &'a T,
    pub(crate) node: &'a Node,
    /// `/States/A/Retry[0]`.
    pub(crate) location: String,
}

/// What a retrier and a catcher share: names of errors.
pub(crate) trait Names {
    /// Returns `ErrorEquals`.
    fn names(&self) -> &[Arc<str>];
}

impl Names for Retrier {
    fn names(&self) -> &[Arc<str>] {
        &self.error_equals
    }
}

impl Names for Catcher {
    fn names(&self) -> &[Arc<str>] {
        &self.error_equals
    }
}

impl<'a, T: Names> Entry<'a, T> {
    /// Returns the names of the errors, each with its place in the text.
    pub(crate) fn names(&self) -> impl Iterator<Item = (&'a str, &'a Node)> {
        let nodes = self.node.get("ErrorEquals").map_or(&[][..], Node::elements);
        self.what.names().iter().map(|name| &**name).zip(nodes)
    }

    /// Tells whether a placeholder hides one of its numbers.
    pub(crate) fn has_open_number(&self) -> bool {
        self.node.members().iter().any(|member| member.value.is_open())
    }

    /// Tells whether a placeholder hides one of its names, so that it may match anything.
    pub(crate) fn has_open_name(&self) -> bool {
        self.names().any(|(_, node)| node.is_open())
    }

    /// Tells whether one of its names matches that error of a Task.
    pub(crate) fn matches(&self, error: &str) -> bool {
        self.names().any(|(name, _)| covers(name, error))
    }
}

/// Tells whether a name of `ErrorEquals` matches an error of a Task.
pub(crate) fn covers(name: &str, error: &str) -> bool {
    match name {
        _ if NEVER.contains(&error) => false,
        "States.ALL" => true,
        // Whether it matches a result that is too large is not known.
        "States.TaskFailed" => !matches!(
            error,
            "States.ALL" | "States.DataLimitExceeded" | "States.HeartbeatTimeout" | "States.Timeout"
        ),
        // A missed heartbeat arrives under either name.
        "States.Timeout" => matches!(error, "States.HeartbeatTimeout" | "States.Timeout"),
        _ => name == error,
    }
}

/// Returns the entries of `Retry`.
pub(crate) fn retriers<'a>(state: &'a State, written: &Written<'a>) -> impl Iterator<Item = Entry<'a, Retrier>> {
    entries(&state.retriers, written, "Retry")
}

/// Returns the entries of `Catch`.
pub(crate) fn catchers<'a>(state: &'a State, written: &Written<'a>) -> impl Iterator<Item = Entry<'a, Catcher>> {
    entries(&state.catchers, written, "Catch")
}

fn entries<'a, T>(
    compiled: &'a [T],
    written: &Written<'a>,
    field: &str,
) -> impl Iterator<Item = Entry<'a, T>> + use<'a, T> {
    let nodes = written.node.get(field).map_or(&[][..], Node::elements);
    let at = format!("{}/{field}", written.location);
    let entries = compiled.iter().zip(nodes).enumerate();
    entries.map(move |(index, (what, node))| Entry {
        what,
        node,
        location: format!("{at}[{index}]"),
    })
}
