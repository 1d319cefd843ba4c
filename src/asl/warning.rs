//! What AWS accepts but warns of: texts that look like a path where none is read.

use crate::asl::compile::STATE_TYPES;
use crate::asl::diagnostic::Diagnostic;
use crate::asl::node::Kind;
use crate::asl::node::Node;

/// Templates of JSONPath states.
const TEMPLATES: &[&str] = &["Parameters", "ResultSelector", "ItemSelector", "Assign"];

/// Returns the warnings about a definition, in the order of the text. Meant for one that compiles.
pub(super) fn warnings(root: &Node) -> Vec<Diagnostic> {
    let mut warnings = Vec::new();
    let is_jsonata = is_jsonata(root).unwrap_or(false);
    // Blocks wait in a list, so that nesting costs no stack.
    let mut blocks = vec![(root, String::new())];
    while let Some((block, at)) = blocks.pop() {
        let Some(states) = block.get("States") else {
            continue;
        };
        let mut inner = Vec::new();
        for member in states.members() {
            let (state, at) = (&member.value, format!("{at}/States/{}", member.key));
            if !self::is_jsonata(state).unwrap_or(is_jsonata) {
                state_warnings(state, &at, &mut warnings);
            }
            for name in ["ItemProcessor", "Iterator"] {
                inner.extend(state.get(name).map(|block| (block, format!("{at}/{name}"))));
            }
            let branches = state.get("Branches").map_or(&[][..], Node::elements);
            let branches = branches.iter().enumerate();
            inner.extend(branches.map(|(index, block)| (block, format!("{at}/Branches[{index}]"))));
        }
        blocks.extend(inner.into_iter().rev());
    }
    warnings.sort_by_key(|warning| warning.span.map_or(0, |span| span.start));
    warnings
}

fn is_jsonata(object: &Node) -> Option<bool> {
    object
        .get("QueryLanguage")
        .and_then(Node::text)
        .map(|text| text != "JSONPath")
}

fn state_warnings(state: &Node, at: &str, warnings: &mut Vec<Diagnostic>) {
    if let Some(result) = state.get("Result") {
        leaves(result, &format!("{at}/Result"), &mut |_, leaf, at| {
            if looks_like_path(leaf) {
                let message = "The Result of a Pass state is static: a path in it is not evaluated";
                warnings.push(warning("PASS_RESULT_IS_STATIC", message.to_owned(), leaf, at));
            }
        });
    }
    let batch = state.get("ItemBatcher").and_then(|batcher| batcher.get("BatchInput"));
    let templates = TEMPLATES
        .iter()
        .filter_map(|name| Some((state.get(name)?, format!("{at}/{name}"))));
    let templates = templates.chain(batch.map(|batch| (batch, format!("{at}/ItemBatcher/BatchInput"))));
    for (template, at) in templates {
        leaves(template, &at, &mut |key, leaf, at| {
            if !key.ends_with(".$") && (looks_like_path(leaf) || looks_like_call(leaf)) {
                let message = format!(
                    "The value of the field '{key}' looks like a path or an intrinsic function call, but the name does not end in '.$'"
                );
                warnings.push(warning("NO_DOLLAR", message, leaf, at));
            }
        });
    }
    let kind = state.get("Type").and_then(Node::text).unwrap_or_default();
    let fields = STATE_TYPES
        .iter()
        .find(|(name, _)| *name == kind)
        .map_or(&[][..], |(_, fields)| fields);
    for member in state.members() {
        let path = format!("{}Path", member.key);
        if fields.iter().any(|(name, _)| *name == path) {
            no_path(&member.key, &member.value, at, warnings);
        }
    }
    for (index, rule) in state.get("Choices").map_or(&[][..], Node::elements).iter().enumerate() {
        rule_warnings(rule, &format!("{at}/Choices[{index}]"), warnings);
    }
}

/// Looks at a rule of a Choice, nested ones included; the readers bound how deep that can go.
fn rule_warnings(rule: &Node, at: &str, warnings: &mut Vec<Diagnostic>) {
    for member in rule.members() {
        match (member.key.as_str(), &member.value.kind) {
            ("And" | "Or", Kind::Array(rules)) => {
                for (index, rule) in rules.iter().enumerate() {
                    rule_warnings(rule, &format!("{at}/{}[{index}]", member.key), warnings);
                }
            }
            ("Not", _) => rule_warnings(&member.value, &format!("{at}/Not"), warnings),
            (
                "StringEquals"
                | "StringLessThan"
                | "StringLessThanEquals"
                | "StringGreaterThan"
                | "StringGreaterThanEquals",
                _,
            ) => {
                no_path(&member.key, &member.value, at, warnings);
            }
            _ => {}
        }
    }
}

fn no_path(name: &str, value: &Node, at: &str, warnings: &mut Vec<Diagnostic>) {
    if looks_like_path(value) {
        let message = format!("The value of the field '{name}' looks like a path, but only '{name}Path' takes one");
        warnings.push(warning("NO_PATH", message, value, &format!("{at}/{name}")));
    }
}

/// Calls `visit` with each leaf, the key it stands under, and its place.
fn leaves(node: &Node, at: &str, visit: &mut dyn FnMut(&str, &Node, &str)) {
    let mut queue = vec![(String::new(), node, at.to_owned())];
    while let Some((key, node, at)) = queue.pop() {
        match &node.kind {
            Kind::Array(elements) => {
                let elements = elements.iter().enumerate();
                queue.extend(elements.map(|(index, element)| (key.clone(), element, format!("{at}[{index}]"))));
            }
            Kind::Object(members) => {
                let members = members.iter();
                queue.extend(members.map(|member| (member.key.clone(), &member.value, format!("{at}/{}", member.key))));
            }
            _ => visit(&key, node, &at),
        }
    }
}

fn looks_like_path(node: &Node) -> bool {
    let text = node.text().unwrap_or_default();
    text == "$" || ["$.", "$[", "$$.", "$$["].iter().any(|start| text.starts_with(start))
}

fn looks_like_call(node: &Node) -> bool {
    let text = node.text().unwrap_or_default();
    text.starts_with("States.") && text.contains('(') && text.ends_with(')')
}

fn warning(code: &'static str, message: String, node: &Node, at: &str) -> Diagnostic {
    Diagnostic {
        code,
        message,
        location: Some(at.to_owned()),
        span: Some(node.span),
    }
}
