//! Chance that a replay can repeat.

use serde::Deserialize;
use serde::Serialize;

/// A seeded source of chance (SplitMix64). Its state is part of an execution's snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entropy {
    state: u64,
}

impl Entropy {
    /// Makes a source from a seed.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// Returns 64 fresh bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number in `0.0..1.0`.
    pub fn next_f64(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Returns a version 4 UUID as text.
    pub fn uuid(&mut self) -> String {
        let first = self.next_u64();
        self.uuid_after(first)
    }

    /// Draws the second half of a UUID of version 4, whose first half is given; four bits of it are lost.
    pub fn uuid_after(&mut self, first: u64) -> String {
        let mut bytes = [0u8; 16];
        bytes[..8].copy_from_slice(&first.to_be_bytes());
        bytes[8..].copy_from_slice(&self.next_u64().to_be_bytes());
        uuid::Builder::from_random_bytes(bytes)
            .into_uuid()
            .hyphenated()
            .to_string()
    }
}

/// `java.util.Random`, of which AWS shows the first draws for `$random(seed)`.
pub struct JavaRandom {
    state: i64,
}

impl JavaRandom {
    /// Makes a generator as `new java.util.Random(seed)`.
    pub fn new(seed: i64) -> Self {
        Self {
            state: (seed ^ 0x5_DEEC_E66D) & ((1 << 48) - 1),
        }
    }

    fn next(&mut self, bits: u32) -> i32 {
        self.state = self.state.wrapping_mul(0x5_DEEC_E66D).wrapping_add(0xB) & ((1 << 48) - 1);
        (self.state >> (48 - bits)) as i32
    }

    /// `nextDouble()`.
    pub fn next_double(&mut self) -> f64 {
        let high = i64::from(self.next(26)) << 27;
        let low = i64::from(self.next(27));
        (high + low) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// `nextInt(bound)`; `bound` must be positive.
    pub fn next_int(&mut self, bound: i32) -> i32 {
        let bound = bound.max(1);
        let m = bound - 1;
        let mut u = self.next(31);
        if bound & m == 0 {
            return ((i64::from(bound) * i64::from(u)) >> 31) as i32;
        }
        loop {
            let r = u % bound;
            if u.wrapping_sub(r).wrapping_add(m) >= 0 {
                return r;
            }
            u = self.next(31);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn java_random_repeats_the_recorded_draw() {
        assert_eq!(JavaRandom::new(42).next_double(), 0.727_563_680_032_868_1);
    }
}
