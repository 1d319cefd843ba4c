//! `TagResource`.

use serde_json::json;

use crate::api::Api;
use crate::api::action::Action;
use crate::api::configuration;
use crate::api::error::Answer;
use crate::api::member::Member;
use crate::api::request::Request;
use crate::api::shapes;
use crate::identity::permission::Permission;

pub(super) const ACTION: Action = Action {
    name: "TagResource",
    permission: Permission::Deploy,
    input: &[
        Member::required("resourceArn", shapes::ARN),
        Member::required("tags", configuration::TAGS.shape),
    ],
    call: |api, request| Box::pin(call(api, request)),
};

async fn call(api: &Api, request: Request) -> Answer {
    let more = configuration::tags(&request)?;
    let change = |tags: &mut configuration::Tags| {
        tags.extend(more);
        configuration::count(tags)
    };
    api.change_tags(request.required("resourceArn"), change).await?;
    Ok(json!({}))
}
