//! Succeed: ends its block with its effective input.

use crate::asl::definition::State;
use crate::kernel::core::Cx;
use crate::kernel::data_flow::Completion;
use crate::kernel::failure::Failure;
use crate::kernel::frame::FrameId;

impl Cx<'_> {
    pub(super) fn succeed(&mut self, frame: FrameId, state: &State) -> Result<(), Failure> {
        let input = self.core.frame(frame).input.clone();
        let result = self.apply_path(frame, &state.input_path, &input)?;
        self.complete(frame, &Completion::of_input(result));
        Ok(())
    }
}
