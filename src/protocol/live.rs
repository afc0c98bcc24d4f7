//! The words of the live queues (PROTOCOL section 9): what a submission and a completion look like.
//!
//! Both queues are bounded rings in the manner of Vyukov's MPMC queue: position `p` stands at entry
//! `p mod capacity`, and every word of an entry carries the lap of its position, so that a reader
//! knows by each word alone whether it is there. Capacities are powers of two, at least the number of
//! slots, so that neither queue can overflow: a slot is in each at most once.
//!
//! A lap is 8 bits. It is enough to tell a position's lap from the one before, since every position
//! is written on every lap; the words that a short completion leaves alone are written at least every
//! [`COMPLETION_REFRESH_LAPS`] laps.

use super::abi::{fault, live::*};

const LOW: u32 = (1 << LAP_SHIFT) - 1;

/// The lap that the words of `position` carry in a queue of `1 << shift` entries.
///
/// It starts at 1, so that zeroed memory holds no entry.
#[inline]
pub const fn lap(position: u32, shift: u32) -> u32 {
    ((position >> shift).wrapping_add(1)) & LAP_MASK
}

/// The two words of a submission entry. `batch` is 0 or the slot of the batch's fence plus one.
#[inline]
pub const fn encode_submission(position: u32, shift: u32, slot: u32, wide: bool, batch: u32) -> [u32; 2] {
    let tag = lap(position, shift) << LAP_SHIFT;
    let wide = if wide { ENTRY_WIDE } else { 0 };
    [tag | wide | (slot & ENTRY_SLOT_MASK), tag | (batch & LOW)]
}

/// The entry of a slot that was claimed before, and whose request the host has answered.
#[inline]
pub const fn encode_resumed(position: u32, shift: u32, slot: u32, wide: bool, batch: u32) -> [u32; 2] {
    let [first, second] = encode_submission(position, shift, slot, wide, batch);
    [first | ENTRY_RESUMED, second]
}

/// The two words that tell the device that a tenant has published `count` entries at a level.
#[inline]
pub const fn encode_announcement(position: u32, shift: u32, tenant: u32, level: u32, count: u32) -> [u32; 2] {
    let tag = lap(position, shift) << LAP_SHIFT;
    [tag | level << ANNOUNCE_LEVEL_SHIFT | (tenant & ANNOUNCE_TENANT_MASK), tag | (count & LOW)]
}

/// A submission entry, read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubmissionEntry {
    /// Index of the slot in the slab.
    pub slot: u32,
    /// The slot takes a whole subgroup.
    pub wide: bool,
    /// 0, or the slot of the batch's fence plus one.
    pub batch: u32,
}

/// Reads the entry of `position`; `None` while it is not, or not wholly, there.
pub const fn decode_submission(position: u32, shift: u32, words: [u32; 2]) -> Option<SubmissionEntry> {
    let lap = lap(position, shift);
    if words[0] >> LAP_SHIFT != lap || words[1] >> LAP_SHIFT != lap {
        return None;
    }
    Some(SubmissionEntry {
        slot: words[0] & ENTRY_SLOT_MASK,
        wide: words[0] & ENTRY_WIDE != 0,
        batch: words[1] & LOW,
    })
}

/// How a slot ended, as its completion tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Executed, with its result.
    Done(u64),
    /// Refused or failed.
    Fault {
        /// One of [`abi::fault`](super::abi::fault), 8 bits.
        code: u8,
        /// What the code says it means.
        detail: u16,
    },
}

impl Outcome {
    /// The slot ended before it ran.
    pub const CANCELLED: Self = Self::Fault { code: fault::FAULT_CANCELLED as u8, detail: 0 };
    /// The device went away first.
    pub const DEVICE_LOST: Self = Self::Fault { code: fault::FAULT_DEVICE_LOST as u8, detail: 0 };
}

/// The two words of a completion entry and its two long words, all of them as on a lap that refreshes.
pub const fn encode_completion(position: u32, shift: u32, slot: u32, outcome: Outcome) -> [u32; 4] {
    let tag = lap(position, shift) << LAP_SHIFT;
    let (kind, low, high) = match outcome {
        Outcome::Done(r) if r >> LAP_SHIFT == 0 => (COMPLETION_SHORT, r as u32, 0),
        Outcome::Done(r) => (COMPLETION_LONG, r as u32 & LOW, r >> LAP_SHIFT),
        Outcome::Fault { code, detail } => (COMPLETION_FAULT, ((code as u32) << 16) | detail as u32, 0),
    };
    [
        tag | (kind << COMPLETION_KIND_SHIFT) | (slot & ENTRY_SLOT_MASK),
        tag | low,
        tag | (high as u32 & LOW),
        tag | (high >> LAP_SHIFT) as u32,
    ]
}

/// Reads the entry of `position` word by word; `None` while it is not, or not wholly, there.
///
/// `word(i)` loads word `i` of the entry. The first is loaded first, and the third and fourth only
/// for results of more than 24 bits.
#[inline]
pub fn decode_completion(
    position: u32,
    shift: u32,
    mut word: impl FnMut(usize) -> u32,
) -> Option<(u32, Outcome)> {
    let lap = lap(position, shift);
    let mut read = |i: usize| {
        let w = word(i);
        (w >> LAP_SHIFT == lap).then_some(w & LOW)
    };
    let first = read(0)?;
    let low = read(1)?;
    let outcome = match first >> COMPLETION_KIND_SHIFT {
        COMPLETION_SHORT => Outcome::Done(u64::from(low)),
        COMPLETION_FAULT => Outcome::Fault { code: (low >> 16) as u8, detail: low as u16 },
        // No other kind is written; a long one is what remains.
        _ => {
            let middle = u64::from(read(2)?);
            let high = u64::from(read(3)?);
            Outcome::Done(u64::from(low) | (middle << 24) | (high << 48))
        }
    };
    Some((first & ENTRY_SLOT_MASK, outcome))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn outcome() -> impl Strategy<Value = Outcome> {
        prop_oneof![
            (0u64..1 << 25).prop_map(Outcome::Done),
            any::<u64>().prop_map(Outcome::Done),
            (any::<u8>(), any::<u16>()).prop_map(|(code, detail)| Outcome::Fault { code, detail }),
        ]
    }

    proptest! {
        #[test]
        fn submissions_come_back(position: u32, shift in 4u32..=20, slot in 0u32..1 << 20, wide: bool, batch in 0u32..1 << 21) {
            let words = encode_submission(position, shift, slot, wide, batch);
            prop_assert_eq!(decode_submission(position, shift, words), Some(SubmissionEntry { slot, wide, batch }));
        }

        #[test]
        fn completions_come_back(position: u32, shift in 4u32..=20, slot in 0u32..1 << 20, outcome in outcome()) {
            let words = encode_completion(position, shift, slot, outcome);
            prop_assert_eq!(decode_completion(position, shift, |i| words[i]), Some((slot, outcome)));
        }

        /// An entry of which any read word is still that of the lap before is not there.
        #[test]
        fn torn_completions_are_absent(position in 0u32..1 << 30, shift in 4u32..=20, old in outcome(), new in outcome(), stale in 1u32..16) {
            let before = encode_completion(position, shift, 1, old);
            let after = encode_completion(position.wrapping_add(1 << shift), shift, 2, new);
            let mut read = 0u32;
            let torn = |i: usize| if stale & (1 << i) != 0 { before[i] } else { after[i] };
            let got = decode_completion(position.wrapping_add(1 << shift), shift, |i| { read |= 1 << i; torn(i) });
            prop_assert_eq!(got.is_some(), stale & read == 0);
            if let Some(got) = got { prop_assert_eq!(got, (2, new)); }
        }
    }
}
