//! What a Map Run tells about a finished child, and the state's own output made of it.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::items::format::json;
use crate::model::execution_record::ExecutionStatus;
use crate::model::payload::Payload;
use crate::model::states_error::StatesError;
use crate::model::timestamp::Timestamp;

/// `WriterConfig.Transformation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transformation {
    /// The outputs. The default of a state's own output.
    Compact,
    /// The outputs, those that are arrays element by element.
    Flatten,
    /// Whole records. The default of an export.
    None,
}

impl Transformation {
    /// Reads the field's value.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "COMPACT" => Some(Self::Compact),
            "FLATTEN" => Some(Self::Flatten),
            "NONE" => Some(Self::None),
            _ => None,
        }
    }
}

/// A child execution of a Map Run that has ended, or never began.
#[derive(Clone, Debug, PartialEq)]
pub struct ChildRecord<'a> {
    /// Execution ARN.
    pub execution_arn: &'a str,
    /// Execution name.
    pub name: &'a str,
    /// `…:stateMachine:Machine/Label`.
    pub state_machine_arn: &'a str,
    /// Its input, as JSON text.
    pub input: &'a str,
    /// How it ended.
    pub end: ChildEnd<'a>,
    /// How often it was redriven.
    pub redrive_count: u32,
    /// When it began; `None` for one that never did.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub stopped: Option<Timestamp>,
}

/// How a child ended.
#[derive(Clone, Debug, PartialEq)]
pub enum ChildEnd<'a> {
    /// FAILED, TIMED_OUT or ABORTED.
    Failed {
        /// Which of them.
        status: ExecutionStatus,
        /// Its error pair.
        error: &'a StatesError,
    },
    /// It never began.
    Pending,
    /// SUCCEEDED.
    Succeeded {
        /// Its output, as JSON text.
        output: &'a str,
    },
}

impl ChildRecord<'_> {
    /// Returns the whole record, `NONE`.
    pub fn whole(&self) -> Value {
        let mut record = Map::new();
        let mut put = |name: &str, value: Value| record.insert(name.to_owned(), value);
        if let ChildEnd::Failed { error, .. } = &self.end {
            for (name, text) in [("Cause", &error.cause), ("Error", &error.name)] {
                if let Some(text) = text {
                    put(name, Value::from(text.as_str()));
                }
            }
        }
        put("ExecutionArn", self.execution_arn.into());
        put("Input", self.input.into());
        put("InputDetails", json!({"Included": true}));
        put("Name", self.name.into());
        if let ChildEnd::Succeeded { output } = &self.end {
            put("Output", Value::from(*output));
            put("OutputDetails", json!({"Included": true}));
        }
        let (status, redrive, reason) = match &self.end {
            ChildEnd::Succeeded { .. } => {
                let reason = "Execution is SUCCEEDED and cannot be redriven";
                ("SUCCEEDED", "NOT_REDRIVABLE", Some(reason))
            }
            ChildEnd::Failed { status, .. } => (status.as_str(), "REDRIVABLE_BY_MAP_RUN", None),
            ChildEnd::Pending => ("PENDING", "REDRIVABLE_BY_MAP_RUN", None),
        };
        put("RedriveCount", self.redrive_count.into());
        put("RedriveStatus", redrive.into());
        if let Some(reason) = reason {
            put("RedriveStatusReason", reason.into());
        }
        if let Some(started) = self.started {
            put("StartDate", started.to_string().into());
        }
        put("StateMachineArn", self.state_machine_arn.into());
        put("Status", status.into());
        if let Some(stopped) = self.stopped {
            put("StopDate", stopped.to_string().into());
        }
        Value::Object(record)
    }

    /// Returns the texts that stand for this child in a result file or in the state's output.
    ///
    /// Only a child that succeeded has another form than the whole record.
    ///
    /// # Errors
    /// The output is not JSON.
    pub(super) fn texts(&self, transformation: Transformation) -> Result<Vec<String>, StatesError> {
        Ok(match (transformation, &self.end) {
            (Transformation::Compact, ChildEnd::Succeeded { output }) => vec![(*output).to_owned()],
            (Transformation::Flatten, ChildEnd::Succeeded { output }) => {
                json::elements(output)?.unwrap_or_else(|| vec![(*output).to_owned()])
            }
            _ => vec![self.whole().to_string()],
        })
    }
}

/// Returns the output of a Map state that does not export: an array, in the order of the children.
///
/// A child that failed but was tolerated has no output, so only `NONE` shows it.
///
/// # Errors
/// An output is not JSON.
pub fn state_output<'a>(
    children: impl IntoIterator<Item = ChildRecord<'a>>,
    transformation: Transformation,
) -> Result<Payload, StatesError> {
    let mut text = String::from("[");
    for child in children {
        let succeeded = matches!(child.end, ChildEnd::Succeeded { .. });
        if !succeeded && transformation != Transformation::None {
            continue;
        }
        for part in child.texts(transformation)? {
            if text.len() > 1 {
                text.push(',');
            }
            text.push_str(&part);
        }
    }
    text.push(']');
    Payload::parse(&text).map_err(|error| StatesError::new("States.Runtime", error.to_string()))
}
