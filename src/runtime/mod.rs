//! The runtime: a kernel that is kept running, and the jobs that go through it.
//!
//! ```no_run
//! use ringfence::descriptor::SlotDescriptor;
//! use ringfence::runtime::{Mode, Runtime};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let runtime = Runtime::builder().mode(Mode::Auto).observables(16).build()?;
//! let job = runtime.submit(&SlotDescriptor::store_u32(7, 160))?;
//! assert_eq!(job.wait()?.result(), Some(0));
//! # Ok(())
//! # }
//! ```
//!
//! Arrows point one way: `submission` and `completion` are the two ends of the queues, `engine` the
//! dispatches, `launcher` the thread that arms them; `job`, `batch` and `ring` are what callers hold.

mod backoff;
mod batch;
mod buffers;
mod builder;
mod completion;
mod dependent;
mod engine;
mod error;
mod inbox;
mod job;
mod launcher;
mod layout;
mod ledger;
mod mapped;
mod mode;
mod placement;
mod publish;
mod readback;
mod resources;
mod ring;
mod roll;
mod shared;
mod slab;
mod snapshot;
mod space;
mod storage;
mod stream;
mod submission;
mod swap;
mod tenancy;
mod tenant;
mod tenants;
mod transfer;
mod wait;
mod window;

use std::fs::File;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::vulkan::CommandBuffer;

pub use self::batch::{Batch, BatchCompletion};
pub use self::builder::RuntimeBuilder;
pub use self::dependent::Following;
pub use self::error::RuntimeError;
pub use self::job::{Completion, Job, Outcome};
pub use self::mapped::MappedArena;
pub use self::mode::Mode;
pub use self::placement::Placement;
pub use self::resources::Resource;
pub use self::ring::Ring;
pub use self::storage::{FileOptions, Memory, RegisteredFile, StorageOptions};
pub use self::stream::{Arrival, Ended, Stream, StreamOptions};
pub use self::submission::SlotWords;
pub use self::tenant::{MAX_WEIGHT, Tenant, TenantBuilder, TenantStats};
pub use self::tenants::{MAX_TENANTS, Tenants};
pub use self::window::Window;

use self::dependent::Dependent;
use self::launcher::Running;
use self::resources::Access;
use self::shared::{Shared, lock};
use self::submission::WhenFull;
use self::transfer::{download, upload};
use self::wait::passed;
use crate::descriptor::{BatchDescriptor, DescriptorError, EncodeSlot, EncodedBatch};
use crate::io::arena::Arena;
use crate::io::transfer::{Description, TransferEngine};
use crate::kernel::{Kernel, Linked};
use crate::probe::{self, Probe, ProbeReport};
use crate::protocol::abi::control::PRIORITY_OFFSETS_BASE;
use crate::protocol::abi::live::HEARTBEAT_WORDS;
use crate::protocol::abi::scan::{SCAN_MATCHED, SCAN_ROW_WORDS};
use crate::readback::Readback;
use crate::vulkan::{Buffer, Gpu, Role, Timeline};

/// A resident kernel and its queues. Clones are handles to the same one; all methods may be called
/// from any thread. The last handle's drop stops the kernel: slots that have not ended by then end as
/// FAULT `CANCELLED`.
#[derive(Clone)]
pub struct Runtime {
    shared: Arc<Shared>,
    workers: u32,
    /// Its last clone stops the threads; declared last, so that it goes last.
    #[allow(dead_code, reason = "held for its drop")]
    running: Arc<Running>,
}

/// What was refused, with its reason.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SubmitError {
    /// The descriptor says something that the protocol cannot express.
    #[error(transparent)]
    Descriptor(#[from] DescriptorError),
    /// The runtime does not take it.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

/// Counters of a runtime since it was built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Slots published.
    pub published: u64,
    /// Slots whose completion was read.
    pub ended: u64,
    /// Dispatches handed to the queue.
    pub dispatches: u64,
    /// Bytes of transfers that the CPU copied, beyond what the page cache does: none where the device has
    /// imported the memory.
    pub cpu_copied_bytes: u64,
}

impl Runtime {
    /// Options, with their defaults.
    pub fn builder() -> RuntimeBuilder {
        RuntimeBuilder::default()
    }

    /// Publishes a slot; waits while the slab is full.
    ///
    /// # Errors
    /// [`RuntimeError::Full`] when rings hold all slots and nothing is on its way for a second.
    /// A descriptor that does not encode; a runtime that is shut down or whose device failed.
    pub fn submit(&self, slot: &impl EncodeSlot) -> Result<Job, SubmitError> {
        Ok(self.shared.publish_one(0, &slot.encode()?, WhenFull::Wait)?)
    }

    /// Publishes a slot if one is free.
    ///
    /// # Errors
    /// As [`submit`](Self::submit), and [`RuntimeError::Full`].
    pub fn try_submit(&self, slot: &impl EncodeSlot) -> Result<Job, SubmitError> {
        Ok(self.shared.publish_one(0, &slot.encode()?, WhenFull::Fail)?)
    }

    /// Publishes a batch and its fence, whole; waits until there is room for all of it.
    ///
    /// # Errors
    /// As [`submit`](Self::submit), and [`RuntimeError::BatchTooLarge`].
    pub fn submit_batch(&self, batch: &BatchDescriptor) -> Result<Batch, SubmitError> {
        Ok(self.submit_encoded(&batch.encode()?)?)
    }

    /// Publishes a batch whose words are encoded already, well or not: the device checks them.
    ///
    /// # Errors
    /// As [`submit_batch`](Self::submit_batch).
    pub fn submit_encoded(&self, batch: &EncodedBatch) -> Result<Batch, RuntimeError> {
        self.shared.publish_batch(0, batch)
    }

    /// A submission and completion pair for one thread that keeps up to `depth` slots in flight.
    ///
    /// # Errors
    /// [`RuntimeError::BadOption`] for a depth of 0 or beyond the slab.
    pub fn ring(&self, depth: usize) -> Result<Ring, RuntimeError> {
        Ring::new(self.shared.clone(), 0, depth)
    }

    /// The timeline on which batches end: see [`Batch::value`].
    pub fn batch_timeline(&self) -> Arc<Timeline> {
        lock(&self.shared.batches).timeline.clone()
    }

    /// Submits command buffers to the runtime's queue once `batch` has ended, and never holds up the
    /// kernel: no semaphore waits in the queue.
    ///
    /// # Errors
    /// [`RuntimeError::ShutDown`] and the failures of the device.
    ///
    /// # Safety
    /// The command buffers belong to the runtime's device and queue family, may be submitted at any
    /// time from now on, and live, with all that they use, until [`Following::wait`] says that they
    /// have ended.
    pub unsafe fn submit_after(
        &self,
        batch: &Batch,
        commands: &[CommandBuffer],
    ) -> Result<Following, RuntimeError> {
        if !Arc::ptr_eq(&self.shared, &batch.fence.shared) {
            return Err(RuntimeError::BadOption {
                option: "batch",
                value: batch.value(),
                takes: "a batch of the same runtime",
            });
        }
        self.shared.failure()?;
        let done = Arc::new(Timeline::new(&self.shared.gpu, 0)?);
        let refused = Arc::new(OnceLock::new());
        let dependent = Dependent {
            value: batch.value(),
            commands: commands.to_vec(),
            done: done.clone(),
            refused: refused.clone(),
        };
        {
            let mut requests = lock(&self.shared.requests);
            // Again, under the lock under which the launcher refuses what is left when it ends.
            self.shared.failure()?;
            if requests.stop {
                return Err(RuntimeError::ShutDown);
            }
            requests.dependents.push(dependent);
        }
        self.shared.wake.notify_all();
        Ok(Following { done, refused })
    }

    /// Runs on with other operations of the caller's than before; the built-in ones stay. It waits until no dispatch is in
    /// flight, and no slot is lost: what waits or is to go on is executed by the new kernel, or ends as `UNKNOWN_OPCODE`
    /// if that has no handler for it. So does a slot that is published meanwhile, of an opcode that was a lane's and comes
    /// to be wide or the other way round. A handler that gave way is called again by its opcode: another one there must
    /// know what the first has saved.
    ///
    /// # Errors
    /// [`RuntimeError::Link`] and [`RuntimeError::LoopLimit`] for a kernel that cannot be had, and what Vulkan refuses:
    /// the runtime goes on with the one it has. The failures of the device.
    ///
    /// # Safety
    /// As of [`RuntimeBuilder::kernel`].
    pub unsafe fn swap_kernel(&self, kernel: &Kernel) -> Result<(), RuntimeError> {
        self.shared.swap(kernel)
    }

    /// Registers a table that slots read, such as the automaton of DFA_STEP.
    ///
    /// # Errors
    /// [`RuntimeError::NoHandle`], or no memory.
    pub fn table(&self, words: &[u32]) -> Result<Resource, RuntimeError> {
        Resource::register(&self.shared, self.shared.table_buffer(words)?, Access::Read)
    }

    /// Registers an automaton of OP_SCAN, a table by the rules of [`twin::scan`](crate::twin::scan). The
    /// kernel follows entries unchecked, so they are checked here.
    ///
    /// # Errors
    /// [`RuntimeError::BadTable`] for an entry that is not the offset of a row, or leads out of the row
    /// [`SCAN_MATCHED`]; as [`table`](Self::table).
    pub fn scan_table(&self, words: &[u32]) -> Result<Resource, RuntimeError> {
        let row = SCAN_ROW_WORDS as usize;
        let rows = words.len() / row;
        let good = |at: usize, entry: u32| {
            let leads = entry.is_multiple_of(SCAN_ROW_WORDS) && ((entry / SCAN_ROW_WORDS) as usize) < rows;
            leads && (entry == SCAN_MATCHED || at / row != (SCAN_MATCHED / SCAN_ROW_WORDS) as usize)
        };
        if let Some(at) = (0..words.len()).find(|at| !good(*at, words[*at])) {
            return Err(RuntimeError::BadTable { at, entry: words[at], rows });
        }
        Resource::register(&self.shared, self.shared.table_buffer(words)?, Access::Scan)
    }

    /// Registers memory that slots write and the host reads.
    ///
    /// # Errors
    /// As [`table`](Self::table).
    pub fn output(&self, words: u32) -> Result<Resource, RuntimeError> {
        let buffer = Buffer::new(&self.shared.gpu, Role::DeviceToHost, u64::from(words) * 4, "output")?;
        Resource::register(&self.shared, buffer, Access::Write)
    }

    /// Registers memory near the device that slots read and write, all zero at first: what COPY_RANGE brought
    /// there, slots need not read across a bus. The host may have no mapping of it.
    ///
    /// # Errors
    /// [`RuntimeError::BadOption`] for 0 bytes, for a number that is no multiple of 4, and beyond 16 GiB less
    /// a word; as [`table`](Self::table).
    pub fn local(&self, bytes: u64) -> Result<Resource, RuntimeError> {
        const MOST: u64 = 4 * u32::MAX as u64;
        if bytes == 0 || !bytes.is_multiple_of(4) || bytes > MOST {
            let takes = "a multiple of 4, from 4 to 17,179,869,180";
            return Err(RuntimeError::BadOption { option: "bytes", value: bytes, takes });
        }
        let buffer = Buffer::new(&self.shared.gpu, Role::DeviceLocal, bytes, "local")?;
        Resource::register(&self.shared, buffer, Access::Write)
    }

    /// Registers memory of the host's to write and the slots' to read: write words, then publish the
    /// slots that read them.
    ///
    /// # Errors
    /// As [`table`](Self::table).
    pub fn scratch(&self, words: u32) -> Result<Resource, RuntimeError> {
        let buffer = Buffer::new(&self.shared.gpu, Role::HostToDevice, u64::from(words) * 4, "scratch")?;
        Resource::register(&self.shared, buffer, Access::Read)
    }

    /// Registers memory that slots read, from a buffer of the caller's device.
    ///
    /// # Errors
    /// As [`table`](Self::table).
    pub fn input(&self, buffer: Buffer) -> Result<Resource, RuntimeError> {
        Resource::register(&self.shared, buffer, Access::Read)
    }

    /// Lets slots read an arena in place, by VK_EXT_external_memory_host.
    ///
    /// # Errors
    /// Without that extension, or where the driver does not take the memory; as [`table`](Self::table).
    pub fn map_arena(&self, arena: &Arc<Arena>) -> Result<MappedArena, RuntimeError> {
        MappedArena::new(&self.shared, arena)
    }

    /// Files through the kernel: reads into memory that slots read in place, a slot for each chunk as it
    /// lands. It needs no [`RuntimeBuilder::storage`].
    ///
    /// # Errors
    /// [`RuntimeError::BadOption`]; no memory; an engine that cannot be had. Where the device cannot import
    /// memory the CPU copies each chunk ([`Stats::cpu_copied_bytes`]).
    pub fn stream(&self, options: &StreamOptions) -> Result<Stream, RuntimeError> {
        Stream::new(&self.shared, options, |engine| engine)
    }

    /// For tests: the same with what `wrap` makes of the engine.
    ///
    /// # Errors
    /// As [`stream`](Self::stream).
    #[doc(hidden)]
    pub fn stream_through(
        &self,
        options: &StreamOptions,
        wrap: impl FnOnce(Box<dyn TransferEngine>) -> Box<dyn TransferEngine>,
    ) -> Result<Stream, RuntimeError> {
        Stream::new(&self.shared, options, wrap)
    }

    /// Lets slots name a file, for LOAD_MISS and, where `options` say so, STORE_RANGE.
    ///
    /// # Errors
    /// [`RuntimeError::NoStorage`], [`RuntimeError::NoHandle`], or a file that cannot be looked at.
    pub fn register_file(&self, file: File, options: &FileOptions) -> Result<RegisteredFile, RuntimeError> {
        RegisteredFile::new(&self.shared, file, options)
    }

    /// Memory that transfers go to and come from, and that slots of the system tenant read and write; all
    /// zero at first.
    ///
    /// # Errors
    /// [`RuntimeError::NoStorage`], [`RuntimeError::NoMemory`]; as [`table`](Self::table).
    pub fn memory(&self, bytes: usize) -> Result<Memory, RuntimeError> {
        self.memory_for(bytes, Tenants::SYSTEM)
    }

    /// The same for slots of these tenants, and of no others.
    ///
    /// # Errors
    /// As [`memory`](Self::memory).
    pub fn memory_for(&self, bytes: usize, tenants: Tenants) -> Result<Memory, RuntimeError> {
        Memory::new(&self.shared, bytes, tenants)
    }

    /// The engine that serves storage, and what it, or the memory of transfers, has to do without.
    pub fn storage(&self) -> Option<&Description> {
        self.shared.storage.as_ref().map(|storage| storage.description())
    }

    /// Where slots are to read what storage brings, as [`StorageOptions::placement`] and the device have it:
    /// [`Placement::InPlace`] or [`Placement::Copied`].
    pub fn placement(&self) -> Option<Placement> {
        self.shared.storage.as_ref().map(|storage| storage.placement)
    }

    /// The control buffer, exact: taken while no dispatch is in flight.
    ///
    /// # Errors
    /// The failures of the device.
    pub fn control(&self) -> Result<Vec<u32>, RuntimeError> {
        self.shared.quiesced(|_| download(&self.shared.gpu, &self.shared.buffers.control))?
    }

    /// Control buffer, ring and debug log, exact: taken while no dispatch is in flight. The ring's
    /// status words say PUBLISHED, WAIT_IO, YIELD or REQUEUE of slots that have not ended, else DONE or FAULT, or EMPTY of slots
    /// that were never used. The IO queue is empty.
    ///
    /// # Errors
    /// The failures of the device.
    pub fn readback(&self) -> Result<Readback, RuntimeError> {
        self.shared.quiesced(|_| self.shared.take_readback())?
    }

    /// The debug log's words as they are now; a record in them counts if its stamp matches. Readable
    /// while the kernel runs.
    pub fn debug_log(&self) -> Vec<u32> {
        self.shared.debug_log(0)
    }

    /// Goes over to another mode, at a moment without a dispatch in flight. `Auto` asks the probe.
    ///
    /// # Errors
    /// The failures of the device.
    pub fn switch_mode(&self, mode: Mode) -> Result<(), RuntimeError> {
        let mode = if mode == Mode::Auto { probed(&self.shared.gpu)?.0 } else { mode };
        self.shared.quiesced(|_| self.shared.mode.store(mode))?;
        if let Some(storage) = &self.shared.storage {
            // In epoch mode waiters do not serve it.
            storage.wake_server();
        }
        Ok(())
    }

    /// Shares the slab out anew: slots of each priority level, CRITICAL first, which add up to the slab's. Slots
    /// on their way stay at their level until they end.
    ///
    /// # Errors
    /// [`RuntimeError::BadOption`] for another sum; the failures of the device.
    pub fn set_level_slots(&self, sizes: [u32; 5]) -> Result<(), RuntimeError> {
        let sum: u64 = sizes.iter().map(|size| u64::from(*size)).sum();
        if sum != u64::from(self.shared.layout.host_slots) {
            let takes = "five numbers that add up to the slots of the slab";
            return Err(RuntimeError::BadOption { option: "level_slots", value: sum, takes });
        }
        self.shared.quiesced(|_| {
            let mut submission = self.shared.submission();
            submission.slab.put(lock(&self.shared.freed).drain(..));
            submission.slab.resize(&sizes);
            self.shared.partition.fetch_add(1, Ordering::Relaxed);
            let mut control = download(&self.shared.gpu, &self.shared.buffers.control)?;
            let words = control.iter_mut().skip(PRIORITY_OFFSETS_BASE as usize);
            words.zip(submission.slab.offsets()).for_each(|(word, offset)| *word = *offset);
            Ok(upload(&self.shared.gpu, &self.shared.buffers.control, &control)?)
        })?
    }

    /// The mode in force: live or epoch.
    pub fn mode(&self) -> Mode {
        self.shared.mode.load()
    }

    /// The device.
    pub fn gpu(&self) -> &Arc<Gpu> {
        &self.shared.gpu
    }

    /// The kernel that it runs.
    pub fn kernel(&self) -> Arc<Linked> {
        lock(&self.shared.kernel).clone()
    }

    /// Workers of each dispatch.
    pub fn workers(&self) -> u32 {
        self.workers
    }

    /// Counters since the runtime was built.
    pub fn stats(&self) -> Stats {
        Stats {
            published: self.shared.published.load(Ordering::Relaxed),
            ended: self.shared.ended.load(Ordering::Relaxed),
            dispatches: self.shared.dispatches.load(Ordering::Relaxed),
            cpu_copied_bytes: self.shared.cpu_copied.load(Ordering::Relaxed),
        }
    }

    /// How many times each worker has started; they start again with every dispatch.
    pub fn heartbeats(&self) -> Vec<u32> {
        let words = self.shared.buffers.completion_words();
        (0..self.workers).map(|w| words[(w * HEARTBEAT_WORDS) as usize].load(Ordering::Relaxed)).collect()
    }

    /// True while a dispatch is in flight.
    pub fn is_busy(&self) -> bool {
        let (timeline, submitted) = lock(&self.shared.engine).timeline();
        timeline.value().is_ok_and(|value| value < submitted)
    }

    /// Waits until no dispatch is in flight, for at most `timeout`; false when one still is.
    pub fn wait_idle(&self, timeout: Duration) -> bool {
        let deadline = Instant::now().checked_add(timeout);
        while self.is_busy() {
            if passed(deadline) {
                return false;
            }
            std::thread::sleep(Duration::from_micros(100));
        }
        true
    }
}

/// What the probe says of a device, from its cache if it can.
fn probed(gpu: &Arc<Gpu>) -> Result<(Mode, ProbeReport), RuntimeError> {
    let report = Probe::cached_or_run(gpu)?;
    let mode = match report.mode {
        probe::Mode::Live => Mode::Live,
        probe::Mode::Epoch => Mode::Epoch,
    };
    tracing::info!("{mode} mode: {}", report.why);
    Ok((mode, report))
}
