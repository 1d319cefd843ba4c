//! From a state's raw input to its effective input, and from its result to its output.

use std::sync::Arc;

use serde_json::Value;

use crate::asl::definition::PathField;
use crate::asl::definition::QueryLanguage;
use crate::asl::definition::ResultPath;
use crate::asl::definition::Transition;
use crate::kernel::context::Extra;
use crate::kernel::context::with_env;
use crate::kernel::core::Cx;
use crate::kernel::event::Status;
use crate::kernel::event::Way;
use crate::kernel::failure::Failure;
use crate::kernel::frame::FrameId;
use crate::kernel::frame::Step;
use crate::kernel::isolated::Stage;
use crate::model::history_event::HistoryEventKind;
use crate::model::id::EventId;
use crate::model::payload::Payload;
use crate::model::quota::PAYLOAD_BYTES_MAX;
use crate::model::quota::Quotas;
use crate::model::quota::VARIABLES_BYTES_MAX;
use crate::model::states_error::StatesError;
use crate::query::template::Template;

/// Values nest no deeper than this: what is written must be readable again (serde_json reads 127 levels), and
/// nothing that walks a value may run out of stack.
const DEPTH_MAX: usize = 120;

/// What a state assigns: name and value.
pub(super) type Assigned = Vec<(Arc<str>, Payload)>;

/// A state's own result, before the fields behind the work.
pub(super) struct Completion {
    /// The result of Task, Map, Parallel, Pass; for Choice, Wait and Succeed the effective input.
    pub(super) result: Payload,
    /// `$states.result` exists: Task, Map, Parallel.
    pub(super) worked: bool,
    /// The `…StateSucceeded` of Map and Parallel: what fails behind it points at it, a good exit does not (recorded).
    pub(super) succeeded: Option<EventId>,
}

impl Completion {
    /// Returns the completion of a state that only gives its input on: Pass, Succeed, Wait.
    pub(super) fn of_input(result: Payload) -> Self {
        Self {
            result,
            worked: false,
            succeeded: None,
        }
    }
}

impl Cx<'_> {
    /// Evaluates a template with what `frame` sees.
    pub(super) fn evaluate(
        &self,
        frame: FrameId,
        template: &Template,
        input: Payload,
        extra: &Extra,
        field: &str,
    ) -> Result<Payload, Failure> {
        with_env(self.definition, self.core, frame, input, extra, |env| {
            match template.as_expression() {
                Some(expression) => expression.evaluate_payload(env, field),
                None => template.evaluate(env, field).map(Payload::new),
            }
        })
        .map_err(Failure::from)
    }

    /// Applies `InputPath` or `OutputPath`.
    pub(super) fn apply_path(&self, frame: FrameId, path: &PathField, input: &Payload) -> Result<Payload, Failure> {
        match path {
            PathField::Whole => Ok(input.clone()),
            PathField::Empty => Ok(Payload::new(Value::Object(serde_json::Map::new()))),
            PathField::Path(path) => with_env(
                self.definition,
                self.core,
                frame,
                input.clone(),
                &Extra::default(),
                |env| path.evaluate(env),
            )
            .map_err(Failure::from),
        }
    }

    /// Returns the effective input: `InputPath`, then `Parameters`; or `Arguments`.
    pub(super) fn effective_input(&self, frame: FrameId, extra: &Extra) -> Result<Payload, Failure> {
        let live = self.core.frame(frame);
        let state = self.definition.state(live.state);
        let input = self.apply_path(frame, &state.input_path, &live.input)?;
        let field = match state.language {
            QueryLanguage::JsonPath => "Parameters",
            QueryLanguage::JsonAta => "Arguments",
        };
        let stage = match state.language {
            QueryLanguage::JsonPath => {
                self.core.show(Stage::AfterInputPath, &input);
                Stage::AfterParameters
            }
            QueryLanguage::JsonAta => Stage::AfterArguments,
        };
        let effective = match &state.parameters {
            Some(template) => self.evaluate(frame, template, input, extra, field)?,
            None => input,
        };
        self.core.show(stage, &effective);
        Ok(effective)
    }

    /// Evaluates an `Assign` against the values as they were at the state's entry.
    pub(super) fn assign(
        &self,
        frame: FrameId,
        template: Option<&Template>,
        input: Payload,
        extra: &Extra,
        field: &str,
    ) -> Result<Assigned, Failure> {
        let Some(template) = template else {
            return Ok(Vec::new());
        };
        let value = with_env(self.definition, self.core, frame, input, extra, |env| {
            template.evaluate(env, field)
        })?;
        let Value::Object(map) = value else {
            return Err(Failure::runtime("The Assign field must evaluate to an object."));
        };
        let assigned: Assigned = map
            .into_iter()
            .map(|(name, value)| (Arc::from(name), Payload::new(value)))
            .collect();
        for (_, value) in &assigned {
            check_depth(value.value())?;
        }
        if self.core.quotas() == Quotas::Aws {
            let bytes: usize = assigned.iter().map(|(_, value)| value.text().len()).sum();
            let before = &self.core.frame(frame).variables;
            let replaced = assigned.iter().filter_map(|(name, _)| before.get(name));
            let replaced: usize = replaced.map(|value| value.text().len()).sum();
            let all = self.core.variables_bytes - replaced + bytes;
            if bytes > PAYLOAD_BYTES_MAX || all > VARIABLES_BYTES_MAX {
                return Err(self.too_large(frame));
            }
        }
        Ok(assigned)
    }

    /// Ends the state's work: output, variables, `…StateExited`, on to `transition`.
    pub(super) fn complete(&mut self, frame: FrameId, completion: &Completion) {
        let transition = self.state(frame).transition;
        match self.process(frame, completion) {
            Ok((output, assigned)) => {
                self.out.took(self.core.frame(frame).state, Way::Next);
                self.leave(frame, output, assigned, transition);
            }
            Err(failure) => {
                if let Some(succeeded) = completion.succeeded {
                    self.core.frame_mut(frame).cursor = succeeded;
                }
                self.fail(frame, failure);
            }
        }
    }

    fn process(&self, frame: FrameId, completion: &Completion) -> Result<(Payload, Assigned), Failure> {
        let live = self.core.frame(frame);
        let state = self.definition.state(live.state);
        let raw = &live.input;
        let (output, assigned) = match state.language {
            QueryLanguage::JsonPath => {
                let extra = Extra::default();
                let result = &completion.result;
                let assigned = self.assign(frame, state.assign.as_ref(), result.clone(), &extra, "Assign")?;
                let selected = match &state.result_selector {
                    Some(template) => self.evaluate(frame, template, result.clone(), &extra, "ResultSelector")?,
                    None => result.clone(),
                };
                self.core.show(Stage::AfterResultSelector, &selected);
                let placed = place(&state.result_path, raw, selected)?;
                self.core.show(Stage::AfterResultPath, &placed);
                (self.apply_path(frame, &state.output_path, &placed)?, assigned)
            }
            QueryLanguage::JsonAta => {
                let result = completion.worked.then(|| completion.result.clone());
                let extra = Extra {
                    result,
                    ..Extra::default()
                };
                let assigned = self.assign(frame, state.assign.as_ref(), raw.clone(), &extra, "Assign")?;
                let output = match &state.output {
                    Some(template) => self.evaluate(frame, template, raw.clone(), &extra, "Output")?,
                    None => completion.result.clone(),
                };
                (output, assigned)
            }
        };
        self.check_size(frame, raw, &output)?;
        Ok((output, assigned))
    }

    /// Writes `…StateExited` and goes on.
    pub(super) fn leave(&mut self, frame: FrameId, output: Payload, assigned: Assigned, transition: Transition) {
        let state = self.state(frame);
        let (state_type, name) = (state.state_type(), state.name.clone());
        for (variable, value) in &assigned {
            self.core.variables_bytes += value.text().len();
            let variables = &mut self.core.frame_mut(frame).variables;
            if let Some(old) = variables.insert(variable.clone(), value.clone()) {
                self.core.variables_bytes -= old.text().len();
            }
        }
        self.chain(
            frame,
            HistoryEventKind::StateExited {
                state: state_type,
                name,
                output: output.clone(),
                assigned,
            },
        );
        if self.core.status != Status::Running {
            return;
        }
        match transition {
            Transition::Next(next) => {
                let live = self.core.frame_mut(frame);
                live.state = next;
                live.input = output;
                live.step = Step::Enter;
                self.core.ready.push_back(frame);
            }
            Transition::End => self.block_ended(frame, output),
        }
    }

    /// Returns an effective input, unless it is too large for AWS or too deep for anybody.
    pub(super) fn fits(&self, frame: FrameId, effective: Payload) -> Result<Payload, Failure> {
        self.check_size(frame, &self.core.frame(frame).input, &effective)?;
        Ok(effective)
    }

    /// Refuses an output that is too large for AWS, or too deep for anybody.
    pub(super) fn check_size(&self, frame: FrameId, raw: &Payload, output: &Payload) -> Result<(), Failure> {
        if output.is_same(raw) {
            return Ok(());
        }
        check_depth(output.value())?;
        if self.core.quotas() == Quotas::Aws && output.text().len() > PAYLOAD_BYTES_MAX {
            return Err(self.too_large(frame));
        }
        Ok(())
    }

    fn too_large(&self, frame: FrameId) -> Failure {
        Failure::error(data_limit(&self.state(frame).name))
    }
}

/// Puts a result where `ResultPath` says.
pub(super) fn place(result_path: &ResultPath, raw: &Payload, result: Payload) -> Result<Payload, Failure> {
    match result_path {
        ResultPath::Replace => Ok(result),
        ResultPath::Discard => Ok(raw.clone()),
        ResultPath::At(path) => Ok(Payload::new(path.insert(raw.value().clone(), result.value().clone())?)),
    }
}

/// `States.DataLimitExceeded` in AWS's words.
pub(super) fn data_limit(who: &str) -> StatesError {
    let cause = format!(
        "The state/task '{who}' returned a result with a size exceeding the maximum number of bytes service limit."
    );
    StatesError::new("States.DataLimitExceeded", cause)
}

/// Refuses values that nest too deep. Walks without recursion.
pub(super) fn check_depth(value: &Value) -> Result<(), Failure> {
    let mut todo = vec![(value, 0_usize)];
    while let Some((value, depth)) = todo.pop() {
        if depth > DEPTH_MAX {
            return Err(Failure::runtime(format!(
                "The value is nested more than {DEPTH_MAX} levels deep."
            )));
        }
        match value {
            Value::Array(items) => {
                todo.extend(
                    items
                        .iter()
                        .filter(|item| item.is_array() || item.is_object())
                        .map(|item| (item, depth + 1)),
                );
            }
            Value::Object(map) => {
                todo.extend(
                    map.values()
                        .filter(|item| item.is_array() || item.is_object())
                        .map(|item| (item, depth + 1)),
                );
            }
            _ => {}
        }
    }
    Ok(())
}
