//! `ValidateStateMachineDefinition`.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::api::Api;
use crate::api::action::Action;
use crate::api::configuration;
use crate::api::error::Answer;
use crate::api::member::Member;
use crate::api::member::Shape;
use crate::api::request::Request;
use crate::api::shapes;
use crate::api::shapes::put;
use crate::asl::diagnostic::Diagnostic;
use crate::asl::load;
use crate::identity::permission::Permission;

pub(super) const ACTION: Action = Action {
    name: "ValidateStateMachineDefinition",
    permission: Permission::Read,
    input: &[
        Member::required("definition", shapes::DEFINITION),
        configuration::TYPE,
        Member::optional("severity", Shape::OneOf(&["ERROR", "WARNING"])),
        Member::optional("maxResults", Shape::Int { min: 0, max: 100 }),
    ],
    call: |api, request| Box::pin(call(api, request)),
};

async fn call(_: &Api, request: Request) -> Answer {
    let options = load::Options {
        express: request.text("type") == Some("EXPRESS"),
        ..load::Options::default()
    };
    let text = request.required("definition");
    let errors = load::compile(text, &options).err().unwrap_or_default();
    let result = if errors.is_empty() { "OK" } else { "FAIL" };
    let warnings = match request.text("severity") {
        Some("WARNING") => load::warnings(text),
        _ => Vec::new(),
    };
    let limit = request.page_size().min(100);
    let errors = errors.iter().map(|error| show("ERROR", error));
    let mut diagnostics: Vec<Value> = errors
        .chain(warnings.iter().map(|warning| show("WARNING", warning)))
        .collect();
    let is_truncated = limit < diagnostics.len();
    diagnostics.truncate(limit);
    Ok(json!({ "result": result, "diagnostics": diagnostics, "truncated": is_truncated }))
}

fn show(severity: &str, diagnostic: &Diagnostic) -> Value {
    let mut map = Map::new();
    put(&mut map, "severity", Some(severity));
    put(&mut map, "code", Some(diagnostic.code));
    put(&mut map, "message", Some(&*diagnostic.message));
    put(&mut map, "location", diagnostic.location.as_deref());
    Value::Object(map)
}
