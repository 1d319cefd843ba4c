//! `ListStateMachines`.

use serde_json::json;

use crate::api::Api;
use crate::api::action::Action;
use crate::api::error::Answer;
use crate::api::request::Request;
use crate::api::shapes;
use crate::identity::permission::Permission;

const NAME: &str = "ListStateMachines";

pub(super) const ACTION: Action = Action {
    name: NAME,
    permission: Permission::Read,
    input: &[shapes::PAGE_SIZE, shapes::PAGE_TOKEN],
    call: |api, request| Box::pin(call(api, request)),
};

async fn call(api: &Api, request: Request) -> Answer {
    let inner = api.host.registry.read();
    // In the order of their names (recorded), which is that of their ARNs.
    let rows = inner.machines.iter().map(|(arn, machine)| (arn.clone(), machine));
    api.list(NAME, &request, "stateMachines", rows, |machine| {
        json!({
            "stateMachineArn": &*machine.arn,
            "name": &*machine.name,
            "type": machine.machine_type.as_str(),
            "creationDate": shapes::seconds(machine.created),
        })
    })
}
