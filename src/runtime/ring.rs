//! Many slots in flight from one thread, in the manner of io_uring: push, flush, reap.
//!
//! A ring keeps free slots of its own and gets its completions handed over with the caller's 64 bits,
//! without an allocation or a lock for each slot. Use [`Job`](super::Job)s where slots are waited for
//! one by one; use a ring where the rate counts.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rtrb::Consumer;

use super::error::RuntimeError;
use super::inbox::Ended;
use super::job::Outcome;
use super::mode::Mode;
use super::shared::{Shared, lock};
use super::slab::LEVELS;
use super::submission::{Class, Entry, SlotWords, WhenFull};
use super::wait::passed;

/// A submission and completion pair for one thread.
pub struct Ring {
    shared: Arc<Shared>,
    /// Whose slots it publishes.
    tenant: u32,
    /// Its number.
    ring: u32,
    /// What other threads read for it.
    inbox: Consumer<Ended>,
    /// Slots that it holds, by their level.
    free: [Vec<u32>; LEVELS],
    /// As which the slab was shared out when it took them.
    partition: u32,
    pushed: Vec<Entry>,
    in_flight: usize,
    depth: usize,
}

impl Ring {
    pub(super) fn new(shared: Arc<Shared>, tenant: u32, depth: usize) -> Result<Self, RuntimeError> {
        let slots = shared.layout.host_slots;
        if depth == 0 || depth > slots as usize {
            return Err(RuntimeError::BadOption {
                option: "depth",
                value: depth as u64,
                takes: "1 up to the number of slots",
            });
        }
        let (ring, inbox) = lock(&shared.inboxes).open(depth);
        let partition = shared.partition.load(Ordering::Relaxed);
        let free = Default::default();
        shared.tenancy.seats[tenant as usize].handles.fetch_add(1, Ordering::Relaxed);
        Ok(Self {
            shared,
            tenant,
            ring,
            inbox,
            free,
            partition,
            pushed: Vec::with_capacity(depth),
            in_flight: 0,
            depth,
        })
    }

    /// Slots pushed whose completion has not been handed over.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Slots that may still be pushed before the ring is at its depth.
    pub fn room(&self) -> usize {
        self.depth - self.in_flight
    }

    /// Writes a slot; the device sees it with the next [`flush`](Self::flush). `user_data` comes back
    /// with the completion.
    ///
    /// # Errors
    /// [`RuntimeError::TenantFull`] where the tenant has as many slots on their way as it may;
    /// [`RuntimeError::RingFull`] at the ring's depth; [`RuntimeError::Full`] when others hold the level's slots;
    /// [`RuntimeError::ShutDown`] and the failures of the device.
    // Inlined for certain: the words are best made where they are stored. From the caller's memory each would wait in
    // the store buffer behind the slots before it, whose cache lines the device has.
    #[inline(always)]
    pub fn push(&mut self, words: &SlotWords, user_data: u64) -> Result<(), RuntimeError> {
        if self.in_flight == self.depth {
            return Err(RuntimeError::RingFull { depth: self.depth });
        }
        let class = Class::of(words, &self.shared.users);
        if self.partition != self.shared.partition.load(Ordering::Relaxed) {
            self.give_back();
        }
        if self.tenant != 0 {
            self.shared.may_publish(self.tenant, self.pushed.len() as u32 + 1)?;
        }
        let slot = match self.free[class.level()].pop() {
            Some(slot) => slot,
            None => self.more_slots(class.level())?,
        };
        let entry = Entry { slot, class };
        let owner = &self.shared.owners[slot as usize];
        owner.user_data.store(user_data, Ordering::Relaxed);
        owner.ring.store(self.ring, Ordering::Release);
        self.shared.write_slot(&entry, words);
        self.pushed.push(entry);
        self.in_flight += 1;
        if class.last && self.tenant == 0 { self.publish(true) } else { Ok(()) }
    }

    #[cold]
    fn more_slots(&mut self, level: usize) -> Result<u32, RuntimeError> {
        let mut counts = [0; LEVELS];
        counts[level] = 1;
        let mut submission = self.shared.with_free(self.tenant, &counts, WhenFull::Fail)?;
        let free = submission.slab.of(level);
        let take = (self.depth - self.in_flight).min(free.len());
        self.free[level].extend(free.drain(free.len() - take..));
        self.free[level].pop().ok_or_else(|| submission.full(&counts))
    }

    /// The slab was shared out anew: what the ring held may be another level's now.
    #[cold]
    fn give_back(&mut self) {
        self.partition = self.shared.partition.load(Ordering::Relaxed);
        let mut freed = lock(&self.shared.freed);
        self.free.iter_mut().for_each(|free| freed.append(free));
    }

    /// Publishes what was pushed.
    ///
    /// # Errors
    /// [`RuntimeError::ShutDown`] and the failures of the device; what was pushed then ends as
    /// `CANCELLED` or `DEVICE_LOST`, and is handed over by [`reap`](Self::reap).
    /// [`RuntimeError::TenantFull`] where the tenant has published too much elsewhere since: what was pushed stays,
    /// for another flush once some of that has ended.
    #[inline]
    pub fn flush(&mut self) -> Result<(), RuntimeError> {
        if self.pushed.is_empty() { Ok(()) } else { self.publish(false) }
    }

    /// Publishes what was pushed; after the `last` of it the runtime takes no more, as of the same
    /// moment: a slot published behind SHUTDOWN might never be served.
    #[inline]
    fn publish(&mut self, last: bool) -> Result<(), RuntimeError> {
        let mut submission = self.shared.submission();
        if submission.closed {
            drop(submission);
            let outcome =
                if self.shared.failed.get().is_some() { Outcome::DEVICE_LOST } else { Outcome::CANCELLED };
            for Entry { slot, .. } in self.pushed.drain(..) {
                let owner = &self.shared.owners[slot as usize];
                if owner.ring.swap(0, Ordering::AcqRel) != 0 {
                    let user_data = owner.user_data.load(Ordering::Relaxed);
                    lock(&self.shared.inboxes).put(self.ring, Ended { slot, user_data, outcome });
                }
            }
            self.shared.failure()?;
            return Err(RuntimeError::ShutDown);
        }
        // Pushes look at what is published, not at what others have pushed.
        if let Err(full @ RuntimeError::TenantFull { .. }) =
            self.shared.may_publish(self.tenant, self.pushed.len() as u32)
        {
            return Err(full);
        }
        self.shared.publish(&mut submission, self.tenant, &self.pushed, 0);
        submission.closed |= last;
        drop(submission);
        self.pushed.clear();
        if last {
            self.shared.end_pauses();
        }
        Ok(())
    }

    /// Hands over what has ended, as user data and outcome; returns how many. `ended` runs while the
    /// completion queue is held: it may submit, but must not wait for a job or a ring of this runtime. Never blocks in live
    /// mode; in epoch mode it runs one dispatch.
    ///
    /// # Errors
    /// The failures of the device, after everything that ended was handed over.
    #[inline]
    pub fn reap(&mut self, mut ended: impl FnMut(u64, Outcome)) -> Result<usize, RuntimeError> {
        let mut count = 0;
        let Self { shared, ring, inbox, free, in_flight, .. } = self;
        if shared.mode.load() == Mode::Live {
            shared.serve_storage();
            shared.reap_now(*ring, |slot, user_data, outcome| {
                free[shared.level_of(slot)].push(slot);
                *in_flight -= 1;
                count += 1;
                ended(user_data, outcome);
            });
        } else if let Some(mut engine) = shared.engine_for_epoch()
            && shared.due() > 0
        {
            // A failure is told below, once everything has been handed over.
            let _ = engine.epoch(shared);
        }
        // One by one: what is left stays if the caller's closure panics.
        while let Ok(Ended { slot, user_data, outcome }) = inbox.pop() {
            free[shared.level_of(slot)].push(slot);
            *in_flight -= 1;
            count += 1;
            ended(user_data, outcome);
        }
        if count == 0 {
            self.shared.failure()?;
        }
        Ok(count)
    }

    /// Waits until at least one slot has ended or `timeout` passed, and hands over what has.
    ///
    /// # Errors
    /// As [`reap`](Self::reap).
    pub fn wait(
        &mut self,
        timeout: Duration,
        mut ended: impl FnMut(u64, Outcome),
    ) -> Result<usize, RuntimeError> {
        let deadline = Instant::now().checked_add(timeout);
        let mut backoff = self.shared.backoff();
        let mut moves = self.shared.storage_moves();
        loop {
            let count = self.reap(&mut ended)?;
            if count > 0 || self.in_flight == 0 {
                return Ok(count);
            }
            let moved = std::mem::replace(&mut moves, self.shared.storage_moves()) != moves;
            if moved {
                // More may be there already. A look at the clock all the same: storage may move for ever.
                backoff.restart();
            } else {
                backoff.pause();
            }
            if (moved || backoff.is_long()) && passed(deadline) {
                return Ok(0);
            }
        }
    }
}

impl Ring {
    /// As [`wait`](Self::wait), for callers whose processor the device's workers need: sleeps from the
    /// start, for `nap` for each slot in flight. Each waking costs the workers more than it brings while
    /// they have work for long.
    ///
    /// # Errors
    /// As [`reap`](Self::reap).
    pub fn wait_sleeping(
        &mut self,
        nap: Duration,
        timeout: Duration,
        mut ended: impl FnMut(u64, Outcome),
    ) -> Result<usize, RuntimeError> {
        super::backoff::fine_timers();
        let deadline = Instant::now().checked_add(timeout);
        loop {
            let count = self.reap(&mut ended)?;
            if count > 0 || self.in_flight == 0 || passed(deadline) {
                return Ok(count);
            }
            std::thread::sleep(nap * self.in_flight as u32);
        }
    }
}

impl Drop for Ring {
    /// What is in flight ends unseen; its slots come back as they end.
    fn drop(&mut self) {
        let _ = self.flush();
        lock(&self.shared.inboxes).close(self.ring);
        self.give_back();
        let mut freed = lock(&self.shared.freed);
        freed.extend(std::iter::from_fn(|| self.inbox.pop().ok()).map(|ended| ended.slot));
        // The tenant had no room for them.
        for Entry { slot, .. } in self.pushed.drain(..) {
            if self.shared.owners[slot as usize].ring.swap(0, Ordering::AcqRel) != 0 {
                freed.push(slot);
            }
        }
        drop(freed);
        self.shared.tenancy.let_go_of(self.tenant);
    }
}
