//! The clock of a run: the system's, or one that can be put forward.

use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use crate::model::timestamp::Timestamp;

/// A clock that never goes back.
#[derive(Debug, Default)]
pub struct Clock {
    ahead_millis: i64,
    last: Timestamp,
}

impl Clock {
    /// Returns the time.
    pub fn now(&mut self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let system = i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX);
        self.last = self.last.max(Timestamp(system.saturating_add(self.ahead_millis)));
        self.last
    }

    /// Puts the clock forward to an instant.
    pub fn skip_to(&mut self, instant: Timestamp) {
        let missing = instant.0.saturating_sub(self.now().0);
        if missing > 0 {
            self.ahead_millis = self.ahead_millis.saturating_add(missing);
            self.last = instant;
        }
    }

    /// Returns how long it is until an instant.
    pub fn until(&mut self, instant: Timestamp) -> Duration {
        let millis = instant.0.saturating_sub(self.now().0);
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }
}

/// The system's clock for many threads; it never goes back.
#[derive(Debug, Default)]
pub struct SharedClock {
    last: AtomicI64,
    ahead_millis: AtomicI64,
}

impl SharedClock {
    /// Returns the time.
    pub fn now(&self) -> Timestamp {
        let ahead = self.ahead_millis.load(Ordering::Relaxed);
        let now = Clock::default().now().0.saturating_add(ahead);
        Timestamp(self.last.fetch_max(now, Ordering::Relaxed).max(now))
    }

    /// Puts the clock forward to an instant.
    pub fn skip_to(&self, instant: Timestamp) {
        let missing = instant.0.saturating_sub(self.now().0);
        if 0 < missing {
            self.ahead_millis.fetch_add(missing, Ordering::Relaxed);
        }
    }

    /// Returns how long it is until an instant.
    pub fn until(&self, instant: Timestamp) -> Duration {
        let millis = instant.0.saturating_sub(self.now().0);
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_can_be_put_forward_but_not_back() {
        let mut clock = Clock::default();
        let start = clock.now();
        clock.skip_to(start.plus_millis(86_400_000));
        let later = clock.now();
        assert!(later >= start.plus_millis(86_400_000));
        clock.skip_to(start);
        assert!(clock.now() >= later);
        clock.skip_to(Timestamp(i64::MAX));
        assert_eq!(clock.now(), Timestamp(i64::MAX));
    }
}
