//! What the host keeps of each tenant, and tells the device of it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use super::error::RuntimeError;
use super::ledger::Ledger;
use super::shared::{Shared, lock};
use crate::protocol::abi::live::*;

/// A tenant's place. The id is its index; 0 is the system's.
#[derive(Default)]
pub(crate) struct Seat {
    /// Slots that may be.
    pub most: AtomicU32,
    /// What the device is told of that: the same, but in a test.
    pub told: AtomicU32,
    /// These run on when the place is lent anew: see [`Ledger`].
    pub published: AtomicU64,
    pub done: AtomicU64,
    pub faults: AtomicU64,
    /// TENANT_ADMITTED, TENANT_PAUSED, TENANT_REVOKED; 0 while no tenant has the place.
    pub flags: AtomicU32,
    /// Somebody has a handle to it, or it has slots that have not ended.
    pub held: AtomicBool,
    /// Its own and those of its rings.
    pub handles: AtomicU32,
    /// Where the entry behind the last one published goes, among the words of the submission queues.
    pub next_entry: AtomicUsize,
}

/// Adds to a counter that only the holder of a lock writes.
#[inline]
pub(crate) fn add_alone(counter: &AtomicU64, n: impl Into<u64>) {
    counter.store(counter.load(Ordering::Relaxed) + n.into(), Ordering::Release);
}

impl Seat {
    /// Slots published that have not ended.
    #[inline]
    pub fn outstanding(&self) -> u32 {
        // Ended first, so that it is never too low.
        let ended = self.done.load(Ordering::Acquire) + self.faults.load(Ordering::Acquire);
        self.published.load(Ordering::Acquire).saturating_sub(ended) as u32
    }

    pub fn has(&self, flag: u32) -> bool {
        self.flags.load(Ordering::Acquire) & flag != 0
    }
}

/// What a tenant was made with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Terms {
    pub name: String,
    /// Words of the control buffer, from the first to one before the last.
    pub window: std::ops::Range<u32>,
    pub opcodes: u32,
    pub weight: u32,
}

/// All tenants of a runtime.
pub(crate) struct Tenancy {
    pub seats: Box<[Seat]>,
    pub terms: Mutex<Vec<Terms>>,
    /// What was counted at each place. Locked before the terms.
    pub ledgers: Mutex<Vec<Ledger>>,
    /// How often tenants came, went, or changed.
    pub changes: AtomicU64,
    /// Free words for windows, which begin behind the observables.
    windows: Mutex<range_alloc::RangeAllocator<u32>>,
    /// Places whose handles are gone.
    leaving: Mutex<Vec<u32>>,
    /// What COMMAND_RECONSIDER stands at.
    reconsidered: AtomicU32,
    paused: AtomicU32,
}

impl Tenancy {
    /// `windows`: the words of the control buffer that tenants' windows are made of.
    pub fn new(tenants: u32, windows: std::ops::Range<u32>) -> Self {
        let seats: Box<[Seat]> = (0..tenants).map(|_| Seat::default()).collect();
        // The slab alone bounds the system's own.
        seats[0].most.store(u32::MAX, Ordering::Relaxed);
        seats[0].flags.store(TENANT_ADMITTED, Ordering::Relaxed);
        seats[0].held.store(true, Ordering::Relaxed);
        let mut terms = vec![Terms::default(); tenants as usize];
        terms[0] = Terms {
            name: "system".to_owned(),
            window: 0..windows.start,
            opcodes: crate::protocol::tenant::ALL_OPCODES,
            weight: 1,
        };
        Self {
            seats,
            terms: Mutex::new(terms),
            ledgers: Mutex::new((0..tenants).map(|_| Ledger::default()).collect()),
            changes: AtomicU64::new(0),
            windows: Mutex::new(range_alloc::RangeAllocator::new(windows)),
            leaving: Mutex::default(),
            reconsidered: AtomicU32::new(0),
            paused: AtomicU32::new(0),
        }
    }

    /// Counts slots of a tenant's that have ended; under the reaper's lock.
    #[inline]
    pub fn ended(&self, tenant: u32, done: u32, faults: u32) {
        let Some(seat) = self.seats.get(tenant as usize) else { return };
        if done > 0 {
            add_alone(&seat.done, done);
        }
        if faults > 0 {
            add_alone(&seat.faults, faults);
        }
    }

    /// A place nobody has.
    pub fn take_seat(&self) -> Result<u32, RuntimeError> {
        self.let_go();
        let free = |seat: &Seat| {
            seat.held.compare_exchange(false, true, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        let id = (1..).zip(&self.seats[1..]).find(|(_, seat)| free(seat)).map(|(id, _)| id);
        id.ok_or(RuntimeError::NoTenant { most: self.seats.len() as u32 - 1 })
    }

    /// Lends places and windows anew whose last tenants' slots have all ended.
    pub fn let_go(&self) {
        lock(&self.leaving).retain(|id| {
            let seat = &self.seats[*id as usize];
            if seat.outstanding() != 0 {
                return true;
            }
            // Not before: what is on its way still goes by its terms.
            self.give_window(std::mem::take(&mut lock(&self.terms)[*id as usize].window));
            seat.flags.store(0, Ordering::Release);
            self.changes.fetch_add(1, Ordering::AcqRel);
            seat.held.store(false, Ordering::Release);
            false
        });
    }

    /// A handle of a tenant's is gone.
    pub fn let_go_of(&self, id: u32) {
        if id != 0 && self.seats[id as usize].handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            lock(&self.leaving).push(id);
            self.let_go();
        }
    }

    pub fn take_window(&self, words: u32) -> Result<std::ops::Range<u32>, RuntimeError> {
        let mut windows = lock(&self.windows);
        let all = windows.initial_range().clone();
        if words == 0 {
            return Ok(all.start..all.start);
        }
        // The allocator adds to what it is asked for, unchecked.
        if words > all.end - all.start {
            return Err(RuntimeError::NoWindow { words });
        }
        windows.allocate_range(words).map_err(|_| RuntimeError::NoWindow { words })
    }

    fn give_window(&self, window: std::ops::Range<u32>) {
        if !window.is_empty() {
            lock(&self.windows).free_range(window);
        }
    }
}

impl Shared {
    /// Slots published that have not ended and that the device may claim: those of paused tenants wait for
    /// somebody else.
    pub fn due(&self) -> u64 {
        let outstanding = self.outstanding();
        if self.tenancy.paused.load(Ordering::Acquire) == 0 {
            return outstanding;
        }
        let paused = |seat: &&Seat| seat.has(TENANT_PAUSED) && !seat.has(TENANT_REVOKED);
        let held = self.tenancy.seats.iter().filter(paused);
        let held: u64 = held.map(|seat| u64::from(seat.outstanding())).sum();
        outstanding.saturating_sub(held)
    }

    /// Sets and clears flags of a tenant, and has the workers look at the tenants again.
    pub fn set_tenant_flags(&self, id: u32, set: u32, clear: u32) {
        let seat = &self.tenancy.seats[id as usize];
        let mut before = 0;
        // Under the lock, so that the device's copy is that of the last change.
        let submission = self.submission();
        let _ = seat.flags.fetch_update(Ordering::AcqRel, Ordering::Acquire, |flags| {
            before = flags;
            Some(flags & !clear | set)
        });
        let now = before & !clear | set;
        if now & TENANT_PAUSED != before & TENANT_PAUSED {
            if now & TENANT_PAUSED == 0 {
                self.tenancy.paused.fetch_sub(1, Ordering::AcqRel);
            } else {
                self.tenancy.paused.fetch_add(1, Ordering::AcqRel);
            }
        }
        self.write_tenant_word(id, TENANT_FLAGS, now);
        self.tenancy.changes.fetch_add(1, Ordering::AcqRel);
        self.buffers.publish_fence();
        let asked = self.tenancy.reconsidered.fetch_add(1, Ordering::Relaxed) + 1;
        self.buffers.submission_words()[COMMAND_RECONSIDER as usize].store(asked, Ordering::Release);
        self.buffers.flush_entries();
        // Slots that waited may be due now.
        self.published(0);
        drop(submission);
        self.wake_launcher();
    }

    /// After SHUTDOWN, which waits for all that is published: nothing is paused any more.
    pub fn end_pauses(&self) {
        let paused = |(_, seat): &(u32, &Seat)| seat.has(TENANT_PAUSED);
        let paused: Vec<u32> = (0..).zip(&self.tenancy.seats).filter(paused).map(|(id, _)| id).collect();
        paused.into_iter().for_each(|id| self.set_tenant_flags(id, 0, TENANT_PAUSED));
    }

    /// Tells the device what a tenant may do, and what part of the largest weight each has.
    pub fn write_tenants(&self) {
        if self.layout.tenants == 1 {
            return;
        }
        // Held against those who change flags meanwhile.
        let _submission = self.submission();
        let terms = lock(&self.tenancy.terms);
        let seats = &self.tenancy.seats;
        let held = |(_, seat): &(&Terms, &Seat)| seat.held.load(Ordering::Acquire);
        let largest = terms.iter().zip(seats).filter(held).map(|(terms, _)| terms.weight).max().unwrap_or(1);
        for (id, (terms, seat)) in (0..).zip(terms.iter().zip(seats)) {
            let quantum = (ONE_CLAIM * terms.weight / largest.max(1)).clamp(1, ONE_CLAIM);
            self.write_tenant_word(id, TENANT_WINDOW, terms.window.start);
            self.write_tenant_word(id, TENANT_WINDOW_END, terms.window.end);
            self.write_tenant_word(id, TENANT_OPCODES, terms.opcodes);
            self.write_tenant_word(id, TENANT_QUANTUM, quantum);
            self.write_tenant_word(id, TENANT_MOST, seat.told.load(Ordering::Relaxed));
            self.write_tenant_word(id, TENANT_FLAGS, seat.flags.load(Ordering::Acquire));
        }
        self.buffers.publish_fence();
    }

    fn write_tenant_word(&self, id: u32, word: u32, value: u32) {
        if self.layout.tenants > 1 {
            let at = self.layout.tenant_record(id) + word as usize;
            self.buffers.submission_words()[at].store(value, Ordering::Relaxed);
        }
    }
}
