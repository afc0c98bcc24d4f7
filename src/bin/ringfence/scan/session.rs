//! Who walks the chunks, and what can be said about it afterwards.

use std::sync::Arc;

use ringfence::io::arena::Arena;
use ringfence::observe::Observer;
use ringfence::protocol::abi::opcode::OP_SCAN;
use ringfence::runtime::Runtime;
use ringfence::scan::engine::ChunkEngine;
use ringfence::scan::kernel_engine::KernelEngine;
use ringfence::scan::pattern::Patterns;
use ringfence::scan::twin_engine::TwinEngine;
use ringfence::vulkan::{Gpu, OpenOptions};

use crate::common::Global;
use crate::observing::Observing;

/// `kernel`, the default, or `twin`: the CPU twin walks instead of a device, for tests.
const ENGINE: &str = "RINGFENCE_SCAN_ENGINE";
/// Lanes of the twin, as on the common CPU drivers.
const TWIN_LANES: u32 = 8;

/// An open engine.
pub struct Session {
    pub walks: Box<dyn ChunkEngine>,
    /// Held for its drop, before that of the runtime.
    _observer: Option<Observer>,
    runtime: Option<Runtime>,
    imported: bool,
}

impl Session {
    pub fn open(
        global: &Global,
        observing: &Observing,
        patterns: &Arc<Patterns>,
        arena: &Arc<Arena>,
    ) -> Result<Self, String> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        match std::env::var(ENGINE).as_deref() {
            Ok("twin") => {
                let walks =
                    TwinEngine::new(patterns, cores, TWIN_LANES).map_err(|error| error.to_string())?;
                return Ok(Self { walks: Box::new(walks), _observer: None, runtime: None, imported: false });
            }
            Ok("kernel") | Err(_) => {}
            Ok(other) => return Err(format!("{ENGINE} is '{other}': it takes kernel or twin")),
        }
        let options = OpenOptions { device: global.device.clone(), ..OpenOptions::default() };
        let gpu = Gpu::open(&options).map_err(|error| error.to_string())?;
        let mut builder = global.builder().only_opcodes(&[OP_SCAN]);
        if gpu.workarounds().workers_use_cores {
            // Our own threads sleep while the kernel walks (DESIGN fact 16).
            builder = builder.workers(cores as u32);
        }
        let runtime = builder.gpu(gpu).build().map_err(|error| error.to_string())?;
        let observer = observing.attach(&runtime, "scan").map_err(|error| error.to_string())?;
        let walks = KernelEngine::new(&runtime, patterns, arena).map_err(|error| error.to_string())?;
        let imported = walks.is_imported();
        Ok(Self { walks: Box::new(walks), _observer: observer, runtime: Some(runtime), imported })
    }

    /// Whether each chunk is copied to where the device reads it.
    pub fn copies(&self) -> bool {
        self.runtime.is_some() && !self.imported
    }

    /// Slots, dispatches, mode and driver, in words.
    pub fn describe(&self) -> String {
        let Some(runtime) = &self.runtime else { return "the CPU twin, no device".to_owned() };
        let stats = runtime.stats();
        format!(
            "{} slots, {} dispatches, mode {}, {} workers on {}; text {}",
            stats.ended,
            stats.dispatches,
            runtime.mode(),
            runtime.workers(),
            runtime.gpu().info(),
            if self.imported { "imported" } else { "copied" }
        )
    }
}
