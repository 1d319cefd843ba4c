//! Resources that nothing here stands for.

use crate::model::states_error::StatesError;
use crate::worker::Job;
use crate::worker::command;

/// Returns the error that says how to bind the resource.
pub fn error(job: &Job) -> StatesError {
    let arn = command::names(job)
        .pop()
        .unwrap_or_else(|| job.resource.arn.to_string());
    StatesError::new(
        "Debian.ResourceNotMapped",
        format!(
            "Nothing on this machine stands for `{arn}`. Bind it to a command in a file given with --map:\n\
             [[mapping]]\nresource = {arn:?}\ncommand = [\"program\", \"argument\"]\n\
             or mock the state `{}` with --mock FILE#TestCase.",
            job.task.state_name
        ),
    )
}
