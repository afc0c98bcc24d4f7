//! Keeping the kernel running.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::mail::{Command, Mail, STATE_WORDS};
use crate::probe::bench::{Bench, PATIENCE};
use crate::probe::lanes::mapped;
use crate::vulkan::{BarrierKind, Commands, Gpu, Result, Timeline, VulkanError};

/// Turns of one dispatch: below the loop limit of any driver known.
const TURNS: u32 = 60_000;
/// Dispatches of one submission, one after the other.
const CHAIN: u32 = 32;
/// Submissions queued.
const AHEAD: u64 = 2;
/// The first dispatch may compile first.
const FIRST_BEAT: Duration = Duration::from_secs(5);

/// The kernel's state at its end.
pub(super) struct State {
    pub(super) late: u32,
    pub(super) while_here: u32,
    pub(super) in_one: u32,
}

pub(super) struct Running {
    gpu: Arc<Gpu>,
    commands: Commands,
    done: Timeline,
    submitted: u64,
}

impl Running {
    pub(super) fn start(gpu: &Arc<Gpu>, bench: &Bench, mail: &Mail) -> Result<Self> {
        let buffers = [&mail.inbox, &mail.outbox, &mail.cells, &mail.state];
        let kernel = bench.kernel("probe_live", &buffers)?;
        let commands = Commands::record(gpu, |rec| {
            rec.bind(&kernel.pipeline, &kernel.set);
            rec.push(&TURNS.to_ne_bytes());
            for _ in 0..CHAIN {
                rec.dispatch(1);
                rec.barrier(BarrierKind::ComputeToCompute);
            }
            rec.barrier(BarrierKind::ComputeToTransfer);
            rec.copy(&mail.state, 0, &mail.state_copy, 0, STATE_WORDS * 4);
            // Also orders this copy before that of the next submission.
            rec.barrier(BarrierKind::TransferToTransfer);
            rec.barrier(BarrierKind::TransferToCompute);
            rec.barrier(BarrierKind::TransferToHost);
        })?;
        // The first message is number 1, so that a zeroed flag is none.
        let begin = Commands::record(gpu, |rec| {
            rec.fill(&mail.state, 0, 4, 1);
            rec.barrier(BarrierKind::TransferToCompute);
        })?;
        let done = Timeline::new(gpu, 0)?;
        gpu.submit(&[&begin], &[], &[])?;
        let mut running = Self { gpu: Arc::clone(gpu), commands, done, submitted: 0 };
        running.keep_running()?;
        Ok(running)
    }

    pub(super) fn lanes(&self) -> u32 {
        self.gpu.info().subgroup_size
    }

    /// Submits until enough is queued.
    pub(super) fn keep_running(&mut self) -> Result<()> {
        // Read once: a layer may make each submission wait for its end, and then this would go on
        // for ever.
        let ended = self.done.value()?;
        while self.submitted < ended + AHEAD {
            self.submitted += 1;
            self.gpu.submit(&[&self.commands], &[], &[(&self.done, self.submitted)])?;
        }
        Ok(())
    }

    /// Waits until a dispatch says that it began; false when none is seen to.
    pub(super) fn wait_for_heartbeat(&mut self, mail: &Mail) -> Result<bool> {
        let start = Instant::now();
        while mail.heartbeat() == 0 {
            if start.elapsed() > FIRST_BEAT {
                return Ok(false);
            }
            self.keep_running()?;
            // The spinner may sit on the core that the driver's thread needs.
            std::thread::sleep(Duration::from_micros(50));
        }
        Ok(true)
    }

    /// Makes all dispatches leave, waits for them, and reads the state.
    pub(super) fn stop(self, mail: &Mail) -> Result<State> {
        mail.command(Command::Leave);
        if !self.done.wait(self.submitted, PATIENCE)? {
            return Err(VulkanError::Timeout { what: "the probe's live kernel", after: PATIENCE });
        }
        let state = mapped(&mail.state_copy)?;
        let word = |i: usize| state.get(i).map_or(0, |word| word.load(Relaxed));
        Ok(State { late: word(3), while_here: word(4), in_one: word(5) })
    }
}
