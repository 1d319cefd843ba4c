//! Runs a case of a single state, as AWS's `TestState` does: no execution around it, one visit, one attempt.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::asl::definition::StateKind;
use crate::kernel::event::StartTask;
use crate::kernel::event::Status;
use crate::kernel::event::TaskProgress;
use crate::kernel::isolated::Ending;
use crate::kernel::isolated::IsolatedState;
use crate::kernel::isolated::Progress;
use crate::kernel::isolated::Setting;
use crate::kernel::isolated::context;
use crate::model::id::StateId;
use crate::model::id::TaskId;
use crate::model::payload::Payload;
use crate::model::states_error::StatesError;
use crate::suite::coverage::Taken;
use crate::suite::file::Case;
use crate::suite::file::Single;
use crate::suite::mock::Answering;
use crate::suite::names::no_state;
use crate::suite::result_shape;
use crate::suite::result_shape::Strictness;
use crate::suite::run;
use crate::suite::run::Machine;
use crate::suite::run::Ran;
use crate::suite::run::SingleEnd;

/// Returns the state of a name, in any block.
fn find(machine: &Machine, name: &str) -> Option<StateId> {
    let mut names = machine.definition.states.iter().map(|state| &*state.name);
    let index = names.position(|known| known == name)?;
    u32::try_from(index).ok().map(StateId)
}

/// Runs the state of a case.
pub(super) fn run(machine: &Machine, case: &Case, single: &Single, seed: u64) -> Ran {
    let Some(id) = find(machine, &single.state) else {
        return refused(no_state(&machine.definition, &single.state, ""));
    };
    let definition = &machine.definition;
    let state = definition.state(id);
    match &single.context {
        None => {}
        Some(Value::Object(object)) => {
            if let Some(problem) = context::problem(object, state) {
                return refused(format!("The `context` of the case cannot be used: {problem}."));
            }
        }
        Some(_) => return refused("The `context` of the case must be an object.".to_owned()),
    }
    let setting = Setting {
        context: single.context.clone(),
        variables: single.variables.clone(),
        retry_count: single.retry_count,
        ..Setting::default()
    };
    let start = run::start(machine, case.input.clone(), seed);
    let mut isolated = IsolatedState::new(Arc::clone(definition), id, start, setting, run::START);
    let mut answering = Answering::new(&case.mocks, seed);
    let mut elapsed_millis = 0;
    let mut attempts = BTreeMap::new();
    match isolated.begin() {
        Progress::Done => {}
        Progress::Waiting(until) => {
            elapsed_millis = u64::try_from(until.0.saturating_sub(run::START.0)).unwrap_or(0);
            isolated.time_passed(until);
        }
        Progress::Task(task, _) => {
            attempts.insert(Arc::clone(&state.name), 1);
            answer(&mut isolated, &mut answering, &task, &state.kind, single.strictness);
        }
        Progress::Join => {
            let task = whole(&state.name, id, case.input.clone());
            answer(&mut isolated, &mut answering, &task, &state.kind, single.strictness);
        }
    }
    let mut taken = Taken::default();
    taken.enter(&state.name);
    for way in isolated.ways() {
        taken.take(id, *way);
    }
    let variables = isolated.inspection().variables;
    let assigned = variables.into_iter().map(|(name, value)| (name, value.value().clone()));
    let end = |status, next_state, output: Option<Payload>| SingleEnd {
        status,
        next_state,
        output: output.map(|output| output.value().clone()),
    };
    let (status, single) = match isolated.ending() {
        Some(Ending::Caught { error, output, next }) => {
            (Status::Failed(error), end("CAUGHT_ERROR", Some(next), Some(output)))
        }
        Some(Ending::Failed(error)) => (Status::Failed(error), end("FAILED", None, None)),
        Some(Ending::Retriable(error)) => (Status::Failed(error), end("RETRIABLE", None, None)),
        Some(Ending::Succeeded { output, next }) => {
            (Status::Succeeded(output.clone()), end("SUCCEEDED", next, Some(output)))
        }
        None => (Status::Running, end("RUNNING", None, None)),
    };
    Ran {
        status,
        history: Vec::new(),
        visited: vec![Arc::clone(&state.name)],
        attempts,
        variables: assigned.collect(),
        elapsed_millis,
        taken,
        mock_failures: answering.failures,
        failed_state: Some(Arc::clone(&state.name)),
        single: Some(single),
    }
}

/// A case that cannot be run.
fn refused(failure: String) -> Ran {
    Ran {
        status: Status::New,
        history: Vec::new(),
        visited: Vec::new(),
        attempts: BTreeMap::new(),
        variables: BTreeMap::new(),
        elapsed_millis: 0,
        taken: Taken::default(),
        mock_failures: vec![failure],
        failed_state: None,
        single: None,
    }
}

/// A Map or Parallel is answered as a whole; its mock sees the state's input.
fn whole(name: &Arc<str>, state: StateId, input: Payload) -> StartTask {
    StartTask {
        task: TaskId(1),
        state,
        state_name: Arc::clone(name),
        resource_arn: Arc::from(""),
        attempt: 1,
        item: None,
        input,
        timeout_seconds: None,
        heartbeat_seconds: None,
        role_arn: None,
        token: None,
        progress: TaskProgress::Scheduled,
    }
}

fn answer(
    isolated: &mut IsolatedState,
    answering: &mut Answering<'_>,
    task: &StartTask,
    kind: &StateKind,
    strictness: Option<Strictness>,
) {
    let answer = answering.at_once(task).and_then(|answer| match &answer {
        Ok(result) => match problem(kind, result.value(), strictness) {
            Some(problem) => Err(problem),
            None => Ok(answer),
        },
        Err(_) => Ok(answer),
    });
    match answer {
        Ok(Ok(result)) => isolated.succeed(result),
        Ok(Err(error)) => isolated.fail(error),
        Err(failure) => {
            answering.failures.push(failure.clone());
            isolated.fail(StatesError::new("States.Runtime", failure))
        }
    };
}

/// Says what is wrong with a mocked result.
fn problem(kind: &StateKind, result: &Value, strictness: Option<Strictness>) -> Option<String> {
    let n_results = result.as_array().map(Vec::len);
    match (kind, n_results) {
        (StateKind::Map(map), None) if map.result_writer.is_none() => {
            Some("The result of a Map must be a list.".to_owned())
        }
        (StateKind::Parallel(branches), n_results) if n_results != Some(branches.len()) => Some(format!(
            "The result of this Parallel must be a list of {}, one for each branch.",
            branches.len()
        )),
        (StateKind::Task(task), _) => {
            let problem = result_shape::problem(&task.resource, result, strictness?)?;
            let problem = problem.trim_end_matches('.');
            Some(format!(
                "{problem}. Mock what the service returns, or let the case have a `field_validation_mode` that asks for less."
            ))
        }
        _ => None,
    }
}
