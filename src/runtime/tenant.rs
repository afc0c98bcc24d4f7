//! A tenant: a part of a program, or a program of several, that shares the kernel and is fenced off from the rest.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::batch::Batch;
use super::error::RuntimeError;
use super::job::Job;
use super::ring::Ring;
use super::shared::{Shared, lock};
use super::submission::WhenFull;
use super::tenancy::Terms;
use super::tenants::Tenants;
use super::transfer::{download, upload};
use super::{Runtime, SubmitError};
use crate::descriptor::{BatchDescriptor, EncodeSlot, EncodedBatch};
use crate::protocol::abi::live::*;
use crate::protocol::tenant::{ALL_OPCODES, opcode_bits};

/// The largest weight of a tenant.
pub const MAX_WEIGHT: u32 = 100;

/// What a tenant is to have; made by [`Runtime::tenant`].
#[derive(Clone)]
#[must_use = "open makes the tenant"]
pub struct TenantBuilder {
    shared: Arc<Shared>,
    name: String,
    window: u32,
    opcodes: u32,
    weight: u32,
    credits: Option<u32>,
    slots: u32,
    told: Option<u32>,
}

/// A tenant's handle: it submits, and sees what became of its own slots alone. All methods may be called from any
/// thread. Dropping it lets go of the tenant: what it has published ends all the same, as UNAUTHORIZED if it is
/// paused, and its place is lent anew when all has and its rings are gone too. Rings of one that was not paused go on.
pub struct Tenant {
    pub(super) shared: Arc<Shared>,
    pub(super) id: u32,
}

/// Counters of a tenant since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TenantStats {
    /// Slots published.
    pub published: u64,
    /// Slots that ended in DONE.
    pub done: u64,
    /// Slots that ended in FAULT.
    pub faults: u64,
    /// Slots published that have not ended.
    pub outstanding: u32,
}

impl TenantBuilder {
    pub(super) fn new(shared: Arc<Shared>, name: &str) -> Self {
        let slots = 1 << shared.layout.tenant_shift;
        let name = name.to_owned();
        Self { shared, name, window: 0, opcodes: ALL_OPCODES, weight: 1, credits: None, slots, told: None }
    }

    /// Words of its window of the control buffer; all zero at first. Default: none.
    pub fn window(mut self, words: u32) -> Self {
        self.window = words;
        self
    }

    /// The opcodes that it may use, inside packed slots too; user opcodes go together. Default: all but SHUTDOWN,
    /// which is the system tenant's alone.
    pub fn opcodes(mut self, opcodes: &[u32]) -> Self {
        self.opcodes = opcode_bits(opcodes.iter().copied());
        self
    }

    /// Its share of the claims at each level where it has work, against the weights of the others that do, 1 to
    /// 100. Default: 1, which is the system tenant's weight.
    pub fn weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// Claims that it may have from one refill to the next: when a dispatch begins, or when nobody who has work
    /// has credits. 0 refuses all of its slots as OUT_OF_CREDITS. Default: as many as it wants.
    pub fn credits(mut self, credits: u32) -> Self {
        self.credits = Some(credits);
        self
    }

    /// Slots that it may have on their way, up to [`RuntimeBuilder::tenant_slots`](super::RuntimeBuilder), which
    /// is the default; and as many at each depth of those that its slots publish.
    pub fn slots(mut self, slots: u32) -> Self {
        self.slots = slots;
        self
    }

    /// For tests: the cap that the device is told, as if the host did not keep to it.
    #[doc(hidden)]
    pub fn told_slots(mut self, slots: u32) -> Self {
        self.told = Some(slots);
        self
    }

    /// Makes the tenant.
    ///
    /// # Errors
    /// [`RuntimeError::NoTenant`] where there are as many as the runtime was built for, [`RuntimeError::NoWindow`],
    /// [`RuntimeError::BadOption`]; the failures of the device.
    pub fn open(self) -> Result<Tenant, RuntimeError> {
        let most = 1 << self.shared.layout.tenant_shift;
        let ranges = [
            ("weight", self.weight, 1..=MAX_WEIGHT, "1 to 100"),
            ("slots", self.slots, 1..=most, "1 up to RuntimeBuilder::tenant_slots"),
            ("credits", self.credits.unwrap_or(0), 0..=i32::MAX as u32, "0 to 2,147,483,647"),
        ];
        for (option, value, range, takes) in ranges {
            if !range.contains(&value) {
                return Err(RuntimeError::BadOption { option, value: value.into(), takes });
            }
        }
        let shared = self.shared;
        let id = shared.tenancy.take_seat()?;
        // From here on its drop gives the place back.
        shared.tenancy.seats[id as usize].handles.store(1, Ordering::Relaxed);
        let tenant = Tenant { shared, id };
        let shared = &tenant.shared;
        let window = shared.tenancy.take_window(self.window)?;
        let seat = &shared.tenancy.seats[id as usize];
        seat.most.store(self.slots, Ordering::Relaxed);
        seat.told.store(self.told.unwrap_or(self.slots), Ordering::Relaxed);
        let Self { name, opcodes, weight, credits, .. } = self;
        // The tables are the device's while it runs.
        shared.quiesced(|_| {
            let mut control = download(&shared.gpu, &shared.buffers.control)?;
            let tables = shared.layout.tables(id);
            let limit = credits.unwrap_or(u32::MAX);
            // What was throttled runs on, as the seat's counters do.
            let [settings @ .., throttled] = tables.map(|at| at as usize);
            for (at, value) in settings.into_iter().zip([1, limit, limit, 0]) {
                control[at] = value;
            }
            {
                let ledger = &mut lock(&shared.tenancy.ledgers)[id as usize];
                ledger.before = ledger.all(seat, control[throttled]);
            }
            lock(&shared.tenancy.terms)[id as usize] =
                Terms { name, window: window.clone(), opcodes, weight };
            seat.flags.store(TENANT_ADMITTED, Ordering::Release);
            shared.tenancy.changes.fetch_add(1, Ordering::AcqRel);
            control[window.start as usize..window.end as usize].fill(0);
            shared.clear_debug_log(id);
            shared.write_tenants();
            upload(&shared.gpu, &shared.buffers.control, &control)?;
            Ok::<_, RuntimeError>(())
        })??;
        Ok(tenant)
    }
}

impl Tenant {
    /// Its id.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The set of tenants that is this one, for capabilities: files, memory, and
    /// [`Resource::set_tenants`](super::Resource::set_tenants).
    pub fn set(&self) -> Tenants {
        Tenants::of([self.id]).unwrap_or_default()
    }

    /// What it was called.
    pub fn name(&self) -> String {
        lock(&self.shared.tenancy.terms)[self.id as usize].name.clone()
    }

    /// The words of the control buffer that its operands may name.
    pub fn window(&self) -> Range<u32> {
        lock(&self.shared.tenancy.terms)[self.id as usize].window.clone()
    }

    /// Publishes a slot; waits while the level, or the tenant, has as many as it may. The tenant word of the slot
    /// says nothing.
    ///
    /// # Errors
    /// As [`Runtime::submit`], and [`RuntimeError::Revoked`].
    pub fn submit(&self, slot: &impl EncodeSlot) -> Result<Job, SubmitError> {
        Ok(self.shared.publish_one(self.id, &slot.encode()?, WhenFull::Wait)?)
    }

    /// Publishes a slot if the level and the tenant may have one more.
    ///
    /// # Errors
    /// As [`submit`](Self::submit), [`RuntimeError::Full`] and [`RuntimeError::TenantFull`].
    pub fn try_submit(&self, slot: &impl EncodeSlot) -> Result<Job, SubmitError> {
        Ok(self.shared.publish_one(self.id, &slot.encode()?, WhenFull::Fail)?)
    }

    /// Publishes a batch and its fence, whole; waits until there is room for all of it. The fence's tag goes to
    /// the first word of the tenant's window.
    ///
    /// # Errors
    /// As [`Runtime::submit_batch`], and [`RuntimeError::Revoked`].
    pub fn submit_batch(&self, batch: &BatchDescriptor) -> Result<Batch, SubmitError> {
        Ok(self.submit_encoded(&batch.encode()?)?)
    }

    /// Publishes a batch whose words are encoded already, well or not: the device checks them.
    ///
    /// # Errors
    /// As [`submit_batch`](Self::submit_batch).
    pub fn submit_encoded(&self, batch: &EncodedBatch) -> Result<Batch, RuntimeError> {
        self.shared.publish_batch(self.id, batch)
    }

    /// A submission and completion pair for one thread, of this tenant's slots.
    ///
    /// # Errors
    /// As [`Runtime::ring`].
    pub fn ring(&self, depth: usize) -> Result<Ring, RuntimeError> {
        Ring::new(self.shared.clone(), self.id, depth)
    }

    /// Claims nothing of it any more until [`resume`](Self::resume). What is being executed ends; a long slot may give
    /// way instead when the kernel goes to sleep, and then goes on when it runs again, for whomever. What waits for
    /// storage ends after the resuming. SHUTDOWN, which waits for all that is published, ends all pauses.
    pub fn pause(&self) {
        if !self.shared.submission().closed {
            self.shared.set_tenant_flags(self.id, TENANT_PAUSED, 0);
        }
    }

    /// Goes on after [`pause`](Self::pause).
    pub fn resume(&self) {
        self.shared.set_tenant_flags(self.id, 0, TENANT_PAUSED);
    }

    /// Takes no more slots of it; those that it has published end as UNAUTHORIZED, or DONE if they were being
    /// executed. It is for good.
    pub fn revoke(&self) {
        self.shared.set_tenant_flags(self.id, TENANT_REVOKED, TENANT_PAUSED);
    }

    /// Its counters.
    pub fn stats(&self) -> TenantStats {
        let seat = &self.shared.tenancy.seats[self.id as usize];
        let own = lock(&self.shared.tenancy.ledgers)[self.id as usize].own(seat);
        TenantStats {
            published: own.published,
            done: own.done,
            faults: own.faults,
            outstanding: seat.outstanding(),
        }
    }

    /// The words of its debug log as they are now, as [`Runtime::debug_log`]: no other tenant writes there.
    pub fn debug_log(&self) -> Vec<u32> {
        self.shared.debug_log(self.id)
    }
}

impl Drop for Tenant {
    fn drop(&mut self) {
        let seat = &self.shared.tenancy.seats[self.id as usize];
        if seat.has(TENANT_PAUSED) {
            self.revoke();
        }
        self.shared.tenancy.let_go_of(self.id);
    }
}

impl Runtime {
    /// A tenant to be made, of a runtime that was built for some ([`RuntimeBuilder::tenants`](super::RuntimeBuilder::tenants)).
    pub fn tenant(&self, name: &str) -> TenantBuilder {
        TenantBuilder::new(self.shared.clone(), name)
    }
}
