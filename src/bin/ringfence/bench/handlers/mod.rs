//! `bench handlers`: operations of a user's in the running kernel, against what people use on a processor; and what it
//! costs to be one.

mod dispatch;
mod flow;
#[path = "../../../../../tests/real_handlers/table.rs"]
mod table;
mod work;

use std::fmt;
use std::time::Duration;

use ringfence::kernel::Kernel;
use ringfence::protocol::{MIN_LIVE_RING_SLOTS, opcode};
use ringfence::runtime::{Mode, Runtime, RuntimeBuilder};
use ringfence::vulkan::{Gpu, OpenOptions};
use serde::Serialize;

use super::Options;
use super::blocks::{self, BLOCK, WARM_UP, watched};
use crate::common::{self, Global, Trouble};
use work::{HostWork, Work};

/// Opcodes that the bench gives them.
const XXH64: u32 = 16;
const TOPK: u32 = 17;
const LOOKUP: u32 = 18;
const STORE: u32 = 19;

/// A handler out of `spirv/`.
macro_rules! spirv {
    ($name:literal) => {
        &include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/spirv/handler_", $name, ".spv"))[..]
    };
}

/// The figures.
#[derive(Serialize)]
pub struct Handlers {
    driver: String,
    device: String,
    mode: Mode,
    workers: u32,
    in_flight: u32,
    /// Bytes of a range, of which each slot has one.
    range_bytes: u32,
    xxh64: Hashed,
    topk: Picked,
    lookup: Found,
    dispatch: Dispatch,
    rounds: usize,
    rounds_used: usize,
}

/// xxHash64 of ranges, in units of 10^9 bytes a second.
#[derive(Serialize)]
struct Hashed {
    gbps: f64,
    xxhash_rust_gbps: f64,
    ratio: f64,
}

/// The `k` largest floats of ranges, likewise.
#[derive(Serialize)]
struct Picked {
    k: u32,
    gbps: f64,
    itertools_gbps: f64,
    ratio: f64,
}

/// Keys that are in a table.
#[derive(Serialize)]
struct Found {
    entries: usize,
    per_s: f64,
    hashbrown_per_s: f64,
    ratio: f64,
}

/// Stores a second, and by how many times a handler's are fewer.
#[derive(Serialize)]
struct Dispatch {
    handler_per_s: f64,
    built_in_per_s: f64,
    without_handlers_per_s: f64,
    to_built_in: f64,
    to_without_handlers: f64,
}

/// Measured in this order: the three works on the device and on this thread, then three ways to store.
const FIGURES: usize = 9;

pub fn run(global: &Global, options: &Options) -> Result<Handlers, Trouble> {
    let gpu = Gpu::open(&OpenOptions { device: global.device.clone(), ..OpenOptions::default() })?;
    let depth = options.in_flight;
    let builder = || {
        let slots = options.slots_in_ring.max(4 * depth).max(MIN_LIVE_RING_SLOTS);
        let builder = global.builder().gpu(gpu.clone());
        builder.level_slots([0, 0, slots, 0, 0]).observables(dispatch::WORDS)
    };
    let working = with(builder(), &[("xxh64", XXH64), ("topk", TOPK), ("lookup", LOOKUP)])?.build()?;
    let storing = with(builder(), &[("store", STORE)])?.build()?;
    let without = builder().build()?;
    let _observer = options.observing.attach(&working, "bench handlers")?;

    let mut hashing = work::hashing(&working, depth)?;
    let mut picking = work::picking(&working, depth)?;
    let mut finding = work::finding(&working, depth)?;
    let mut handler = dispatch::stores(&storing, depth, STORE)?;
    let mut built_in = dispatch::stores(&storing, depth, opcode::STORE_U32)?;
    let mut plain = dispatch::stores(&without, depth, opcode::STORE_U32)?;

    let count = blocks::count(options.seconds.unwrap_or(1.0));
    let mut rounds = Vec::with_capacity(count);
    for _ in 0..count {
        let mut delayed = 0.0;
        let mut block = Block { delayed: &mut delayed, speeds: Vec::with_capacity(FIGURES) };
        block.both(&working, &mut hashing)?;
        block.both(&working, &mut picking)?;
        block.both(&working, &mut finding)?;
        block.device(&storing, &mut handler)?;
        block.device(&storing, &mut built_in)?;
        block.device(&without, &mut plain)?;
        let speeds = block.speeds;
        rounds.push((delayed, speeds));
    }
    let rounds = blocks::quiet(rounds);
    let speed = |figure: usize| {
        let (units, time) = rounds.iter().fold((0, Duration::ZERO), |(units, time), (_, speeds)| {
            (units + speeds[figure].0, time + speeds[figure].1)
        });
        units as f64 / time.as_secs_f64().max(1e-9)
    };
    let figures: [f64; FIGURES] = std::array::from_fn(speed);
    let [hashed, hashed_here, picked, picked_here, found, found_here, handler, built_in, plain] = figures;
    let ratio = |a: f64, b: f64| a / b.max(1e-9);
    Ok(Handlers {
        driver: common::driver(&working),
        device: common::device(&working),
        mode: working.mode(),
        workers: working.workers(),
        in_flight: depth,
        range_bytes: work::RANGE_BYTES,
        xxh64: Hashed {
            gbps: hashed / 1e9,
            xxhash_rust_gbps: hashed_here / 1e9,
            ratio: ratio(hashed, hashed_here),
        },
        topk: Picked {
            k: work::K,
            gbps: picked / 1e9,
            itertools_gbps: picked_here / 1e9,
            ratio: ratio(picked, picked_here),
        },
        lookup: Found {
            entries: work::ENTRIES,
            per_s: found,
            hashbrown_per_s: found_here,
            ratio: ratio(found, found_here),
        },
        dispatch: Dispatch {
            handler_per_s: handler,
            built_in_per_s: built_in,
            without_handlers_per_s: plain,
            to_built_in: ratio(built_in, handler),
            to_without_handlers: ratio(plain, handler),
        },
        rounds: count,
        rounds_used: rounds.len(),
    })
}

/// A builder of a runtime with these handlers in its kernel.
fn with(builder: RuntimeBuilder, handlers: &[(&str, u32)]) -> Result<RuntimeBuilder, Trouble> {
    let code = |name| match name {
        "xxh64" => spirv!("xxh64"),
        "topk" => spirv!("topk"),
        "lookup" => spirv!("lookup"),
        _ => spirv!("store"),
    };
    let kernel = handlers
        .iter()
        .fold(Kernel::builder(), |kernel, (name, opcode)| kernel.spirv(*name, code(*name)).opcode(*opcode));
    let kernel = kernel.build().map_err(|error| Trouble::Wrong(error.to_string()))?;
    // SAFETY: they keep to glsl/handler.glsl, as their tests show.
    Ok(unsafe { builder.kernel(kernel) })
}

/// What one round measures.
struct Block<'a> {
    delayed: &'a mut f64,
    /// Units and time of each figure.
    speeds: Vec<(u64, Duration)>,
}

impl Block<'_> {
    fn device(&mut self, runtime: &Runtime, work: &mut impl Work) -> Result<(), Trouble> {
        // What ran before leaves the caches and the cores to this one; nothing else runs in between, for a change is
        // not counted.
        work.on_device(WARM_UP)?;
        self.speeds.push(watched(self.delayed, || work.on_device(BLOCK))?);
        runtime.wait_idle(Duration::from_secs(5));
        Ok(())
    }

    fn both(&mut self, runtime: &Runtime, work: &mut impl HostWork) -> Result<(), Trouble> {
        self.device(runtime, work)?;
        work.on_host(WARM_UP / 4);
        self.speeds.push(watched(self.delayed, || Ok(work.on_host(BLOCK)))?);
        Ok(())
    }
}

impl fmt::Display for Handlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { xxh64, topk, lookup, dispatch, .. } = self;
        writeln!(
            f,
            "{} ({}), {} mode, {} workers, {} in flight",
            self.device, self.driver, self.mode, self.workers, self.in_flight
        )?;
        let kib = self.range_bytes >> 10;
        writeln!(
            f,
            "xxh64 of {kib} KiB: {:.3} GB/s; xxhash-rust {:.3} GB/s; ratio {:.3}",
            xxh64.gbps, xxh64.xxhash_rust_gbps, xxh64.ratio
        )?;
        writeln!(
            f,
            "topk, {} of {kib} KiB: {:.3} GB/s; itertools {:.3} GB/s; ratio {:.3}",
            topk.k, topk.gbps, topk.itertools_gbps, topk.ratio
        )?;
        writeln!(
            f,
            "lookup among {}: {:.3} million/s; hashbrown {:.3} million/s; ratio {:.3}",
            lookup.entries,
            lookup.per_s / 1e6,
            lookup.hashbrown_per_s / 1e6,
            lookup.ratio
        )?;
        writeln!(
            f,
            "stores: handler {:.3} million/s; built in {:.3} million/s, {:.3} times as many; without handlers {:.3} \
             million/s, {:.3} times",
            dispatch.handler_per_s / 1e6,
            dispatch.built_in_per_s / 1e6,
            dispatch.to_built_in,
            dispatch.without_handlers_per_s / 1e6,
            dispatch.to_without_handlers
        )?;
        writeln!(f, "{} of {} rounds", self.rounds_used, self.rounds)
    }
}
