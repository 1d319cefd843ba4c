//! What a request asks for, in the words of permissions, and whether it is granted.

use std::sync::Arc;

use serde_json::Value;

use crate::api::Api;
use crate::api::action::Action;
use crate::api::error::Answer;
use crate::api::error::ApiError;
use crate::api::request::Request;
use crate::identity::permission::Asked;
use crate::identity::permission::Target;
use crate::model::arn::Arn;
use crate::model::arn::Resource;
use crate::model::decision::Decision;
use crate::model::token::TokenClaim;
use crate::worker::machine_name;

/// The members that name what a request is about.
const NAMING: [&str; 7] = [
    "activityArn",
    "executionArn",
    "mapRunArn",
    "resourceArn",
    "stateMachineAliasArn",
    "stateMachineArn",
    "stateMachineVersionArn",
];

impl Api {
    /// Carries out an operation if its caller may.
    pub async fn carry_out(&self, action: &'static Action, mut request: Request) -> Answer {
        let decision = self.permit(action, &request)?;
        self.admit_work(action.name)?;
        let noted = self.noted(action.name, &request, &decision);
        request.decision = Some(decision);
        let answer = (action.call)(self, request).await;
        if let Some(noted) = noted {
            self.record(noted, &answer).await;
        }
        answer
    }

    /// Returns what allowed it: the last rule, when it is about several things.
    fn permit(&self, action: &Action, request: &Request) -> Result<Decision, ApiError> {
        let passed_role = self.passed_role(action, request);
        let mut allowing = None;
        for (target, text) in self.targets(action, request)? {
            let asked = Asked {
                operation: action.name,
                permission: action.permission,
                target,
                passed_role: passed_role.clone(),
            };
            let decision = self.policy.decide(&request.caller, &asked);
            if !decision.is_allowed {
                if let Some(audit) = self.host.audit() {
                    audit.request(&request.caller.principal, action.name, Some(&text), decision.clone());
                }
                return Err(refusal(action, request, &text, &decision));
            }
            allowing = Some(decision);
        }
        allowing.ok_or_else(|| ApiError::internal("the request is about nothing"))
    }

    /// Returns all that a request is about, each with its text.
    fn targets(&self, action: &Action, request: &Request) -> Result<Vec<(Target, String)>, ApiError> {
        let mut arns: Vec<&str> = NAMING.iter().filter_map(|name| request.text(name)).collect();
        if let Some(Value::Array(routes)) = request.get("routingConfiguration") {
            arns.extend(
                routes
                    .iter()
                    .filter_map(|route| route.get("stateMachineVersionArn")?.as_str()),
            );
        }
        let mut targets = Vec::new();
        for arn in arns {
            // Step Functions Local starts mocked executions by `ARN#TestCase`.
            let arn = arn.split('#').next().unwrap_or_default();
            // What is no ARN names nothing: the operation says so itself.
            let target = Arn::parse(arn).map_or(Target::Nothing, |arn| target(&arn.resource));
            targets.push((target, arn.to_owned()));
        }
        if let Some(token) = request.text("taskToken") {
            let record = match TokenClaim::read(token) {
                Some(claim) => self.host.store().execution(claim.execution)?,
                None => None,
            };
            targets.push(match record {
                Some(record) => (
                    Target::Machine(machine_name(&record.facts.machine_arn).to_string()),
                    record.facts.arn.to_string(),
                ),
                None => (Target::Nothing, "*".to_owned()),
            });
        }
        match (action.name, request.text("name")) {
            ("CreateStateMachine", Some(name)) => targets.push((Target::Machine(name.to_owned()), name.to_owned())),
            ("CreateActivity", Some(name)) => targets.push((Target::Activity(name.to_owned()), name.to_owned())),
            ("ValidateStateMachineDefinition", _) => targets.push((Target::Nothing, "*".to_owned())),
            _ => {}
        }
        if targets.is_empty() {
            targets.push((Target::All, "*".to_owned()));
        }
        Ok(targets)
    }

    /// Returns the role that a definition would run with.
    fn passed_role(&self, action: &Action, request: &Request) -> Option<String> {
        let present = || {
            let arn = request.text("stateMachineArn")?;
            let machine = self.host.registry.machine(arn)?;
            Some(machine.revision.role_arn.to_string())
        };
        match action.name {
            "CreateStateMachine" | "TestState" => request.text("roleArn").map(str::to_owned),
            "UpdateStateMachine" => request.text("roleArn").map(str::to_owned).or_else(present),
            _ => None,
        }
    }
}

fn target(resource: &Resource) -> Target {
    match resource {
        Resource::Activity { name } => Target::Activity(name.to_string()),
        Resource::Execution { machine, .. }
        | Resource::Express { machine, .. }
        | Resource::MapRun { machine, .. }
        | Resource::StateMachine { name: machine }
        | Resource::Qualified { name: machine, .. } => {
            Target::Machine(machine.split('/').next().unwrap_or_default().to_owned())
        }
    }
}

/// AWS's error, in its words.
fn refusal(action: &Action, request: &Request, resource: &str, decision: &Decision) -> ApiError {
    let who: Arc<str> = Arc::clone(&request.caller.principal.name);
    tracing::warn!(
        who = &*who,
        operation = action.name,
        resource,
        rule = &*decision.rule,
        "A request was refused."
    );
    ApiError::new(
        "AccessDeniedException",
        format!(
            "User: {who} is not authorized to perform: states:{} on resource: {resource} because {}",
            action.name, decision.rule
        ),
    )
}
