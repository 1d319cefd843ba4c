//! Templates of CloudFormation and SAM, and what the CDK makes of its code.

use std::collections::BTreeSet;

use crate::asl::node::Kind;
use crate::asl::node::Node;
use crate::asl::substitution_file::STATE_MACHINE_TYPES;
use crate::template::compose::Dialect;
use crate::template::find::Finder;
use crate::template::find::Severity;
use crate::template::machine::Form;
use crate::template::machine::Machine;
use crate::template::substitutions::Substitutions;

/// The properties that hold a definition.
const PROPERTIES: &[(&str, Form)] = &[
    ("Definition", Form::Value),
    ("DefinitionString", Form::Text),
    ("DefinitionUri", Form::File),
    ("DefinitionS3Location", Form::File),
];

/// Collects the state machines of a template.
pub(super) fn collect(root: &Node, finder: &mut Finder<'_>) -> bool {
    let Some(resources) = root
        .get("Resources")
        .filter(|resources| matches!(resources.kind, Kind::Object(_)))
    else {
        return false;
    };
    collect_resources(resources, has_macros(root), Dialect::CloudFormation, finder);
    true
}

/// Collects the state machines among resources; with `macros` nobody knows which placeholders will be left.
pub(super) fn collect_resources(resources: &Node, macros: bool, dialect: Dialect, finder: &mut Finder<'_>) {
    let mut open = vec![(resources, BTreeSet::new())];
    while let Some((resources, known)) = open.pop() {
        for member in resources.members() {
            if member.key.starts_with("Fn::ForEach::") {
                if let [identifier, _, body] = member.value.elements() {
                    let mut known = known.clone();
                    known.extend(identifier.text().map(str::to_owned));
                    open.push((body, known));
                }
                continue;
            }
            let resource_type = member.value.get("Type").and_then(Node::text).unwrap_or_default();
            if STATE_MACHINE_TYPES.contains(&resource_type) {
                resource(&member.key, &member.value, &known, macros, dialect, finder);
            }
        }
    }
}

fn resource(
    name: &str,
    resource: &Node,
    known: &BTreeSet<String>,
    macros: bool,
    dialect: Dialect,
    finder: &mut Finder<'_>,
) {
    let properties = resource.get("Properties");
    let get = |name: &str| properties.and_then(|properties| properties.get(name));
    let machine_type = get("StateMachineType").or_else(|| get("Type")).and_then(Node::text);
    let substitutions = if macros || dialect == Dialect::Serverless {
        Substitutions::unknown()
    } else {
        Substitutions::read(get("DefinitionSubstitutions"), known, finder)
    };
    let machine = Machine {
        name: name.to_owned(),
        express: machine_type == Some("EXPRESS"),
        dialect,
        substitutions,
        known,
    };
    let origin = finder.origin.clone();
    let mut is_defined = false;
    for (property, form) in PROPERTIES {
        if let Some(node) = get(property) {
            is_defined = true;
            finder.machine(&machine, &origin, *form, node);
        }
    }
    // `Fn::Transform` may add properties.
    let is_written_out = !macros
        && properties
            .is_none_or(|properties| !properties.members().iter().any(|member| member.key.starts_with("Fn::")));
    if !is_defined && is_written_out {
        let message = format!("The state machine '{name}' has no definition");
        finder.say(Severity::Error, "MISSING_DEFINITION", resource.span, message);
    }
}

/// Tells whether the template is changed by macros other than those of AWS.
fn has_macros(root: &Node) -> bool {
    let Some(transform) = root.get("Transform") else {
        return false;
    };
    let is_foreign = |node: &Node| !node.text().is_some_and(|name| name.starts_with("AWS::"));
    match transform.elements() {
        [] => is_foreign(transform),
        transforms => transforms.iter().any(is_foreign),
    }
}
