//! What the submitting, waiting and launching threads of a runtime share.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, TryLockError};

use crossbeam_utils::CachePadded;
use crossbeam_utils::atomic::AtomicCell;

use super::backoff::Backoff;
use super::batch::BatchValues;
use super::buffers::Buffers;
use super::engine::{Engine, Pause};
use super::error::RuntimeError;
use super::inbox::Inboxes;
use super::job::JobState;
use super::launcher::Requests;
use super::layout::Layout;
use super::mode::Mode;
use super::resources::Handles;
use super::slab::{LEVELS, PerLevel, Slab};
use super::snapshot::Census;
use super::storage::Storage;
use super::swap::{Plan, UserOpcodes};
use super::tenancy::{Tenancy, add_alone};
use crate::kernel::Linked;
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
    /// What of it is known of asking for storage; and that it takes a whole subgroup, for when it is published again.
    pub asks: AtomicCell<Asks>,
    pub wide: AtomicBool,
    /// Its level and its tenant, for when it is published again.
    pub level: AtomicU32,
    pub tenant: AtomicU32,
    /// The device was told to cancel it. Changed under the lock of the submission end.
    pub cancelled: AtomicBool,
}

/// Whether a slot asks the host for storage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Asks {
    #[default]
    No,
    /// It does, unless it faults first.
    Yes,
    /// It may: an operation of a user's.
    Perhaps,
}

impl Asks {
    /// Whether a slot that has ended, by a fault or not, may not have asked.
    pub fn may_end_without(self, fault: bool) -> bool {
        self == Self::Perhaps || (fault && self == Self::Yes)
    }
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
    /// The kernel that runs, and what every other in its place has, too.
    pub kernel: Mutex<Arc<Linked>>,
    pub users: UserOpcodes,
    pub plan: Plan,
    pub layout: Layout,
    pub buffers: Buffers,
    pub owners: Box<[Owner]>,
    pub submission: CachePadded<spin::Mutex<Submission>>,
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
    /// The last of these moments that was not the launcher's.
    pub paused: Mutex<Pause>,
    pub requests: Mutex<Requests>,
    pub wake: Condvar,
    pub failed: OnceLock<RuntimeError>,
    pub batches: Mutex<BatchValues>,
    pub inboxes: Mutex<Inboxes>,
    pub handles: Mutex<Handles>,
    pub tenancy: Tenancy,
    /// The workers leave a processor to a thread that waits.
    pub spare_core: bool,
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

/// The submission end, held.
pub(crate) type SubmissionEnd<'a> = spin::MutexGuard<'a, Submission>;

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
    /// The submission end, for this thread alone.
    ///
    /// Not the standard library's lock, which is given back by a read-modify-write: that would wait until the device's
    /// cache has given up every line that the holder wrote, slots and entries. Nobody holds it for long but
    /// for a readback.
    #[inline]
    pub fn submission(&self) -> SubmissionEnd<'_> {
        self.submission.try_lock().unwrap_or_else(|| self.wait_for_submission())
    }

    #[cold]
    fn wait_for_submission(&self) -> SubmissionEnd<'_> {
        let mut backoff = Backoff::new();
        loop {
            backoff.pause();
            if let Some(end) = self.submission.try_lock() {
                return end;
            }
        }
    }

    /// The level that a slot was published at.
    #[inline]
    pub fn level_of(&self, slot: u32) -> usize {
        self.owners[slot as usize].level.load(Ordering::Relaxed) as usize % LEVELS
    }

    /// Slots published whose completion has not been read.
    pub fn outstanding(&self) -> u64 {
        // Ended first: a count that is too high only means one more look.
        let ended = self.ended.load(Ordering::Acquire);
        self.published.load(Ordering::Acquire).saturating_sub(ended)
    }

    /// The error that ended this runtime, if one did.
    #[inline]
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
        self.submission().closed = true;
        self.set_run(false);
        self.cancel_all(crate::protocol::live::Outcome::DEVICE_LOST);
        self.wake_launcher();
    }

    /// Runs a thread of the runtime's; a panic, which would be a bug and is told as `panicked`, fails the runtime instead
    /// of leaving its waiters alone.
    pub fn guarded(&self, panicked: &'static str, run: impl FnOnce()) {
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err() {
            let error = "please report this with the message above".into();
            self.fail(RuntimeError::Host { what: panicked, error });
        }
    }

    /// Raises or lowers the word by which the workers stay.
    pub fn set_run(&self, run: bool) {
        let word = &self.buffers.submission_words()[crate::protocol::abi::live::COMMAND_RUN as usize];
        word.store(u32::from(run), Ordering::Release);
        self.buffers.publish_fence();
    }

    /// After a publication, by whoever has the submission end: wakes the launcher if it sleeps.
    #[inline]
    pub fn published(&self, count: u64) {
        add_alone(&self.published, count);
        if self.idle.load(Ordering::Relaxed) && self.idle.swap(false, Ordering::Relaxed) {
            self.wake_launcher();
        }
    }

    /// A thread is about to sleep until somebody publishes: what it is to look at once more, and then to wait with.
    /// `None` if somebody has published meanwhile.
    pub fn rests(&self) -> Option<MutexGuard<'_, Requests>> {
        self.idle.store(true, Ordering::Relaxed);
        // Through the lock that publishers have: of each it sees what was published, or that one sees `idle`. A fence
        // would have to stand in every publication as well, and wait for all of its stores.
        drop(self.submission());
        // Whoever lowered `idle` has woken nobody, if that was before this lock, and waits for it otherwise.
        let requests = lock(&self.requests);
        self.idle.load(Ordering::Relaxed).then_some(requests)
    }

    pub fn wake_launcher(&self) {
        drop(lock(&self.requests));
        self.wake.notify_all();
    }
}
