//! Makes graphs for tests.

use serde_json::Value;

use crate::asl::load::Options;
use crate::asl::load::compile;
use crate::graph::model::Graph;

/// Compiles a machine and makes its graph.
pub(super) fn graph(machine: &Value) -> Graph {
    let options = Options {
        open_placeholders: true,
        ..Options::default()
    };
    let definition = compile(&machine.to_string(), &options).expect("the definition compiles");
    Graph::of(&definition, machine)
}
