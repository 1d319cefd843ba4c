//! What a run shows.

use crate::explore::caller::Caller;
use crate::explore::effect::Effects;
use crate::explore::run::OWN_ERRORS;
use crate::explore::run::Subject;
use crate::explore::run::Trace;
use crate::explore::run::is_fail;
use crate::explore::scenario::Answer;
use crate::kernel::event::Status;
use crate::model::id::StateId;

/// A kind of finding. The order is that of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A state's own fields fail, whatever the data.
    RuntimeError,
    /// The same states follow one another with the same data, and nothing ends it.
    UnboundedLoop,
    /// An output grows beyond the quota.
    DataLimit,
    /// Something was done, the execution failed, and nothing was undone.
    NoRollback,
    /// What undoes something fails, and nothing catches that.
    RollbackFails,
    /// A state was not reached.
    NotReached,
    /// The same states follow one another with the same data as long as tasks answer so.
    OpenLoop,
    /// A run is long, with other data each time round.
    NotEnded,
    /// A state's own fields fail for some data.
    DataDependent,
    /// An error of a task ends the execution.
    Uncaught,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 10] = [
        Self::RuntimeError,
        Self::UnboundedLoop,
        Self::DataLimit,
        Self::NoRollback,
        Self::RollbackFails,
        Self::NotReached,
        Self::OpenLoop,
        Self::NotEnded,
        Self::DataDependent,
        Self::Uncaught,
    ];

    /// Returns the stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::RuntimeError => "runtime-error",
            Self::UnboundedLoop => "unbounded-loop",
            Self::OpenLoop => "open-loop",
            Self::DataLimit => "data-limit",
            Self::NoRollback => "no-rollback",
            Self::RollbackFails => "rollback-fails",
            Self::NotReached => "not-reached",
            Self::NotEnded => "not-ended",
            Self::DataDependent => "data-dependent",
            Self::Uncaught => "uncaught-error",
        }
    }

    /// Tells how much it matters.
    pub fn level(self) -> Level {
        match self {
            Self::RuntimeError
            | Self::UnboundedLoop
            | Self::DataLimit
            | Self::NoRollback
            | Self::RollbackFails
            | Self::NotReached => Level::Warning,
            Self::OpenLoop | Self::NotEnded | Self::DataDependent | Self::Uncaught => Level::Information,
        }
    }
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Good to know; often as it is meant.
    Information,
    /// Most likely not as it is meant.
    Warning,
}

/// What makes a finding the same as another one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) kind: Kind,
    pub(super) state: StateId,
    pub(super) error: String,
    /// The part of the cause that does not depend on the data.
    pub(super) detail: String,
}

/// Returns what a run shows by itself.
pub(super) fn observe(subject: &Subject<'_>, effects: &Effects, trace: &Trace) -> Vec<Key> {
    let mut keys = Vec::new();
    for fault in &trace.faults {
        if is_limit(&fault.cause) {
            continue;
        }
        let kind = match fault.error.as_str() {
            "States.DataLimitExceeded" => Kind::DataLimit,
            _ => Kind::RuntimeError,
        };
        keys.push(Key {
            kind,
            state: fault.state,
            error: fault.error.clone(),
            detail: essence(&fault.cause).to_owned(),
        });
    }
    let Status::Failed(error) = &trace.status else {
        return keys;
    };
    let name = error.name.as_deref().unwrap_or_default();
    let cause = error.cause.as_deref().unwrap_or_default();
    if is_limit(cause) {
        return keys;
    }
    let is_own = OWN_ERRORS.contains(&name);
    let ends_in_fail = trace
        .visits
        .last()
        .is_some_and(|visit| is_fail(subject.state(visit.state)));
    // What ends too many items of a Distributed Map goes by another name outside.
    let is_of_items = name == "States.ExceedToleratedFailureThreshold" && trace.faults.is_empty();
    let mut failed_last = trace.failed_last.iter().rev();
    let failed = failed_last.find(|(_, error)| is_of_items || error == name);
    let failed = failed.filter(|_| !is_own && !ends_in_fail);
    let (failed, name) = match failed {
        Some((state, name)) => (Some(*state), name.as_str()),
        None => (None, name),
    };
    if let Some(state) = failed {
        let of = subject.state(state);
        let undoes = effects.undoing.contains(&state);
        // What retries has been thought about.
        if undoes && of.retriers.is_empty() && of.catchers.is_empty() {
            keys.push(key(Kind::RollbackFails, state, ""));
        } else {
            keys.push(key(Kind::Uncaught, state, name));
        }
    }
    let undoing = |state: &StateId| effects.undoing.contains(state);
    let was_undone = trace.visits.iter().any(|visit| undoing(&visit.state));
    let has_changed = |(caller, answers): (&Caller, &Vec<Answer>)| {
        effects.changing.contains(&caller.state) && answers.iter().any(|answer| matches!(answer, Answer::Result(_)))
    };
    // What fails for want of data would have to be mended first.
    if !effects.undoing.is_empty() && trace.faults.is_empty() && !was_undone && trace.given.iter().any(has_changed) {
        let last = trace.visits.last().map(|visit| visit.state);
        if let Some(state) = failed.or(last) {
            keys.push(key(Kind::NoRollback, state, ""));
        }
    }
    keys
}

fn key(kind: Kind, state: StateId, error: &str) -> Key {
    Key {
        kind,
        state,
        error: error.to_owned(),
        detail: String::new(),
    }
}

/// Tells whether an execution was ended for the length of its history.
pub(super) fn is_limit(cause: &str) -> bool {
    cause.contains("maximum number of history events")
}

/// Returns the part of a cause that does not depend on the data: what went wrong, without where it was entered and
/// what the input was.
pub(super) fn essence(cause: &str) -> &str {
    let begin = match cause.split_once("(entered at the event id #") {
        Some((before, rest)) => rest.find("). ").map_or(0, |at| {
            before.len() + "(entered at the event id #".len() + at + "). ".len()
        }),
        None => 0,
    };
    let rest = cause.get(begin..).unwrap_or(cause);
    let ends = [
        " in the input '",
        " to input ",
        " for value: ",
        ", but was ",
        " for parameter",
        "Argument ",
    ];
    let end = ends
        .iter()
        .filter_map(|end| rest.find(end))
        .filter(|end| 0 < *end)
        .min();
    rest.get(..end.unwrap_or(rest.len())).unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_essence_of_a_cause_does_not_depend_on_the_data() {
        for (cause, expected) in [
            (
                "An error occurred while executing the state 'A' (entered at the event id #12). Invalid path '$.a' : x",
                "Invalid path '$.a' : x",
            ),
            (
                "The JSONPath '$.a' specified for the field 'b.$' could not be found in the input '{}'",
                "The JSONPath '$.a' specified for the field 'b.$' could not be found",
            ),
            (
                "Unable to apply ReferencePath $.a to input {}",
                "Unable to apply ReferencePath $.a",
            ),
            ("", ""),
        ] {
            assert_eq!(essence(cause), expected);
        }
    }
}
