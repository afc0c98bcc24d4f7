//! The Vulkan side of a runtime: the dispatches, and the timeline they end on.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::buffers::Buffers;
use super::error::RuntimeError;
use super::layout::Layout;
use super::mode::Mode;
use super::shared::{Shared, lock};
use crate::kernel::Linked;
use crate::protocol::abi::live::{FLAG_DRAIN, FLAG_STORAGE};
use crate::protocol::abi::spec::{SPEC_LOOPS, SPEC_SUBGROUP_SIZE};
use crate::vulkan::{
    BarrierKind, Commands, ComputePipeline, DescriptorSet, Gpu, PipelineOptions, Recorder, Timeline,
};

/// Dispatches in one submission of live mode, each following the other within a fraction of a
/// microsecond where one submission follows another within 16 us (DESIGN fact 5).
/// Only on a CPU driver, which has no watchdog.
const CPU_CHAIN: u32 = 16;

/// The same on a device that may have a watchdog: chain, budget and some 2 us for a turn of polling across
/// a bus make half a second at most, where the shortest known watchdog has two (DESIGN fact 3).
const CHAIN: u32 = 4;

/// Submissions queued ahead in live mode: while one runs, the next waits.
pub(crate) const DEPTH: u64 = 2;

/// Loop turns of a worker where the driver sets no limit.
const LOOP_BUDGET: u32 = 65_000;

/// The same on a CPU driver, which has no watchdog: a turn of polling takes some 60 ns there. Workers
/// that relay wait for each other, so that long slots want it seldom.
const CPU_LOOP_BUDGET: u32 = 1_000_000;

/// Words of the push constants, in `glsl/memory.glsl`.
const PUSH_WORDS: usize = 10;

/// What workers get between two pauses, at most, and how long a pause waits for the first of them to come.
const MOST_OWED: Duration = Duration::from_millis(1);
const MOST_WAIT: Duration = Duration::from_millis(100);
const LOOK_AGAIN: Duration = Duration::from_micros(50);

/// How long the first dispatch may take to begin: drivers compile the kernel then (DESIGN fact 14).
const FIRST_BEAT: Duration = Duration::from_secs(120);

pub(crate) struct Engine {
    program: Program,
    timeline: Arc<Timeline>,
    submitted: u64,
    /// Since when dispatches have ended nothing, while something was outstanding.
    barren: Option<Instant>,
    /// What the last dispatch of epoch mode could find at least: entries published, requests answered.
    seen: Option<(u32, u32)>,
    patience: Duration,
}

/// A moment without a dispatch in flight: what it has cost those whose slots are on their way.
#[derive(Default)]
pub(crate) struct Pause {
    took: Duration,
    /// The first worker's heartbeat when it ended.
    beat: u32,
    /// When a worker was first seen after it.
    resumed: Option<Instant>,
}

/// What kernels are run with.
pub(crate) struct EngineOptions {
    pub workers: u32,
    /// Loop turns after which the driver ends loops silently, if it does.
    pub loop_limit: Option<u32>,
    /// Loop turns that a worker is to spend at most.
    pub loop_budget: Option<u32>,
    /// Loops of the module that workers are not told of: 0, but for tests of the budget.
    pub uncounted_loops: u32,
    /// Somebody answers IO requests.
    pub storage: bool,
}

/// A kernel with all that it runs with, recorded.
pub(crate) struct Program {
    live: Commands,
    /// Dispatches of each live submission.
    chain: u32,
    drain: Commands,
}

impl Program {
    pub fn new(
        gpu: &Arc<Gpu>,
        layout: &Layout,
        buffers: &Buffers,
        options: &EngineOptions,
        kernel: &Linked,
    ) -> Result<Self, RuntimeError> {
        let subgroup = gpu.info().subgroup_size;
        let loops = kernel.loops;
        let counted = loops.saturating_sub(options.uncounted_loops);
        let pipeline_options = PipelineOptions {
            spirv: &kernel.words,
            specialization: &[(SPEC_SUBGROUP_SIZE, subgroup), (SPEC_LOOPS, counted)],
            storage_buffers: buffers.bindings().len() as u32,
            push_constant_bytes: 4 * PUSH_WORDS as u32,
            subgroup_size: Some(subgroup),
            label: "kernel",
        };
        // SAFETY: the module is cut from one of ours, checked against the bindings and specialization constants
        // at build time. It reads and writes its bindings within the bounds that the push constants
        // give, and addresses only what stands in the resource table, which outlives the dispatches; tables
        // whose entries it follows were checked when they were registered. For handlers the caller of
        // `RuntimeBuilder::kernel` answers; the linker lets them bind nothing else.
        let pipeline = unsafe { ComputePipeline::new(gpu, &pipeline_options) }?;
        let set = DescriptorSet::new(&pipeline, &buffers.bindings())?;
        let limit = options.loop_limit.unwrap_or(u32::MAX);
        let (usual, chain) =
            if gpu.info().is_cpu() { (CPU_LOOP_BUDGET, CPU_CHAIN) } else { (LOOP_BUDGET, CHAIN) };
        // Enough for the dearest claim and some polling, or no worker would ever claim anything.
        let least = kernel.claim_cost(subgroup).saturating_add(loops.saturating_mul(64));
        if limit < least {
            let device = gpu.info().to_string();
            return Err(RuntimeError::LoopLimit { device, limit, loops, least });
        }
        let budget = options.loop_budget.unwrap_or(usual).max(least).min(limit);
        let record = |flags: u32, chain: u32| {
            let push: [u32; PUSH_WORDS] = [
                flags | if options.storage { FLAG_STORAGE } else { 0 },
                budget,
                layout.shift,
                layout.slots,
                layout.control_words,
                layout.log_shift,
                layout.tenants,
                layout.tenant_shift,
                layout.list_shift(),
                layout.children,
            ];
            Commands::record(gpu, |rec: &mut Recorder<'_>| {
                rec.bind(&pipeline, &set);
                rec.push(bytemuck::cast_slice(&push));
                for link in 0..chain {
                    if link > 0 {
                        rec.barrier(BarrierKind::ComputeToCompute);
                    }
                    rec.dispatch(options.workers);
                }
                // Submissions follow each other without a semaphore between them.
                rec.barrier(BarrierKind::ComputeToCompute);
                rec.barrier(BarrierKind::ComputeToHost);
            })
        };
        Ok(Self { live: record(0, chain)?, chain, drain: record(FLAG_DRAIN, 1)? })
    }
}

impl Engine {
    pub fn new(gpu: &Arc<Gpu>, program: Program, patience: Duration) -> Result<Self, RuntimeError> {
        Ok(Self {
            program,
            timeline: Arc::new(Timeline::new(gpu, 0)?),
            submitted: 0,
            barren: None,
            seen: None,
            patience,
        })
    }

    /// Another kernel from the next dispatch on; none is in flight. The one before.
    pub fn replace(&mut self, program: Program) -> Program {
        std::mem::replace(&mut self.program, program)
    }

    /// The timeline that every submission raises by one, and the value of the last one.
    pub fn timeline(&self) -> (Arc<Timeline>, u64) {
        (self.timeline.clone(), self.submitted)
    }

    /// Queues live submissions until [`DEPTH`] are in flight; the value to wait for before the next.
    pub fn keep_live(&mut self, shared: &Shared) -> Result<u64, RuntimeError> {
        let reached = self.timeline.value()?;
        while self.submitted < reached + DEPTH {
            shared.gpu.submit(&[&self.program.live], &[], &[(&self.timeline, self.submitted + 1)])?;
            self.submitted += 1;
            shared.dispatches.fetch_add(u64::from(self.program.chain), Ordering::Relaxed);
        }
        Ok(self.submitted + 1 - DEPTH)
    }

    /// One dispatch that takes what is published and ends; then reads what it completed.
    ///
    /// # Errors
    /// The failures of the device; the runtime is failed with them.
    pub fn epoch(&mut self, shared: &Shared) -> Result<(), RuntimeError> {
        let result = self.try_epoch(shared);
        if let Err(e) = &result {
            shared.fail(e.clone());
        }
        result
    }

    fn try_epoch(&mut self, shared: &Shared) -> Result<(), RuntimeError> {
        shared.failure()?;
        // With nothing new to claim or to ask for, a dispatch would only find that storage is busy.
        let seen = shared.published_and_answered();
        if seen == self.seen && shared.awaits_storage() {
            shared.nap();
            self.barren = None;
            return Ok(());
        }
        self.seen = seen;
        let value = self.submitted + 1;
        shared.gpu.submit(&[&self.program.drain], &[], &[(&self.timeline, value)])?;
        self.submitted = value;
        shared.dispatches.fetch_add(1, Ordering::Relaxed);
        if !self.timeline.wait(value, shared.patience(self.patience))? {
            return Err(RuntimeError::Stalled(self.patience));
        }
        shared.release_retired();
        if shared.reap_now(0, |_, _, _| {}) > 0 || shared.due() == 0 {
            self.barren = None;
        } else if self.barren.get_or_insert_with(Instant::now).elapsed() > self.patience {
            return Err(RuntimeError::Stalled(self.patience));
        }
        Ok(())
    }

    /// Waits until nothing is in flight. The workers must have been told to leave.
    pub fn drained(&mut self, shared: &Shared) -> Result<(), RuntimeError> {
        // They may leave before they have claimed what there is: the next dispatch finds something new.
        self.seen = None;
        if !self.timeline.wait(self.submitted, shared.patience(self.patience))? {
            return Err(RuntimeError::Stalled(self.patience));
        }
        Ok(())
    }
}

impl Pause {
    /// How much longer workers are to have after it, as far as is known: as much as it took, from when one has come.
    fn owes(&mut self, shared: &Shared) -> Duration {
        let owed = self.took.min(MOST_OWED);
        if self.resumed.is_none() && shared.first_beat() != self.beat {
            self.resumed = Some(Instant::now());
        }
        self.resumed.map_or(owed, |resumed| owed.saturating_sub(resumed.elapsed()))
    }
}

impl Shared {
    /// Whether storage owes the device answers.
    pub fn awaits_storage(&self) -> bool {
        self.storage.as_ref().is_some_and(|storage| storage.in_flight() > 0)
    }

    /// How much was published and answered; none where nothing can be asked.
    fn published_and_answered(&self) -> Option<(u32, u32)> {
        let storage = self.storage.as_ref()?;
        // Answered first: its slots are published before it counts.
        let answered = storage.answered();
        let positions = &self.submission().positions;
        let published = positions.iter().flatten().fold(0, |sum: u32, p| sum.wrapping_add(*p));
        Some((published, answered))
    }

    /// How long the device may keep silent. Time-outs proper start with the first worker.
    pub fn patience(&self, patience: Duration) -> Duration {
        if self.first_beat() == 0 { patience.max(FIRST_BEAT) } else { patience }
    }

    /// How often the first worker has started.
    fn first_beat(&self) -> u32 {
        self.buffers.completion_words()[0].load(Ordering::Relaxed)
    }

    /// Runs `work` while no dispatch is in flight: the host owns everything then. Slots published
    /// meanwhile are taken up afterwards. Where callers do so one behind the other, workers have as much time in between
    /// as the pauses take: they would leave as soon as they come, and no slot would ever get on. Not for the launcher,
    /// which workers come from.
    ///
    /// # Errors
    /// The failures of the device.
    pub fn quiesced<T>(&self, work: impl FnOnce(&mut Engine) -> T) -> Result<T, RuntimeError> {
        let began = Instant::now();
        // In epoch mode no worker may come before storage has answered.
        let may_come = || self.mode.load() == Mode::Live || !self.awaits_storage();
        while self.due() > 0 && may_come() && began.elapsed() < MOST_WAIT {
            let owed = lock(&self.paused).owes(self);
            if owed.is_zero() {
                break;
            }
            std::thread::sleep(owed.min(LOOK_AGAIN));
        }
        let began = Instant::now();
        self.quiesced_at_once(|engine| {
            let result = work(engine);
            *lock(&self.paused) = Pause { took: began.elapsed(), beat: self.first_beat(), resumed: None };
            result
        })
    }

    /// The same whether or not workers had their time.
    ///
    /// # Errors
    /// The failures of the device.
    pub fn quiesced_at_once<T>(&self, work: impl FnOnce(&mut Engine) -> T) -> Result<T, RuntimeError> {
        self.pausing.fetch_add(1, Ordering::AcqRel);
        self.set_run(false);
        let mut engine = lock(&self.engine);
        // The launcher may have raised the word between the two lines above.
        self.set_run(false);
        let drained = engine.drained(self);
        let result = drained.map(|()| {
            self.reap_now(0, |_, _, _| {});
            self.release_retired();
            work(&mut engine)
        });
        if self.failed.get().is_none() {
            self.set_run(true);
        }
        drop(engine);
        self.pausing.fetch_sub(1, Ordering::AcqRel);
        self.wake_launcher();
        result
    }
}
