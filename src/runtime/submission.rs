//! The producer's end: taking free slots, writing payloads, publishing entries.
//!
//! Payloads first, then a store fence, then entries, the first entry last: claims go in order, so
//! that nothing of a batch can be taken before all of it is there.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::error::RuntimeError;
use super::mode::Mode;
use super::shared::{Asks, Shared, Submission, SubmissionEnd, lock};
use super::slab::{LEVELS, PerLevel};
use super::swap::UserOpcodes;
use super::tenancy::add_alone;
use crate::kernel::{IO_OPCODES, is_wide};
use crate::protocol::abi::io::IO_ANSWER_WORDS;
use crate::protocol::abi::live::{COMMAND_CLOSED_AT, COMMAND_LEVELS, LEVELS_CANCEL, TENANT_REVOKED};
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
    level: u8,
    /// It takes a whole subgroup: the device needs to know before it claims it.
    pub wide: bool,
    /// It is the last that this runtime takes.
    pub last: bool,
}

impl Class {
    #[inline]
    pub fn of(words: &SlotWords, users: &UserOpcodes) -> Self {
        let opcode = words[OPCODE_WORD as usize];
        let priority = words[PRIORITY_WORD as usize];
        let level = if priority < PRIORITY_LEVELS { priority } else { PRIORITY_NORMAL };
        Self {
            level: level as u8,
            wide: is_wide(opcode) || users.is_wide(opcode),
            last: opcode == OP_SHUTDOWN,
        }
    }

    #[inline]
    pub fn level(&self) -> usize {
        usize::from(self.level)
    }
}

/// A slot whose words are written, on its way into a queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub slot: u32,
    pub class: Class,
}

/// A slot whose request was answered, on its way into a queue once more.
pub(crate) struct Resumed {
    slot: u32,
    /// Fault and detail or 0, and bytes.
    answer: [u32; IO_ANSWER_WORDS as usize],
    /// Tenant, level and position of its entry, once it has one.
    queued: (u32, u32, u32),
}

impl Resumed {
    pub fn new(slot: u32, answer: [u32; IO_ANSWER_WORDS as usize]) -> Self {
        Self { slot, answer, queued: (0, 0, 0) }
    }
}

/// What a caller wants when no slot is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhenFull {
    Wait,
    Fail,
}

impl Shared {
    /// The submission end with at least so many free slots of each level, and as many that the tenant may have.
    pub fn with_free(
        &self,
        tenant: u32,
        counts: &PerLevel,
        when_full: WhenFull,
    ) -> Result<SubmissionEnd<'_>, RuntimeError> {
        let mut starved: Option<Instant> = None;
        loop {
            let mut submission = self.submission();
            self.failure()?;
            if submission.closed {
                return Err(RuntimeError::ShutDown);
            }
            if !submission.slab.has(counts) {
                submission.slab.put(lock(&self.freed).drain(..));
            }
            let full = match self.may_publish(tenant, counts.iter().sum()) {
                Ok(()) if submission.slab.has(counts) => return Ok(submission),
                Ok(()) => submission.full(counts),
                Err(full @ RuntimeError::TenantFull { .. }) => full,
                Err(revoked) => return Err(revoked),
            };
            drop(submission);
            if when_full == WhenFull::Fail {
                if self.reap() == 0 {
                    return Err(full);
                }
                continue;
            }
            self.wait_for_space()?;
            // Rings keep slots of their own, and paused tenants theirs. If they hold the rest, with
            // nothing on its way, no wait would ever end.
            if self.due() > 0 || !lock(&self.freed).is_empty() {
                starved = None;
            } else if starved.get_or_insert_with(Instant::now).elapsed() > STARVED {
                return Err(full);
            }
        }
    }

    /// Whether a tenant may publish so many slots now.
    #[inline]
    pub fn may_publish(&self, tenant: u32, count: u32) -> Result<(), RuntimeError> {
        let Some(seat) = self.tenancy.seats.get(tenant as usize) else { return Err(RuntimeError::Revoked) };
        let most = seat.most.load(Ordering::Relaxed);
        if seat.outstanding() + count > most {
            return Err(RuntimeError::TenantFull { slots: most });
        }
        if seat.has(TENANT_REVOKED) { Err(RuntimeError::Revoked) } else { Ok(()) }
    }

    /// Whether a batch with so many slots of each level, its fence among them, fits at all.
    pub fn can_hold(&self, tenant: u32, counts: &PerLevel) -> Result<(), RuntimeError> {
        let most =
            self.tenancy.seats.get(tenant as usize).map_or(0, |seat| seat.most.load(Ordering::Relaxed));
        if counts.iter().sum::<u32>() > most {
            return Err(RuntimeError::TenantFull { slots: most });
        }
        let submission = self.submission();
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
    #[inline(always)]
    pub fn write_slot(&self, entry: &Entry, words: &SlotWords) {
        let slot = entry.slot;
        let owner = &self.owners[slot as usize];
        owner.level.store(entry.class.level.into(), Ordering::Relaxed);
        let at = self.layout.slot(slot);
        for (to, word) in self.buffers.slot_words()[at..at + words.len()].iter().zip(words) {
            to.store(*word, Ordering::Relaxed);
        }
        if self.storage.is_some() {
            let opcode = words[OPCODE_WORD as usize];
            let asks = match () {
                () if IO_OPCODES.contains(&opcode) => Asks::Yes,
                () if self.users.asks(opcode) => Asks::Perhaps,
                () => Asks::No,
            };
            owner.asks.store(asks);
            owner.wide.store(entry.class.wide, Ordering::Relaxed);
        }
    }

    /// Publishes entries for slots whose payloads are written, in their order, with the batch's number for all.
    /// Counts them and wakes the launcher.
    #[inline]
    pub fn publish(&self, submission: &mut Submission, tenant: u32, entries: &[Entry], batch: u32) {
        let count = entries.len() as u32;
        let seat = &self.tenancy.seats[tenant as usize];
        add_alone(&seat.published, count);
        let several = self.layout.tenants > 1;
        let mut levels = 0;
        let mut last = false;
        for entry in entries {
            let owner = &self.owners[entry.slot as usize];
            if submission.cancels > 0 && owner.cancelled.load(Ordering::Relaxed) {
                self.revive(submission, entry.slot);
            }
            if several {
                owner.tenant.store(tenant, Ordering::Relaxed);
            }
            levels |= 1 << entry.class.level;
            last |= entry.class.last;
        }
        if levels & !submission.levels != 0 {
            submission.levels |= levels;
            self.tell_levels(submission);
        }
        if last && tenant == 0 {
            // Nothing follows: SHUTDOWN is to end when so many have.
            let all = self.published.load(Ordering::Relaxed) as u32;
            let word = &self.buffers.submission_words()[COMMAND_CLOSED_AT as usize];
            word.store(all.wrapping_add(count), Ordering::Relaxed);
        }
        self.buffers.publish_fence();
        if let Some(storage) = &self.storage {
            let mut order = None;
            for Entry { slot, .. } in entries {
                let owner = &self.owners[*slot as usize];
                owner.batch.store(batch, Ordering::Relaxed);
                if owner.asks.load() != Asks::No {
                    order.get_or_insert_with(|| lock(&storage.order)).publish(*slot, tenant);
                }
            }
        }
        match entries {
            [entry] => self.write_entry(tenant, submission.next(tenant, entry.class.level()), entry, batch),
            // The first comes last: behind it the device finds the others.
            [first, others @ ..] if levels.is_power_of_two() => {
                let position = submission.next(tenant, first.class.level());
                for entry in others {
                    self.write_entry(tenant, submission.next(tenant, entry.class.level()), entry, batch);
                }
                self.buffers.publish_fence();
                self.write_entry(tenant, position, first, batch);
            }
            _ => self.write_entries(submission, tenant, entries, batch),
        }
        if several {
            let mut counts = [0; LEVELS];
            entries.iter().for_each(|entry| counts[entry.class.level()] += 1);
            if let Some(last) = entries.last() {
                let level = last.class.level();
                let next = submission.positions[tenant as usize][level];
                seat.next_entry.store(self.layout.submission(tenant, level, next), Ordering::Relaxed);
            }
            self.announce(submission, tenant, &counts);
        }
        self.buffers.flush_entries();
        self.published(entries.len() as u64);
    }

    /// Marks a slot to be cancelled, unless it `has_ended`. A slot is published anew only under the lock that is held
    /// here, so the mark cannot come to mean the next one.
    pub fn cancel(&self, slot: u32, has_ended: impl Fn() -> bool) {
        let mut submission = self.submission();
        let owner = &self.owners[slot as usize];
        if has_ended() || owner.cancelled.swap(true, Ordering::Relaxed) {
            return;
        }
        submission.cancels += 1;
        self.tell_cancelled(&submission, slot, 1);
    }

    /// The slot's next life: it is not to be cancelled.
    #[cold]
    fn revive(&self, submission: &mut Submission, slot: u32) {
        self.owners[slot as usize].cancelled.store(false, Ordering::Relaxed);
        submission.cancels -= 1;
        self.tell_cancelled(submission, slot, 0);
    }

    fn tell_cancelled(&self, submission: &Submission, slot: u32, mark: u32) {
        let words = self.buffers.submission_words();
        words[self.layout.cancel(slot)].store(mark, Ordering::Relaxed);
        self.buffers.publish_fence();
        self.tell_levels(submission);
    }

    /// Which levels to look at, and whether to look for slots that are to be cancelled.
    #[cold]
    fn tell_levels(&self, submission: &Submission) {
        let cancel = if submission.cancels > 0 { LEVELS_CANCEL } else { 0 };
        let word = &self.buffers.submission_words()[COMMAND_LEVELS as usize];
        word.store(submission.levels | cancel, Ordering::Release);
        self.buffers.publish_fence();
    }

    /// The same where they are of several levels.
    fn write_entries(&self, submission: &mut Submission, tenant: u32, entries: &[Entry], batch: u32) {
        let mut firsts = [None; LEVELS];
        for entry in entries {
            let position = submission.next(tenant, entry.class.level());
            match &mut firsts[entry.class.level()] {
                first @ None => *first = Some((position, entry)),
                Some(_) => self.write_entry(tenant, position, entry, batch),
            }
        }
        self.buffers.publish_fence();
        for (position, entry) in firsts.into_iter().flatten() {
            self.write_entry(tenant, position, entry, batch);
        }
    }

    /// Tells the device, where there are several tenants, that one has published so many slots of each level: it
    /// claims no more than it was told of. An announcement is for one slot at least, and taken before that slot is
    /// claimed, so there is room.
    fn announce(&self, submission: &mut Submission, tenant: u32, counts: &PerLevel) {
        self.buffers.publish_fence();
        for (level, count) in (0..).zip(counts).filter(|(_, count)| **count > 0) {
            let position = submission.announced;
            submission.announced = position.wrapping_add(1);
            let words = live::encode_announcement(position, self.layout.shift, tenant, level, *count);
            let to = &self.buffers.submission_words()[self.layout.announcement(position)..][..2];
            to[1].store(words[1], Ordering::Relaxed);
            to[0].store(words[0], Ordering::Release);
        }
    }

    #[inline]
    fn write_entry(&self, tenant: u32, position: u32, entry: &Entry, batch: u32) {
        let shift = self.layout.queue_shift(tenant);
        let words = live::encode_submission(position, shift, entry.slot, entry.class.wide, batch);
        self.store_entry(tenant, entry.class.level(), position, words);
    }

    /// The word by which a worker knows it last.
    #[inline]
    fn store_entry(&self, tenant: u32, level: usize, position: u32, entry: [u32; 2]) {
        let words = &self.buffers.submission_words()[self.layout.submission(tenant, level, position)..][..2];
        words[1].store(entry[1], Ordering::Relaxed);
        words[0].store(entry[0], Ordering::Release);
    }

    /// Publishes slots again that the device asked something for, with their answers. They were counted when they were
    /// published first, and each is in a queue once at most, so there is room.
    pub fn publish_resumed(&self, all: &mut [Resumed]) {
        let mut submission = self.submission();
        for Resumed { slot, answer, queued } in &mut *all {
            let at = self.layout.io_answer(*slot);
            let words = &self.buffers.submission_words()[at..][..answer.len()];
            words.iter().zip(answer).for_each(|(word, value)| word.store(*value, Ordering::Relaxed));
            let owner = &self.owners[*slot as usize];
            let level = owner.level.load(Ordering::Relaxed) % LEVELS as u32;
            let tenant = owner.tenant.load(Ordering::Relaxed);
            *queued = (tenant, level, submission.next(tenant, level as usize));
        }
        self.buffers.publish_fence();
        // The first of each queue comes last. Workers that poll for it would take the line away from this thread after
        // each entry, and claim the slots one by one.
        for Resumed { slot, queued: (tenant, level, position), .. } in all.iter().rev() {
            let owner = &self.owners[*slot as usize];
            let batch = owner.batch.load(Ordering::Relaxed);
            let wide = owner.wide.load(Ordering::Relaxed);
            let words = live::encode_resumed(*position, self.layout.queue_shift(*tenant), *slot, wide, batch);
            self.store_entry(*tenant, *level as usize, *position, words);
        }
        if self.layout.tenants > 1 {
            for Resumed { queued: (tenant, level, _), .. } in &*all {
                let mut counts = [0; LEVELS];
                counts[*level as usize] = 1;
                self.announce(&mut submission, *tenant, &counts);
            }
        }
        self.buffers.flush_entries();
    }
}

impl Submission {
    /// Position of the next entry of a tenant's queue at a level, which is taken with it.
    #[inline]
    fn next(&mut self, tenant: u32, level: usize) -> u32 {
        let next = &mut self.positions[tenant as usize][level];
        let position = *next;
        *next = position.wrapping_add(1);
        position
    }

    /// That there are not so many free slots, of the first level that has too few.
    pub fn full(&self, counts: &PerLevel) -> RuntimeError {
        let level = (0..LEVELS).find(|level| !self.slab.has_of(*level, counts[*level])).unwrap_or_default();
        RuntimeError::Full { level: level as u32, slots: self.slab.size(level) }
    }
}
