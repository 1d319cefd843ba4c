//! What the text of an expression tells before it runs.

use std::collections::BTreeSet;

use jlens_core::Ast;
use jlens_core::Node;
use jlens_core::NodeKind;
use jlens_core::ast::BinaryOp;
use jlens_core::ast::FallbackOp;
use jlens_core::ast::Stage;
use jlens_core::stack::grow;

use crate::query::error::CompileError;
use crate::query::jsonata::expression::FieldScope;
use crate::query::jsonata::functions;
use crate::query::jsonata::infinity::Operator;

/// The reserved variable.
const STATES: &str = "states";

/// Facts about an expression.
#[derive(Default)]
pub(super) struct Survey {
    /// Every variable and function named, in order of first appearance, without `states`.
    pub(super) names: Vec<String>,
    /// The names read that nothing in the expression binds, without functions that are only called.
    pub(super) variables: Vec<String>,
    /// References that Step Functions refuses.
    pub(super) refused: Vec<CompileError>,
    /// How many levels of evaluation the text nests.
    pub(super) nesting: usize,
    /// The arithmetic operators.
    pub(super) operators: Vec<Operator>,
    /// The right sides of `and` and `or`, the outer before the inner.
    pub(super) operands: Vec<Operand>,
    /// A function may take its context as an argument.
    pub(super) takes_context: bool,
    known_names: BTreeSet<String>,
    known_variables: BTreeSet<String>,
}

/// The right side of `and` or `or`: a range of the text.
#[derive(Clone, Copy)]
pub(super) struct Operand {
    pub(super) operator: &'static str,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Returns what JSONata 2.0.6 says about the first `??` or `?:`, which came with 2.1, and where it stands.
pub(super) fn later_operator(node: &Node) -> Option<(String, usize)> {
    grow(|| {
        let mut first = None;
        node.for_each_child(|child| {
            if first.is_none() {
                first = later_operator(child);
            }
        });
        let NodeKind::Fallback { op, .. } = &node.kind else {
            return first;
        };
        // The `?` passes for that of a condition; what comes next cannot start its second part.
        let found = match op {
            FallbackOp::Coalesce => "?",
            FallbackOp::Default => ":",
        };
        let offset = node.pos.saturating_sub(1);
        match first {
            Some((message, earlier)) if earlier < offset => Some((message, earlier)),
            _ => Some((
                format!("The symbol \"{found}\" cannot be used as a unary operator"),
                offset,
            )),
        }
    })
}

/// Surveys an expression.
pub(super) fn survey(ast: &Ast, scope: FieldScope) -> Survey {
    let mut survey = Survey {
        nesting: nesting(&ast.root),
        ..Survey::default()
    };
    let mut scopes = Scopes::default();
    scopes.open(&ast.root, false);
    survey.names(&ast.root, &mut scopes, false);
    let mut findings = Vec::new();
    top_level(&ast.root, &mut findings);
    anywhere(&ast.root, scope, &mut findings);
    findings.sort_by_key(|(offset, _)| *offset);
    let mut known = BTreeSet::new();
    for (offset, message) in findings {
        if known.insert(message.clone()) {
            survey.refused.push(CompileError {
                key: None,
                code: "UNSUPPORTED_JSONATA_EXPRESSION",
                message,
                location: String::new(),
                offset: Some(offset),
            });
        }
    }
    survey
}

fn nesting(node: &Node) -> usize {
    grow(|| {
        let mut deepest = 0;
        // The body of a function counts where it is called, not where it is written.
        if !matches!(node.kind, NodeKind::Lambda(_)) {
            node.for_each_child(|child| deepest = deepest.max(nesting(child)));
        }
        deepest + 1
    })
}

/// Names in scope, to tell the workflow's variables from the expression's own.
#[derive(Default)]
struct Scopes(Vec<Scope>);

#[derive(Default)]
struct Scope {
    bound: BTreeSet<String>,
    /// Bound further on: a function body that runs later sees these.
    later: BTreeSet<String>,
    /// The scope is that of a function's body.
    function: bool,
}

impl Scopes {
    fn open(&mut self, body: &Node, function: bool) {
        let mut scope = Scope {
            function,
            ..Scope::default()
        };
        bindings(body, true, &mut scope.later);
        self.0.push(scope);
    }

    fn bind(&mut self, name: &str) {
        if let Some(scope) = self.0.last_mut() {
            scope.bound.insert(name.to_owned());
        }
    }

    fn binds(&self, name: &str) -> bool {
        let mut crossed = false;
        for scope in self.0.iter().rev() {
            if scope.bound.contains(name) || crossed && scope.later.contains(name) {
                return true;
            }
            crossed |= scope.function;
        }
        false
    }
}

/// Collects what is bound in the frame of `node` itself.
fn bindings(node: &Node, outermost: bool, found: &mut BTreeSet<String>) {
    grow(|| match &node.kind {
        NodeKind::Block { .. } | NodeKind::Lambda(_) if !outermost => {}
        _ => {
            if let NodeKind::Bind { lhs, .. } = &node.kind
                && let NodeKind::Variable { name } = &lhs.kind
            {
                found.insert(name.clone());
            }
            node.for_each_child(|child| bindings(child, false, found));
        }
    });
}

impl Survey {
    fn name(&mut self, name: &str, scopes: &Scopes, called: bool) {
        // `$`, `$$` and the engine's own names for parents are no variables.
        if name.is_empty() || name == "$" || name.starts_with('!') || name == STATES {
            return;
        }
        if self.known_names.insert(name.to_owned()) {
            self.names.push(name.to_owned());
        }
        let is_own = scopes.binds(name) || called && functions::is_function(name);
        if !is_own && self.known_variables.insert(name.to_owned()) {
            self.variables.push(name.to_owned());
        }
    }

    /// `called`: the value of the node is used as a function, or may be.
    fn names(&mut self, node: &Node, scopes: &mut Scopes, called: bool) {
        grow(|| self.names_of(node, scopes, called));
    }

    fn names_of(&mut self, node: &Node, scopes: &mut Scopes, called: bool) {
        match &node.kind {
            NodeKind::Variable { name } => self.name(name, scopes, called),
            NodeKind::Bind { lhs, rhs } => {
                let NodeKind::Variable { name } = &lhs.kind else {
                    self.names(rhs, scopes, false);
                    return;
                };
                if matches!(rhs.kind, NodeKind::Lambda(_)) {
                    scopes.bind(name);
                }
                self.names(rhs, scopes, true);
                scopes.bind(name);
            }
            NodeKind::Block { exprs, .. } => {
                scopes.open(node, false);
                for expr in exprs {
                    self.names(expr, scopes, called);
                }
                scopes.0.pop();
            }
            NodeKind::Lambda(definition) => {
                self.takes_context |= definition.signature.is_some();
                scopes.open(&definition.body, true);
                for parameter in &definition.params {
                    scopes.bind(parameter);
                }
                self.names(&definition.body, scopes, false);
                scopes.0.pop();
            }
            NodeKind::Function { procedure, args } | NodeKind::Partial { procedure, args } => {
                self.takes_context |= match &procedure.kind {
                    NodeKind::Variable { name } => functions::takes_context(name, args.len()),
                    _ => false,
                };
                self.names(procedure, scopes, true);
                for arg in args {
                    let function = matches!(&arg.kind, NodeKind::Variable { name } if functions::is_function(name));
                    self.names(arg, scopes, function);
                }
            }
            NodeKind::Apply { lhs, rhs } => {
                self.names(lhs, scopes, true);
                self.names(rhs, scopes, true);
            }
            NodeKind::Path { steps, .. } => {
                for step in steps {
                    self.names(step, scopes, false);
                }
                return self.names_of_attributes(node, scopes);
            }
            _ => {
                if let NodeKind::Binary { op, .. } = &node.kind {
                    if matches!(op, BinaryOp::And | BinaryOp::Or) {
                        self.operands.push(Operand {
                            operator: op.symbol(),
                            start: node.pos,
                            end: node.span.end,
                        });
                    }
                    self.operators.extend(Operator::of(*op, node));
                }
                // Children of the other kinds, then predicates and groups, come in the order of the text.
                let mut children = Vec::new();
                node.for_each_child(|child| children.push(child));
                for child in children {
                    self.names(child, scopes, called && matches!(node.kind, NodeKind::Condition { .. }));
                }
                self.bind_attributes(node, scopes);
                return;
            }
        }
        self.names_of_attributes(node, scopes);
    }

    fn bind_attributes(&mut self, node: &Node, scopes: &mut Scopes) {
        let attributes = &node.attrs;
        for name in [&attributes.focus, &attributes.index].into_iter().flatten() {
            scopes.bind(name);
        }
    }

    fn names_of_attributes(&mut self, node: &Node, scopes: &mut Scopes) {
        self.bind_attributes(node, scopes);
        let attributes = &node.attrs;
        for stage in attributes.stages.iter().chain(&attributes.predicate) {
            match stage {
                Stage::Filter { expr, .. } => self.names(expr, scopes, false),
                Stage::Index { var, .. } => scopes.bind(var),
            }
        }
        if let Some(group) = &attributes.group {
            for (key, value) in &group.pairs {
                self.names(key, scopes, false);
                self.names(value, scopes, false);
            }
        }
    }
}

type Findings = Vec<(usize, String)>;

/// Finds names that would be read from a context where there is none.
fn top_level(node: &Node, findings: &mut Findings) {
    grow(|| match &node.kind {
        NodeKind::Path { steps, .. } => {
            if let Some(first) = steps.first() {
                top_level(first, findings);
            }
        }
        NodeKind::Name { name } => refuse_top_level(node, name, findings),
        NodeKind::Variable { name } if name.is_empty() => refuse_top_level(node, "$", findings),
        NodeKind::Bind { rhs, .. } => top_level(rhs, findings),
        NodeKind::Lambda(definition) => top_level(&definition.body, findings),
        NodeKind::Transform(_) | NodeKind::Sort { .. } => {}
        NodeKind::Binary { lhs, rhs, .. } | NodeKind::Fallback { lhs, rhs, .. } | NodeKind::Apply { lhs, rhs } => {
            top_level(lhs, findings);
            top_level(rhs, findings);
        }
        NodeKind::Negate { expr } => top_level(expr, findings),
        NodeKind::Array { items: nodes } | NodeKind::Block { exprs: nodes, .. } => {
            nodes.iter().for_each(|node| top_level(node, findings));
        }
        NodeKind::Object { pairs } => {
            for (key, value) in pairs {
                top_level(key, findings);
                top_level(value, findings);
            }
        }
        NodeKind::Condition {
            condition,
            then,
            otherwise,
        } => {
            top_level(condition, findings);
            top_level(then, findings);
            if let Some(otherwise) = otherwise {
                top_level(otherwise, findings);
            }
        }
        NodeKind::Function { procedure, args } | NodeKind::Partial { procedure, args } => {
            top_level(procedure, findings);
            args.iter().for_each(|arg| top_level(arg, findings));
        }
        _ => {}
    });
}

fn refuse_top_level(node: &Node, name: &str, findings: &mut Findings) {
    let message = format!("Reference to '{name}' at the top level is not supported.");
    findings.push((node.span.start, message));
}

/// Tells whether `$states` lacks this member in such a field.
fn is_missing(member: &str, scope: FieldScope) -> bool {
    match member {
        "errorOutput" => scope != FieldScope::ErrorOutput,
        "result" => scope != FieldScope::Result,
        _ => false,
    }
}

/// Finds what may stand nowhere.
fn anywhere(node: &Node, scope: FieldScope, findings: &mut Findings) {
    grow(|| {
        match &node.kind {
            NodeKind::Variable { name } if name == "$" => {
                findings.push((node.span.start, "Reference to '$$' is not supported.".to_owned()));
            }
            NodeKind::Path { steps, .. } => {
                if let [first, second, ..] = steps.as_slice()
                    && let NodeKind::Variable { name } = &first.kind
                    && let NodeKind::Name { name: member } = &second.kind
                    && name == STATES
                    && is_missing(member, scope)
                {
                    let message = format!("Field '$states.{member}' does not exist.");
                    findings.push((first.span.start, message));
                }
            }
            _ => {}
        }
        node.for_each_child(|child| anywhere(child, scope, findings));
    });
}
