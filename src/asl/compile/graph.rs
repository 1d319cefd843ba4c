//! Targets, reachability and ends of one block.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::asl::diagnostic::Diagnostic;
use crate::model::id::StateId;
use crate::model::span::Span;

/// A field that names a state.
pub(super) struct Edge {
    pub(super) from: StateId,
    pub(super) to: String,
    pub(super) at: String,
    pub(super) span: Span,
}

/// The states of one block and where they lead.
pub(super) struct Graph<'a> {
    pub(super) is_machine: bool,
    pub(super) start: Option<(&'a str, String, Span)>,
    pub(super) names: &'a BTreeMap<&'a str, StateId>,
    pub(super) nodes: &'a [(StateId, Arc<str>, String, Span)],
    pub(super) edges: &'a [Edge],
    pub(super) has_terminal: bool,
    /// A placeholder stands where a state should be named, so nothing can be said about reachability.
    pub(super) has_open_target: bool,
}

impl Graph<'_> {
    /// Dangling targets first, then a missing end, which hides the unreachable states (recorded order).
    pub(super) fn check(&self) -> Vec<Diagnostic> {
        let mut findings = Vec::new();
        if let Some((name, at, span)) = &self.start
            && !self.names.contains_key(name)
            && !self.has_open_target
        {
            findings.push(missing(name, at, *span));
        }
        for edge in self.edges {
            if !self.names.contains_key(edge.to.as_str()) {
                findings.push(missing(&edge.to, &edge.at, edge.span));
            }
        }
        if self.has_open_target {
            return findings;
        }
        if self.is_machine && !self.has_terminal {
            findings.push(Diagnostic {
                code: "MISSING_END_STATE",
                message: "Workflow has no terminal state".to_owned(),
                location: None,
                span: None,
            });
            return findings;
        }
        let reached = self.reached();
        for (id, name, at, span) in self.nodes {
            if !reached.contains(id) && self.start.is_some() {
                findings.push(Diagnostic {
                    code: "MISSING_TRANSITION_TARGET",
                    message: format!("State \"{name}\" is not reachable."),
                    location: Some(at.clone()),
                    span: Some(*span),
                });
            }
        }
        findings
    }

    fn reached(&self) -> BTreeSet<StateId> {
        let mut targets: BTreeMap<StateId, Vec<StateId>> = BTreeMap::new();
        for edge in self.edges {
            if let Some(to) = self.names.get(edge.to.as_str()) {
                targets.entry(edge.from).or_default().push(*to);
            }
        }
        let start = self.start.as_ref().and_then(|(name, ..)| self.names.get(name));
        let mut reached = BTreeSet::new();
        let mut queue: Vec<StateId> = start.copied().into_iter().collect();
        while let Some(id) = queue.pop() {
            if reached.insert(id) {
                queue.extend(targets.get(&id).into_iter().flatten());
            }
        }
        reached
    }
}

fn missing(name: &str, at: &str, span: Span) -> Diagnostic {
    Diagnostic {
        code: "MISSING_TRANSITION_TARGET",
        message: format!("Missing 'Next' target: {name}"),
        location: Some(at.to_owned()),
        span: Some(span),
    }
}
