//! `GetExecutionHistory`.

use serde_json::Map;
use serde_json::Value;

use crate::api::Api;
use crate::api::action::Action;
use crate::api::error::Answer;
use crate::api::member::Member;
use crate::api::member::Shape;
use crate::api::request::Request;
use crate::api::shapes;
use crate::identity::permission::Permission;
use crate::model::history_event::DATA_MEMBERS;
use crate::store::change::HistoryQuery;

const NAME: &str = "GetExecutionHistory";

pub(super) const ACTION: Action = Action {
    name: NAME,
    permission: Permission::Read,
    input: &[
        Member::required("executionArn", shapes::ARN),
        shapes::PAGE_SIZE,
        Member::optional("reverseOrder", Shape::Bool),
        shapes::PAGE_TOKEN,
        Member::optional("includeExecutionData", Shape::Bool),
    ],
    call: |api, request| Box::pin(call(api, request)),
};

async fn call(api: &Api, request: Request) -> Answer {
    let record = api.standard_execution(request.required("executionArn"))?;
    let reverse = request.flag("reverseOrder");
    let from = match api.cursor::<u64>(NAME, &request)? {
        Some(from) => from,
        None if reverse => record.n_events,
        None => 1,
    };
    let limit = request.page_size();
    // One more tells whether there is a next page.
    let mut events = api.host.store().history(&HistoryQuery {
        execution: record.id,
        from,
        limit: limit + 1,
        reverse,
    })?;
    let mut answer = Map::new();
    if limit < events.len() {
        let next = events[limit].get("id").and_then(Value::as_u64).unwrap_or(0);
        events.truncate(limit);
        answer.insert(
            "nextToken".to_owned(),
            Value::from(api.page_token(NAME, &request, &next)),
        );
    }
    if request.get("includeExecutionData") == Some(&Value::Bool(false)) {
        events.iter_mut().for_each(without_data);
    }
    answer.insert("events".to_owned(), Value::Array(events));
    Ok(Value::Object(answer))
}

fn without_data(event: &mut Value) {
    let Some(members) = event.as_object_mut() else {
        return;
    };
    for (_, details) in members.iter_mut().filter(|(name, _)| name.ends_with("EventDetails")) {
        if let Some(details) = details.as_object_mut() {
            details.retain(|name, _| !DATA_MEMBERS.contains(&name.as_str()));
        }
    }
}
