//! How a state fails: which event is written, who is asked, what ends.

use std::sync::Arc;

use crate::asl::definition::Catcher;
use crate::asl::definition::QueryLanguage;
use crate::asl::definition::Transition;
use crate::kernel::context::Extra;
use crate::kernel::core::Cx;
use crate::kernel::data_flow;
use crate::kernel::event::Status;
use crate::kernel::event::Way;
use crate::kernel::frame::FrameId;
use crate::kernel::frame::Step;
use crate::kernel::retry;
use crate::kernel::retry::Decision;
use crate::model::history_event::HistoryEventKind;
use crate::model::history_event::StateType;
use crate::model::payload::Payload;
use crate::model::states_error::StatesError;
use crate::query::error::QueryError;

/// Why a state's own processing failed.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// `States.Runtime`: nobody can catch it, it ends the whole execution.
    Runtime {
        text: String,
        /// `An error occurred while executing the state …` stands before the text.
        prefixed: bool,
    },
    /// `States.QueryEvaluationError`, with its own history event.
    Evaluation { cause: String, location: Option<String> },
    /// Any other error, complete; its history event, if any, is written.
    Error { error: StatesError, heartbeat: bool },
    /// An error of the service itself whose cause names the state.
    Prefixed { name: &'static str, text: String },
}

impl Failure {
    pub(super) fn runtime(text: impl Into<String>) -> Self {
        Self::Runtime {
            text: text.into(),
            prefixed: true,
        }
    }

    pub(super) fn error(error: StatesError) -> Self {
        Self::Error {
            error,
            heartbeat: false,
        }
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Runtime(text) => Self::runtime(text),
            QueryError::Evaluation { cause, location } => Self::Evaluation { cause, location },
            QueryError::ReferencePathConflict(text) => Self::Prefixed {
                name: "States.ReferencePathConflict",
                text,
            },
        }
    }
}

impl Cx<'_> {
    /// Lets the state of `frame` fail: retry, catch, or on to the block around it, until somebody answers.
    pub(super) fn fail(&mut self, mut frame: FrameId, mut failure: Failure) {
        let mut catch_allowed = true;
        loop {
            let (error, heartbeat) = match failure {
                Failure::Runtime { text, prefixed } => {
                    let cause = if prefixed { self.prefixed(frame, &text) } else { text };
                    let cursor = self.core.frame(frame).cursor;
                    self.end(cursor, Status::Failed(StatesError::new("States.Runtime", cause)));
                    return;
                }
                Failure::Evaluation { cause, location } => {
                    let error = StatesError::new("States.QueryEvaluationError", self.prefixed(frame, &cause));
                    self.evaluation_failed(frame, &error, location);
                    (error, false)
                }
                Failure::Error { error, heartbeat } => (error, heartbeat),
                Failure::Prefixed { name, text } => (StatesError::new(name, self.prefixed(frame, &text)), false),
            };
            // A Map fails over the input of one iteration while others run.
            let cursor = self.core.frame(frame).cursor;
            self.cut_children(frame, None, cursor);
            self.core.show_error(&error, heartbeat);
            let state = self.definition.state(self.core.frame(frame).state);
            let decision = match catch_allowed {
                true => {
                    let attempts = &self.core.frame(frame).attempts;
                    let mut entropy = self.core.entropy.borrow_mut();
                    retry::decide(
                        &state.retriers,
                        &state.catchers,
                        attempts,
                        error.name.as_deref(),
                        heartbeat,
                        &mut entropy,
                    )
                }
                false => Decision::Fail,
            };
            if let Decision::Retry { retrier, pause_millis } = decision {
                self.drop_cut_children(frame);
                self.out.took(self.core.frame(frame).state, Way::Retry(retrier));
                self.pause(frame, retrier, pause_millis);
                return;
            }
            let failing = self.core.frame(frame).cursor;
            let state_type = state.state_type();
            if matches!(state_type, StateType::Map | StateType::Parallel) {
                self.chain(frame, HistoryEventKind::StateFailed { state: state_type });
            }
            if let Decision::Catch { catcher } = decision {
                let state_id = self.core.frame(frame).state;
                match self.divert(frame, catcher, &error) {
                    Ok(()) => {
                        self.out.took(state_id, Way::Catch(catcher));
                        self.core.show_catcher(catcher);
                        return;
                    }
                    Err(again) => {
                        // A catcher's own failure is not caught again by the same state; its EvaluationFailed points at
                        // the event that was to be caught (recorded).
                        self.core.frame_mut(frame).evaluation_failed = Some(failing);
                        failure = again;
                        catch_allowed = false;
                        continue;
                    }
                }
            }
            if redrives_from_the_start(state_type, &error) {
                self.drop_cut_children(frame);
                self.core.frame_mut(frame).step = Step::Work;
            }
            let cursor = self.core.frame(frame).cursor;
            let Some((parent, index)) = self.core.frame(frame).parent else {
                self.end(cursor, Status::Failed(error));
                return;
            };
            self.cut_children(parent, Some(index), cursor);
            self.core.frame_mut(parent).cursor = cursor;
            frame = parent;
            failure = Failure::Error { error, heartbeat };
            catch_allowed = true;
            if self.core.status != Status::Running {
                return;
            }
        }
    }

    /// Returns the error pair of a failure.
    pub(super) fn shown(&self, frame: FrameId, failure: &Failure) -> StatesError {
        match failure {
            Failure::Runtime { text, prefixed: false } => StatesError::new("States.Runtime", text.clone()),
            Failure::Runtime { text, .. } => StatesError::new("States.Runtime", self.prefixed(frame, text)),
            Failure::Evaluation { cause, .. } => {
                StatesError::new("States.QueryEvaluationError", self.prefixed(frame, cause))
            }
            Failure::Error { error, .. } => error.clone(),
            Failure::Prefixed { name, text } => StatesError::new(*name, self.prefixed(frame, text)),
        }
    }

    /// `An error occurred while executing the state 'X' (entered at the event id #N). ` and `text`.
    fn prefixed(&self, frame: FrameId, text: &str) -> String {
        if self.core.watch.is_some() {
            return text.to_owned();
        }
        let name = &self.state(frame).name;
        let entered = self.core.frame(frame).entered;
        format!("An error occurred while executing the state '{name}' (entered at the event id #{entered}). {text}")
    }

    fn evaluation_failed(&mut self, frame: FrameId, error: &StatesError, location: Option<String>) {
        let live = self.core.frame(frame);
        let state = self.definition.state(live.state);
        // Every recording up to 2024-11 chains this event to what the Entered event points at; Wait's to the
        // Entered event itself. Probes of 2026-09 see the latter for all states: see docs/unverified.md.
        let previous = match (live.evaluation_failed, state.state_type()) {
            (Some(last), _) => last,
            (None, StateType::Wait) => live.entered,
            (None, _) => live.entered_previous,
        };
        let kind = HistoryEventKind::EvaluationFailed {
            error: error.clone(),
            location: location.map(Arc::from),
            state: state.name.clone(),
        };
        let id = self.history(previous, kind);
        let live = self.core.frame_mut(frame);
        live.cursor = id;
        live.evaluation_failed = Some(id);
    }

    fn pause(&mut self, frame: FrameId, retrier: usize, pause_millis: u64) {
        let until = self.core.now.plus_millis(self.core.scaled(pause_millis));
        let live = self.core.frame_mut(frame);
        if live.attempts.len() <= retrier {
            live.attempts.resize(retrier + 1, 0);
        }
        live.attempts[retrier] += 1;
        live.retry_count += 1;
        live.step = Step::Pause { until };
        self.set_timer(frame, until);
    }

    /// Goes on with a catcher: its output, its variables, its `Next`.
    fn divert(&mut self, frame: FrameId, index: usize, error: &StatesError) -> Result<(), Failure> {
        let definition = self.definition;
        let state = definition.state(self.core.frame(frame).state);
        let catcher: &Catcher = &state.catchers[index];
        let error_output = Payload::new(error.output());
        let extra = Extra {
            error_output: Some(error_output.clone()),
            ..Extra::default()
        };
        let raw = self.core.frame(frame).input.clone();
        let (output, assigned) = match state.language {
            QueryLanguage::JsonPath => {
                let field = format!("Catch[{index}]/Assign");
                let assigned = self.assign(frame, catcher.assign.as_ref(), error_output.clone(), &extra, &field)?;
                (data_flow::place(&catcher.result_path, &raw, error_output)?, assigned)
            }
            QueryLanguage::JsonAta => {
                let field = format!("Catch[{index}]/Assign");
                let assigned = self.assign(frame, catcher.assign.as_ref(), raw.clone(), &extra, &field)?;
                let output = match &catcher.output {
                    Some(template) => {
                        self.evaluate(frame, template, raw.clone(), &extra, &format!("Catch[{index}]/Output"))?
                    }
                    None => error_output,
                };
                (output, assigned)
            }
        };
        self.check_size(frame, &raw, &output)?;
        self.drop_cut_children(frame);
        self.leave(frame, output, assigned, Transition::Next(catcher.next));
        Ok(())
    }
}

/// Tells whether a redrive does the whole state again instead of what failed in it.
fn redrives_from_the_start(state_type: StateType, error: &StatesError) -> bool {
    matches!(state_type, StateType::Map | StateType::Parallel)
        && error.name.as_deref() == Some("States.DataLimitExceeded")
}
