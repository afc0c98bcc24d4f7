//! Building a runtime.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::time::Duration;

use crossbeam_utils::CachePadded;
use crossbeam_utils::atomic::AtomicCell;

use super::Runtime;
use super::batch::BatchValues;
use super::buffers::Buffers;
use super::engine::{Engine, EngineOptions, Program};
use super::error::RuntimeError;
use super::launcher::{Launcher, Requests, Running};
use super::layout::{Layout, Room, TENANT_TABLES};
use super::mode::Mode;
use super::shared::{Owner, Reaper, Shared, Submission};
use super::slab::{LEVELS, PerLevel, Slab};
use super::snapshot::Census;
use super::storage::{Injected, Storage, StorageOptions};
use super::swap::{Plan, UserOpcodes};
use super::tenancy::Tenancy;
use super::transfer::upload;
use crate::io::transfer::TransferEngine;
use crate::kernel::{self, Kernel, Selection};
use crate::protocol::abi::control::{
    CONTROL_MIN_WORDS, FAIRNESS_BASE, LIMIT_BASE, MAX_ENCODED_OBSERVABLE_SLOTS, PRIORITY_OFFSETS_BASE,
    QUOTA_BASE, TENANT_BASE, TENANT_COUNT,
};
use crate::protocol::abi::debug_log::RECORD_CAPACITY;
use crate::protocol::abi::live::{CHILD_DEPTHS, COMMAND_RUN, MAX_TENANTS, MAX_WORKERS};
use crate::protocol::abi::opcode::{OP_IO_FENCE, OP_LOAD_MISS, OP_LOAD_SUM, OP_STORE_RANGE, OP_UNFOLD};
use crate::protocol::abi::slot::{MAX_ENCODED_RING_SLOTS, MIN_LIVE_RING_SLOTS};
use crate::protocol::try_encode_control;
use crate::vulkan::{Gpu, OpenOptions, Timeline};

/// Options of a runtime, all with defaults.
#[derive(Clone)]
pub struct RuntimeBuilder {
    gpu: Option<Arc<Gpu>>,
    device: Option<String>,
    mode: Mode,
    slots: u32,
    child_slots: u32,
    level_slots: Option<PerLevel>,
    observables: u32,
    records: u32,
    workers: Option<u32>,
    opcodes: Vec<u32>,
    linger: Duration,
    patience: Duration,
    loop_budget: Option<u32>,
    uncounted_loops: u32,
    storage: Option<StorageOptions>,
    injected: Injected,
    room: Room,
    kernel: Option<Kernel>,
}

/// What a kernel has unless it is told.
fn usual(more: &[u32]) -> Vec<u32> {
    [kernel::LANE_OPCODES, &[OP_LOAD_SUM], more].concat()
}

impl Default for RuntimeBuilder {
    fn default() -> Self {
        Self {
            gpu: None,
            device: None,
            mode: Mode::Auto,
            slots: 256,
            child_slots: 256,
            level_slots: None,
            observables: 64,
            records: RECORD_CAPACITY,
            workers: None,
            opcodes: usual(&[]),
            linger: Duration::from_millis(2),
            patience: Duration::from_secs(30),
            loop_budget: None,
            uncounted_loops: 0,
            storage: None,
            injected: Injected::default(),
            room: Room { tenants: 1, slots: 64, words: 0 },
            kernel: None,
        }
    }
}

impl RuntimeBuilder {
    /// The device to open, by index or part of its name. Default: the best one.
    pub fn device(mut self, device: impl Into<String>) -> Self {
        self.device = Some(device.into());
        self
    }

    /// An opened device, or a caller's own ([`Gpu::adopt`]).
    pub fn gpu(mut self, gpu: Arc<Gpu>) -> Self {
        self.gpu = Some(gpu);
        self
    }

    /// How the kernel is kept running. Default: [`Mode::Auto`].
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Slots of the slab, 16 to 1,048,576: how many jobs can be on their way. Default: 256. Each priority level
    /// but NORMAL has a sixteenth of them, at least 1, for its own; NORMAL has the rest.
    pub fn slots(mut self, slots: u32) -> Self {
        self.slots = slots;
        self.level_slots = None;
        self
    }

    /// Slots of each priority level, CRITICAL first; the slab has their sum. A level with none takes no jobs.
    pub fn level_slots(mut self, sizes: [u32; 5]) -> Self {
        self.slots = sizes.iter().fold(0, |sum: u32, size| sum.saturating_add(*size));
        self.level_slots = Some(sizes);
        self
    }

    /// Slots, at each of four depths, for those that the device publishes itself, 32 to 65,536 and rounded up to a
    /// multiple of 32; where an opcode that does so was asked for. Default: 256.
    pub fn child_slots(mut self, slots: u32) -> Self {
        self.child_slots = slots;
        self
    }

    /// Operations of the caller's, which are linked into the kernel when the runtime is built; instead of those of an
    /// earlier call. Tenants may use them unless [`TenantBuilder::opcodes`](super::TenantBuilder::opcodes) leaves them out.
    ///
    /// # Safety
    /// A handler must touch no memory but the kernel's buffers, each within the bounds that `glsl/memory.glsl` tells,
    /// its words of the control buffer within its window, and resources as their rights say; its loops must end within
    /// the turns that `glsl/handler.glsl` gives them. On a CPU driver any other address is one of this process's.
    pub unsafe fn kernel(mut self, kernel: Kernel) -> Self {
        self.kernel = Some(kernel);
        self
    }

    /// Observable words behind the control buffer's fixed part, up to 1,048,576. Default: 64.
    pub fn observables(mut self, observables: u32) -> Self {
        self.observables = observables;
        self
    }

    /// Records of the debug log, a power of two up to 65,536. Default: 64.
    pub fn debug_records(mut self, records: u32) -> Self {
        self.records = records;
        self
    }

    /// Workers that run side by side, 1 to 256. Default: on a CPU driver one less than there are
    /// cores (at least 1), else 8.
    pub fn workers(mut self, workers: u32) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Opcodes that will be submitted, beyond those that a lane executes by itself
    /// ([`LANE_OPCODES`](kernel::LANE_OPCODES)), which the kernel has anyway. Others end in FAULT `UNKNOWN_OPCODE`.
    pub fn opcodes(mut self, opcodes: &[u32]) -> Self {
        self.opcodes = usual(opcodes);
        self
    }

    /// The same, but the kernel has no others than these, and what every kernel has: NOP, BATCH_FENCE, SHUTDOWN, and with
    /// [`storage`](Self::storage) LOAD_MISS, STORE_RANGE and IO_FENCE. The less it has the faster it is, above all on
    /// drivers that do not branch: `ringfence bench cut` measures it.
    pub fn only_opcodes(mut self, opcodes: &[u32]) -> Self {
        self.opcodes = opcodes.to_vec();
        self
    }

    /// Tenants that there can be, the system's own included, 1 to 1,024. With more than one the kernel is another,
    /// that claims from each in turn and holds what a slot names against its tenant's window; it is a little slower.
    /// Default: 1.
    pub fn tenants(mut self, tenants: u32) -> Self {
        self.room.tenants = tenants;
        self
    }

    /// Slots that a tenant besides the system's may have on their way, at most, 1 to 65,536; its queues take some 80
    /// bytes for each. Default: 64.
    pub fn tenant_slots(mut self, slots: u32) -> Self {
        self.room.slots = slots;
        self
    }

    /// Words behind the observables that tenants' windows are made of, up to 1,048,576. Default: 0.
    pub fn tenant_words(mut self, words: u32) -> Self {
        self.room.words = words;
        self
    }

    /// Lets slots ask for IO: LOAD_MISS, STORE_RANGE, IO_FENCE and LOAD_SUM, and the methods that register files and
    /// memory for them. Without it those opcodes end in FAULT `UNKNOWN_OPCODE`; with [`only_opcodes`](Self::only_opcodes)
    /// LOAD_SUM does, unless it is among them.
    pub fn storage(mut self, options: StorageOptions) -> Self {
        self.storage = Some(options);
        self
    }

    /// For tests: what `wrap` makes of the engine serves instead of it.
    #[doc(hidden)]
    pub fn wrap_storage_engine(
        mut self,
        wrap: fn(Box<dyn TransferEngine>) -> Box<dyn TransferEngine>,
    ) -> Self {
        self.injected.wrap_engine = Some(wrap);
        self
    }

    /// For tests: storage as on a device that cannot import host memory.
    #[doc(hidden)]
    pub fn without_import(mut self, without: bool) -> Self {
        self.injected.without_import = without;
        self
    }

    /// How long a kernel stays without work in live mode. Default: 2 ms.
    pub fn linger(mut self, linger: Duration) -> Self {
        self.linger = linger;
        self
    }

    /// How long nothing may end while something is outstanding before the device counts as hung.
    /// Default: 30 s, since a first dispatch may compile for seconds.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Loop turns that a worker spends at most before the next takes over; the driver's own limit is
    /// kept in any case. Smaller bounds a dispatch in time on devices that kill long ones.
    pub fn loop_budget(mut self, turns: u32) -> Self {
        self.loop_budget = Some(turns);
        self
    }

    /// Leaves `loops` of the kernel's loops out of its budget, so that a driver that ends loops
    /// silently ends a worker in the middle of its work: for tests that must see that.
    #[doc(hidden)]
    pub fn uncounted_loops(mut self, loops: u32) -> Self {
        self.uncounted_loops = loops;
        self
    }

    /// Opens the device, builds the kernel and starts the launcher. No dispatch is in flight until
    /// the first submission.
    ///
    /// # Errors
    /// [`RuntimeError::BadOption`] for an option out of range; what Vulkan refuses.
    pub fn build(self) -> Result<Runtime, RuntimeError> {
        self.check()?;
        let children = self.children();
        let gpu = match self.gpu {
            Some(gpu) => gpu,
            None => Gpu::open(&OpenOptions { device: self.device, ..OpenOptions::default() })?,
        };
        let (mode, report) = match self.mode {
            Mode::Auto => super::probed(&gpu).map(|(mode, report)| (mode, Some(report)))?,
            mode => (mode, None),
        };
        let measured_limit = report.as_ref().and_then(|report| report.loop_limit);
        let loop_limit = [gpu.workarounds().loop_limit, measured_limit].into_iter().flatten().min();
        let side_by_side = report.as_ref().map_or(MAX_WORKERS, |report| report.workers);
        let workers = self.workers.unwrap_or_else(|| default_workers(&gpu, side_by_side));
        let mut opcodes = self.opcodes.clone();
        if self.storage.is_some() {
            opcodes.extend([OP_LOAD_MISS, OP_STORE_RANGE, OP_IO_FENCE]);
        } else {
            opcodes.retain(|op| !kernel::IO_OPCODES.contains(op));
        }
        let plan = Plan {
            selection: Selection {
                opcodes,
                tenants: self.room.tenants > 1,
                int64: gpu.info().int64,
                handlers: false,
            },
            engine: EngineOptions {
                workers,
                loop_limit,
                loop_budget: self.loop_budget,
                uncounted_loops: self.uncounted_loops,
                storage: self.storage.is_some(),
            },
        };
        let users = match self.kernel {
            Some(kernel) => kernel,
            None => Kernel::builder().build()?,
        };
        let linked = plan.first(&users)?;
        let subgroup = gpu.info().subgroup_size;
        let layout = Layout::new(self.slots, children, self.observables, self.records, subgroup, &self.room);
        let buffers = Buffers::new(&gpu, &layout)?;
        let cpu_copied = Arc::new(AtomicU64::new(0));
        let storage = self
            .storage
            .as_ref()
            .map(|options| {
                Storage::new(&gpu, options, self.slots, self.injected, report.as_ref(), &cpu_copied)
            })
            .transpose()?;
        let program = Program::new(&gpu, &layout, &buffers, &plan.engine, &linked)?;
        let engine = Engine::new(&gpu, program, self.patience)?;
        let batches = BatchValues::new(Arc::new(Timeline::new(&gpu, 0)?));

        let slab = Slab::new(self.slots, self.level_slots);
        upload(&gpu, &buffers.control, &initial_control(&slab, &layout))?;
        buffers.submission_words()[COMMAND_RUN as usize].store(1, Ordering::Release);
        buffers.publish_fence();

        let shared = Arc::new(Shared {
            layout,
            buffers,
            owners: (0..self.slots).map(|_| Owner::default()).collect(),
            submission: CachePadded::new(spin::Mutex::new(Submission {
                positions: vec![[0; LEVELS]; self.room.tenants as usize].into(),
                announced: 0,
                cancels: 0,
                levels: 0,
                slab,
                closed: false,
            })),
            reaper: CachePadded::new(Mutex::new(Reaper { position: 0, freed: Vec::new() })),
            reaped: CachePadded::new(AtomicU32::new(0)),
            partition: AtomicU32::new(0),
            freed: Mutex::default(),
            progress: Condvar::new(),
            sleepers: CachePadded::new(AtomicU32::new(0)),
            attended: AtomicBool::new(false),
            published: CachePadded::new(AtomicU64::new(0)),
            ended: CachePadded::new(AtomicU64::new(0)),
            idle: CachePadded::new(AtomicBool::new(false)),
            mode: AtomicCell::new(mode),
            engine: Mutex::new(engine),
            pausing: AtomicU32::new(0),
            paused: Mutex::default(),
            requests: Mutex::new(Requests::default()),
            wake: Condvar::new(),
            failed: OnceLock::new(),
            batches: Mutex::new(batches),
            inboxes: Mutex::default(),
            handles: Mutex::default(),
            tenancy: Tenancy::new(layout.tenants, layout.windows()),
            import: !self.injected.without_import,
            cpu_copied,
            dispatches: AtomicU64::new(0),
            census: Mutex::new(Census::new()),
            spare_core: !gpu.workarounds().workers_use_cores || workers < cores(),
            storage,
            kernel: Mutex::new(Arc::new(linked)),
            users: UserOpcodes::new(&users),
            plan,
            gpu,
        });
        // Of the system's own, before the first slot.
        shared.write_tenants();
        let thread = Launcher::start(shared.clone(), self.linger, self.patience)?;
        // From here on its drop stops the launcher.
        let mut running = Running { shared: shared.clone(), thread: Some(thread), storage: None };
        if let Some(storage) = &shared.storage {
            running.storage = Some(storage.start(&shared)?);
        }
        Ok(Runtime { shared, workers, running: Arc::new(running) })
    }

    /// Words behind the fixed part of the control buffer.
    fn behind(&self) -> u32 {
        let tables = if self.room.tenants > 1 { TENANT_TABLES.saturating_mul(self.room.tenants) } else { 0 };
        self.observables.saturating_add(self.room.words).saturating_add(tables)
    }

    /// Slots of each depth for those that the device publishes.
    fn children(&self) -> u32 {
        let publishes = self.kernel.as_ref().is_some_and(Kernel::publishes);
        let wanted = publishes || self.opcodes.contains(&OP_UNFOLD);
        if wanted { self.child_slots.saturating_add(31) / 32 * 32 } else { 0 }
    }

    fn check(&self) -> Result<(), RuntimeError> {
        let slots_of_all = self.room.tenants.saturating_mul(self.room.slots);
        let ranges = [
            ("slots", self.slots, MIN_LIVE_RING_SLOTS..=MAX_ENCODED_RING_SLOTS, "16 to 1,048,576"),
            ("observables", self.observables, 0..=MAX_ENCODED_OBSERVABLE_SLOTS, "0 to 1,048,576"),
            ("child_slots", self.child_slots, 32..=65_536, "32 to 65,536"),
            (
                "slots and child_slots",
                self.slots.saturating_add(CHILD_DEPTHS * self.children()),
                0..=MAX_ENCODED_RING_SLOTS,
                "1,048,576 together, those of each depth counted",
            ),
            ("debug_records", self.records, 1..=65_536, "a power of two up to 65,536"),
            ("workers", self.workers.unwrap_or(1), 1..=MAX_WORKERS, "1 to 256"),
            ("tenants", self.room.tenants, 1..=MAX_TENANTS, "1 to 1,024"),
            ("tenant_slots", self.room.slots, 1..=65_536, "1 to 65,536"),
            ("tenant_words", self.room.words, 0..=MAX_ENCODED_OBSERVABLE_SLOTS, "0 to 1,048,576"),
            (
                "observables and tenants' words",
                self.behind(),
                0..=MAX_ENCODED_OBSERVABLE_SLOTS,
                "1,048,576 together",
            ),
            ("slots of all tenants", slots_of_all, 1..=1 << 21, "2,097,152 together"),
        ];
        for (option, value, range, takes) in ranges {
            let power = option != "debug_records" || value.is_power_of_two();
            if !range.contains(&value) || !power {
                return Err(RuntimeError::BadOption { option, value: value.into(), takes });
            }
        }
        Ok(())
    }
}

/// The control buffer of a runtime whose only tenant is the system's.
fn initial_control(slab: &Slab, layout: &Layout) -> Vec<u32> {
    let bytes = try_encode_control(false, 1, layout.control_words - CONTROL_MIN_WORDS).unwrap_or_default();
    let mut words: Vec<u32> =
        bytes.chunks_exact(4).map(|w| u32::from_le_bytes([w[0], w[1], w[2], w[3]])).collect();
    if layout.tenants > 1 {
        let [mask, limits, credits, ended, _] = layout.tables(0);
        let bases = [
            (TENANT_BASE, mask),
            (TENANT_COUNT, layout.tenants),
            (LIMIT_BASE, limits),
            (QUOTA_BASE, credits),
            (FAIRNESS_BASE, ended),
            (mask, 1),
            (limits, u32::MAX),
        ];
        bases.into_iter().for_each(|(at, value)| words[at as usize] = value);
    }
    words
        .iter_mut()
        .skip(PRIORITY_OFFSETS_BASE as usize)
        .zip(slab.offsets())
        .for_each(|(word, offset)| *word = *offset);
    words
}

/// Workers of a device that has its own cores: enough to answer many slots at once, and few enough that
/// they do not slow each other at the queue's head. All that run side by side are only worth it for wide
/// work.
const DEVICE_WORKERS: u32 = 8;

/// `side_by_side` is how many the probe saw run at once.
fn default_workers(gpu: &Gpu, side_by_side: u32) -> u32 {
    if gpu.workarounds().workers_use_cores {
        // A host that waits needs a core of its own (DESIGN fact 16).
        cores().saturating_sub(1).clamp(1, MAX_WORKERS)
    } else {
        DEVICE_WORKERS.min(side_by_side.max(1))
    }
}

/// That the calling thread may run on.
fn cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |n| n.get() as u32)
}
