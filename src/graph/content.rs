//! What stands in the box of a state, for every format.

use crate::graph::model::Graph;
use crate::graph::overlay::Overlay;
use crate::graph::theme;
use crate::model::id::StateId;

/// A line in a box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it says.
    pub text: String,
    /// What it is.
    pub role: Role,
}

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The state's name.
    Name,
    /// What the definition says of it.
    Detail,
    /// What the execution did.
    Fact,
}

/// Returns the lines of a state's box.
pub fn lines(graph: &Graph, overlay: Option<&Overlay>, id: StateId) -> Vec<Line> {
    let node = graph.node(id);
    let name = match overlay.map(|overlay| theme::mark(overlay.outcome(id))) {
        Some(mark) if !mark.is_empty() => format!("{mark} {}", node.name),
        _ => node.name.to_string(),
    };
    let mut lines = vec![Line {
        text: name,
        role: Role::Name,
    }];
    lines.extend(node.details.iter().map(|text| Line {
        text: text.clone(),
        role: Role::Detail,
    }));
    let facts = overlay.map_or_else(Vec::new, |overlay| overlay.lines(id));
    lines.extend(facts.into_iter().map(|text| Line { text, role: Role::Fact }));
    lines
}
