//! Runs conformance cases.
