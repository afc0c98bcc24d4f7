//! Many slots in flight from one thread, in the manner of io_uring: push, flush, reap.
//!
//! A ring keeps free slots of its own and gets its completions handed over with the caller's 64 bits,
//! without an allocation or a lock for each slot. Use [`Job`](super::Job)s where slots are waited for
//! one by one; use a ring where the rate counts.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::error::RuntimeError;
use super::job::Outcome;
use super::mode::Mode;
use super::shared::{Shared, lock};
use super::slab::LEVELS;
use super::submission::{Class, Entry, SlotWords, WhenFull};
use super::wait::passed;

/// Completions that another thread read for a ring.
pub(crate) struct Inbox {
    pub ring: u32,
    ended: Mutex<VecDeque<(u32, u64, Outcome)>>,
    /// Something may be in `ended`: a look without the lock. Written under it.
    stashed: AtomicBool,
}

/// The inboxes of the rings that live.
#[derive(Default)]
pub(crate) struct Inboxes {
    /// By the ring's number, which grows: sorted.
    list: Vec<Arc<Inbox>>,
    /// Number of the ring made last. None comes twice: slots of a dropped ring may still be on their
    /// way, and must not end in another's inbox.
    last: u32,
}

impl Inboxes {
    /// The inbox of a ring, if it lives.
    pub fn of(&self, ring: u32) -> Option<&Arc<Inbox>> {
        self.place(ring).ok().map(|at| &self.list[at])
    }

    /// All of them.
    pub fn all(&self) -> Vec<Arc<Inbox>> {
        self.list.clone()
    }

    fn place(&self, ring: u32) -> Result<usize, usize> {
        self.list.binary_search_by_key(&ring, |inbox| inbox.ring)
    }
}

impl Inbox {
    pub fn put(&self, slot: u32, user_data: u64, outcome: Outcome) {
        let mut ended = lock(&self.ended);
        ended.push_back((slot, user_data, outcome));
        self.stashed.store(true, Ordering::Release);
    }

    /// Ends what the ring has in flight; the host owns every slot. Returns how many.
    pub fn cancel(&self, shared: &Shared, outcome: Outcome) -> u64 {
        let mut ended = lock(&self.ended);
        let mut count = 0;
        for (slot, owner) in shared.owners.iter().enumerate() {
            let slot = slot as u32;
            // The ring's own thread may be ending the same slot in `flush`; one of the two does.
            let won = owner.ring.compare_exchange(self.ring, 0, Ordering::AcqRel, Ordering::Relaxed);
            if won.is_ok() {
                ended.push_back((slot, owner.user_data.load(Ordering::Relaxed), outcome));
                shared.count_ended(owner, outcome);
                count += 1;
            }
        }
        self.stashed.store(true, Ordering::Release);
        count
    }
}

/// A submission and completion pair for one thread.
pub struct Ring {
    shared: Arc<Shared>,
    /// Whose slots it publishes.
    tenant: u32,
    inbox: Arc<Inbox>,
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
        let mut inboxes = lock(&shared.inboxes);
        // 0 stands for "no ring"; after 2^32 rings the first slots have long ended.
        inboxes.last = inboxes.last.checked_add(1).unwrap_or(1);
        let inbox =
            Arc::new(Inbox { ring: inboxes.last, ended: Mutex::default(), stashed: AtomicBool::new(false) });
        // At the end, but for when the numbers have come round.
        let at = inboxes.place(inbox.ring).unwrap_or_else(|at| at);
        inboxes.list.insert(at, inbox.clone());
        drop(inboxes);
        let partition = shared.partition.load(Ordering::Relaxed);
        let free = Default::default();
        shared.tenancy.seats[tenant as usize].handles.fetch_add(1, Ordering::Relaxed);
        Ok(Self {
            shared,
            tenant,
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
        let class = Class::of(words);
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
        owner.ring.store(self.inbox.ring, Ordering::Release);
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
        let mut submission = lock(&self.shared.submission);
        if submission.closed {
            drop(submission);
            let outcome =
                if self.shared.failed.get().is_some() { Outcome::DEVICE_LOST } else { Outcome::CANCELLED };
            for Entry { slot, .. } in self.pushed.drain(..) {
                let owner = &self.shared.owners[slot as usize];
                if owner.ring.swap(0, Ordering::AcqRel) != 0 {
                    self.inbox.put(slot, owner.user_data.load(Ordering::Relaxed), outcome);
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
        let Self { shared, inbox, free, in_flight, .. } = self;
        let ring = inbox.ring;
        if shared.mode.load() == Mode::Live {
            shared.serve_storage();
            shared.reap_now(ring, #[inline(always)] |slot, user_data, outcome| {
                free[shared.owners[slot as usize].level.load(Ordering::Relaxed) as usize % LEVELS].push(slot);
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
        if inbox.stashed.load(Ordering::Acquire) {
            let mut stashed = lock(&inbox.ended);
            // One by one: what is left stays if the caller's closure panics.
            while let Some((slot, user_data, outcome)) = stashed.pop_front() {
                free[shared.owners[slot as usize].level.load(Ordering::Relaxed) as usize % LEVELS].push(slot);
                *in_flight -= 1;
                count += 1;
                ended(user_data, outcome);
            }
            inbox.stashed.store(false, Ordering::Relaxed);
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
        let mut backoff = super::backoff::Backoff::new();
        let mut moves = self.shared.storage_moves();
        loop {
            let count = self.reap(&mut ended)?;
            if count > 0 || self.in_flight == 0 {
                return Ok(count);
            }
            if std::mem::replace(&mut moves, self.shared.storage_moves()) != moves {
                backoff = super::backoff::Backoff::new();
            }
            backoff.pause();
            if backoff.is_long() && passed(deadline) {
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
        lock(&self.shared.inboxes).list.retain(|i| i.ring != self.inbox.ring);
        self.give_back();
        let mut freed = lock(&self.shared.freed);
        freed.extend(lock(&self.inbox.ended).drain(..).map(|(slot, ..)| slot));
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
