//! Pass: its `Result`, or its effective input.

use crate::kernel::context::Extra;
use crate::kernel::core::Cx;
use crate::kernel::data_flow::Completion;
use crate::kernel::failure::Failure;
use crate::kernel::frame::FrameId;
use crate::model::payload::Payload;

impl Cx<'_> {
    pub(super) fn pass(&mut self, frame: FrameId, result: Option<&Payload>) -> Result<(), Failure> {
        let result = match result {
            Some(result) => result.clone(),
            None => self.effective_input(frame, &Extra::default())?,
        };
        self.complete(frame, &Completion::of_input(result));
        Ok(())
    }
}
