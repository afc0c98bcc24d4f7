//! What the submitting, waiting and launching threads of a runtime share.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, TryLockError};

use crossbeam_utils::CachePadded;
use crossbeam_utils::atomic::AtomicCell;

use super::batch::BatchValues;
use super::buffers::Buffers;
use super::engine::Engine;
use super::error::RuntimeError;
use super::job::JobState;
use super::launcher::Requests;
use super::layout::Layout;
use super::mode::Mode;
use super::resources::Handles;
use super::ring::Inboxes;
use super::slab::{PerLevel, Slab};
use super::snapshot::Census;
use super::storage::Storage;
use super::tenancy::Tenancy;
use crate::vulkan::Gpu;

/// Who gets the completion of a slot. Written by the submitter while the slot is its own, taken by
/// the reaper when the slot has ended; the queues hand it from one to the other.
#[derive(Default)]
pub(crate) struct Owner {
    /// A job's state, for slots submitted one by one or in batches.
    pub job: AtomicCell<Option<Arc<JobState>>>,
    /// The ring's number, for slots pushed through a `Ring`; 0 where it is a job's.
    pub ring: AtomicU32,
    /// What the ring's user wants back.
    pub user_data: AtomicU64,
    /// The batch it was published with, for when it is published again.
    pub batch: AtomicU32,
    /// It will ask for IO.
    pub asks: AtomicBool,
    /// Its level and its tenant, for when it is published again.
    pub level: AtomicU32,
    pub tenant: AtomicU32,
    /// The device was told to cancel it. Changed under the lock of the submission end.
    pub cancelled: AtomicBool,
}

/// The producer's end of the submission queues.
pub(crate) struct Submission {
    /// Position of the next entry of each tenant's queue at each level.
    pub positions: Box<[PerLevel]>,
    /// Position of the next announcement.
    pub announced: u32,
    /// Slots that are marked to be cancelled, ended or not.
    pub cancels: u32,
    /// A bit for each level that ever had a slot.
    pub levels: u32,
    /// Slots that this end may use at once.
    pub slab: Slab,
    /// Nothing is taken any more.
    pub closed: bool,
}

/// The consumer's end of the completion queue.
pub(crate) struct Reaper {
    /// Position of the next entry.
    pub position: u32,
    /// Slots freed by the current pass.
    pub freed: Vec<u32>,
}

pub(crate) struct Shared {
    pub gpu: Arc<Gpu>,
    pub layout: Layout,
    pub buffers: Buffers,
    pub owners: Box<[Owner]>,
    pub submission: CachePadded<Mutex<Submission>>,
    pub reaper: CachePadded<Mutex<Reaper>>,
    /// The reaper's position, for a look without its lock.
    pub reaped: CachePadded<AtomicU32>,
    /// How often the slab was shared out anew among the levels.
    pub partition: AtomicU32,
    /// Freed slots on their way back to the submission end.
    pub freed: Mutex<Vec<u32>>,
    /// Told when slots were freed or jobs ended, if `sleepers` says that somebody listens.
    pub progress: Condvar,
    /// Threads asleep on `progress`.
    pub sleepers: CachePadded<AtomicU32>,
    /// A future is pending: the launcher reads completions, since no thread waits for them.
    pub attended: AtomicBool,
    /// Slots published so far.
    pub published: CachePadded<AtomicU64>,
    /// Slots whose completion was read so far.
    pub ended: CachePadded<AtomicU64>,
    /// The launcher sleeps until somebody publishes.
    pub idle: CachePadded<AtomicBool>,
    pub mode: AtomicCell<Mode>,
    pub engine: Mutex<Engine>,
    /// Threads that want the device quiet: the launcher arms nothing meanwhile.
    pub pausing: AtomicU32,
    pub requests: Mutex<Requests>,
    pub wake: Condvar,
    pub failed: OnceLock<RuntimeError>,
    pub batches: Mutex<BatchValues>,
    pub inboxes: Mutex<Inboxes>,
    pub handles: Mutex<Handles>,
    pub tenancy: Tenancy,
    /// Where the kernel may ask for IO.
    pub storage: Option<Storage>,
    /// Whether host memory is imported where the device can.
    pub import: bool,
    /// Bytes of storage's that the CPU has copied.
    pub cpu_copied: Arc<AtomicU64>,
    /// Dispatches handed to the queue so far.
    pub dispatches: AtomicU64,
    /// What snapshots keep from one to the next.
    pub census: Mutex<Census>,
}

/// A poisoned lock means that a thread panicked in a callback of the user's; the data behind it is
/// changed in whole steps only, so the others may go on.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// The same, if nobody else has it.
pub(crate) fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

impl Shared {
    /// Slots published whose completion has not been read.
    pub fn outstanding(&self) -> u64 {
        // Ended first: a count that is too high only means one more look.
        let ended = self.ended.load(Ordering::Acquire);
        self.published.load(Ordering::Acquire).saturating_sub(ended)
    }

    /// The error that ended this runtime, if one did.
    pub fn failure(&self) -> Result<(), RuntimeError> {
        match self.failed.get() {
            Some(e) => Err(e.clone()),
            None => Ok(()),
        }
    }

    /// Ends the runtime: nothing is taken any more, every waiter learns why.
    pub fn fail(&self, error: RuntimeError) {
        tracing::error!("runtime ends: {error}");
        let _ = self.failed.set(error);
        lock(&self.submission).closed = true;
        self.set_run(false);
        self.cancel_all(crate::protocol::live::Outcome::DEVICE_LOST);
        self.wake_launcher();
    }

    /// Raises or lowers the word by which the workers stay.
    pub fn set_run(&self, run: bool) {
        let word = &self.buffers.submission_words()[crate::protocol::abi::live::COMMAND_RUN as usize];
        word.store(u32::from(run), Ordering::Release);
        self.buffers.publish_fence();
    }

    /// After a publication: wakes the launcher if it sleeps.
    ///
    /// In the order of all sequentially consistent operations, against the fence in the launcher's park: either it
    /// sees what was published, or this side sees that it sleeps. No fence here, which would cost a publication
    /// twice: the addition is one on x86.
    #[inline]
    pub fn published(&self, count: u64) {
        self.published.fetch_add(count, Ordering::SeqCst);
        if self.idle.load(Ordering::SeqCst) && self.idle.swap(false, Ordering::Relaxed) {
            self.wake_launcher();
        }
    }

    pub fn wake_launcher(&self) {
        drop(lock(&self.requests));
        self.wake.notify_all();
    }
}
