//! `bench scan`: one automaton over text in memory, through slots, in one dispatch, and by the aho-corasick crate.

pub mod corpus;
pub mod engines;

use std::fmt;
use std::time::{Duration, Instant};

use ringfence::protocol::abi::opcode::OP_SCAN;
use ringfence::runtime::{Mode, Runtime};
use ringfence::scan::chunk::BLOCK_BYTES;
use ringfence::vulkan::{Gpu, OpenOptions};
use serde::Serialize;

use super::Options;
use super::blocks::{self, BLOCK, watched};
use crate::common::{self, Global, Trouble};
use corpus::Corpus;
use engines::{Chunks, Engine, HostThread, OnDevice, OneDispatch, ThroughSlots};

/// Numbers of patterns.
const CASES: [usize; 2] = [96, 2500];

/// The figures.
#[derive(Serialize)]
pub struct Scan {
    driver: String,
    device: String,
    mode: Mode,
    cases: Vec<Case>,
}

/// One set of patterns; speeds are in units of 10^9 bytes a second.
#[derive(Serialize)]
struct Case {
    patterns: usize,
    bytes: usize,
    /// Lines with a match.
    matches: u64,
    workers: u32,
    slots_gbps: f64,
    bare_gbps: f64,
    aho_corasick_gbps: f64,
    rounds: usize,
    rounds_used: usize,
}

pub fn run(global: &Global, options: &Options) -> Result<Scan, Trouble> {
    let gpu = Gpu::open(&OpenOptions { device: global.device.clone(), ..OpenOptions::default() })?;
    let slots = options.slots_in_ring.max(engines::DEPTH as u32);
    let mut builder = global.builder().only_opcodes(&[OP_SCAN]).level_slots([0, 0, slots, 0, 0]);
    if gpu.workarounds().workers_use_cores {
        // The host sleeps meanwhile (DESIGN fact 16).
        builder = builder.workers(std::thread::available_parallelism().map_or(1, |n| n.get() as u32));
    }
    let runtime = builder.gpu(gpu).build()?;
    let _observer = options.observing.attach(&runtime, "bench scan")?;
    let cases = CASES.iter().map(|patterns| case(&runtime, options, *patterns)).collect::<Result<_, _>>()?;
    Ok(Scan {
        driver: common::driver(&runtime),
        device: common::device(&runtime),
        mode: runtime.mode(),
        cases,
    })
}

fn case(runtime: &Runtime, options: &Options, patterns: usize) -> Result<Case, Trouble> {
    let mut corpus = Corpus::new(patterns);
    let chunks = Chunks((0..options.chunks).map(|_| corpus.text(BLOCK_BYTES)).collect());
    let mut host = HostThread::new(corpus.patterns(), &chunks)?;
    let wanted: Vec<u64> = chunks.0.iter().map(|text| host.lines(text)).collect();
    let matches = wanted.iter().sum();
    let data = OnDevice::new(runtime, corpus.patterns(), &chunks)?;
    let mut slots = ThroughSlots::new(runtime, &data, wanted)?;
    let mut bare = OneDispatch::new(runtime, &data)?;

    let count = blocks::count(options.seconds.unwrap_or(1.0));
    let mut rounds = Vec::with_capacity(count);
    for _ in 0..count {
        let mut delayed = 0.0;
        let mut times = [0.0; 3];
        let engines: [&mut dyn Engine; 3] = [&mut slots, &mut bare, &mut host];
        for (time, engine) in times.iter_mut().zip(engines) {
            // What ran before leaves the caches and the cores to this one.
            pass(engine, matches)?;
            *time = watched(&mut delayed, || block(engine, matches))?.as_secs_f64();
            // Before the next engine has the cores, the last dispatch has to leave them.
            runtime.wait_idle(Duration::from_secs(5));
        }
        rounds.push((delayed, times));
    }
    let rounds = blocks::quiet(rounds);
    let bytes = chunks.bytes();
    let speed = |engine: usize| {
        let time: f64 = rounds.iter().map(|(_, times)| times[engine]).sum();
        (bytes * rounds.len()) as f64 / time.max(1e-9) / 1e9
    };
    Ok(Case {
        patterns,
        bytes,
        matches,
        workers: runtime.workers(),
        slots_gbps: speed(0),
        bare_gbps: speed(1),
        aho_corasick_gbps: speed(2),
        rounds: count,
        rounds_used: rounds.len(),
    })
}

/// Passes for at least the length of a block: the time of one.
fn block(engine: &mut dyn Engine, matches: u64) -> Result<Duration, Trouble> {
    let began = Instant::now();
    let mut passes = 0;
    while passes == 0 || began.elapsed() < BLOCK {
        pass(engine, matches)?;
        passes += 1;
    }
    Ok(began.elapsed() / passes)
}

fn pass(engine: &mut dyn Engine, matches: u64) -> Result<(), Trouble> {
    match engine.pass()? {
        found if found == matches => Ok(()),
        found => Err(Trouble::Wrong(format!("{found} lines were found where there are {matches}"))),
    }
}

impl fmt::Display for Scan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} ({}), {} mode", self.device, self.driver, self.mode)?;
        for case in &self.cases {
            writeln!(
                f,
                "{} patterns: {:.2} GB/s through slots, {:.2} in one dispatch, {:.2} by aho-corasick on one thread \
                 ({} workers, {} bytes, {} lines found, {} of {} rounds)",
                case.patterns,
                case.slots_gbps,
                case.bare_gbps,
                case.aho_corasick_gbps,
                case.workers,
                case.bytes,
                case.matches,
                case.rounds_used,
                case.rounds
            )?;
        }
        Ok(())
    }
}
