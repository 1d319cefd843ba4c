//! Any JSON is a template of either language or is refused; what compiles evaluates to a value or an error.
#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use serde_json::json;
use stepfn::model::entropy::Entropy;
use stepfn::model::payload::Payload;
use stepfn::query::env::Context;
use stepfn::query::env::Env;
use stepfn::query::env::Variables;
use stepfn::query::jsonata::expression::FieldScope;
use stepfn::query::template::Template;

struct Some42;

impl Variables for Some42 {
    fn get(&self, name: &str) -> Option<Payload> {
        (name.len() < 8).then(|| Payload::new(json!({"n": 42, "list": [3, 1, 2]})))
    }
}

fuzz_target!(|text: &str| {
    let Ok(value) = serde_json::from_str::<Value>(text) else {
        return;
    };
    let make = |_| Payload::new(json!({"Execution": {"Name": "e", "Input": {"a": 1}}, "State": {"Name": "s"}}));
    let context = Context::new(&make);
    let entropy = RefCell::new(Entropy::new(7));
    let env = Env {
        input: Payload::new(json!({"a": {"b": [1, 2, "three"]}, "rows": [{"id": "x", "n": 1.5}, {"id": "y"}]})),
        result: Some(Payload::new(json!([{"ok": true}]))),
        error_output: None,
        variables: &Some42,
        context: &context,
        entropy: &entropy,
    };
    let templates = [
        Template::parse_jsonpath(&value),
        Template::parse_jsonata(&value, FieldScope::Result),
    ];
    for template in templates {
        match template {
            Ok(template) => {
                let _ = template.variables();
                let _ = template.evaluate(&env, "Parameters");
            }
            Err(errors) => assert!(!errors.is_empty(), "a refusal says why"),
        }
    }
});
