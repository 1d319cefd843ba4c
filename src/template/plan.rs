//! Plans and states of Terraform: `terraform show -json`.

use std::collections::BTreeSet;

use crate::asl::node::Kind;
use crate::asl::node::Node;
use crate::template::compose::Dialect;
use crate::template::find::Finder;
use crate::template::machine::Form;
use crate::template::machine::Machine;
use crate::template::substitutions::Substitutions;

/// Collects the state machines of a plan, modules and all.
pub(super) fn collect(root: &Node, finder: &mut Finder<'_>) -> bool {
    let values = root.get("planned_values").or_else(|| root.get("values"));
    let (Some(_), Some(values)) = (root.get("format_version"), values) else {
        return false;
    };
    let mut modules: Vec<&Node> = values.get("root_module").into_iter().collect();
    while let Some(module) = modules.pop() {
        for resource in module.get("resources").map(Node::elements).unwrap_or_default() {
            let text = |name: &str| resource.get(name).and_then(Node::text);
            if text("type") == Some("aws_sfn_state_machine") && text("mode") != Some("data") {
                collect_resource(resource, finder);
            }
        }
        let children = module.get("child_modules").map(Node::elements).unwrap_or_default();
        modules.extend(children.iter().rev());
    }
    true
}

fn collect_resource(resource: &Node, finder: &mut Finder<'_>) {
    let values = resource.get("values");
    let get = |name: &str| values.and_then(|values| values.get(name));
    let name = resource
        .get("address")
        .and_then(Node::text)
        .unwrap_or("aws_sfn_state_machine");
    let machine = Machine {
        name: name.to_owned(),
        express: get("type").and_then(Node::text) == Some("EXPRESS"),
        dialect: Dialect::CloudFormation,
        substitutions: Substitutions::done(),
        known: &BTreeSet::new(),
    };
    let origin = finder.origin.clone();
    match get("definition").filter(|definition| !matches!(definition.kind, Kind::Null)) {
        Some(definition) => finder.machine(&machine, &origin, Form::Text, definition),
        None => finder.unchecked(&origin, resource.span, name, "is known after `terraform apply` only"),
    }
}
