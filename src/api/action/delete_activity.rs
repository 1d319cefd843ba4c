//! `DeleteActivity`.

use serde_json::json;

use crate::api::Api;
use crate::api::action::Action;
use crate::api::activity;
use crate::api::error::Answer;
use crate::api::error::ApiError;
use crate::api::member::Member;
use crate::api::request::Request;
use crate::api::shapes;
use crate::engine::registry::Edit;
use crate::identity::permission::Permission;

pub(super) const ACTION: Action = Action {
    name: "DeleteActivity",
    permission: Permission::Deploy,
    input: &[Member::required("activityArn", shapes::ARN)],
    call: |api, request| Box::pin(call(api, request)),
};

async fn call(api: &Api, request: Request) -> Answer {
    let arn = activity::parse(request.required("activityArn"))?;
    api.host
        .edit::<_, ApiError>(|registry| {
            let known = registry.activity(&arn.text);
            let edits = known.map(|known| Edit::DeleteActivity(known.arn.clone()));
            Ok(((), edits.into_iter().collect(), Vec::new()))
        })
        .await?;
    Ok(json!({}))
}
