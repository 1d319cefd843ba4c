//! `ListStateMachineVersions`.

use std::cmp::Reverse;

use serde_json::json;

use crate::api::Api;
use crate::api::action::Action;
use crate::api::error::Answer;
use crate::api::machine;
use crate::api::member::Member;
use crate::api::request::Request;
use crate::api::shapes;
use crate::identity::permission::Permission;

const NAME: &str = "ListStateMachineVersions";

pub(super) const ACTION: Action = Action {
    name: NAME,
    permission: Permission::Read,
    input: &[
        Member::required("stateMachineArn", shapes::ARN),
        shapes::PAGE_TOKEN,
        shapes::PAGE_SIZE,
    ],
    call: |api, request| Box::pin(call(api, request)),
};

async fn call(api: &Api, request: Request) -> Answer {
    let arn = machine::parse_unqualified(request.required("stateMachineArn"))?;
    // A machine that is not there has no versions: the operation has no exception for it.
    let known = api.host.registry.machine(&arn.text);
    let versions = known.iter().flat_map(|machine| machine.versions.iter().rev());
    let rows = versions.map(|version| (Reverse(version.number), version));
    api.list(NAME, &request, "stateMachineVersions", rows, |version| {
        json!({
            "stateMachineVersionArn": format!("{}:{}", arn.text, version.number),
            "creationDate": shapes::seconds(version.created),
        })
    })
}
