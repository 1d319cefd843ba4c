//! AWS's history events: one variant per shape, 62 type names.

use std::sync::Arc;

use serde::Deserialize;
use serde::Serialize;
use serde_json::Map;
use serde_json::Value;

use crate::model::id::EventId;
use crate::model::payload::Payload;
use crate::model::states_error::StatesError;
use crate::model::timestamp::Timestamp;

/// Members of an event's details that hold execution data: `includeExecutionData: false` leaves them out (recorded;
/// the last three by the same rule).
pub const DATA_MEMBERS: &[&str] = &[
    "input",
    "inputDetails",
    "output",
    "outputDetails",
    "parameters",
    "assignedVariables",
    "assignedVariablesDetails",
];

/// One entry of an execution's history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistoryEvent {
    /// 1, 2, 3, … without gaps.
    pub id: EventId,
    /// The event before it in the same thread of control, or 0.
    pub previous: EventId,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub kind: HistoryEventKind,
}

/// The eight state types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the language's own")]
pub enum StateType {
    Choice,
    Fail,
    Map,
    Parallel,
    Pass,
    Succeed,
    Task,
    Wait,
}

impl StateType {
    /// Returns the name as a definition writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Choice => "Choice",
            Self::Fail => "Fail",
            Self::Map => "Map",
            Self::Parallel => "Parallel",
            Self::Pass => "Pass",
            Self::Succeed => "Succeed",
            Self::Task => "Task",
            Self::Wait => "Wait",
        }
    }
}

/// Which family of events a Task writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskFamily {
    /// A bare Lambda function ARN: `LambdaFunction…`.
    Lambda,
    /// An activity ARN: `Activity…`.
    Activity,
    /// A service integration: `Task…`, for example `sqs` / `sendMessage.waitForTaskToken`.
    Integration {
        /// `resourceType`, for example `sqs` or `aws-sdk:s3`.
        resource_type: Arc<str>,
        /// `resource`, for example `sendMessage.waitForTaskToken`.
        resource: Arc<str>,
    },
}

/// What a history event tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "names and members are the API's own")]
pub enum HistoryEventKind {
    ExecutionStarted {
        input: Payload,
        role_arn: Arc<str>,
        version_arn: Option<Arc<str>>,
        alias_arn: Option<Arc<str>>,
    },
    ExecutionSucceeded {
        output: Payload,
    },
    ExecutionFailed(StatesError),
    ExecutionTimedOut(StatesError),
    ExecutionAborted(StatesError),
    ExecutionRedriven {
        redrive_count: u32,
    },
    StateEntered {
        state: StateType,
        name: Arc<str>,
        input: Payload,
    },
    StateExited {
        state: StateType,
        name: Arc<str>,
        output: Payload,
        assigned: Vec<(Arc<str>, Payload)>,
    },
    /// `TaskStateAborted`, `WaitStateAborted`, `MapStateAborted`, `ParallelStateAborted`.
    StateAborted {
        state: StateType,
    },
    TaskScheduled {
        family: TaskFamily,
        resource_arn: Arc<str>,
        region: Arc<str>,
        /// `parameters` of an integration, `input` of Lambda and activities.
        input: Payload,
        timeout_seconds: Option<u64>,
        heartbeat_seconds: Option<u64>,
        role_arn: Option<Arc<str>>,
    },
    TaskStarted {
        family: TaskFamily,
        worker_name: Option<Arc<str>>,
    },
    TaskSubmitted {
        family: TaskFamily,
        output: Payload,
    },
    TaskSucceeded {
        family: TaskFamily,
        output: Payload,
    },
    TaskFailed {
        family: TaskFamily,
        error: StatesError,
    },
    TaskTimedOut {
        family: TaskFamily,
        error: StatesError,
    },
    MapStateStarted {
        length: u64,
    },
    /// `MapStateSucceeded`, `ParallelStateSucceeded`.
    StateSucceeded {
        state: StateType,
    },
    /// `MapStateFailed`, `ParallelStateFailed`.
    StateFailed {
        state: StateType,
    },
    ParallelStateStarted,
    MapIterationStarted {
        name: Arc<str>,
        index: u64,
    },
    MapIterationSucceeded {
        name: Arc<str>,
        index: u64,
    },
    MapIterationFailed {
        name: Arc<str>,
        index: u64,
    },
    MapIterationAborted {
        name: Arc<str>,
        index: u64,
    },
    MapRunStarted {
        map_run_arn: Arc<str>,
    },
    MapRunRedriven {
        map_run_arn: Arc<str>,
        redrive_count: u32,
    },
    MapRunSucceeded,
    MapRunFailed(StatesError),
    MapRunAborted,
    EvaluationFailed {
        error: StatesError,
        location: Option<Arc<str>>,
        state: Arc<str>,
    },
}

impl HistoryEventKind {
    /// Tells whether nothing can come behind it, a redrive aside.
    pub fn ends_execution(&self) -> bool {
        matches!(
            self,
            Self::ExecutionSucceeded { .. }
                | Self::ExecutionFailed(_)
                | Self::ExecutionTimedOut(_)
                | Self::ExecutionAborted(_)
        )
    }
}

impl HistoryEvent {
    /// Returns the API's `type`, for example `PassStateEntered`.
    pub fn type_name(&self) -> String {
        use HistoryEventKind as K;
        match &self.kind {
            K::ExecutionStarted { .. } => "ExecutionStarted".into(),
            K::ExecutionSucceeded { .. } => "ExecutionSucceeded".into(),
            K::ExecutionFailed(_) => "ExecutionFailed".into(),
            K::ExecutionTimedOut(_) => "ExecutionTimedOut".into(),
            K::ExecutionAborted(_) => "ExecutionAborted".into(),
            K::ExecutionRedriven { .. } => "ExecutionRedriven".into(),
            K::StateEntered { state, .. } => format!("{}StateEntered", state.name()),
            K::StateExited { state, .. } => format!("{}StateExited", state.name()),
            K::StateAborted { state } => format!("{}StateAborted", state.name()),
            K::TaskScheduled { family, .. } => format!("{}Scheduled", family.prefix()),
            K::TaskStarted { family, .. } => format!("{}Started", family.prefix()),
            K::TaskSubmitted { .. } => "TaskSubmitted".into(),
            K::TaskSucceeded { family, .. } => format!("{}Succeeded", family.prefix()),
            K::TaskFailed { family, .. } => format!("{}Failed", family.prefix()),
            K::TaskTimedOut { family, .. } => format!("{}TimedOut", family.prefix()),
            K::MapStateStarted { .. } => "MapStateStarted".into(),
            K::StateSucceeded { state } => format!("{}StateSucceeded", state.name()),
            K::StateFailed { state } => format!("{}StateFailed", state.name()),
            K::ParallelStateStarted => "ParallelStateStarted".into(),
            K::MapIterationStarted { .. } => "MapIterationStarted".into(),
            K::MapIterationSucceeded { .. } => "MapIterationSucceeded".into(),
            K::MapIterationFailed { .. } => "MapIterationFailed".into(),
            K::MapIterationAborted { .. } => "MapIterationAborted".into(),
            K::MapRunStarted { .. } => "MapRunStarted".into(),
            K::MapRunRedriven { .. } => "MapRunRedriven".into(),
            K::MapRunSucceeded => "MapRunSucceeded".into(),
            K::MapRunFailed(_) => "MapRunFailed".into(),
            K::MapRunAborted => "MapRunAborted".into(),
            K::EvaluationFailed { .. } => "EvaluationFailed".into(),
        }
    }

    /// Returns the details member's API name and its value, if this type has details.
    pub fn details(&self) -> Option<(String, Value)> {
        use HistoryEventKind as K;
        let mut map = Map::new();
        let name = match &self.kind {
            K::ExecutionStarted {
                input,
                role_arn,
                version_arn,
                alias_arn,
            } => {
                put_text(&mut map, "input", input);
                map.insert("roleArn".into(), Value::from(&**role_arn));
                for (name, arn) in [
                    ("stateMachineAliasArn", alias_arn),
                    ("stateMachineVersionArn", version_arn),
                ] {
                    if let Some(arn) = arn {
                        map.insert(name.into(), Value::from(&**arn));
                    }
                }
                "executionStartedEventDetails".to_owned()
            }
            K::ExecutionSucceeded { output } => {
                put_text(&mut map, "output", output);
                "executionSucceededEventDetails".to_owned()
            }
            K::ExecutionFailed(error) => {
                put_error(&mut map, error);
                "executionFailedEventDetails".to_owned()
            }
            K::ExecutionTimedOut(error) => {
                put_error(&mut map, error);
                "executionTimedOutEventDetails".to_owned()
            }
            K::ExecutionAborted(error) => {
                put_error(&mut map, error);
                "executionAbortedEventDetails".to_owned()
            }
            K::ExecutionRedriven { redrive_count } => {
                map.insert("redriveCount".into(), Value::from(*redrive_count));
                "executionRedrivenEventDetails".to_owned()
            }
            K::StateEntered { name, input, .. } => {
                map.insert("name".into(), Value::from(&**name));
                put_text(&mut map, "input", input);
                "stateEnteredEventDetails".to_owned()
            }
            K::StateExited {
                name, output, assigned, ..
            } => {
                map.insert("name".into(), Value::from(&**name));
                put_text(&mut map, "output", output);
                if !assigned.is_empty() {
                    let variables = assigned
                        .iter()
                        .map(|(name, value)| (name.to_string(), Value::from(value.text())))
                        .collect();
                    map.insert("assignedVariables".into(), Value::Object(variables));
                    map.insert("assignedVariablesDetails".into(), not_truncated());
                }
                "stateExitedEventDetails".to_owned()
            }
            K::TaskScheduled {
                family,
                resource_arn,
                region,
                input,
                timeout_seconds,
                heartbeat_seconds,
                role_arn,
            } => {
                match family {
                    TaskFamily::Integration {
                        resource_type,
                        resource,
                    } => {
                        map.insert("resourceType".into(), Value::from(&**resource_type));
                        map.insert("resource".into(), Value::from(&**resource));
                        map.insert("region".into(), Value::from(&**region));
                        map.insert("parameters".into(), Value::from(input.text()));
                    }
                    TaskFamily::Lambda | TaskFamily::Activity => {
                        map.insert("resource".into(), Value::from(&**resource_arn));
                        put_text(&mut map, "input", input);
                    }
                }
                if let Some(seconds) = timeout_seconds {
                    map.insert("timeoutInSeconds".into(), Value::from(*seconds));
                }
                if let Some(seconds) = heartbeat_seconds {
                    map.insert("heartbeatInSeconds".into(), Value::from(*seconds));
                }
                if let Some(role_arn) = role_arn {
                    map.insert("taskCredentials".into(), serde_json::json!({ "roleArn": &**role_arn }));
                }
                family.details_key("Scheduled")
            }
            K::TaskStarted { family, worker_name } => {
                match family {
                    TaskFamily::Lambda => return None,
                    TaskFamily::Activity => {
                        if let Some(worker_name) = worker_name {
                            map.insert("workerName".into(), Value::from(&**worker_name));
                        }
                    }
                    TaskFamily::Integration { .. } => put_resource(&mut map, family),
                }
                family.details_key("Started")
            }
            K::TaskSubmitted { family, output } => {
                put_resource(&mut map, family);
                put_text(&mut map, "output", output);
                family.details_key("Submitted")
            }
            K::TaskSucceeded { family, output } => {
                put_resource(&mut map, family);
                put_text(&mut map, "output", output);
                family.details_key("Succeeded")
            }
            K::TaskFailed { family, error } => {
                put_resource(&mut map, family);
                put_error(&mut map, error);
                family.details_key("Failed")
            }
            K::TaskTimedOut { family, error } => {
                put_resource(&mut map, family);
                put_error(&mut map, error);
                family.details_key("TimedOut")
            }
            K::MapStateStarted { length } => {
                map.insert("length".into(), Value::from(*length));
                "mapStateStartedEventDetails".to_owned()
            }
            K::MapIterationStarted { name, index } => put_iteration(&mut map, name, *index, "Started"),
            K::MapIterationSucceeded { name, index } => put_iteration(&mut map, name, *index, "Succeeded"),
            K::MapIterationFailed { name, index } => put_iteration(&mut map, name, *index, "Failed"),
            K::MapIterationAborted { name, index } => put_iteration(&mut map, name, *index, "Aborted"),
            K::MapRunStarted { map_run_arn } => {
                map.insert("mapRunArn".into(), Value::from(&**map_run_arn));
                "mapRunStartedEventDetails".to_owned()
            }
            K::MapRunRedriven {
                map_run_arn,
                redrive_count,
            } => {
                map.insert("mapRunArn".into(), Value::from(&**map_run_arn));
                map.insert("redriveCount".into(), Value::from(*redrive_count));
                "mapRunRedrivenEventDetails".to_owned()
            }
            K::MapRunFailed(error) => {
                put_error(&mut map, error);
                "mapRunFailedEventDetails".to_owned()
            }
            K::EvaluationFailed { error, location, state } => {
                put_error(&mut map, error);
                if let Some(location) = location {
                    map.insert("location".into(), Value::from(&**location));
                }
                map.insert("state".into(), Value::from(&**state));
                "evaluationFailedEventDetails".to_owned()
            }
            K::MapRunAborted
            | K::MapRunSucceeded
            | K::ParallelStateStarted
            | K::StateAborted { .. }
            | K::StateFailed { .. }
            | K::StateSucceeded { .. } => return None,
        };
        Some((name, Value::Object(map)))
    }

    /// Returns the event as `GetExecutionHistory` shows it; `timestamp` is seconds since 1970 with millis.
    pub fn to_api(&self) -> Value {
        let mut map = Map::new();
        map.insert("timestamp".into(), Value::from(self.at.0 as f64 / 1000.0));
        map.insert("type".into(), Value::from(self.type_name()));
        map.insert("id".into(), Value::from(self.id.0));
        map.insert("previousEventId".into(), Value::from(self.previous.0));
        if let Some((name, details)) = self.details() {
            map.insert(name, details);
        }
        Value::Object(map)
    }
}

impl TaskFamily {
    fn prefix(&self) -> &'static str {
        match self {
            Self::Lambda => "LambdaFunction",
            Self::Activity => "Activity",
            Self::Integration { .. } => "Task",
        }
    }

    fn details_key(&self, suffix: &str) -> String {
        let prefix = match self {
            Self::Lambda => "lambdaFunction",
            Self::Activity => "activity",
            Self::Integration { .. } => "task",
        };
        format!("{prefix}{suffix}EventDetails")
    }
}

fn not_truncated() -> Value {
    serde_json::json!({ "truncated": false })
}

fn put_text(map: &mut Map<String, Value>, name: &str, payload: &Payload) {
    map.insert(name.to_owned(), Value::from(payload.text()));
    map.insert(format!("{name}Details"), not_truncated());
}

fn put_error(map: &mut Map<String, Value>, error: &StatesError) {
    if let Some(name) = &error.name {
        map.insert("error".to_owned(), Value::from(name.as_str()));
    }
    if let Some(cause) = &error.cause {
        map.insert("cause".to_owned(), Value::from(cause.as_str()));
    }
}

fn put_resource(map: &mut Map<String, Value>, family: &TaskFamily) {
    if let TaskFamily::Integration {
        resource_type,
        resource,
    } = family
    {
        map.insert("resourceType".to_owned(), Value::from(&**resource_type));
        map.insert("resource".to_owned(), Value::from(&**resource));
    }
}

fn put_iteration(map: &mut Map<String, Value>, name: &Arc<str>, index: u64, suffix: &str) -> String {
    map.insert("name".to_owned(), Value::from(&**name));
    map.insert("index".to_owned(), Value::from(index));
    format!("mapIteration{suffix}EventDetails")
}
