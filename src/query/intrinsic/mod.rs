//! The 18 intrinsic functions: one file each.

pub mod call;
