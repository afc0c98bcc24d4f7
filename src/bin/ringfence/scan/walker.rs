//! The engine that walks chunks: the running kernel, or, for tests, its twin.

use std::sync::Arc;

use ringfence::io::arena::Arena;
use ringfence::protocol::abi::opcode::OP_SCAN;
use ringfence::runtime::{Runtime, RuntimeBuilder};
use ringfence::scan::engine::ChunkEngine;
use ringfence::scan::kernel_engine::KernelEngine;
use ringfence::scan::pattern::Patterns;
use ringfence::scan::twin_engine::TwinEngine;

use super::report::describe;

/// An engine, and the runtime behind it if there is one.
pub struct Walker {
    pub engine: Box<dyn ChunkEngine>,
    #[expect(dead_code, reason = "for --stats")]
    pub runtime: Option<Runtime>,
}

/// Opens the device and builds the kernel, or takes the twin if RINGFENCE_SCAN_ENGINE says so.
pub fn open(builder: RuntimeBuilder, patterns: &Arc<Patterns>, arena: &Arc<Arena>) -> Result<Walker, String> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    match std::env::var("RINGFENCE_SCAN_ENGINE").as_deref() {
        Ok("twin") => {
            let engine = TwinEngine::new(patterns, threads, 8).map_err(|error| describe(&error))?;
            Ok(Walker { engine: Box::new(engine), runtime: None })
        }
        Ok("kernel") | Err(_) => {
            // The feeder sleeps, so that a CPU driver's workers have all cores.
            let runtime = builder
                .slots(256)
                .workers(threads as u32)
                .opcodes(&[OP_SCAN])
                .build()
                .map_err(|error| error.to_string())?;
            let engine = KernelEngine::new(&runtime, patterns, arena).map_err(|error| error.to_string())?;
            Ok(Walker { engine: Box::new(engine), runtime: Some(runtime) })
        }
        Ok(other) => Err(format!("RINGFENCE_SCAN_ENGINE is '{other}'; it takes kernel or twin")),
    }
}
