//! `DescribeActivity`.

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
    name: "DescribeActivity",
    permission: Permission::Read,
    input: &[Member::required("activityArn", shapes::ARN)],
    call: |api, request| Box::pin(call(api, request)),
};

async fn call(api: &Api, request: Request) -> Answer {
    let activity = api.activity(request.required("activityArn"))?;
    Ok(json!({
        "activityArn": &*activity.arn,
        "name": &*activity.name,
        "creationDate": shapes::seconds(activity.created),
        "encryptionConfiguration": configuration::shown_encryption(activity.encryption.as_ref()),
    }))
}
