//! What makes records: each with its sentence.

use std::sync::Arc;

use serde_json::Value;

use crate::audit::log::Audit;
use crate::audit::record::Event;
use crate::audit::record::Record;
use crate::audit::record::RunAs;
use crate::model::decision::Decision;
use crate::model::principal::Principal;
use crate::model::principal::PrincipalKind;

/// Lines of changes in one record, and characters of each, at most.
const CHANGES_MAX: usize = 100;
const CHANGE_CHARS_MAX: usize = 300;

/// A task, as records name it.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The execution's ARN.
    pub execution: Arc<str>,
    /// The state machine's ARN or name.
    pub state_machine: Arc<str>,
    /// The SHA-256 of the definition's text, where it is known.
    pub definition: Option<Arc<str>>,
    /// The state.
    pub state: Arc<str>,
    /// The task's number in its execution.
    pub task: u64,
    /// The attempt, from 1.
    pub attempt: u32,
    /// The task's resource.
    pub resource: Arc<str>,
    /// Who started the execution.
    pub started_by: Option<Arc<Principal>>,
}

/// An execution, as records name it.
#[derive(Clone, Debug)]
pub struct ExecutionSubject {
    /// Its ARN.
    pub arn: Arc<str>,
    /// The state machine's ARN or name.
    pub state_machine: Arc<str>,
    /// The SHA-256 of the definition's text, where it is known.
    pub definition: Option<Arc<str>>,
    /// Who started it.
    pub started_by: Option<Arc<Principal>>,
}

/// Returns `Machine/name` of an execution's ARN, the name of another ARN, else the text itself.
fn short(arn: &str) -> String {
    match arn.split_once(":execution:").or_else(|| arn.split_once(":express:")) {
        Some((_, rest)) => rest.replacen(':', "/", 1),
        None => arn.rsplit(':').next().unwrap_or(arn).to_owned(),
    }
}

fn somebody(principal: Option<&Arc<Principal>>) -> String {
    principal.map_or_else(|| "somebody".to_owned(), |principal| principal.to_string())
}

/// Returns the sentence's beginning: who, and by which way when it matters.
fn actor(principal: &Principal) -> String {
    let way = match principal.kind {
        PrincipalKind::AccessKey => ", by access key",
        PrincipalKind::Oidc => ", by token",
        PrincipalKind::Process | PrincipalKind::UnixSocket | PrincipalKind::Loopback => "",
    };
    let via = principal.via.as_deref().map(short);
    let via = via.map_or_else(String::new, |via| format!(", through {via}"));
    match (way, &principal.login) {
        ("", None) if via.is_empty() => principal.to_string(),
        _ => {
            let login = principal.login.as_ref();
            let login = login.map_or_else(String::new, |login| format!(", logged in as {}", login.user));
            let said = format!("{login}{way}{via}");
            format!("{} ({})", principal.name, said.trim_start_matches(", "))
        }
    }
}

impl Subject {
    fn record(&self, event: Event, say: String) -> Record {
        Record {
            on_behalf_of: self.started_by.clone(),
            execution: Some(Arc::clone(&self.execution)),
            state_machine: Some(Arc::clone(&self.state_machine)),
            definition: self.definition.clone(),
            state: Some(Arc::clone(&self.state)),
            task: Some(self.task),
            attempt: Some(self.attempt),
            resource: Some(Arc::clone(&self.resource)),
            ..Record::new(event, say)
        }
    }

    fn named(&self) -> String {
        let again = match self.attempt {
            0 | 1 => String::new(),
            attempt => format!(", attempt {attempt}"),
        };
        format!("{} of {}{again}", self.state, short(&self.execution))
    }

    /// Says that the task is about to start.
    pub fn intent(&self) -> Record {
        let who = somebody(self.started_by.as_ref());
        let say = format!("{} starts for {who}: {}.", self.named(), self.resource);
        self.record(Event::TaskIntent, say)
    }

    /// Says how the task ended. `error` is the name of its error, empty when it has none.
    pub fn result(&self, run_as: Option<RunAs>, error: Option<&str>, is_cancelled: bool) -> Record {
        let (result, how) = match error {
            None => ("succeeded", "succeeded".to_owned()),
            Some(_) if is_cancelled => ("cancelled", "was called off".to_owned()),
            Some("") => ("failed", "failed".to_owned()),
            Some(error) => ("failed", format!("failed with {error}")),
        };
        let ran = match &run_as {
            Some(RunAs {
                user, rung: Some(rung), ..
            }) => format!(" ran as {user} on rung {rung}:"),
            Some(RunAs { user, .. }) => format!(" ran as {user}:"),
            None => String::new(),
        };
        let say = format!("{}{ran} {how}.", self.named());
        Record {
            run_as,
            result: Some(result.into()),
            error: error.filter(|error| !error.is_empty()).map(Arc::from),
            ..self.record(Event::TaskResult, say)
        }
    }

    /// Says what an action changed; one that failed may have changed all of it, a part, or nothing.
    pub fn change(&self, action: &str, changes: &[String], has_failed: bool) -> Record {
        let lines = changes.iter().take(CHANGES_MAX);
        let lines = lines.map(|line| line.chars().take(CHANGE_CHARS_MAX).collect::<String>());
        let changes: Vec<Arc<str>> = lines.map(Arc::from).collect();
        let first = changes.first().map_or("", |first| first);
        let more = match changes.len() {
            0 | 1 => String::new(),
            n => format!(", and {} more", n - 1),
        };
        let (verb, result) = match has_failed {
            true => ("may have changed", "uncertain"),
            false => ("changed", "applied"),
        };
        let say = format!("{} {verb} this machine with {action}: {first}{more}.", self.named());
        Record {
            action: Some(action.into()),
            changes,
            result: Some(result.into()),
            ..self.record(Event::Change, say)
        }
    }
}

impl ExecutionSubject {
    /// Makes one of which only the ARN is known, and who acts on it.
    pub fn of_arn(arn: &str, who: Arc<Principal>) -> Self {
        let machine = arn.rsplit_once(':').map_or(arn, |(machine, _)| machine);
        Self {
            arn: arn.into(),
            state_machine: machine.replacen(":execution:", ":stateMachine:", 1).into(),
            definition: None,
            started_by: Some(who),
        }
    }

    fn record(&self, event: Event, say: String) -> Record {
        Record {
            execution: Some(Arc::clone(&self.arn)),
            state_machine: Some(Arc::clone(&self.state_machine)),
            definition: self.definition.clone(),
            ..Record::new(event, say)
        }
    }

    /// Says that it started; `decision` is what allowed it.
    pub fn started(&self, decision: Option<Decision>) -> Record {
        let who = self.started_by.as_deref().map_or_else(|| "Somebody".to_owned(), actor);
        let say = format!("{who} started {}.", short(&self.arn));
        Record {
            who: self.started_by.clone(),
            decision,
            ..self.record(Event::ExecutionStarted, say)
        }
    }

    /// Says how it ended; `status` is the API's word.
    pub fn ended(&self, status: &str, error: Option<&str>) -> Record {
        let how = status.to_lowercase().replace('_', " ");
        let why = error.map_or_else(String::new, |error| format!(" with {error}"));
        let say = format!("{} ended: {how}{why}.", short(&self.arn));
        Record {
            on_behalf_of: self.started_by.clone(),
            result: Some(status.into()),
            error: error.map(Arc::from),
            ..self.record(Event::ExecutionEnded, say)
        }
    }

    /// Says that a change of it was undone, or why not.
    pub fn rollback(&self, state: &str, action: &str, failure: Option<&str>) -> Record {
        let say = match failure {
            None => format!(
                "What {state} of {} had changed with {action} was undone.",
                short(&self.arn)
            ),
            Some(_) => format!(
                "What {state} of {} had changed with {action} could not be undone.",
                short(&self.arn)
            ),
        };
        Record {
            state: Some(state.into()),
            action: Some(action.into()),
            result: Some(if failure.is_none() { "undone" } else { "failed" }.into()),
            on_behalf_of: self.started_by.clone(),
            ..self.record(Event::Rollback, say)
        }
    }
}

/// What a request did, beyond having been allowed.
#[derive(Clone, Debug, Default)]
pub struct Effect {
    /// Which event it is: `RequestAllowed` when there is none of its own.
    pub event: Option<Event>,
    /// The SHA-256 of the definition that it stored.
    pub definition: Option<Arc<str>>,
    /// The state machine that it concerns.
    pub state_machine: Option<Arc<str>>,
    /// The execution that it concerns.
    pub execution: Option<Arc<str>>,
    /// The error that it got.
    pub error: Option<Arc<str>>,
}

/// Says that a request was allowed or refused, and what it did.
pub fn request(
    who: &Arc<Principal>,
    operation: &str,
    resource: Option<&str>,
    decision: Decision,
    effect: Effect,
) -> Record {
    let what = resource.map(short);
    let on = what.as_ref().map_or_else(String::new, |what| format!(" on {what}"));
    let what = what.unwrap_or_else(|| "something".to_owned());
    let who_said = actor(who);
    let event = match (decision.is_allowed, effect.event.filter(|_| effect.error.is_none())) {
        (false, _) => Event::RequestRefused,
        (true, event) => event.unwrap_or(Event::RequestAllowed),
    };
    let say = match (event, &effect.error) {
        (Event::RequestRefused, _) => format!("{who_said} was refused {operation}{on}: {}.", decision.rule),
        (_, Some(error)) => format!("{who_said} asked for {operation}{on}, which failed with {error}."),
        (Event::MachineCreated, _) => format!("{who_said} created the state machine {what}."),
        (Event::MachineUpdated, _) => format!("{who_said} changed the state machine {what}."),
        (Event::MachineDeleted, _) => format!("{who_said} deleted the state machine {what}."),
        (Event::ExecutionStopped, _) => format!("{who_said} stopped {what}."),
        (Event::ExecutionRedriven, _) => format!("{who_said} redrove {what}."),
        _ => format!("{who_said} did {operation}{on}."),
    };
    Record {
        who: Some(Arc::clone(who)),
        execution: effect.execution,
        state_machine: effect.state_machine,
        definition: effect.definition,
        resource: resource.map(Arc::from),
        decision: Some(decision),
        action: Some(operation.into()),
        error: effect.error,
        ..Record::new(event, say)
    }
}

/// Says that a server began or ended; `facts` are what it serves.
pub fn server(event: Event, who: &Arc<Principal>, facts: &[(&str, Value)]) -> Record {
    let how = if event == Event::ServerStarted {
        "started"
    } else {
        "stopped"
    };
    let version = env!("CARGO_PKG_VERSION");
    let mut record = Record::new(event, format!("stepfn {version} {how}, run by {who}."));
    record.who = Some(Arc::clone(who));
    record.facts.insert("version".to_owned(), version.into());
    if let Ok(boot) = std::fs::read_to_string("/proc/sys/kernel/random/boot_id") {
        record.facts.insert("boot".to_owned(), boot.trim().into());
    }
    let named = facts.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    record.facts.extend(named);
    record
}

/// Says that an access key was made or revoked.
pub fn key(event: Event, who: &Arc<Principal>, key_id: &str, owner: &str) -> Record {
    let how = if event == Event::KeyCreated {
        "created"
    } else {
        "revoked"
    };
    let say = format!("{} {how} the access key {key_id} of {owner}.", actor(who));
    Record {
        who: Some(Arc::clone(who)),
        resource: Some(key_id.into()),
        ..Record::new(event, say)
    }
}

impl Audit {
    /// Records that a request was allowed or refused.
    pub fn request(&self, who: &Arc<Principal>, operation: &str, resource: Option<&str>, decision: Decision) {
        self.note(&request(who, operation, resource, decision, Effect::default()));
    }
}
