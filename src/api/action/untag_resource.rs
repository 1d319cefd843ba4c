//! `UntagResource`.

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
use crate::identity::permission::Permission;

pub(super) const ACTION: Action = Action {
    name: "UntagResource",
    permission: Permission::Deploy,
    input: &[
        Member::required("resourceArn", shapes::ARN),
        Member::required(
            "tagKeys",
            Shape::List {
                min: 0,
                max: usize::MAX,
                item: &Shape::Text { min: 1, max: 128 },
            },
        ),
    ],
    call: |api, request| Box::pin(call(api, request)),
};

async fn call(api: &Api, request: Request) -> Answer {
    let keys = request.get("tagKeys").and_then(Value::as_array);
    let change = |tags: &mut configuration::Tags| {
        for key in keys.into_iter().flatten().filter_map(Value::as_str) {
            tags.remove(key);
        }
        Ok(())
    };
    api.change_tags(request.required("resourceArn"), change).await?;
    Ok(json!({}))
}
