//! Fail: ends its block with an error.

use crate::asl::definition::Fail;
use crate::kernel::core::Cx;
use crate::kernel::failure::Failure;
use crate::kernel::frame::FrameId;
use crate::model::states_error::StatesError;

impl Cx<'_> {
    pub(super) fn fail_state(&mut self, frame: FrameId, fail: &Fail) -> Result<(), Failure> {
        let name = match &fail.error {
            Some(error) => Some(self.text(frame, error, "Error", "ErrorPath")?),
            None => None,
        };
        let cause = match &fail.cause {
            Some(cause) => Some(self.text(frame, cause, "Cause", "CausePath")?),
            None => None,
        };
        Err(Failure::error(StatesError { name, cause }))
    }
}
