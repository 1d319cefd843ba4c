//! AWS's JSONPath: a dialect of the Java library Jayway.

pub mod path;
