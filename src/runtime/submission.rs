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
use super::slab::{LEVELS, PerLevel};
use crate::kernel::{IO, is_wide};
use crate::protocol::abi::opcode::OP_SHUTDOWN;
use crate::protocol::abi::slot::{OPCODE_WORD, PRIORITY_LEVELS, PRIORITY_NORMAL, PRIORITY_WORD, SLOT_WORDS};
use crate::protocol::live;

/// The 16 words of a slot.
pub type SlotWords = [u32; SLOT_WORDS as usize];

/// How long a submission waits for slots while nothing is on its way that could free one.
const STARVED: Duration = Duration::from_secs(1);

/// What the host has to know of a slot's words to publish them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Class {
    /// The queue that it goes by. A priority word that is no level goes by NORMAL, and is refused by the device.
    pub level: usize,
    /// It takes a whole subgroup: the device needs to know before it claims it.
    pub wide: bool,
    /// It is the last that this runtime takes.
    pub last: bool,
}

impl Class {
    #[inline]
    pub fn of(words: &SlotWords) -> Self {
        let opcode = words[OPCODE_WORD as usize];
        let priority = words[PRIORITY_WORD as usize];
        let level = if priority < PRIORITY_LEVELS { priority } else { PRIORITY_NORMAL };
        Self { level: level as usize, wide: is_wide(opcode), last: opcode == OP_SHUTDOWN }
    }
}

/// A slot whose words are written, on its way into a queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub slot: u32,
    pub class: Class,
}

/// What a caller wants when no slot is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhenFull {
    Wait,
    Fail,
}

impl Shared {
    /// The submission end with at least so many free slots of each level.
    pub fn with_free(
        &self,
        counts: &PerLevel,
        when_full: WhenFull,
    ) -> Result<MutexGuard<'_, Submission>, RuntimeError> {
        let mut starved: Option<Instant> = None;
        loop {
            let mut submission = lock(&self.submission);
            self.failure()?;
            if submission.closed {
                return Err(RuntimeError::ShutDown);
            }
            if !submission.slab.has(counts) {
                submission.slab.put(lock(&self.freed).drain(..));
            }
            if submission.slab.has(counts) {
                return Ok(submission);
            }
            let full = submission.full(counts);
            drop(submission);
            if when_full == WhenFull::Fail {
                if self.reap() == 0 {
                    return Err(full);
                }
                continue;
            }
            self.wait_for_space()?;
            // Rings keep slots of their own. If they hold the rest, with nothing on its way, no wait
            // would ever end.
            if self.outstanding() > 0 || !lock(&self.freed).is_empty() {
                starved = None;
            } else if starved.get_or_insert_with(Instant::now).elapsed() > STARVED {
                return Err(full);
            }
        }
    }

    /// Whether a batch with so many slots of each level, its fence among them, fits at all.
    pub fn can_hold(&self, counts: &PerLevel) -> Result<(), RuntimeError> {
        let submission = lock(&self.submission);
        match (0..LEVELS).find(|level| counts[*level] > submission.slab.size(*level)) {
            None => Ok(()),
            Some(level) => Err(RuntimeError::BatchTooLarge {
                level: level as u32,
                count: counts[level],
                slots: submission.slab.size(level),
            }),
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
    pub fn write_slot(&self, entry: &Entry, words: &SlotWords) {
        let slot = entry.slot;
        self.owners[slot as usize].level.store(entry.class.level as u32, Ordering::Relaxed);
        let at = self.layout.slot(slot);
        for (to, word) in self.buffers.slot_words()[at..at + words.len()].iter().zip(words) {
            to.store(*word, Ordering::Relaxed);
        }
        if self.storage.is_some() {
            let asks = IO.contains(&words[OPCODE_WORD as usize]);
            self.owners[slot as usize].asks.store(asks, Ordering::Relaxed);
        }
    }

    /// Publishes entries for slots whose payloads are written, in their order, with the batch's number for all.
    /// Counts them and wakes the launcher.
    #[inline]
    pub fn publish(&self, submission: &mut Submission, entries: &[Entry], batch: u32) {
        self.buffers.publish_fence();
        if let Some(storage) = &self.storage {
            let mut order = None;
            for Entry { slot, .. } in entries {
                let owner = &self.owners[*slot as usize];
                owner.batch.store(batch, Ordering::Relaxed);
                if owner.asks.load(Ordering::Relaxed) {
                    order.get_or_insert_with(|| lock(&storage.order)).publish(*slot, submission.tenant);
                }
            }
        }
        if let [entry] = entries {
            self.write_entry(submission.next(entry.class.level), entry, batch);
        } else {
            self.write_entries(submission, entries, batch);
        }
        self.buffers.flush_entries();
        self.published(entries.len() as u64);
    }

    /// The first of each level comes last: behind it the device finds the others.
    fn write_entries(&self, submission: &mut Submission, entries: &[Entry], batch: u32) {
        let mut firsts = [None; LEVELS];
        for entry in entries {
            let position = submission.next(entry.class.level);
            match &mut firsts[entry.class.level] {
                first @ None => *first = Some((position, entry)),
                Some(_) => self.write_entry(position, entry, batch),
            }
        }
        self.buffers.publish_fence();
        for (position, entry) in firsts.into_iter().flatten() {
            self.write_entry(position, entry, batch);
        }
    }

    #[inline]
    fn write_entry(&self, position: u32, entry: &Entry, batch: u32) {
        let words = live::encode_submission(position, self.layout.shift, entry.slot, entry.class.wide, batch);
        self.store_entry(entry.class.level, position, words);
    }

    /// The word by which a worker knows it last.
    #[inline]
    fn store_entry(&self, level: usize, position: u32, entry: [u32; 2]) {
        let words = &self.buffers.submission_words()[self.layout.submission(level, position)..][..2];
        words[1].store(entry[1], Ordering::Relaxed);
        words[0].store(entry[0], Ordering::Release);
    }

    /// Publishes slots again that the device asked something for, once the answers are written. They were
    /// counted when they were published first, and each is in a queue once at most, so there is room.
    pub fn publish_resumed(&self, slots: &[u32]) {
        let mut submission = lock(&self.submission);
        self.buffers.publish_fence();
        for slot in slots {
            let owner = &self.owners[*slot as usize];
            let batch = owner.batch.load(Ordering::Relaxed);
            let level = owner.level.load(Ordering::Relaxed) as usize % LEVELS;
            let position = submission.next(level);
            self.store_entry(
                level,
                position,
                live::encode_resumed(position, self.layout.shift, *slot, batch),
            );
        }
        self.buffers.flush_entries();
    }
}

impl Submission {
    /// Position of the next entry of a level's queue, which is taken with it.
    #[inline]
    fn next(&mut self, level: usize) -> u32 {
        let position = self.positions[level];
        self.positions[level] = position.wrapping_add(1);
        position
    }

    /// That there are not so many free slots, of the first level that has too few.
    pub fn full(&self, counts: &PerLevel) -> RuntimeError {
        let level = (0..LEVELS).find(|level| !self.slab.has_of(*level, counts[*level])).unwrap_or_default();
        RuntimeError::Full { level: level as u32, slots: self.slab.size(level) }
    }
}
