//! The way of every action: check, lock, plan, keep, apply, verify.

use std::io;
use std::sync::Arc;
use std::sync::PoisonError;

use serde_json::Value;
use serde_json::json;

use crate::model::payload::Payload;
use crate::model::states_error::StatesError;
use crate::secret::value::Wiped;
use crate::worker::Cancel;
use crate::worker::Job;
use crate::worker::Reports;
use crate::worker::action;
use crate::worker::action::Action;
use crate::worker::action::Named;
use crate::worker::action::Planned;
use crate::worker::action::Work;
use crate::worker::action::check;
use crate::worker::action::checkpoint::Checkpoints;
use crate::worker::action::checkpoint::Owner;
use crate::worker::action::checkpoint::Saved;
use crate::worker::action::facts::Facts;
use crate::worker::action::reference;

/// The configuration forbids the action.
const NOT_ALLOWED: &str = "Debian.ActionNotAllowed";
/// There is no such action.
const UNKNOWN_ACTION: &str = "Debian.UnknownAction";
/// A checkpoint cannot be written or read.
pub(super) const CHECKPOINT_FAILED: &str = "Debian.CheckpointFailed";
/// A lock's file cannot be made.
const LOCK_FAILED: &str = "Debian.LockFailed";

/// Tells whether the resource names an action, or means to.
pub fn matches(job: &Job) -> bool {
    !matches!(action::named(&job.resource.arn), Named::Other)
}

/// Carries out the action.
pub async fn carry_out(job: &Job, reports: &Reports, cancel: &mut Cancel) -> Result<Payload, StatesError> {
    let action = match action::named(&job.resource.arn) {
        Named::Action(action) => action,
        Named::Unknown(name) => {
            let sentence = format!("There is no action `{name}`. `stepfn actions` lists them.");
            return Err(StatesError::new(UNKNOWN_ACTION, sentence));
        }
        Named::Other => return Err(StatesError::default()),
    };
    let facts = action.facts();
    let site = &job.site.actions;
    if !site.allowed.has(facts.name) {
        let sentence = format!("The configuration does not allow the action `{}`.", facts.name);
        return Err(StatesError::new(NOT_ALLOWED, sentence));
    }
    let parameters = job.task.input.value();
    check(facts, parameters)?;
    let locks = site.locks.acquire(action.locks(parameters));
    let held = tokio::select! {
        held = locks => held,
        () = cancel.cancelled() => return Err(StatesError::default()),
    };
    let _held = held.map_err(|error| {
        let sentence = format!("A lock of {} cannot be made: {error}.", facts.name);
        StatesError::new(LOCK_FAILED, sentence)
    })?;
    let mut work = Work {
        nursery: &job.site.nursery,
        site,
        reports,
        cancel,
        output_bytes_max: job.output_bytes_max(),
        before: None,
    };
    // A process is refused when it is started.
    if work.site.planned.is_none() && !action.is_done_by_processes() {
        check_account(action, &work).await?;
    }
    let result = settle(action, job, &mut work).await;
    let result = reports.without_secrets(result.map(Payload::new))?;
    match result.text().len() <= job.output_bytes_max() {
        true => Ok(result),
        false => Err(job.output_too_large()),
    }
}

fn check(facts: &Facts, parameters: &Value) -> Result<(), StatesError> {
    check::value(facts, parameters).map_err(|problems| {
        let sentences: Vec<&str> = problems.iter().map(|problem| &*problem.message).collect();
        StatesError::new(facts.invalid_parameters(), sentences.join(" "))
    })
}

/// Refuses the action when the task has no account, or another one than the engine, which does the work itself.
pub(super) async fn check_account(action: &'static dyn Action, work: &Work<'_>) -> Result<(), StatesError> {
    let name = action.facts().name;
    let why = match work.nursery.whom(work.reports.claim()).await {
        Ok(whom) if whom.is_own || action.is_done_by_processes() => return Ok(()),
        Ok(whom) => format!(
            "`{name}` is done by the engine itself, which cannot become `{}`; commands and `shell.run` can",
            whom.user
        ),
        Err(why) => why,
    };
    work.reports.refused(&why);
    Err(StatesError::default())
}

/// Does what is left to do until the machine is as asked.
async fn settle(action: &'static dyn Action, job: &Job, work: &mut Work<'_>) -> Result<Value, StatesError> {
    let facts = action.facts();
    let parameters = job.task.input.value();
    let owner = Owner {
        execution_arn: Arc::clone(&job.execution_arn),
        parent_arn: job.parent_arn.clone(),
        state_name: Arc::clone(&job.task.state_name),
        task: job.task.task.0,
        action: facts.name,
        claim: job.claim(),
    };
    let keeps = facts.undo.is_some() && action.keeps(parameters);
    let checkpoints = work.site.checkpoints.as_ref().filter(|_| keeps);
    let mut saved = match checkpoints {
        Some(checkpoints) => existing(checkpoints, &owner).await?,
        None => None,
    };
    work.before = saved.as_ref().map(|saved| saved.before.clone());
    let references = reference::all(facts, parameters);
    // Nothing is read for a plan: secrets are read when they are used.
    let resolved = match work.site.planned.is_some() || references.is_empty() {
        true => Wiped(parameters.clone()),
        false => reference::resolve(facts, parameters, work).await?,
    };
    let resolved = &resolved.0;
    let plan = action.plan(resolved, work).await?;
    let finished = |mut result: Value, changed: bool, checkpoint: Option<String>| {
        if !references.is_empty() {
            action.conceal(&mut result);
        }
        result_of(result, changed, checkpoint)
    };
    if let Some(planned) = &work.site.planned {
        let has_changes = !plan.changes.is_empty();
        planned.lock().unwrap_or_else(PoisonError::into_inner).push(Planned {
            state_name: owner.state_name,
            action: facts.name,
            changes: plan.changes,
            secrets: references.iter().map(|found| found.reference.to_string()).collect(),
        });
        return Ok(finished(plan.result, has_changes, None));
    }
    if plan.changes.is_empty() && saved.is_none() {
        // Who may do nothing is not told how the machine is either.
        check_account(action, work).await?;
        return Ok(finished(plan.result, false, None));
    }
    if let (None, Some(checkpoints)) = (&saved, checkpoints) {
        let directory = blocking(checkpoints, &owner, |checkpoints, owner| {
            checkpoints.make_directory(owner)
        })
        .await?;
        let before = action.save(parameters, &directory, work).await?;
        work.before = Some(before.clone());
        let parameters = parameters.clone();
        let opened = blocking(checkpoints, &owner, move |checkpoints, owner| {
            checkpoints.open(owner, &parameters, before)
        });
        saved = Some(opened.await?);
    }
    let id = saved.as_ref().map(|saved| saved.id.clone());
    let applied = match plan.changes.is_empty() {
        // A run before a crash did all of it.
        true => Ok(plan.result),
        false => {
            let applied = action.apply(resolved, work).await;
            let scrubber = work.reports.scrubber();
            let lines = plan.changes.iter().map(|line| scrubber.text(line).into_owned());
            job.note_changes(facts.name, &lines.collect::<Vec<_>>(), applied.is_err());
            applied
        }
    };
    let result = match applied {
        Ok(result) => action.verify(resolved, &result, work).await.map(|()| result),
        Err(error) => Err(error),
    };
    let mut result = finished(result?, true, id);
    work.reports.scrubber().value(&mut result);
    if let Some(saved) = saved {
        note_applied(saved, result.clone()).await?;
    }
    Ok(result)
}

/// Adds what every result has.
fn result_of(mut result: Value, changed: bool, checkpoint: Option<String>) -> Value {
    if let Value::Object(members) = &mut result {
        members.entry("Changed").or_insert(json!(changed));
        if let Some(id) = checkpoint {
            members.insert("Checkpoint".to_owned(), Value::from(id));
        }
    }
    result
}

async fn existing(checkpoints: &Checkpoints, owner: &Owner) -> Result<Option<Saved>, StatesError> {
    blocking(checkpoints, owner, |checkpoints, owner| checkpoints.existing(owner)).await
}

async fn note_applied(mut saved: Saved, result: Value) -> Result<(), StatesError> {
    of_disk(move || saved.applied(&result)).await
}

async fn blocking<T: Send + 'static>(
    checkpoints: &Checkpoints,
    owner: &Owner,
    work: impl FnOnce(&Checkpoints, &Owner) -> io::Result<T> + Send + 'static,
) -> Result<T, StatesError> {
    let (checkpoints, owner) = (checkpoints.clone(), owner.clone());
    of_disk(move || work(&checkpoints, &owner)).await
}

/// Does something with the disk where it may take its time.
pub(super) async fn of_disk<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, StatesError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(io::Error::other).flatten().map_err(|error| {
        StatesError::new(
            CHECKPOINT_FAILED,
            format!("The checkpoint cannot be written or read: {error}."),
        )
    })
}
