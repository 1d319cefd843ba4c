//! Signatures that were taken already.
//!
//! A signature covers the time to the second, and what most clients sign besides is the same when a request is the
//! same: two honest requests for the same thing within a second carry the same signature. botocore and the SDK for
//! Rust tell them apart by `amz-sdk-invocation-id` and `amz-sdk-request`, which they add after they have signed. So a
//! signature that is seen again is taken when these headers are new, and only shortly after it was seen first; a copy
//! that comes later, or with the same headers, is refused.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::hash::BuildHasher;
use std::hash::RandomState;

use crate::model::timestamp::Timestamp;

/// How far a client's clock may be wrong, in milliseconds.
pub(super) const SKEW_MILLIS: i64 = 300_000;
/// How long after a signature was seen first another request may carry it: the second it was made in, and one more
/// for the way.
const SIBLING_MILLIS: i64 = 2_000;
/// How many requests are remembered: at 100 bytes each, and in ten minutes, 1,700 a second.
const REQUESTS_MAX: usize = 1_000_000;
/// Younger ones are never forgotten for want of room.
const YOUNG_MILLIS: i64 = 30_000;

/// What is remembered, by the second in which it was signed.
#[derive(Debug)]
pub(super) struct Replays {
    seconds: BTreeMap<i64, HashMap<[u8; 32], Seen>>,
    n_requests: usize,
    n_max: usize,
    /// What was signed up to here, in milliseconds, was forgotten for want of room.
    forgotten: i64,
    hasher: RandomState,
}

#[derive(Debug)]
struct Seen {
    at: Timestamp,
    requests: Vec<u64>,
}

/// Why a signature is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replay {
    /// It was taken before.
    Again,
    /// Nobody remembers whether it was taken before.
    Forgotten,
    /// There is no room to remember it.
    Full,
}

impl Default for Replays {
    fn default() -> Self {
        Self {
            seconds: BTreeMap::new(),
            n_requests: 0,
            n_max: REQUESTS_MAX,
            forgotten: i64::MIN,
            hasher: RandomState::new(),
        }
    }
}

impl Replays {
    /// Takes a signature that was made at `signed` and arrives `now`.
    ///
    /// `request` holds what tells it from others with the same signature; empty if the client adds nothing.
    pub(super) fn take(
        &mut self,
        signature: [u8; 32],
        request: &[u8],
        signed: Timestamp,
        now: Timestamp,
    ) -> Result<(), Replay> {
        if signed.0 <= self.forgotten {
            return Err(Replay::Forgotten);
        }
        if !self.seconds.contains_key(&signed.0) {
            self.prune(now);
        }
        if self.n_max <= self.n_requests {
            self.make_room(now)?;
        }
        let request_hash = self.hasher.hash_one(request);
        let second = self.seconds.entry(signed.0).or_default();
        match second.get_mut(&signature) {
            Some(seen) => {
                let is_sibling = (0..SIBLING_MILLIS).contains(&now.0.saturating_sub(seen.at.0));
                if request.is_empty() || !is_sibling || seen.requests.contains(&request_hash) {
                    return Err(Replay::Again);
                }
                seen.requests.push(request_hash);
            }
            None => {
                let requests = vec![request_hash];
                second.insert(signature, Seen { at: now, requests });
            }
        }
        self.n_requests += 1;
        Ok(())
    }

    /// Forgets what is refused for its age anyway.
    fn prune(&mut self, now: Timestamp) {
        while let Some(entry) = self.seconds.first_entry() {
            if now.0.saturating_sub(*entry.key()) <= SKEW_MILLIS {
                return;
            }
            self.n_requests -= n_requests(&entry.remove());
        }
    }

    fn make_room(&mut self, now: Timestamp) -> Result<(), Replay> {
        let oldest = self.seconds.first_entry().ok_or(Replay::Full)?;
        let second = *oldest.key();
        if now.0.saturating_sub(second) < YOUNG_MILLIS {
            return Err(Replay::Full);
        }
        self.n_requests -= n_requests(&oldest.remove());
        self.forgotten = second;
        Ok(())
    }
}

fn n_requests(second: &HashMap<[u8; 32], Seen>) -> usize {
    second.values().map(|seen| seen.requests.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_taken_again_only_with_a_new_request_and_soon() {
        let mut replays = Replays::default();
        let signed = Timestamp(1_000_000);
        let mut take = |signature: u8, request: &str, millis: i64| {
            replays.take(
                [signature; 32],
                request.as_bytes(),
                signed,
                Timestamp(1_000_000 + millis),
            )
        };
        assert_eq!(take(1, "", 0), Ok(()));
        assert_eq!(take(1, "", 1), Err(Replay::Again), "nothing tells them apart");
        assert_eq!(take(2, "a;1", 0), Ok(()));
        assert_eq!(take(2, "a;1", 0), Err(Replay::Again));
        assert_eq!(take(2, "a;2", 900), Ok(()), "a retry");
        assert_eq!(take(2, "b;1", 1_900), Ok(()), "the same call once more");
        assert_eq!(take(2, "b;1", 1_950), Err(Replay::Again));
        assert_eq!(take(2, "c;1", 2_000), Err(Replay::Again), "too late for an honest one");
        assert_eq!(take(2, "", 500), Err(Replay::Again));
        assert_eq!(take(3, "a;1", -200_000), Ok(()), "a client whose clock is fast");
        assert_eq!(take(3, "a;1", 300_000), Err(Replay::Again), "the end of the window");
    }

    #[test]
    fn memory_is_bounded() {
        let mut replays = Replays {
            n_max: 3,
            ..Replays::default()
        };
        let mut take = |number: u8, signed: i64, now: i64| {
            let taken = replays.take([number; 32], b"x", Timestamp(signed), Timestamp(now));
            assert!(replays.n_requests <= 3 && replays.seconds.len() <= 3);
            let counted: usize = replays.seconds.values().map(n_requests).sum();
            assert_eq!(replays.n_requests, counted);
            taken
        };
        for number in 0..3 {
            assert_eq!(take(number, i64::from(number) * 1_000, 2_000), Ok(()));
        }
        assert_eq!(take(3, 3_000, 3_000), Err(Replay::Full), "all are young");
        assert_eq!(take(3, 3_000, 30_000), Ok(()));
        assert_eq!(take(0, 0, 30_000), Err(Replay::Forgotten), "it may have been taken");
        assert_eq!(
            take(4, 300_000, 302_500),
            Ok(()),
            "what has no effect any more is forgotten first"
        );
        assert_eq!(
            take(2, 2_000, 302_000),
            Ok(()),
            "which the check of the time refuses before"
        );
    }
}
