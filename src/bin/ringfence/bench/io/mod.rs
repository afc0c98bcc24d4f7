//! `bench io`: reads that the kernel asks for, against io_uring alone.

mod gpu;
mod raw;
mod sample;

use std::fmt;
use std::time::Duration;

use ringfence::io::transfer::{EngineChoice, TransferOptions};
use ringfence::runtime::{Mode, Runtime, StorageOptions};
use serde::Serialize;

use self::gpu::Asked;
use self::raw::Raw;
use self::sample::Sample;
use super::Options;
use super::blocks::{self, BLOCK, WARM_UP, watched};
use super::samples::Samples;
use crate::common::{self, Global, Trouble};

/// After that long without an answer there will be none.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the last dispatch may take to leave before the floor is measured.
const LEAVE: Duration = Duration::from_secs(5);
/// What is asked for at a time, in bytes, and how many at once.
const BYTES: [usize; 2] = [4 << 10, 64 << 10];
const DEPTHS: [u32; 3] = [1, 16, 64];

/// What went through in a block.
pub struct Block {
    reads: u64,
    time: Duration,
    samples: Samples,
}

/// The figures.
#[derive(Serialize)]
pub struct Io {
    driver: String,
    device: String,
    mode: Mode,
    engine: &'static str,
    cases: Vec<Case>,
}

/// One kind of read. Rates are of reads whose sum was right; times from the ask to the data seen.
#[derive(Serialize)]
struct Case {
    source: &'static str,
    bytes: usize,
    depth: u32,
    gpu_iops: f64,
    raw_iops: f64,
    ratio: f64,
    gpu_p50_ns: u32,
    raw_p50_ns: u32,
    floor_p50_ns: u32,
    rounds: usize,
    rounds_used: usize,
}

pub fn run(global: &Global, options: &Options) -> Result<Io, Trouble> {
    let folder = options.folder.clone().unwrap_or_else(std::env::temp_dir);
    let sample = Sample::new(&folder)?;
    let mut cases = Vec::new();
    let mut last = None;
    for direct in [false, true] {
        let transfer = TransferOptions { engine: EngineChoice::Auto, direct, ..TransferOptions::default() };
        let runtime =
            global.builder().storage(StorageOptions { transfer, ..StorageOptions::default() }).build()?;
        for bytes in BYTES {
            for depth in DEPTHS {
                cases.push(case(&runtime, &sample, options, direct, bytes, depth)?);
            }
        }
        last = Some(runtime);
    }
    let Some(runtime) = last else { return Err(Trouble::Wrong("nothing ran".to_owned())) };
    Ok(Io {
        driver: common::driver(&runtime),
        device: common::device(&runtime),
        mode: runtime.mode(),
        engine: runtime.storage().map_or("none", |storage| storage.name),
        cases,
    })
}

fn case(
    runtime: &Runtime,
    sample: &Sample,
    options: &Options,
    direct: bool,
    bytes: usize,
    depth: u32,
) -> Result<Case, Trouble> {
    let mut asked = Asked::new(runtime, sample, bytes, depth)?;
    let mut raw = Raw::new(sample, direct, bytes, depth)?;
    let count = blocks::count(options.seconds.unwrap_or(0.5));
    let rounds = blocks::rounds(count, |delayed| {
        asked.run(WARM_UP)?;
        let gpu = watched(delayed, || asked.run(BLOCK))?;
        runtime.wait_idle(LEAVE);
        raw.run(WARM_UP)?;
        let raw = watched(delayed, || raw.run(BLOCK))?;
        Ok((gpu, raw))
    })?;
    let rounds = blocks::choose(rounds);
    let rate = |pick: fn(&(Block, Block)) -> &Block| {
        let reads: u64 = rounds.iter().map(|round| pick(&round.measured).reads).sum();
        let time: f64 = rounds.iter().map(|round| pick(&round.measured).time.as_secs_f64()).sum();
        let mut samples = Samples::pooled(rounds.iter().map(|round| &pick(&round.measured).samples));
        (reads as f64 / time.max(1e-9), samples.p50())
    };
    let (gpu_iops, gpu_p50_ns) = rate(|(gpu, _)| gpu);
    let (raw_iops, raw_p50_ns) = rate(|(_, raw)| raw);
    Ok(Case {
        source: if direct { "direct" } else { "page_cache" },
        bytes,
        depth,
        gpu_iops,
        raw_iops,
        ratio: gpu_iops / raw_iops.max(1e-9),
        gpu_p50_ns,
        raw_p50_ns,
        floor_p50_ns: Samples::pooled(rounds.iter().map(|round| &round.floor)).p50(),
        rounds: count,
        rounds_used: rounds.len(),
    })
}

impl fmt::Display for Io {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} ({}), {} mode, {}", self.device, self.driver, self.mode, self.engine)?;
        for case in &self.cases {
            writeln!(
                f,
                "{:10} {:6} bytes, depth {:2}: {:9.0}/s, raw {:9.0}/s ({:.3}); p50 {} ns, raw {} ns",
                case.source,
                case.bytes,
                case.depth,
                case.gpu_iops,
                case.raw_iops,
                case.ratio,
                case.gpu_p50_ns,
                case.raw_p50_ns
            )?;
        }
        Ok(())
    }
}
