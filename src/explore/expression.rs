//! What a JSONata expression needs of the values that it reads.

use std::collections::BTreeMap;

use jlens_core::Node;
use jlens_core::NodeKind;
use jlens_core::ast::BinaryOp;
use jlens_core::ast::Stage;
use jlens_core::stack::grow;
use serde_json::Value;
use serde_json::json;

use crate::asl::definition::Order;
use crate::explore::condition::NO_GROUP;
use crate::explore::condition::of_length;
use crate::explore::condition::of_presence;
use crate::explore::condition::of_value;
use crate::explore::shape::Group;
use crate::explore::shape::Kinds;
use crate::explore::shape::Shape;

/// Local variables that are followed into one another, at most.
const FOLLOWED_MAX: usize = 40;

/// What an expression needs.
#[derive(Debug, Default)]
pub(super) struct Needs {
    /// Of `$states`.
    pub(super) states: Shape,
    /// Of the workflow's variables.
    pub(super) variables: BTreeMap<String, Shape>,
}

/// Returns what an expression needs so that its value has a shape.
pub(super) fn of_value_of(root: &Node, shape: &Shape) -> Needs {
    let mut reader = Reader::new(NO_GROUP);
    reader.want(root, shape.clone());
    reader.needs
}

/// Returns what an expression needs to be true; its alternatives take groups from `group` on.
pub(super) fn of_condition(root: &Node, group: Group) -> Needs {
    let mut reader = Reader::new(group);
    reader.condition(root, true);
    reader.needs
}

/// Returns what an expression needs not to be true; all of it belongs to `group`.
pub(super) fn of_no_condition(root: &Node, group: Group) -> Needs {
    let mut reader = Reader::new(group);
    reader.has_alternatives = false;
    reader.condition(root, false);
    reader.needs
}

struct Reader<'n> {
    needs: Needs,
    group: Group,
    /// Each alternative has a group of its own.
    has_alternatives: bool,
    locals: Vec<(&'n str, Local<'n>)>,
    /// What is needed of the values that names are read from, innermost last.
    contexts: Vec<Shape>,
    n_followed: usize,
}

#[derive(Clone)]
enum Local<'n> {
    /// A parameter: what is needed of it.
    Parameter(Shape),
    /// A name for an expression.
    Node(&'n Node),
}

impl<'n> Reader<'n> {
    fn new(group: Group) -> Self {
        Self {
            needs: Needs::default(),
            group,
            has_alternatives: true,
            locals: Vec::new(),
            contexts: Vec::new(),
            n_followed: 0,
        }
    }

    /// The value of `node` is to have `shape`.
    fn want(&mut self, node: &'n Node, shape: Shape) {
        grow(|| self.want_of(node, shape));
    }

    fn want_of(&mut self, node: &'n Node, shape: Shape) {
        let shape = self.before_stages(node, &node.attrs.predicate, shape);
        let shape = self.before_stages(node, &node.attrs.stages, shape);
        let shape = match &node.attrs.group {
            Some(group) => {
                let mut element = self.within(&group.pairs.iter().map(|(key, _)| key).collect::<Vec<_>>());
                element.merge(&self.within(&group.pairs.iter().map(|(_, value)| value).collect::<Vec<_>>()));
                Shape::list(element)
            }
            None => shape,
        };
        match &node.kind {
            NodeKind::Path { steps, .. } => self.path(steps, shape),
            NodeKind::Name { name } => self.context(&Shape::with(name, shape)),
            NodeKind::Variable { name } => self.variable(name, shape),
            NodeKind::Binary { op, lhs, rhs } => self.binary(*op, lhs, rhs),
            NodeKind::Negate { expr } => self.want(expr, Shape::of(Kinds::NUMBER)),
            NodeKind::Array { items } => {
                for item in items {
                    self.want(item, shape.elements());
                }
            }
            NodeKind::Object { pairs } => {
                for (key, value) in pairs {
                    let member = match &key.kind {
                        NodeKind::String { value } => shape.member(value),
                        _ => Shape::default(),
                    };
                    self.want(key, Shape::of(Kinds::STRING));
                    self.want(value, member);
                }
            }
            NodeKind::Condition {
                condition,
                then,
                otherwise,
            } => {
                self.condition(condition, true);
                self.want(then, shape.clone());
                if let Some(otherwise) = otherwise {
                    self.want(otherwise, shape);
                }
            }
            NodeKind::Fallback { lhs, rhs, .. } => {
                self.want(lhs, shape.clone());
                self.want(lhs, of_presence(true, NO_GROUP));
                self.want(rhs, shape);
            }
            NodeKind::Block { exprs, .. } => {
                let n_locals = self.locals.len();
                if let Some((last, before)) = exprs.split_last() {
                    for expr in before {
                        self.want(expr, Shape::default());
                    }
                    self.want(last, shape);
                }
                self.locals.truncate(n_locals);
            }
            NodeKind::Bind { lhs, rhs } => {
                self.want(rhs, shape);
                if let NodeKind::Variable { name } = &lhs.kind {
                    self.locals.push((name, Local::Node(rhs)));
                }
            }
            NodeKind::Apply { lhs, rhs } => match &rhs.kind {
                NodeKind::Function { procedure, args } => {
                    let all: Vec<&Node> = std::iter::once(&**lhs).chain(args).collect();
                    self.call(procedure, &all, shape);
                }
                _ => self.call(rhs, &[lhs], shape),
            },
            NodeKind::Function { procedure, args } => {
                self.call(procedure, &args.iter().collect::<Vec<_>>(), shape);
            }
            NodeKind::Partial { args, .. } => {
                for arg in args {
                    self.want(arg, Shape::default());
                }
            }
            NodeKind::Lambda(definition) => {
                let n_locals = self.locals.len();
                for parameter in &definition.params {
                    self.locals.push((parameter, Local::Parameter(Shape::default())));
                }
                self.want(&definition.body, shape);
                self.locals.truncate(n_locals);
            }
            _ => {}
        }
    }

    /// Returns what a value needs before filters and indexes are applied to it.
    fn before_stages(&mut self, _: &'n Node, stages: &'n [Stage], mut shape: Shape) -> Shape {
        for stage in stages.iter().rev() {
            let Stage::Filter { expr, .. } = stage else { continue };
            let index = match &expr.kind {
                NodeKind::Number { value } => Some(*value),
                NodeKind::Negate { .. } => Some(-1.0),
                _ => None,
            };
            shape = match index {
                Some(index) => {
                    let length = if index < 0.0 { 1 } else { index as usize + 1 };
                    Shape::list(shape).at_least(length)
                }
                None => {
                    self.contexts.push(Shape::default());
                    self.condition(expr, true);
                    let mut element = self.contexts.pop().unwrap_or_default();
                    element.merge(&shape.elements());
                    if shape.elements().is_empty() {
                        element.merge(&shape);
                    }
                    Shape::list(element)
                }
            };
        }
        shape
    }

    /// Returns what expressions need of the value that their names are read from.
    fn within(&mut self, nodes: &[&'n Node]) -> Shape {
        self.contexts.push(Shape::default());
        for node in nodes {
            self.want(node, Shape::default());
        }
        self.contexts.pop().unwrap_or_default()
    }

    fn path(&mut self, steps: &'n [Node], mut shape: Shape) {
        let Some((first, rest)) = steps.split_first() else {
            return;
        };
        for step in rest.iter().rev() {
            shape = self.before_stages(step, &step.attrs.predicate, shape);
            shape = self.before_stages(step, &step.attrs.stages, shape);
            shape = match &step.kind {
                NodeKind::Name { name } => Shape::with(name, shape),
                NodeKind::Wildcard | NodeKind::Descendant => Shape::default(),
                NodeKind::Sort { terms } => {
                    self.contexts.push(Shape::default());
                    for term in terms {
                        self.want(&term.expr, Shape::default());
                    }
                    let mut element = self.contexts.pop().unwrap_or_default();
                    element.merge(&shape.elements());
                    Shape::list(element)
                }
                _ => {
                    self.contexts.push(Shape::default());
                    self.want(step, shape);
                    self.contexts.pop().unwrap_or_default()
                }
            };
        }
        self.want(first, shape);
    }

    fn context(&mut self, shape: &Shape) {
        if let Some(context) = self.contexts.last_mut() {
            context.merge(shape);
        }
    }

    fn variable(&mut self, name: &str, shape: Shape) {
        match name {
            "" => return self.context(&shape),
            "states" => return self.needs.states.merge(&shape),
            _ => {}
        }
        let Some(at) = self.locals.iter().rposition(|(local, _)| *local == name) else {
            return self.needs.variables.entry(name.to_owned()).or_default().merge(&shape);
        };
        match &mut self.locals[at].1 {
            Local::Parameter(needed) => needed.merge(&shape),
            Local::Node(node) => {
                let node = *node;
                if self.n_followed < FOLLOWED_MAX && !shape.is_empty() {
                    self.n_followed += 1;
                    // What it was bound to sees only what came before it.
                    let later = self.locals.split_off(at);
                    self.want(node, shape);
                    self.locals.extend(later);
                }
            }
        }
    }

    fn binary(&mut self, op: BinaryOp, lhs: &'n Node, rhs: &'n Node) {
        let kinds = match op {
            BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div | BinaryOp::Mod | BinaryOp::Range => {
                Kinds::NUMBER
            }
            BinaryOp::Concat => Kinds::default(),
            _ => return self.comparison(op, lhs, rhs, true),
        };
        self.want(lhs, Shape::of(kinds));
        self.want(rhs, Shape::of(kinds));
    }

    /// A condition is to hold, or not to.
    fn condition(&mut self, node: &'n Node, is_wanted: bool) {
        grow(|| self.condition_of(node, is_wanted));
    }

    fn condition_of(&mut self, node: &'n Node, is_wanted: bool) {
        match &node.kind {
            NodeKind::Binary { op, lhs, rhs } => match (op, is_wanted) {
                (BinaryOp::And, true) | (BinaryOp::Or, false) => {
                    self.condition(lhs, is_wanted);
                    self.condition(rhs, is_wanted);
                }
                (BinaryOp::Or, true) | (BinaryOp::And, false) => {
                    self.condition(lhs, is_wanted);
                    if self.has_alternatives {
                        self.group = next(self.group);
                    }
                    self.condition(rhs, is_wanted);
                }
                _ => self.comparison(*op, lhs, rhs, is_wanted),
            },
            NodeKind::Block { exprs, .. } => {
                let n_locals = self.locals.len();
                if let Some((last, before)) = exprs.split_last() {
                    for expr in before {
                        self.want(expr, Shape::default());
                    }
                    self.condition(last, is_wanted);
                }
                self.locals.truncate(n_locals);
            }
            NodeKind::Function { procedure, args } => match (&procedure.kind, args.as_slice()) {
                (NodeKind::Variable { name }, [arg]) if name == "not" => self.condition(arg, !is_wanted),
                (NodeKind::Variable { name }, [arg]) if name == "boolean" => self.condition(arg, is_wanted),
                (NodeKind::Variable { name }, [arg]) if name == "exists" => {
                    self.want(arg, of_presence(is_wanted, self.group));
                }
                (NodeKind::Variable { name }, [text, part]) if name == "contains" => {
                    let fit = match &part.kind {
                        NodeKind::Regex { pattern, .. } => json!(begin_of(pattern)),
                        _ => literal(part).unwrap_or_else(|| json!("text")),
                    };
                    self.want(text, of_value(Order::Equals, &fit, is_wanted, self.group));
                }
                _ => self.want(node, of_value(Order::Equals, &json!(true), is_wanted, self.group)),
            },
            NodeKind::Path { .. } | NodeKind::Variable { .. } | NodeKind::Name { .. } => {
                self.want(node, of_value(Order::Equals, &json!(true), is_wanted, self.group));
            }
            _ => self.want(node, Shape::of(Kinds::BOOLEAN)),
        }
    }

    fn comparison(&mut self, op: BinaryOp, lhs: &'n Node, rhs: &'n Node, is_wanted: bool) {
        let (order, is_wanted) = match op {
            BinaryOp::Eq => (Order::Equals, is_wanted),
            BinaryOp::Ne => (Order::Equals, !is_wanted),
            BinaryOp::Lt => (Order::LessThan, is_wanted),
            BinaryOp::Le => (Order::LessThanEquals, is_wanted),
            BinaryOp::Gt => (Order::GreaterThan, is_wanted),
            BinaryOp::Ge => (Order::GreaterThanEquals, is_wanted),
            BinaryOp::In => return self.membership(lhs, rhs, is_wanted),
            _ => {
                self.condition(lhs, is_wanted);
                return self.condition(rhs, is_wanted);
            }
        };
        match (literal(lhs), literal(rhs)) {
            (_, Some(value)) => self.compare(lhs, order, &value, is_wanted),
            (Some(value), None) => self.compare(rhs, mirrored(order), &value, is_wanted),
            (None, None) => {
                let middle = json!(5);
                self.compare(lhs, order, &middle, is_wanted);
                self.want(rhs, of_value(Order::Equals, &middle, true, self.group));
            }
        }
    }

    fn compare(&mut self, node: &'n Node, order: Order, value: &Value, is_wanted: bool) {
        if let NodeKind::Function { procedure, args } = &node.kind
            && let (NodeKind::Variable { name }, [arg]) = (&procedure.kind, args.as_slice())
        {
            match (name.as_str(), value.as_f64()) {
                ("count", Some(length)) => return self.want(arg, of_length(order, length, is_wanted, self.group)),
                ("number" | "string" | "lowercase" | "uppercase" | "trim" | "abs" | "floor" | "ceil" | "round", _) => {
                    return self.want(arg, of_value(order, value, is_wanted, self.group));
                }
                ("type", _) => return self.want(arg, self.of_type(value, is_wanted)),
                _ => {}
            }
        }
        self.want(node, of_value(order, value, is_wanted, self.group));
    }

    fn of_type(&self, name: &Value, is_wanted: bool) -> Shape {
        let value = match name.as_str() {
            Some("number") => json!(1),
            Some("boolean") => json!(true),
            Some("array") => json!([]),
            Some("object") => json!({}),
            Some("null") => Value::Null,
            _ => json!("text"),
        };
        of_value(Order::Equals, &value, is_wanted, self.group)
    }

    fn membership(&mut self, lhs: &'n Node, rhs: &'n Node, is_wanted: bool) {
        if let NodeKind::Array { items } = &rhs.kind {
            for value in items.iter().filter_map(literal) {
                self.want(lhs, of_value(Order::Equals, &value, is_wanted, self.group));
            }
            return;
        }
        let value = literal(lhs).unwrap_or_else(|| json!("text"));
        self.want(lhs, of_value(Order::Equals, &value, true, self.group));
        self.want(rhs, Shape::list(of_value(Order::Equals, &value, is_wanted, self.group)));
    }

    fn call(&mut self, procedure: &'n Node, args: &[&'n Node], shape: Shape) {
        let NodeKind::Variable { name } = &procedure.kind else {
            self.want(procedure, shape);
            for arg in args {
                self.want(arg, Shape::default());
            }
            return;
        };
        let Some((first, rest)) = args.split_first() else {
            return;
        };
        match name.as_str() {
            "map" | "filter" | "single" | "each" | "sift" | "reduce" | "sort" if !rest.is_empty() => {
                let passed = match name.as_str() {
                    "filter" | "sort" => shape.elements(),
                    "single" => shape.clone(),
                    _ => Shape::default(),
                };
                let body = if name == "map" {
                    shape.elements()
                } else {
                    Shape::default()
                };
                let mut element = self.lambda(name, rest[0], body);
                element.merge(&passed);
                match name.as_str() {
                    "each" | "sift" => self.want(first, Shape::of(Kinds::OBJECT)),
                    _ => self.want(first, Shape::list(element)),
                }
            }
            "exists" => self.want(first, of_presence(true, NO_GROUP)),
            "sum" | "average" | "max" | "min" => self.want(first, Shape::list(Shape::of(Kinds::NUMBER))),
            "count" | "zip" => self.want_all(args, &Shape::of(Kinds::ARRAY)),
            "append" | "distinct" | "reverse" | "shuffle" | "sort" => {
                self.want_all(args, &Shape::list(shape.elements()));
            }
            "partition" => {
                self.want(first, Shape::list(shape.elements().elements()));
                self.want_all(rest, &Shape::of(Kinds::NUMBER));
            }
            "join" => {
                self.want(first, Shape::list(Shape::of(Kinds::STRING)));
                self.want_all(rest, &Shape::default());
            }
            "keys" | "spread" => self.want(first, Shape::of(Kinds::OBJECT)),
            "lookup" => match rest.first().and_then(|key| literal(key)) {
                Some(Value::String(key)) => self.want(first, Shape::with(&key, shape)),
                _ => {
                    self.want(first, Shape::of(Kinds::OBJECT));
                    self.want_all(rest, &Shape::of(Kinds::STRING));
                }
            },
            "merge" => match &first.kind {
                NodeKind::Array { items } => {
                    for item in items {
                        self.want(item, Shape::of(Kinds::OBJECT));
                        self.want(item, shape.clone());
                    }
                }
                _ => self.want(first, Shape::list(shape)),
            },
            "parse" | "eval" => self.want(first, Shape::json(shape)),
            "toMillis" => self.want(first, Shape::of(Kinds::TIMESTAMP)),
            "floor" | "ceil" | "round" | "abs" | "sqrt" | "power" | "fromMillis" | "formatNumber" | "formatBase"
            | "formatInteger" | "range" | "number" => {
                self.want(first, Shape::of(Kinds::NUMBER));
                self.want_all(rest, &Shape::default());
            }
            "uppercase" | "lowercase" | "trim" | "length" | "substring" | "substringBefore" | "substringAfter"
            | "split" | "replace" | "match" | "contains" | "pad" | "base64encode" | "base64decode" | "hash"
            | "encodeUrl" | "encodeUrlComponent" | "decodeUrl" | "decodeUrlComponent" => {
                self.want(first, Shape::of(Kinds::STRING));
                self.want_all(rest, &Shape::default());
            }
            "not" | "boolean" => self.condition(first, true),
            "error" | "assert" => {
                self.condition(first, true);
                self.want_all(rest, &Shape::default());
            }
            _ => self.want_all(args, &Shape::default()),
        }
    }

    fn want_all(&mut self, nodes: &[&'n Node], shape: &Shape) {
        for node in nodes {
            self.want(node, shape.clone());
        }
    }

    /// Returns what a function needs of the elements that it is called with.
    fn lambda(&mut self, caller: &str, node: &'n Node, body: Shape) -> Shape {
        let NodeKind::Lambda(definition) = &node.kind else {
            self.want(node, Shape::default());
            return Shape::default();
        };
        let n_locals = self.locals.len();
        for parameter in &definition.params {
            self.locals.push((parameter, Local::Parameter(Shape::default())));
        }
        match caller {
            "filter" | "single" | "sift" => self.condition(&definition.body, true),
            _ => self.want(&definition.body, body),
        }
        let parameters = self.locals.split_off(n_locals);
        let mut needed = parameters.into_iter().map(|(_, local)| match local {
            Local::Parameter(shape) => shape,
            Local::Node(_) => Shape::default(),
        });
        let first = needed.next().unwrap_or_default();
        match caller {
            "reduce" => needed.next().unwrap_or_default(),
            "sort" => {
                let mut both = first;
                both.merge(&needed.next().unwrap_or_default());
                both
            }
            _ => first,
        }
    }
}

/// The group of the next alternative of the same condition.
pub(super) fn next(group: Group) -> Group {
    if group == NO_GROUP { NO_GROUP } else { group + 1 }
}

fn literal(node: &Node) -> Option<Value> {
    match &node.kind {
        NodeKind::String { value } => Some(json!(value)),
        NodeKind::Number { value } if value.fract() == 0.0 && value.abs() < 9e15 => Some(json!(*value as i64)),
        NodeKind::Number { value } => Some(json!(value)),
        NodeKind::Bool { value } => Some(json!(value)),
        NodeKind::Null => Some(Value::Null),
        NodeKind::Negate { expr } => literal(expr)?.as_f64().map(|number| json!(-number)),
        _ => None,
    }
}

/// Returns what a pattern begins with: often that is all it asks for.
fn begin_of(pattern: &str) -> String {
    let text = pattern.trim_start_matches('^');
    let end = text.find(|c: char| !c.is_alphanumeric() && !matches!(c, ' ' | '-' | '_' | '/' | ':'));
    text[..end.unwrap_or(text.len())].to_owned()
}

fn mirrored(order: Order) -> Order {
    match order {
        Order::Equals => Order::Equals,
        Order::LessThan => Order::GreaterThan,
        Order::LessThanEquals => Order::GreaterThanEquals,
        Order::GreaterThan => Order::LessThan,
        Order::GreaterThanEquals => Order::LessThanEquals,
    }
}
