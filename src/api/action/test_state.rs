//! `TestState`.

use std::sync::Arc;
use std::time::Duration;

use crate::api::Api;
use crate::api::action::Action;
use crate::api::error::Answer;
use crate::api::error::ApiError;
use crate::api::execution::read_input;
use crate::api::member::Member;
use crate::api::member::Shape;
use crate::api::request::Request;
use crate::api::shapes;
use crate::api::test_state::answer;
use crate::api::test_state::definition;
use crate::api::test_state::mock;
use crate::api::test_state::mock::Mock;
use crate::api::test_state::setting;
use crate::engine::attempt::TEST_SECONDS_MAX;
use crate::identity::permission::Permission;
use crate::kernel::event::Start;
use crate::kernel::isolated::IsolatedState;
use crate::kernel::isolated::Progress;
use crate::model::id::BlockId;
use crate::model::payload::Payload;
use crate::model::states_error::StatesError;
use crate::model::timestamp::Timestamp;
use crate::model::token::TokenKey;

pub(super) const ACTION: Action = Action {
    name: "TestState",
    permission: Permission::Deploy,
    input: &[
        Member::required("definition", shapes::DEFINITION),
        Member::optional("roleArn", shapes::ARN),
        Member::optional("input", shapes::DATA),
        Member::optional("inspectionLevel", Shape::OneOf(&["INFO", "DEBUG", "TRACE"])),
        Member::optional("revealSecrets", Shape::Bool),
        Member::optional("variables", shapes::DATA),
        Member::optional("stateName", shapes::NAME),
        Member::optional(
            "mock",
            Shape::Object {
                name: "MockInput",
                members: &[
                    Member::optional("result", shapes::DATA),
                    Member::optional(
                        "errorOutput",
                        Shape::Object {
                            name: "MockErrorOutput",
                            members: &[shapes::ERROR, shapes::CAUSE],
                        },
                    ),
                    Member::optional("fieldValidationMode", Shape::OneOf(&["STRICT", "PRESENT", "NONE"])),
                ],
            },
        ),
        Member::optional("context", shapes::DATA),
        Member::optional(
            "stateConfiguration",
            Shape::Object {
                name: "TestStateConfiguration",
                members: &[
                    Member::optional("retrierRetryCount", COUNT),
                    Member::optional("errorCausedByState", shapes::NAME),
                    Member::optional("mapIterationFailureCount", COUNT),
                    Member::optional("mapItemReaderData", shapes::DATA),
                ],
            },
        ),
    ],
    call: |api, request| Box::pin(call(api, request)),
};

const COUNT: Shape = Shape::Int {
    min: 0,
    max: i32::MAX as i64,
};

async fn call(api: &Api, request: Request) -> Answer {
    let mock = mock::read(&request)?;
    setting::check_request(&request, mock.is_some())?;
    let (machine, state_id) = definition::compile(request.required("definition"), request.text("stateName"))?;
    let state = machine.state(state_id);
    match &mock {
        Some(mock) => mock.check(state)?,
        None => mock::check_without(state, request.text("roleArn"))?,
    }
    let input = read_input(request.text("input").unwrap_or("{}"))?;
    let setting = setting::read(&request, &machine, state)?;
    let n_failed = setting.n_failed_iterations;
    let start = start(api, &request, input.clone());
    let whose = start.clone();
    let mut isolated = IsolatedState::new(Arc::clone(&machine), state_id, start, setting, api.host.now());
    let progress = isolated.begin();
    if let Some(mock) = &mock {
        mock.check_iterations(n_failed, isolated.n_items())?;
    }
    let progress = match (progress, mock) {
        (Progress::Task(..) | Progress::Join, Some(Mock::Result(result, _))) => isolated.succeed(result),
        (Progress::Task(..) | Progress::Join, Some(Mock::Error(error))) => isolated.fail(error),
        (Progress::Task(task, resource), None) => match api
            .host
            .attempt(*task, resource, &whose, &request.caller.principal)
            .await
        {
            Ok(output) => isolated.succeed(output),
            Err(error) => isolated.fail(error),
        },
        (Progress::Waiting(until), _) => wait(api, &mut isolated, until).await,
        (progress, _) => progress,
    };
    let Some(ending) = isolated.ending() else {
        return Err(ApiError::internal(format!(
            "a state under test stopped at {progress:?}"
        )));
    };
    let is_inspected = !matches!(request.text("inspectionLevel"), None | Some("INFO"));
    let inspection = is_inspected.then(|| isolated.inspection());
    Ok(answer::make(&ending, &input, inspection.as_ref()))
}

/// Waits as the state says, but no longer than a state may be tested.
async fn wait(api: &Api, isolated: &mut IsolatedState, until: Timestamp) -> Progress {
    let pause_max = Duration::from_secs(TEST_SECONDS_MAX);
    let pause = u64::try_from(until.0 - api.host.now().0).map_or(Duration::ZERO, Duration::from_millis);
    tokio::time::sleep(pause.min(pause_max)).await;
    match pause <= pause_max {
        true => isolated.time_passed(until),
        false => isolated.fail(StatesError::named("States.Timeout")),
    }
}

fn start(api: &Api, request: &Request, input: Payload) -> Start {
    let (region, account) = api.host.place();
    // Every test has a machine and an execution of its own, which exist nowhere else (recorded).
    let (machine, name) = (api.host.uuid(), api.host.uuid());
    let seed = api.host.draw();
    Start {
        execution_arn: format!("arn:aws:states:{region}:{account}:express:{machine}:{name}").into(),
        name: name.into(),
        state_machine_arn: format!("arn:aws:states:{region}:{account}:stateMachine:{machine}").into(),
        state_machine_name: machine.into(),
        role_arn: request.text("roleArn").unwrap_or_default().into(),
        input,
        seed,
        quotas: api.host.quotas(),
        express: true,
        synchronous: true,
        version_arn: None,
        alias_arn: None,
        token_key: TokenKey::from_seed(seed),
        wait_scale: 1.0,
        block: BlockId(0),
    }
}
