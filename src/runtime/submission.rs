//! The producer's end: taking free slots, writing payloads, publishing entries.
//!
//! Payloads first, then a store fence, then entries, the first entry last: claims go in order, so
//! that nothing of a batch can be taken before all of it is there.

use std::sync::MutexGuard;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::error::RuntimeError;
use super::mode::Mode;
use super::shared::{Shared, Submission, lock};
use crate::kernel::{IO, is_wide};
use crate::protocol::abi::opcode::OP_SHUTDOWN;
use crate::protocol::abi::slot::{OPCODE_WORD, SLOT_WORDS};
use crate::protocol::live;

/// The 16 words of a slot.
pub type SlotWords = [u32; SLOT_WORDS as usize];

/// How long a submission waits for slots while nothing is on its way that could free one.
const STARVED: Duration = Duration::from_secs(1);

/// What a caller wants when no slot is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhenFull {
    Wait,
    Fail,
}

impl Shared {
    /// The submission end with at least `count` free slots.
    pub fn with_free(
        &self,
        count: usize,
        when_full: WhenFull,
    ) -> Result<MutexGuard<'_, Submission>, RuntimeError> {
        let mut starved: Option<Instant> = None;
        loop {
            let mut submission = lock(&self.submission);
            self.failure()?;
            if submission.closed {
                return Err(RuntimeError::ShutDown);
            }
            if submission.free.len() < count {
                submission.free.append(&mut lock(&self.freed));
            }
            if submission.free.len() >= count {
                return Ok(submission);
            }
            drop(submission);
            if when_full == WhenFull::Fail {
                if self.reap() == 0 {
                    return Err(RuntimeError::Full { slots: self.layout.slots });
                }
                continue;
            }
            self.wait_for_space()?;
            // Rings keep slots of their own. If they hold the rest, with nothing on its way, no wait
            // would ever end.
            if self.outstanding() > 0 || !lock(&self.freed).is_empty() {
                starved = None;
            } else if starved.get_or_insert_with(Instant::now).elapsed() > STARVED {
                return Err(RuntimeError::Full { slots: self.layout.slots });
            }
        }
    }

    /// Waits until some slot was freed since the call, or for a short while.
    fn wait_for_space(&self) -> Result<(), RuntimeError> {
        let looked = Instant::now();
        if self.mode.load() == Mode::Live && self.reap() > 0 {
            return Ok(());
        }
        let until = looked + Duration::from_millis(5);
        self.wait_for(Some(until), || (!lock(&self.freed).is_empty()).then_some(()))?;
        Ok(())
    }

    /// Writes a payload into a free slot. No fence: [`publish`](Self::publish) has it.
    #[inline]
    pub fn write_slot(&self, slot: u32, words: &SlotWords) {
        let at = self.layout.slot(slot);
        for (to, word) in self.buffers.slot_words()[at..at + words.len()].iter().zip(words) {
            to.store(*word, Ordering::Relaxed);
        }
        if self.storage.is_some() {
            let asks = IO.contains(&words[OPCODE_WORD as usize]);
            self.owners[slot as usize].asks.store(asks, Ordering::Relaxed);
        }
    }

    /// Publishes entries for slots whose payloads are written, as one: (slot, wide) in order, and the
    /// batch's number for all. Counts them and wakes the launcher.
    #[inline]
    pub fn publish(&self, submission: &mut Submission, slots: &[(u32, bool)], batch: u32) {
        let shift = self.layout.shift;
        let words = self.buffers.submission_words();
        self.buffers.publish_fence();
        let entry = |i: usize| {
            let position = submission.position.wrapping_add(i as u32);
            let (slot, wide) = slots[i];
            let entry = live::encode_submission(position, shift, slot, wide, batch);
            let at = self.layout.submission(position);
            words[at + 1].store(entry[1], Ordering::Relaxed);
            words[at].store(entry[0], Ordering::Release);
        };
        if let Some(storage) = &self.storage {
            let mut order = None;
            for (slot, _) in slots {
                let owner = &self.owners[*slot as usize];
                owner.batch.store(batch, Ordering::Relaxed);
                if owner.asks.load(Ordering::Relaxed) {
                    order.get_or_insert_with(|| lock(&storage.order)).publish(*slot, submission.tenant);
                }
            }
        }
        if slots.len() > 1 {
            (1..slots.len()).for_each(entry);
            self.buffers.publish_fence();
        }
        if !slots.is_empty() {
            entry(0);
            self.buffers.flush_entries();
        }
        submission.position = submission.position.wrapping_add(slots.len() as u32);
        self.published(slots.len() as u64);
    }

    /// Publishes slots again that the device asked something for, once the answers are written. They were
    /// counted when they were published first, and each is in the queue once at most, so there is room.
    pub fn publish_resumed(&self, slots: &[u32]) {
        let shift = self.layout.shift;
        let words = self.buffers.submission_words();
        let mut submission = lock(&self.submission);
        self.buffers.publish_fence();
        for slot in slots {
            let batch = self.owners[*slot as usize].batch.load(Ordering::Relaxed);
            let entry = live::encode_resumed(submission.position, shift, *slot, batch);
            let at = self.layout.submission(submission.position);
            words[at + 1].store(entry[1], Ordering::Relaxed);
            words[at].store(entry[0], Ordering::Release);
            submission.position = submission.position.wrapping_add(1);
        }
        self.buffers.flush_entries();
    }

    /// What the device needs to know of an opcode before it claims the slot, and whether it is the
    /// last that this runtime takes.
    #[inline]
    pub fn classify(words: &SlotWords) -> (bool, bool) {
        let opcode = words[OPCODE_WORD as usize];
        (is_wide(opcode), opcode == OP_SHUTDOWN)
    }
}
