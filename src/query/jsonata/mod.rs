//! JSONata as Step Functions speaks it, on the crate `jlens-core`.
//!
//! `expression` is the door. `survey` reads the syntax tree once, when an expression is compiled; `quick` answers the
//! common small expressions without the engine; `lens` runs the engine over borrowed payloads (`source`) and writes
//! what it gives (`result`); `outline` tells what it reads and gives before it runs, `habits` what in it goes wrong
//! one day; `functions` holds what AWS adds to the language; `limits` holds its bounds and sentences; `message` words
//! its errors; `infinity` gives it the infinities that the engine refuses.

pub mod expression;
mod functions;
pub mod habits;
mod infinity;
mod lens;
mod limits;
mod message;
pub mod outline;
mod quick;
mod result;
mod source;
mod survey;
