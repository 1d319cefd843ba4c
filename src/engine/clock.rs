//! The clock of a run: the system's, or one that can be put forward.

use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;
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

/// The system's clock for many threads; it never goes back, and it never stands still: when the system's clock is put
/// back, it goes on from where it was.
#[derive(Debug)]
pub struct SharedClock {
    start: Instant,
    /// How far the system's clock was ahead of the time since `start`, at most, in microseconds.
    ahead_micros: AtomicI64,
}

impl Default for SharedClock {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            ahead_micros: AtomicI64::new(i64::MIN),
        }
    }
}

impl SharedClock {
    /// Returns the time.
    pub fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        // Read second: a pause between the two must not put this clock ahead.
        self.read(since_epoch, self.start.elapsed())
    }

    /// Puts the clock forward to an instant.
    pub fn skip_to(&self, instant: Timestamp) {
        let missing = instant.0.saturating_sub(self.now().0);
        if 0 < missing {
            let micros = missing.saturating_mul(1000);
            let later = |ahead: i64| Some(ahead.saturating_add(micros));
            let _ = self
                .ahead_micros
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, later);
        }
    }

    /// Returns how long it is until an instant.
    pub fn until(&self, instant: Timestamp) -> Duration {
        let millis = instant.0.saturating_sub(self.now().0);
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }

    fn read(&self, system: Duration, elapsed: Duration) -> Timestamp {
        let micros = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX / 2);
        let (system, elapsed) = (micros(system), micros(elapsed));
        let ahead = system - elapsed;
        let ahead = self.ahead_micros.fetch_max(ahead, Ordering::Relaxed).max(ahead);
        Timestamp((ahead + elapsed) / 1000)
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

    #[test]
    fn the_shared_clock_goes_on_when_the_system_is_put_back() {
        let clock = SharedClock::default();
        let second = Duration::from_secs;
        let read = |system, elapsed| clock.read(second(system), second(elapsed)).0;
        assert_eq!(read(10_000, 0), 10_000_000);
        assert_eq!(read(10_005, 5), 10_005_000);
        // An hour back: the time goes on.
        assert_eq!(read(10_005 - 3_600 + 1, 6), 10_006_000);
        assert_eq!(read(10_005 - 3_600 + 60, 65), 10_065_000);
        // A day ahead.
        assert_eq!(read(10_070 + 86_400, 70), 96_470_000);
    }
}
