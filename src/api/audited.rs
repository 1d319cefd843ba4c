//! What the audit log learns of requests: all that change something, and with `[audit] reads` the others, too.

use std::sync::Arc;

use crate::api::Api;
use crate::api::error::Answer;
use crate::api::error::ApiError;
use crate::api::request::Request;
use crate::audit::record::Event;
use crate::audit::say;
use crate::audit::say::Effect;
use crate::model::decision::Decision;
use crate::model::principal::Principal;

/// An operation that changes something.
struct Change {
    operation: &'static str,
    /// The members of the request, or else of the answer, that name what is changed.
    resource: &'static [&'static str],
    event: Event,
    /// Few, and each is on the disk before the answer goes out.
    is_waited_for: bool,
}

const fn change(operation: &'static str, resource: &'static [&'static str]) -> Change {
    Change {
        operation,
        resource,
        event: Event::RequestAllowed,
        is_waited_for: true,
    }
}

const fn with(operation: &'static str, resource: &'static [&'static str], event: Event) -> Change {
    Change {
        event,
        ..change(operation, resource)
    }
}

const fn hot(operation: &'static str, resource: &'static [&'static str]) -> Change {
    Change {
        is_waited_for: false,
        ..change(operation, resource)
    }
}

/// All but the starts of executions, which the engine records with the decision about them.
const CHANGES: &[Change] = &[
    change("CreateActivity", &["activityArn"]),
    with("CreateStateMachine", &["stateMachineArn"], Event::MachineCreated),
    change("CreateStateMachineAlias", &["stateMachineAliasArn"]),
    change("DeleteActivity", &["activityArn"]),
    with("DeleteStateMachine", &["stateMachineArn"], Event::MachineDeleted),
    change("DeleteStateMachineAlias", &["stateMachineAliasArn"]),
    change("DeleteStateMachineVersion", &["stateMachineVersionArn"]),
    hot("GetActivityTask", &["activityArn"]),
    change(
        "PublishStateMachineVersion",
        &["stateMachineVersionArn", "stateMachineArn"],
    ),
    with("RedriveExecution", &["executionArn"], Event::ExecutionRedriven),
    hot("SendTaskFailure", &[]),
    hot("SendTaskSuccess", &[]),
    with("StopExecution", &["executionArn"], Event::ExecutionStopped),
    change("TagResource", &["resourceArn"]),
    change("TestState", &[]),
    change("UntagResource", &["resourceArn"]),
    change("UpdateMapRun", &["mapRunArn"]),
    with("UpdateStateMachine", &["stateMachineArn"], Event::MachineUpdated),
    change("UpdateStateMachineAlias", &["stateMachineAliasArn"]),
];

/// Operations that bring work that needs intents.
const STARTS: [&str; 3] = ["RedriveExecution", "StartExecution", "StartSyncExecution"];

/// What is recorded of a request once it is answered.
pub(super) struct Noted {
    who: Arc<Principal>,
    operation: &'static str,
    resource: Option<Arc<str>>,
    decision: Decision,
}

impl Api {
    /// Refuses what would start work while nothing can be recorded.
    pub(super) fn admit_work(&self, operation: &str) -> Result<(), ApiError> {
        match self.host.audit_trouble() {
            Some(trouble) if STARTS.contains(&operation) => Err(ApiError {
                status: 503,
                source: Some(trouble.to_string()),
                ..ApiError::new("ServiceUnavailable", "The service is temporarily unavailable.")
            }),
            _ => Ok(()),
        }
    }

    /// Returns what to record of a request; `None` when it is not recorded.
    pub(super) fn noted(&self, operation: &'static str, request: &Request, decision: &Decision) -> Option<Noted> {
        let audit = self.host.audit()?;
        let change = CHANGES.iter().find(|change| change.operation == operation);
        if change.is_none() && (STARTS.contains(&operation) || !audit.records_reads()) {
            return None;
        }
        let members: &[&str] = match change {
            Some(change) => change.resource,
            None => &[
                "executionArn",
                "stateMachineArn",
                "activityArn",
                "mapRunArn",
                "resourceArn",
            ],
        };
        let resource = members.iter().find_map(|member| request.text(member));
        Some(Noted {
            who: Arc::clone(&request.caller.principal),
            operation,
            resource: resource.map(Arc::from),
            decision: decision.clone(),
        })
    }

    /// Records a request that was answered.
    pub(super) async fn record(&self, noted: Noted, answer: &Answer) {
        let Some(audit) = self.host.audit() else {
            return;
        };
        let change = CHANGES.iter().find(|change| change.operation == noted.operation);
        if noted.operation == "GetActivityTask" && answer.as_ref().is_ok_and(|answer| answer["taskToken"].is_null()) {
            // Nothing was handed out.
            return;
        }
        let of_answer = || {
            let members = change?.resource.iter();
            members
                .filter_map(|member| answer.as_ref().ok()?.get(*member)?.as_str())
                .next()
                .map(Arc::from)
        };
        let resource = noted.resource.or_else(of_answer);
        let is_of = |kind: &str| resource.clone().filter(|arn| arn.contains(kind));
        let machine = is_of(":stateMachine:");
        let stored = machine.as_deref().and_then(|arn| self.host.registry.machine(arn));
        let effect = Effect {
            event: change.map(|change| change.event),
            definition: stored.map(|machine| Arc::clone(&machine.revision.definition)),
            execution: is_of(":execution:"),
            state_machine: machine,
            error: answer.as_ref().err().map(|error| error.name.into()),
        };
        let record = say::request(&noted.who, noted.operation, resource.as_deref(), noted.decision, effect);
        if change.is_some_and(|change| change.is_waited_for) {
            // While it cannot be written the answer does not wait: it stands in the queue, and `/health` tells.
            if audit.trouble().is_none() {
                let _ = audit.write(&record).await;
                return;
            }
        }
        audit.note(&record);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::action;

    #[test]
    fn every_operation_that_changes_something_is_known() {
        let reads = [
            "Describe",
            "List",
            "GetExecutionHistory",
            "Validate",
            "SendTaskHeartbeat",
            "Start",
        ];
        for action in action::ACTIONS {
            let is_read = reads.iter().any(|prefix| action.name.starts_with(prefix));
            let is_change = CHANGES.iter().any(|change| change.operation == action.name);
            assert!(is_read != is_change, "{}", action.name);
        }
    }
}
