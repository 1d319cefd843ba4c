//! Executions by ARN, their input, and how they are shown.

use std::sync::Arc;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::api::Api;
use crate::api::error::ApiError;
use crate::api::machine::Chosen;
use crate::api::shapes::put;
use crate::api::shapes::seconds;
use crate::asl::load;
use crate::engine::host::Host;
use crate::engine::start::Begin;
use crate::model::arn::Arn;
use crate::model::arn::Resource;
use crate::model::execution_record::ExecutionFacts;
use crate::model::execution_record::ExecutionRecord;
use crate::model::execution_record::ExecutionStatus;
use crate::model::execution_record::MachineType;
use crate::model::payload::Payload;
use crate::model::principal::Principal;
use crate::model::timestamp::Timestamp;

/// `ExecutionDoesNotExist`.
pub fn does_not_exist(arn: &str) -> ApiError {
    ApiError::new("ExecutionDoesNotExist", format!("Execution Does Not Exist: '{arn}'"))
}

impl Api {
    /// Finds a STANDARD execution, or any child of a Map Run, by its ARN.
    ///
    /// # Errors
    /// `InvalidArn`, `ExecutionDoesNotExist`.
    pub fn execution(&self, arn: &str) -> Result<Arc<ExecutionRecord>, ApiError> {
        let parsed = Arn::parse(arn)?;
        match &parsed.resource {
            Resource::Execution { .. } => {}
            Resource::Express { machine, .. } if machine.contains('/') => {}
            _ => return Err(parsed.unfit().into()),
        }
        self.host.store().find(arn)?.ok_or_else(|| does_not_exist(arn))
    }

    /// Finds a STANDARD execution, for operations that take no EXPRESS ones, not even a Map Run's.
    ///
    /// # Errors
    /// `InvalidArn`, `ExecutionDoesNotExist`.
    pub fn standard_execution(&self, arn: &str) -> Result<Arc<ExecutionRecord>, ApiError> {
        let parsed = Arn::parse(arn)?;
        match parsed.resource {
            Resource::Express { .. } => Err(parsed.unfit().into()),
            _ => self.execution(arn),
        }
    }

    /// Prepares a start by somebody: the ARN, the input. The name was checked.
    ///
    /// # Errors
    /// `InvalidExecutionInput`, `ThrottlingException`.
    pub fn begin(
        &self,
        chosen: &Chosen,
        name: Option<&str>,
        input: Option<&str>,
        trace_header: Option<&str>,
        started_by: &Arc<Principal>,
    ) -> Result<Begin, ApiError> {
        admit(self.host.store().n_queued())?;
        let input = read_input(input.unwrap_or("{}"))?;
        let machine = &chosen.machine;
        let express = machine.machine_type == MachineType::Express;
        let definition = self.host.definition(&chosen.revision.definition, express)?;
        let execution_name: Arc<str> = name.map_or_else(|| self.host.uuid().into(), Arc::from);
        let prefix = machine.arn.split(":stateMachine:").next().unwrap_or_default();
        let arn = match machine.machine_type {
            MachineType::Standard => format!("{prefix}:execution:{}:{execution_name}", machine.name),
            MachineType::Express => {
                format!(
                    "{prefix}:express:{}:{execution_name}:{}",
                    machine.name,
                    self.host.uuid()
                )
            }
        };
        Ok(Begin {
            facts: ExecutionFacts {
                arn: arn.into(),
                name: execution_name,
                machine_arn: machine.arn.clone(),
                machine_type: machine.machine_type,
                version_arn: chosen.version_arn.clone(),
                alias_arn: chosen.alias_arn.clone(),
                revision_id: chosen.revision.id.clone(),
                revision_date: chosen.revision.updated,
                definition: chosen.revision.definition.clone(),
                role_arn: chosen.revision.role_arn.clone(),
                child_of: None,
                trace_header: trace_header.map(Arc::from),
                mock_case: None,
                started_by: Some(Arc::clone(started_by)),
                started: Timestamp(0),
            },
            machine_name: machine.name.clone(),
            definition,
            input,
            is_named: name.is_some(),
            is_synchronous: false,
            decision: None,
        })
    }
}

/// Reads an execution's input.
///
/// # Errors
/// `InvalidExecutionInput`.
pub fn read_input(text: &str) -> Result<Payload, ApiError> {
    let wrong = |sentence: String| {
        ApiError::new(
            "InvalidExecutionInput",
            format!("Invalid State Machine Execution Input: '{sentence}'"),
        )
    };
    if text.trim().is_empty() {
        return Err(wrong("Invalid execution input.".to_owned()));
    }
    read_json(text).map_err(wrong)
}

/// Reads JSON text.
///
/// # Errors
/// What is wrong, in the words of the reader that AWS uses.
pub fn read_json(text: &str) -> Result<Payload, String> {
    Payload::parse(text).map_err(|error| load::complaint(text).unwrap_or_else(|| error.to_string()))
}

/// Shows an execution as `DescribeExecution` does.
pub fn describe(host: &Host, record: &ExecutionRecord, with_data: bool) -> Value {
    let facts = &record.facts;
    let mut map = Map::new();
    put(&mut map, "executionArn", Some(&*facts.arn));
    put(&mut map, "stateMachineArn", Some(&*facts.machine_arn));
    put(&mut map, "name", Some(&*facts.name));
    put(&mut map, "status", Some(record.status.as_str()));
    put(&mut map, "startDate", Some(seconds(facts.started)));
    put(&mut map, "stopDate", record.stopped.map(seconds));
    if with_data {
        put(&mut map, "input", Some(&*record.input));
        map.insert("inputDetails".to_owned(), json!({ "included": true }));
    }
    if record.status == ExecutionStatus::Succeeded && with_data {
        put(&mut map, "output", record.output.as_deref());
        map.insert("outputDetails".to_owned(), json!({ "included": true }));
    }
    put(&mut map, "traceHeader", facts.trace_header.as_deref());
    put(
        &mut map,
        "mapRunArn",
        facts.child_of.as_ref().map(|child| &*child.map_run_arn),
    );
    put(&mut map, "error", record.error.as_deref());
    put(&mut map, "cause", record.cause.as_deref());
    put(&mut map, "stateMachineVersionArn", facts.version_arn.as_deref());
    put(&mut map, "stateMachineAliasArn", facts.alias_arn.as_deref());
    put(&mut map, "redriveCount", Some(record.redrive_count));
    put(&mut map, "redriveDate", record.redriven.map(seconds));
    let obstacle = host.redrive_obstacle(record);
    let status = match (&obstacle, &facts.child_of) {
        (Some(_), _) => "NOT_REDRIVABLE",
        (None, Some(_)) => "REDRIVABLE_BY_MAP_RUN",
        (None, None) => "REDRIVABLE",
    };
    put(&mut map, "redriveStatus", Some(status));
    put(&mut map, "redriveStatusReason", obstacle);
    Value::Object(map)
}

/// Batches that may wait for the store when a start is accepted. More would only wait longer, and take memory.
const QUEUED_MAX: usize = 50_000;

/// Tells whether the store keeps up with what it has to write.
fn admit(n_queued: usize) -> Result<(), ApiError> {
    match n_queued <= QUEUED_MAX {
        true => Ok(()),
        false => Err(ApiError::new("ThrottlingException", "Rate exceeded")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_execution_starts_while_the_store_is_far_behind() {
        assert!(admit(0).is_ok() && admit(QUEUED_MAX).is_ok());
        let error = admit(QUEUED_MAX + 1).unwrap_err();
        assert_eq!((error.name, error.status), ("ThrottlingException", 400));
    }
}
