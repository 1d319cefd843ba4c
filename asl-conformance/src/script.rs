//! Answers tasks from the member `tasks` of our own cases.
//!
//! `{state name: [{"succeed": value} | {"succeed_text": n} | {"fail": {"error", "cause"}} | {"timeout": true} | {"silent": true}, …]}`,
//! each with an optional `delay` and `heartbeats` (seconds after the start). The list is counted over all attempts
//! of the state; the last entry repeats.

use std::collections::BTreeMap;

use serde_json::Value;
use stepfn::kernel::event::EventKind;
use stepfn::kernel::event::StartTask;
use stepfn::model::payload::Payload;
use stepfn::model::states_error::StatesError;
use stepfn::sim::driver::Report;
use stepfn::sim::driver::Tasks;

/// The scripted answers of one execution.
#[derive(Clone, Debug, Default)]
pub struct Script {
    states: BTreeMap<String, (Vec<Attempt>, usize)>,
}

#[derive(Clone, Debug)]
struct Attempt {
    delay_millis: u64,
    heartbeats_millis: Vec<u64>,
    end: End,
}

#[derive(Clone, Debug)]
enum End {
    Succeed(Payload),
    Fail(StatesError),
    Timeout,
    Silent,
}

/// The longest text that a script may ask for.
const TEXT_MAX: u64 = 10_000_000;

impl Script {
    /// Reads the member `tasks`.
    ///
    /// # Errors
    /// An entry is not understood.
    pub fn parse(tasks: &Value) -> Result<Self, String> {
        let Some(tasks) = tasks.as_object() else {
            return Err("`tasks` must be an object".to_owned());
        };
        let mut states = BTreeMap::new();
        for (state, attempts) in tasks {
            let attempts = attempts.as_array().filter(|attempts| !attempts.is_empty());
            let Some(attempts) = attempts else {
                return Err(format!("`tasks/{state}` must be an array with at least one entry"));
            };
            let attempts: Result<Vec<Attempt>, String> = attempts
                .iter()
                .map(|attempt| read(attempt).ok_or_else(|| format!("`tasks/{state}`: {attempt} is not understood")))
                .collect();
            states.insert(state.clone(), (attempts?, 0));
        }
        Ok(Self { states })
    }
}

impl Tasks for Script {
    /// A state without a script never answers.
    fn answer(&mut self, task: &StartTask) -> Vec<Report> {
        let id = task.task;
        let Some((attempts, n_before)) = self.states.get_mut(&*task.state_name) else {
            return Vec::new();
        };
        let Some(attempt) = attempts.get(*n_before).or(attempts.last()) else {
            return Vec::new();
        };
        *n_before += 1;
        let mut timed = vec![(
            0,
            EventKind::TaskStarted {
                task: id,
                worker_name: None,
            },
        )];
        let waits = [".waitForTaskToken", ".sync", ".sync:2"];
        if waits.iter().any(|pattern| task.resource_arn.ends_with(pattern)) {
            let output = Payload::new(Value::Object(serde_json::Map::new()));
            timed.push((0, EventKind::TaskSubmitted { task: id, output }));
        }
        for millis in &attempt.heartbeats_millis {
            timed.push((*millis, EventKind::TaskHeartbeat { task: id }));
        }
        let end = match &attempt.end {
            End::Succeed(output) => Some(EventKind::TaskSucceeded {
                task: id,
                output: output.clone(),
            }),
            End::Fail(error) => Some(EventKind::TaskFailed {
                task: id,
                error: error.clone(),
            }),
            End::Timeout => Some(EventKind::TaskTimedOut {
                task: id,
                error: StatesError::named("States.Timeout"),
            }),
            End::Silent => None,
        };
        timed.extend(end.map(|kind| (attempt.delay_millis, kind)));
        timed.sort_by_key(|(millis, _)| *millis);
        let mut before = 0;
        let report = |(millis, kind)| {
            let delay_millis = millis - before;
            before = millis;
            Report { delay_millis, kind }
        };
        timed.into_iter().map(report).collect()
    }
}

fn read(attempt: &Value) -> Option<Attempt> {
    let known = [
        "succeed",
        "succeed_text",
        "fail",
        "timeout",
        "silent",
        "delay",
        "heartbeats",
    ];
    let map = attempt.as_object()?;
    if map.keys().any(|key| !known.contains(&key.as_str())) {
        return None;
    }
    let end = if let Some(value) = map.get("succeed") {
        End::Succeed(Payload::new(value.clone()))
    } else if let Some(length) = map.get("succeed_text") {
        let length = length.as_u64().filter(|length| *length <= TEXT_MAX)?;
        End::Succeed(Payload::new("x".repeat(usize::try_from(length).ok()?).into()))
    } else if let Some(fail) = map.get("fail") {
        let member = |name: &str| fail.get(name).and_then(Value::as_str).map(str::to_owned);
        End::Fail(StatesError {
            name: member("error"),
            cause: member("cause"),
        })
    } else if map.get("timeout").is_some() {
        End::Timeout
    } else if map.get("silent").is_some() {
        End::Silent
    } else {
        return None;
    };
    let delay_millis = match map.get("delay") {
        None => 0,
        Some(delay) => millis(delay)?,
    };
    let heartbeats_millis = match map.get("heartbeats") {
        None => Vec::new(),
        Some(heartbeats) => heartbeats
            .as_array()?
            .iter()
            .map(millis)
            .collect::<Option<Vec<u64>>>()?,
    };
    Some(Attempt {
        delay_millis,
        heartbeats_millis,
        end,
    })
}

fn millis(seconds: &Value) -> Option<u64> {
    let seconds = seconds.as_f64()?;
    let fits = (0.0..1e12).contains(&seconds);
    fits.then_some((seconds * 1000.0).round() as u64)
}
