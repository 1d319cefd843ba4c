//! AWS's quotas that a running execution meets.

/// Largest payload (input, output, one variable, one `Assign`), in bytes of JSON text.
pub const PAYLOAD_BYTES_MAX: usize = 262_144;
/// Largest sum of the stored variables of one execution, in bytes.
pub const VARIABLES_BYTES_MAX: usize = 10 * 1024 * 1024;
/// Longest execution of a STANDARD machine, in seconds: a year.
pub const STANDARD_SECONDS_MAX: u64 = 31_536_000;
/// Longest execution of an EXPRESS machine, in seconds: five minutes.
pub const EXPRESS_SECONDS_MAX: u64 = 300;
/// Number of history events at which a STANDARD execution ends.
pub const HISTORY_EVENTS_MAX: u64 = 25_000;
/// Largest definition, in bytes.
pub const DEFINITION_BYTES_MAX: usize = 1_048_576;
/// Iterations of an inline Map that run at the same time, at most.
pub const INLINE_MAP_CONCURRENCY_MAX: usize = 40;
/// Children of a Map Run that run at the same time, at most.
pub const MAP_RUN_CONCURRENCY_MAX: u64 = 10_000;
/// Items of a Map Run, at most.
pub const MAX_ITEMS_MAX: i64 = 100_000_000;
/// Longest `Error`, in characters.
pub const ERROR_CHARS_MAX: usize = 256;
/// Longest `Cause`, in characters.
pub const CAUSE_CHARS_MAX: usize = 32_768;

/// Redrives of one Map Run, at most.
pub const MAP_RUN_REDRIVES_MAX: u32 = 1_000;

/// Which quotas hold for an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Quotas {
    /// AWS's.
    Aws,
    /// None, for purely local use (`--no-quotas`).
    Off,
}
