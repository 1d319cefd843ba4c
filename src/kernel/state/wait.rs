//! Wait: until an instant.

use serde_json::Value;

use crate::asl::definition::NumberField;
use crate::asl::definition::State;
use crate::asl::definition::Wait;
use crate::kernel::context::Extra;
use crate::kernel::context::with_env;
use crate::kernel::core::Cx;
use crate::kernel::data_flow::Completion;
use crate::kernel::failure::Failure;
use crate::kernel::frame::FrameId;
use crate::kernel::frame::Step;
use crate::model::payload::Payload;
use crate::model::timestamp::Timestamp;
use crate::query::jsonata::expression::unexpected_type;
use crate::query::jsonpath::path::Path;

/// The longest wait, in seconds (recorded: 24,855 days pass, 24,856 do not).
const SECONDS_MAX: i64 = 2_147_483_647;

impl Cx<'_> {
    pub(super) fn wait(&mut self, frame: FrameId, state: &State, wait: &Wait) -> Result<(), Failure> {
        let input = self.core.frame(frame).input.clone();
        let effective = self.apply_path(frame, &state.input_path, &input)?;
        let until = self.until(frame, wait, &effective)?;
        let now = self.core.now;
        if (until.0 - now.0) / 1000 > SECONDS_MAX {
            return Err(Failure::runtime("Wait state delay is too long."));
        }
        let until = match u64::try_from(until.0 - now.0) {
            Ok(millis) => now.plus_millis(self.core.scaled(millis)),
            Err(_) => until,
        };
        self.core.frame_mut(frame).step = Step::Waiting { until };
        match until <= now {
            true => self.wait_ended(frame),
            false => self.set_timer(frame, until),
        }
        Ok(())
    }

    pub(super) fn wait_ended(&mut self, frame: FrameId) {
        let state = self.definition.state(self.core.frame(frame).state);
        let input = self.core.frame(frame).input.clone();
        match self.apply_path(frame, &state.input_path, &input) {
            Ok(result) => self.complete(frame, &Completion::of_input(result)),
            Err(failure) => self.fail(frame, failure),
        }
    }

    fn until(&self, frame: FrameId, wait: &Wait, effective: &Payload) -> Result<Timestamp, Failure> {
        let now = self.core.now;
        let after = |seconds: i64| now.plus_millis(seconds.unsigned_abs().saturating_mul(1000));
        match wait {
            Wait::Seconds(NumberField::Literal(seconds)) => Ok(after(*seconds as i64)),
            Wait::Seconds(NumberField::Path(path)) => Ok(after(self.seconds(frame, path, effective)?)),
            Wait::Seconds(NumberField::Expression(expression)) => {
                let value = self.expression(frame, expression, "Seconds")?;
                let Some(seconds) = value.value().as_f64() else {
                    return Err(unexpected_type(expression, "Seconds", "number", value.value()).into());
                };
                if seconds < 0.0 {
                    let cause = "The Seconds field cannot be negative.".to_owned();
                    return Err(Failure::Evaluation {
                        cause,
                        location: Some("Seconds".to_owned()),
                    });
                }
                Ok(after(seconds.floor() as i64))
            }
            Wait::Until(timestamp) => Ok(whole_seconds(*timestamp)),
            Wait::TimestampPath(path) => {
                let value = self.path(frame, path, effective)?;
                let text = shown(value.value());
                match Timestamp::parse_rfc3339(&text) {
                    Some(timestamp) => Ok(whole_seconds(timestamp)),
                    None => Err(Failure::runtime(format!(
                        "The TimestampPath parameter does not reference a valid ISO-8601 extended offset date-time \
                         format string: {} == {text}",
                        path.text()
                    ))),
                }
            }
            Wait::TimestampExpression(expression) => {
                let value = self.expression(frame, expression, "Timestamp")?;
                let Value::String(text) = value.value() else {
                    return Err(unexpected_type(expression, "Timestamp", "string", value.value()).into());
                };
                match Timestamp::parse_rfc3339(text) {
                    Some(timestamp) => Ok(whole_seconds(timestamp)),
                    None => Err(Failure::Evaluation {
                        cause: format!(
                            "The Timestamp field cannot be parsed as an ISO-8601 extended offset date-time format \
                             string: {text}"
                        ),
                        location: Some("Timestamp".to_owned()),
                    }),
                }
            }
        }
    }

    /// Resolves `SecondsPath`: a whole number, or a text that holds one (recorded).
    fn seconds(&self, frame: FrameId, path: &Path, effective: &Payload) -> Result<i64, Failure> {
        let found = with_env(
            self.definition,
            self.core,
            frame,
            effective.clone(),
            &Extra::default(),
            |env| path.find(env),
        );
        let Ok(value) = found else {
            return Err(Failure::runtime(format!(
                "The SecondsPath parameter does not reference an input value: {}",
                path.text()
            )));
        };
        let text = shown(value.value());
        let Ok(seconds) = text.parse::<i64>() else {
            return Err(Failure::runtime(format!(
                "The SecondsPath parameter cannot be parsed as a long value: {} == {text}",
                path.text()
            )));
        };
        if seconds < 0 {
            return Err(Failure::runtime(format!(
                "The SecondsPath parameter references a negative value: {} == {text}",
                path.text()
            )));
        }
        Ok(seconds)
    }
}

fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp(at.0.div_euclid(1000) * 1000)
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
