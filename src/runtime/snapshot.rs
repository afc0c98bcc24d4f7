//! A runtime's counters at one moment.
//!
//! The host may read control memory only while no dispatch is in flight, and so a snapshot stops the kernel for
//! as long as a worker takes to leave; of a runtime that has done nothing since the last one it does not.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::Runtime;
use super::error::RuntimeError;
use super::ledger::Wide;
use super::shared::{Shared, lock};
use super::slab::LEVELS;
use super::transfer::download;
use crate::observe::{
    LEVEL_NAMES, LevelSnapshot, ObserveError, ObserveOptions, Observer, Snapshot, TenantSnapshot, VERSION,
};
use crate::protocol::abi::control::PRIORITY_FAIRNESS_BASE;

/// What is kept from one snapshot to the next.
pub(crate) struct Census {
    built: Instant,
    claims: [Wide; LEVELS],
    /// The last one, and what [`Tenancy::changes`] stood at before it was taken.
    last: Option<(Snapshot, u64)>,
}

impl Census {
    pub fn new() -> Self {
        Self { built: Instant::now(), claims: Default::default(), last: None }
    }

    /// The last one, if nothing can have changed since: all that was published had ended, and the tenants are
    /// the same.
    fn unchanged(&self, published: u64, changes: u64, cpu_copied_bytes: u64) -> Option<Snapshot> {
        let (last, then) = self.last.as_ref()?;
        let idle = last.outstanding == 0 && last.error.is_none() && *then == changes;
        let same = idle && last.published == published && last.cpu_copied_bytes == cpu_copied_bytes;
        same.then(|| last.clone())
    }

    /// The claims of each level, from the control buffer, and the tenants.
    fn take(&mut self, control: &[u32], tenants: Vec<TenantSnapshot>) -> Snapshot {
        let mut levels: [LevelSnapshot; LEVELS] = Default::default();
        for (index, (level, claims)) in levels.iter_mut().zip(&mut self.claims).enumerate() {
            let word = control.get(PRIORITY_FAIRNESS_BASE as usize + index);
            level.claims = claims.count(word.copied().unwrap_or_default());
        }
        Snapshot { levels, tenants, ..Snapshot::default() }.with_totals()
    }
}

impl Runtime {
    /// The counters at this moment, all of the same one: it stops the kernel for it, unless nothing was
    /// published since the last time. May be called from any thread. The device's own counters have 32 bits;
    /// those of a runtime that is looked at less often than once in 2^32 slots come out too low.
    ///
    /// Of a runtime that has failed it is the last that was taken, with the reason in [`Snapshot::error`].
    pub fn snapshot(&self) -> Snapshot {
        self.shared.snapshot(self.workers)
    }

    /// Offers snapshots to other programs, such as `ringfence top`, until the observer is dropped. It does not keep
    /// the runtime: once that has gone clients are told so. Drop it before the device of a caller's own is destroyed.
    ///
    /// # Errors
    /// [`ObserveError`]: a socket that cannot be made, an address that cannot be had.
    pub fn observe(&self, options: &ObserveOptions) -> Result<Observer, ObserveError> {
        let shared = Arc::downgrade(&self.shared);
        let workers = self.workers;
        Observer::new(options, move || Some(shared.upgrade()?.snapshot(workers)))
    }
}

impl Shared {
    pub fn snapshot(&self, workers: u32) -> Snapshot {
        let mut census = lock(&self.census);
        // Before the tenants are looked at: a change in the meantime is seen by the next one.
        let changes = self.tenancy.changes.load(Ordering::Acquire);
        let mut snapshot = match self.count(&mut census, changes) {
            Ok(snapshot) => snapshot,
            Err(error) => Snapshot {
                error: Some(error.to_string()),
                ..census.last.as_ref().map_or_else(Snapshot::default, |(last, _)| last.clone())
            },
        };
        if snapshot.error.is_none() {
            let uptime = census.built.elapsed().as_nanos();
            snapshot.uptime_ns = u64::try_from(uptime).unwrap_or(u64::MAX);
        }
        self.share_out(&mut snapshot.levels);
        let info = self.gpu.info();
        snapshot.version = VERSION;
        snapshot.pid = std::process::id();
        snapshot.program = program();
        snapshot.device.clone_from(&info.device_name);
        snapshot.driver = format!("{} {}", info.driver_name, info.driver_info).trim().to_owned();
        snapshot.mode = self.mode.load().to_string();
        snapshot.workers = workers;
        snapshot.dispatches = self.dispatches.load(Ordering::Relaxed);
        snapshot.slots = self.layout.host_slots;
        census.last = Some((snapshot.clone(), changes));
        snapshot
    }

    fn count(&self, census: &mut Census, changes: u64) -> Result<Snapshot, RuntimeError> {
        self.failure()?;
        let seats = self.tenancy.seats.iter();
        let published = seats.map(|seat| seat.published.load(Ordering::Acquire)).sum();
        let copied = || self.cpu_copied.load(Ordering::Relaxed);
        if let Some(last) = census.unchanged(published, changes, copied()) {
            return Ok(last);
        }
        self.quiesced(|_| {
            let control = download(&self.gpu, &self.buffers.control)?;
            let mut tenants = self.tenant_snapshots(&control);
            // Who had what copied is not counted apart.
            tenants[0].cpu_copied_bytes = copied();
            Ok(census.take(&control, tenants))
        })?
    }

    /// How the slab is shared out, which may change without a slot being published.
    fn share_out(&self, levels: &mut [LevelSnapshot; LEVELS]) {
        let mut submission = self.submission();
        let slab = &mut submission.slab;
        slab.put(lock(&self.freed).drain(..));
        for (index, level) in levels.iter_mut().enumerate() {
            LEVEL_NAMES[index].clone_into(&mut level.name);
            level.slots = slab.size(index);
            level.in_use = level.slots.saturating_sub(slab.of(index).len() as u32);
        }
    }
}

/// The name of this process's program.
fn program() -> String {
    let path = std::env::current_exe().unwrap_or_default();
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}
