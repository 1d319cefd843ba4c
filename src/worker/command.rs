//! A local command that stands for a resource: input on stdin, output on stdout.

use hyper::body::Bytes;
use serde_json::Value;

use crate::model::history_event::TaskFamily;
use crate::model::payload::Payload;
use crate::model::states_error::StatesError;
use crate::worker::Cancel;
use crate::worker::Job;
use crate::worker::Reports;
use crate::worker::lambda::answer;
use crate::worker::lambda::answer::Answer;
use crate::worker::lambda::request::InvocationType;
use crate::worker::lambda::request::Request;
use crate::worker::output::Keep;
use crate::worker::process;
use crate::worker::process::Ended;
use crate::worker::process::Spec;
use crate::worker::secrets;
use crate::worker::spawn::wire::AtLoss;

/// How much of a log `LogType: Tail` gives.
const LOG_TAIL_BYTES: usize = 4096;
/// How much of an output that is not JSON its error shows.
const BEGINNING_BYTES_MAX: usize = 80;

/// Tells whether a mapping binds the resource.
pub fn matches(job: &Job) -> bool {
    job.site.mappings.find(&names(job)).is_some()
}

/// Returns the names under which a mapping may know the task: the resource, and the function of
/// `lambda:invoke`; functions also without their qualifier.
pub fn names(job: &Job) -> Vec<String> {
    let mut names = vec![job.resource.arn.to_string()];
    if job.resource.family == TaskFamily::Lambda {
        names.extend(without_qualifier(&job.resource.arn));
    }
    if let Some(function) = invoked_function(job) {
        names.push(function.to_owned());
        names.extend(without_qualifier(function));
        let (region, account) = (&job.site.region, &job.site.account);
        let name = match function.split(':').collect::<Vec<_>>().as_slice() {
            [name] | [name, _] => Some(*name),
            [_, "function", name, ..] => Some(*name),
            _ => None,
        };
        if let Some(name) = name {
            names.push(format!("arn:aws:lambda:{region}:{account}:function:{name}"));
        }
    }
    names
}

/// Returns a function's ARN without its version or alias, if it has one.
fn without_qualifier(arn: &str) -> Option<String> {
    let parts: Vec<&str> = arn.split(':').collect();
    match parts.as_slice() {
        ["arn", _, "lambda", _, _, "function", _, _] => Some(parts[..7].join(":")),
        _ => None,
    }
}

/// Returns the function that `lambda:invoke` names.
pub fn invoked_function(job: &Job) -> Option<&str> {
    match &job.resource.family {
        TaskFamily::Integration {
            resource_type,
            resource,
        } if &**resource_type == "lambda" && resource.split('.').next() == Some("invoke") => {
            job.task.input.value().get("FunctionName")?.as_str()
        }
        _ => None,
    }
}

/// Returns the first characters of an output.
fn beginning(stdout: &[u8]) -> String {
    let start = stdout.get(..BEGINNING_BYTES_MAX).unwrap_or(stdout);
    String::from_utf8_lossy(start).trim().to_owned()
}

/// Runs the command.
pub async fn carry_out(job: &Job, reports: &Reports, cancel: &mut Cancel) -> Result<Payload, StatesError> {
    let Some(mapping) = job.site.mappings.find(&names(job)) else {
        return Err(StatesError::default());
    };
    let names_resource = crate::model::glob::matches(&mapping.resource, &job.resource.arn);
    let invoked = invoked_function(job).is_some() && !names_resource;
    let request = match invoked {
        true => Some(Request::read(job)?),
        false => None,
    };
    let stdin = match &request {
        Some(request) => request.payload.to_vec(),
        None => job.task.input.text().as_bytes().to_vec(),
    };
    if request
        .as_ref()
        .is_some_and(|request| request.invocation_type == InvocationType::DryRun)
    {
        return Answer::without_result(204).into_result(job);
    }
    let is_lambda = invoked || job.resource.family == TaskFamily::Lambda;
    let default_error = if is_lambda {
        "Lambda.Unknown"
    } else {
        "States.TaskFailed"
    };
    let error_name = mapping.error.as_deref().unwrap_or(default_error);
    let fail = |cause: String| StatesError::new(error_name, process::shorten(&cause));
    let wanted = secrets::wanted(&mapping.credentials).map_err(|why| fail(format!("In `credentials`, {why}.")))?;
    let sources = &job.site.actions.secrets;
    let spec = Spec {
        argv: mapping.command.clone(),
        stdin,
        env: mapping.env.clone(),
        cwd: mapping.cwd.clone(),
        stdout: Keep::All(job.output_bytes_max()),
        stderr_bytes_max: process::STDERR_BYTES_MAX,
        log_stderr: true,
        at_loss: AtLoss::End,
        credentials: secrets::credentials(&wanted, sources, reports, cancel).await?,
    };
    let program = &mapping.command[0];
    let done = match process::run(&spec, &job.site.nursery, reports, cancel).await {
        Ok(Ended::Done(done)) => done,
        Ok(Ended::StdoutTooLong) => return Err(job.output_too_large()),
        Ok(Ended::Cancelled) => return Err(StatesError::default()),
        Err(error) => return Err(fail(format!("The command `{program}` cannot be run: {error}."))),
    };
    let parsed = serde_json::from_slice::<Value>(&done.stdout);
    if !done.status.success() {
        if let Ok(value) = &parsed
            && let Some(name) = value.get("errorType").and_then(Value::as_str)
        {
            // As AWS writes what a function's runtime gave: without blanks.
            return Err(StatesError::new(name, process::shorten(&value.to_string())));
        }
        let stderr = String::from_utf8_lossy(&done.stderr);
        let how = process::describe(done.status);
        return Err(fail(match stderr.trim() {
            "" => format!("The command `{program}` {how}."),
            stderr => stderr.to_owned(),
        }));
    }
    let output = match parsed {
        Ok(value) => value,
        Err(_) if done.stdout.iter().all(u8::is_ascii_whitespace) => Value::Null,
        Err(error) => {
            return Err(fail(format!(
                "The command `{program}` succeeded, but what it wrote to stdout is not JSON: {error}. It begins with {:?}.",
                beginning(&done.stdout)
            )));
        }
    };
    let Some(request) = request else {
        return Ok(Payload::new(output));
    };
    if request.invocation_type == InvocationType::Event {
        return Answer::without_result(202).into_result(job);
    }
    let log_start = done.stderr.len().saturating_sub(LOG_TAIL_BYTES);
    let answer = Answer {
        status: 200,
        is_function_error: false,
        executed_version: Some(request.name.executed_version().to_owned()),
        log: request
            .wants_log
            .then(|| Bytes::copy_from_slice(&done.stderr[log_start..])),
        request_id: answer::fresh_uuid(),
        body: Bytes::from(output.to_string()),
    };
    answer.into_result(job)
}
