//! Parallel: all branches at once.

use crate::kernel::context::Extra;
use crate::kernel::core::Cx;
use crate::kernel::failure::Failure;
use crate::kernel::frame::FrameId;

impl Cx<'_> {
    pub(super) fn parallel(&mut self, frame: FrameId) -> Result<(), Failure> {
        let effective = self.effective_input(frame, &Extra::default())?;
        let effective = self.fits(frame, effective)?;
        self.start_branches(frame, effective);
        Ok(())
    }
}
