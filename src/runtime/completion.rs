//! The consumer's end of the completion queue: reading what ended and handing it to its owner.
//!
//! Any thread may reap; one at a time does, the others go on waiting for their own slot. In epoch
//! mode only the thread that waited for the dispatch reaps, so that no completion is read while a
//! dispatch is in flight.

use std::sync::MutexGuard;
use std::sync::atomic::{Ordering, fence};

use super::inbox::{Ended, Inboxes};
use super::job::JobState;
use super::mode::Mode;
use super::shared::{Owner, Reaper, Shared, lock, try_lock};
use super::tenancy::add_alone;
use crate::protocol::abi::live::LAP_SHIFT;
use crate::protocol::live::{self, Outcome};

/// One pass over the completion queue. What it read counts also when a ring's closure panics.
struct Pass<'a> {
    shared: &'a Shared,
    reaper: MutexGuard<'a, Reaper>,
    /// Held from one slot of another ring to the next, and not while others' code runs.
    inboxes: Option<MutexGuard<'a, Inboxes>>,
    count: u64,
    /// Slots of the ring that reads, which are counted together: a tenant's, so many done, so many faults.
    own: (u32, u32, u32),
}

impl Pass<'_> {
    /// Counts a slot of the ring that reads.
    #[inline]
    fn count_own(&mut self, owner: &Owner, outcome: Outcome) {
        let tenant = owner.tenant.load(Ordering::Relaxed);
        if tenant != self.own.0 {
            self.flush_own();
            self.own.0 = tenant;
        }
        match outcome {
            Outcome::Done(_) => self.own.1 += 1,
            Outcome::Fault { .. } => self.own.2 += 1,
        }
    }

    fn flush_own(&mut self) {
        let (tenant, done, faults) = self.own;
        self.shared.tenancy.ended(tenant, done, faults);
        self.own = (tenant, 0, 0);
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.count > 0 {
            self.flush_own();
            self.shared.after_pass(&mut self.reaper, self.count);
        }
    }
}

impl Shared {
    /// Serves storage, reads what has ended and hands it out; returns how many slots. Live mode only, else 0.
    pub fn reap(&self) -> usize {
        if self.mode.load() == Mode::Live {
            self.serve_storage();
        }
        self.reap_alone()
    }

    /// The same without storage.
    pub fn reap_alone(&self) -> usize {
        if self.mode.load() == Mode::Live { self.reap_now(0, |_, _, _| {}) } else { 0 }
    }

    /// The same in any mode: the caller knows that reading is allowed. Completions of ring `ring`
    /// (0 for none) go to `own` as slot, user data, outcome, and their slots stay with the ring.
    #[inline]
    pub fn reap_now(&self, ring: u32, mut own: impl FnMut(u32, u64, Outcome)) -> usize {
        let words = self.buffers.completion_words();
        let shift = self.layout.shift;
        // A look without the lock, for those that poll. The position may be old, never ahead.
        let next = self.reaped.load(Ordering::Relaxed);
        let there = words[self.layout.completion(next)].load(Ordering::Relaxed) >> LAP_SHIFT;
        if there != live::lap(next, shift) {
            return 0;
        }
        let Some(reaper) = try_lock(&self.reaper) else { return 0 };
        let mut pass = Pass { shared: self, reaper, inboxes: None, count: 0, own: (0, 0, 0) };
        loop {
            let position = pass.reaper.position;
            let entry = &words[self.layout.completion(position)..][..2];
            let long = self.layout.completion_long(position);
            let word = |i: usize| if i < 2 { &entry[i] } else { &words[long + i - 2] };
            let Some((slot, outcome)) =
                live::decode_completion(position, shift, |i| word(i).load(Ordering::Relaxed))
            else {
                break;
            };
            // What the device wrote before this completion is read after it.
            fence(Ordering::Acquire);
            pass.reaper.position = position.wrapping_add(1);
            pass.count += 1;
            let Some(owner) = self.owners.get(slot as usize) else {
                tracing::error!("a completion names slot {slot} of {}", self.layout.host_slots);
                continue;
            };
            let fault = matches!(outcome, Outcome::Fault { .. });
            if let Some(storage) = &self.storage
                && owner.asks.load().may_end_without(fault)
            {
                // Unless it has asked, it never will.
                lock(&storage.order).ends(slot);
            }
            let owner_ring = owner.ring.load(Ordering::Relaxed);
            if owner_ring != 0 && owner_ring == ring {
                pass.count_own(owner, outcome);
            } else {
                self.count_ended(owner, outcome);
            }
            if owner_ring == 0 {
                pass.inboxes = None;
                self.end_job(&mut pass.reaper, slot, outcome);
                continue;
            }
            owner.ring.store(0, Ordering::Relaxed);
            let user_data = owner.user_data.load(Ordering::Relaxed);
            self.will_publish(owner, slot);
            if owner_ring == ring {
                pass.inboxes = None;
                own(slot, user_data, outcome);
            } else {
                let inboxes = pass.inboxes.get_or_insert_with(|| lock(&self.inboxes));
                // The ring was dropped: its slot comes back.
                if !inboxes.put(owner_ring, Ended { slot, user_data, outcome }) {
                    pass.reaper.freed.push(slot);
                }
            }
        }
        pass.count as usize
    }

    /// A ring publishes again soon what has ended: asks for the lines that it will write.
    #[inline]
    fn will_publish(&self, owner: &Owner, slot: u32) {
        self.buffers.will_write_slot(self.layout.slot(slot));
        let tenant = owner.tenant.load(Ordering::Relaxed);
        // The device polls the system's entries, and would have the line back before it is written.
        if tenant != 0
            && let Some(seat) = self.tenancy.seats.get(tenant as usize)
        {
            self.buffers.will_write_entry(seat.next_entry.load(Ordering::Relaxed));
        }
    }

    /// Counts a slot of its tenant's that has ended.
    #[inline]
    pub fn count_ended(&self, owner: &Owner, outcome: Outcome) {
        let done = u32::from(matches!(outcome, Outcome::Done(_)));
        self.tenancy.ended(owner.tenant.load(Ordering::Relaxed), done, 1 - done);
    }

    fn end_job(&self, reaper: &mut Reaper, slot: u32, outcome: Outcome) {
        let job = self.owners[slot as usize].job.take();
        reaper.freed.push(slot);
        if let Some(job) = job {
            self.end_state(&job, outcome);
        }
    }

    fn end_state(&self, job: &JobState, outcome: Outcome) {
        if let Some(value) = job.batch_value {
            self.batch_ended(value);
        }
        job.end(outcome);
    }

    fn after_pass(&self, reaper: &mut Reaper, count: u64) {
        if !reaper.freed.is_empty() {
            lock(&self.freed).append(&mut reaper.freed);
        }
        self.reaped.store(reaper.position, Ordering::Relaxed);
        add_alone(&self.ended, count);
        self.notify_progress();
    }

    /// Ends every slot that is published and has not ended, with `outcome`. Only when no dispatch is
    /// in flight or none will ever end: then the host owns every slot (PROTOCOL section 1).
    pub fn cancel_all(&self, outcome: Outcome) {
        let live = self.failed.get().is_none();
        if live {
            // What the device finished counts as finished.
            self.reap_now(0, |_, _, _| {});
        }
        let mut reaper = lock(&self.reaper);
        let mut count = 0;
        for (slot, owner) in self.owners.iter().enumerate() {
            let slot = slot as u32;
            if let Some(job) = owner.job.take() {
                self.count_ended(owner, outcome);
                self.end_state(&job, outcome);
                reaper.freed.push(slot);
                count += 1;
            }
        }
        let mut inboxes = lock(&self.inboxes);
        for (slot, owner) in self.owners.iter().enumerate() {
            let ring = owner.ring.load(Ordering::Acquire);
            // The ring's own thread may be ending the same slot in `flush`; one of the two does.
            let won = owner.ring.compare_exchange(ring, 0, Ordering::AcqRel, Ordering::Relaxed);
            if ring != 0 && won.is_ok() {
                let (slot, user_data) = (slot as u32, owner.user_data.load(Ordering::Relaxed));
                if !inboxes.put(ring, Ended { slot, user_data, outcome }) {
                    reaper.freed.push(slot);
                }
                self.count_ended(owner, outcome);
                count += 1;
            }
        }
        drop(inboxes);
        self.after_pass(&mut reaper, count);
    }
}
