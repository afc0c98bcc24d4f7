//! What the tenants of a place have counted: the one who has it, and those before.

use std::ops::{Add, Sub};
use std::sync::atomic::Ordering;

use super::tenancy::Seat;

/// A counter of the device's 32 bits, widened. It must be looked at once in 2^32.
#[derive(Default)]
pub(crate) struct Wide {
    seen: u32,
    total: u64,
}

impl Wide {
    pub fn count(&mut self, word: u32) -> u64 {
        self.total += u64::from(word.wrapping_sub(self.seen));
        self.seen = word;
        self.total
    }
}

/// Counters of slots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub published: u64,
    pub done: u64,
    pub faults: u64,
    pub throttled: u64,
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            published: self.published + other.published,
            done: self.done + other.done,
            faults: self.faults + other.faults,
            throttled: self.throttled + other.throttled,
        }
    }
}

impl Sub for Counts {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            published: self.published - other.published,
            done: self.done - other.done,
            faults: self.faults - other.faults,
            throttled: self.throttled - other.throttled,
        }
    }
}

/// A place's counters run on when it is lent anew, so that no sum over the places ever goes back.
#[derive(Default)]
pub(crate) struct Ledger {
    throttled: Wide,
    /// What stood there when the tenant that has the place now was opened.
    pub before: Counts,
}

impl Ledger {
    /// All that was ever counted at the place; `throttled` is its word in the table of that.
    pub fn all(&mut self, seat: &Seat, throttled: u32) -> Counts {
        Counts { throttled: self.throttled.count(throttled), ..ended(seat) }
    }

    /// What the tenant that has the place has counted, but for what was throttled.
    pub fn own(&self, seat: &Seat) -> Counts {
        ended(seat) - Counts { throttled: 0, ..self.before }
    }
}

fn ended(seat: &Seat) -> Counts {
    // What has ended first, since it was published before.
    let (done, faults) = (seat.done.load(Ordering::Acquire), seat.faults.load(Ordering::Acquire));
    let published = seat.published.load(Ordering::Acquire).max(done + faults);
    Counts { published, done, faults, throttled: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_of_32_bits_are_widened_across_their_wrap() {
        let mut wide = Wide::default();
        let words = [0, 5, 5, u32::MAX, 0, 3, 2];
        let totals = [0, 5, 5, (1 << 32) - 1, 1 << 32, (1 << 32) + 3, (2 << 32) + 2];
        assert_eq!(words.map(|word| wide.count(word)), totals);
    }
}
