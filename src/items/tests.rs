//! The readers and the writer over a real directory.

mod bad;
mod buckets;
mod formats;
mod manifests;
mod results;
mod round_trip;
