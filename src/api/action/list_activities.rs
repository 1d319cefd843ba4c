//! `ListActivities`.

use serde_json::json;

use crate::api::Api;
use crate::api::action::Action;
use crate::api::error::Answer;
use crate::api::request::Request;
use crate::api::shapes;
use crate::identity::permission::Permission;

const NAME: &str = "ListActivities";

pub(super) const ACTION: Action = Action {
    name: NAME,
    permission: Permission::Read,
    input: &[shapes::PAGE_SIZE, shapes::PAGE_TOKEN],
    call: |api, request| Box::pin(call(api, request)),
};

async fn call(api: &Api, request: Request) -> Answer {
    let inner = api.host.registry.read();
    let rows = inner.activities.iter().map(|(arn, activity)| (arn.clone(), activity));
    api.list(NAME, &request, "activities", rows, |activity| {
        json!({
            "activityArn": &*activity.arn,
            "name": &*activity.name,
            "creationDate": shapes::seconds(activity.created),
        })
    })
}
