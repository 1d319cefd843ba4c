//! `DescribeStateMachineAlias`.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::api::Api;
use crate::api::action::Action;
use crate::api::error::Answer;
use crate::api::member::Member;
use crate::api::request::Request;
use crate::api::shapes;
use crate::api::shapes::put;
use crate::identity::permission::Permission;

pub(super) const ACTION: Action = Action {
    name: "DescribeStateMachineAlias",
    permission: Permission::Read,
    input: &[Member::required("stateMachineAliasArn", shapes::ARN)],
    call: |api, request| Box::pin(call(api, request)),
};

async fn call(api: &Api, request: Request) -> Answer {
    let arn = request.required("stateMachineAliasArn");
    let (name, alias) = api.alias(arn)?;
    let routes: Vec<Value> = alias
        .routes
        .iter()
        .map(|route| json!({ "stateMachineVersionArn": &*route.version_arn, "weight": route.weight }))
        .collect();
    let mut map = Map::new();
    put(&mut map, "stateMachineAliasArn", Some(arn));
    put(&mut map, "name", Some(&*name));
    put(&mut map, "description", alias.description);
    put(&mut map, "routingConfiguration", Some(routes));
    put(&mut map, "creationDate", Some(shapes::seconds(alias.created)));
    put(&mut map, "updateDate", Some(shapes::seconds(alias.updated)));
    Ok(Value::Object(map))
}
