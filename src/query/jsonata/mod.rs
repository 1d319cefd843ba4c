//! JSONata as Step Functions speaks it, on the crate `jlens-core`.

pub mod expression;
