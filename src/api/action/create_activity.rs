//! `CreateActivity`.

use std::sync::Arc;

use serde_json::json;

use crate::api::Api;
use crate::api::action::Action;
use crate::api::configuration;
use crate::api::error::Answer;
use crate::api::error::ApiError;
use crate::api::member::Member;
use crate::api::request::Request;
use crate::api::shapes;
use crate::engine::machine::Activity;
use crate::engine::registry::Edit;
use crate::identity::permission::Permission;

pub(super) const ACTION: Action = Action {
    name: "CreateActivity",
    permission: Permission::Deploy,
    input: &[
        Member::required("name", shapes::NAME),
        configuration::TAGS,
        configuration::ENCRYPTION,
    ],
    call: |api, request| Box::pin(call(api, request)),
};

async fn call(api: &Api, request: Request) -> Answer {
    let name = shapes::name(request.required("name"))?;
    let (region, account) = api.host.place();
    let activity = Activity {
        arn: format!("arn:aws:states:{region}:{account}:activity:{name}").into(),
        name: name.into(),
        created: api.host.now(),
        tags: configuration::tags(&request)?,
        encryption: configuration::encryption(&request)?,
    };
    let activity = api
        .host
        .edit(|registry| match registry.activity(&activity.arn) {
            None => {
                let activity = Arc::new(activity);
                Ok((Arc::clone(&activity), vec![Edit::PutActivity(activity)], Vec::new()))
            }
            // The same creation again changes nothing; tags are not compared.
            Some(known) if known.encryption == activity.encryption => Ok((known, Vec::new(), Vec::new())),
            Some(known) => Err(ApiError::new(
                "ActivityAlreadyExists",
                format!("Activity Already Exists: '{}'", known.arn),
            )),
        })
        .await?;
    Ok(json!({
        "activityArn": &*activity.arn,
        "creationDate": shapes::seconds(activity.created),
    }))
}
