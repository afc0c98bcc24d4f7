//! `bench io`: reads that the kernel asks for, against io_uring alone.

mod gpu;
mod raw;
mod sample;
mod stream;

use std::fmt;
use std::time::Duration;

use ringfence::io::transfer::TransferOptions;
use ringfence::protocol::opcode::{LOAD_SUM, SUM_WORDS};
use ringfence::runtime::{Mode, Runtime, StorageOptions};
use serde::Serialize;

use self::gpu::Asked;
use self::raw::{Places, Raw};
use self::sample::{Part, Sample};
use self::stream::{Rate, Streaming};
use super::blocks::{self, BLOCK, WARM_UP, watched};
use super::random::Random;
use super::samples::Samples;
use super::{Options, PATIENCE};
use crate::common::{self, Global, Trouble};

/// Seconds of each case. A quarter of its rounds may be all that is quiet.
pub const SECONDS: f64 = 2.0;
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

/// What blocks come to together.
struct Rates {
    per_second: f64,
    p50_ns: u32,
}

impl Rates {
    fn of<'a>(blocks: impl Iterator<Item = &'a Block> + Clone) -> Self {
        let reads: u64 = blocks.clone().map(|block| block.reads).sum();
        let time: f64 = blocks.clone().map(|block| block.time.as_secs_f64()).sum();
        let p50_ns = Samples::pooled(blocks.map(|block| &block.samples)).p50();
        Self { per_second: reads as f64 / time.max(1e-9), p50_ns }
    }
}

/// The figures.
#[derive(Serialize)]
pub struct Io {
    driver: String,
    device: String,
    mode: Mode,
    engine: &'static str,
    cases: Vec<Case>,
    stream: Streaming,
    /// Bytes that this program's threads copied, of all that the cases and the stream moved; what the system copies
    /// out of the page cache is not among them.
    cpu_copied_bytes: u64,
}

/// One kind of read. Rates are of reads whose sum was right; times from the ask until the data were seen, in blocks of
/// their own, in which only the head of each read is summed.
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
    let sample = Sample::new(&folder, options.file_mib)?;
    let mut cases = Vec::new();
    let mut copied = 0;
    let mut build = |direct| {
        let transfer =
            TransferOptions { engine: options.engine.into(), direct, ..TransferOptions::default() };
        let storage = StorageOptions { transfer, ..StorageOptions::default() };
        let runtime = global.builder().only_opcodes(&[SUM_WORDS, LOAD_SUM]).storage(storage).build()?;
        let observer = options.observing.attach(&runtime, "bench io")?;
        for bytes in BYTES {
            for depth in DEPTHS {
                cases.push(case(&runtime, &sample, options, direct, bytes, depth)?);
            }
        }
        Ok::<_, Trouble>((observer, runtime, transfer))
    };
    let (observer, runtime, transfer) = build(false)?;
    let stream = stream::run(&runtime, &sample, options, transfer)?;
    copied += runtime.stats().cpu_copied_bytes;
    drop((observer, runtime));
    let (_observer, runtime, _) = build(true)?;
    copied += runtime.stats().cpu_copied_bytes;
    Ok(Io {
        driver: common::driver(&runtime),
        device: common::device(&runtime),
        mode: runtime.mode(),
        engine: runtime.storage().map_or("none", |storage| storage.name),
        cases,
        stream,
        cpu_copied_bytes: copied,
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
    let mut raw = Raw::new(sample, direct, bytes, depth, Places::Random(Random::new()))?;
    let count = blocks::count(options.seconds.unwrap_or(SECONDS));
    let rounds = blocks::rounds(count, |delayed| {
        asked.run(WARM_UP, Part::All)?;
        let gpu = watched(delayed, || asked.run(BLOCK, Part::All))?;
        let gpu_seen = watched(delayed, || asked.run(BLOCK, Part::Head))?;
        runtime.wait_idle(LEAVE);
        raw.run(WARM_UP, Part::All)?;
        let raw_summed = watched(delayed, || raw.run(BLOCK, Part::All))?;
        let raw_seen = watched(delayed, || raw.run(BLOCK, Part::Head))?;
        Ok([gpu, raw_summed, gpu_seen, raw_seen])
    })?;
    let rounds = blocks::choose(rounds);
    let [gpu, raw, gpu_seen, raw_seen] =
        [0, 1, 2, 3].map(|way| Rates::of(rounds.iter().map(|round| &round.measured[way])));
    Ok(Case {
        source: if direct { "direct" } else { "page_cache" },
        bytes,
        depth,
        gpu_iops: gpu.per_second,
        raw_iops: raw.per_second,
        ratio: gpu.per_second / raw.per_second.max(1e-9),
        gpu_p50_ns: gpu_seen.p50_ns,
        raw_p50_ns: raw_seen.p50_ns,
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
        for (what, rate) in [("arriving", self.stream.arriving), ("summed", self.stream.summed)] {
            let Rate { gbps, raw_gbps, read_gbps, ratio } = rate;
            writeln!(
                f,
                "stream, {what}: {gbps:.2} GB/s, raw {raw_gbps:.2} ({ratio:.3}), read {read_gbps:.2}"
            )?;
        }
        writeln!(f, "copied by the processor: {} bytes", self.cpu_copied_bytes)
    }
}
