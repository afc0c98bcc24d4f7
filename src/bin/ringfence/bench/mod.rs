//! `ringfence bench`: the figures that this project is held to, each of slots completed and verified.

mod blocks;
mod cut;
mod floor;
mod handlers;
#[cfg(target_os = "linux")]
mod io;
mod latency;
mod load;
mod random;
mod samples;
mod scan;
mod sharing;
mod startup;
mod stop;
mod throughput;
mod verified;

use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;

use crate::common::{self, Ended, Engine, Global};
use crate::observing::Observing;

/// After that long without an answer there will be none. The first may take long: drivers compile the kernel then, for a
/// minute where two are compiled on two cores.
const PATIENCE: Duration = Duration::from_secs(120);

/// Measure latency, throughput, scanning, storage, handlers, cut kernels, sharing or start-up; only completed and verified slots count.
///
/// A bench alternates blocks of 0.1 s: what it measures, what that is compared with, and the floor, which is
/// the round trip of a cache line between two host threads while no dispatch is in flight. Each change of
/// what runs is followed by 0.1 s that are not counted. Those rounds count whose floor is on the same side of
/// 0.25 us before and behind them, the side of most: near or far cores. Of these, rounds in which threads of this
/// process waited for a processor for more than 1 % of the time are left out (all others of the machine's work
/// is such load); where too few are left, the quarter with the least of it counts.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    bench: Bench,
    #[command(flatten)]
    options: Options,
}

impl Args {
    /// Whether the host sleeps while the device works, so that the device may have all cores.
    pub fn leaves_cores(&self) -> bool {
        matches!(self.bench, Bench::Scan)
    }
}

/// Options of all benches; each takes note of those that concern it.
#[derive(clap::Args, Clone, Debug)]
struct Options {
    /// Slots of the ring, 16 to 1,048,576; raised to what is in flight.
    #[arg(long, global = true, value_name = "N", default_value_t = 256,
          value_parser = clap::value_parser!(u32).range(16..=1_048_576))]
    slots_in_ring: u32,
    /// Slots that throughput, handlers and cut keep in flight.
    #[arg(long, global = true, value_name = "N", default_value_t = 64,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(verified::MOST_LANES)))]
    in_flight: u32,
    /// Seconds that are measured, without warm-up and comparisons [default: 2 for latency and each case of io,
    /// 3 for throughput, 1 for each case of scan, for cut, and for each part of sharing and handlers].
    #[arg(long, global = true, value_name = "S", value_parser = seconds)]
    seconds: Option<f64>,
    /// Chunks of text that scan walks, of 192 KiB each.
    #[arg(long, global = true, value_name = "N", default_value_t = 256, hide_short_help = true,
          value_parser = clap::value_parser!(u32).range(1..=4096))]
    chunks: u32,
    /// What io reads with.
    #[arg(long, global = true, value_enum, default_value_t = Engine::Auto)]
    engine: Engine,
    /// MiB of the file that io reads.
    #[arg(long, global = true, value_name = "N", default_value_t = 256,
          value_parser = clap::value_parser!(u32).range(16..=65_536))]
    file_mib: u32,
    /// Where io puts its file [default: the folder of temporary files].
    #[arg(long, global = true, value_name = "FOLDER")]
    folder: Option<std::path::PathBuf>,
    #[command(flatten)]
    observing: Observing,
}

#[derive(Subcommand, Debug)]
enum Bench {
    /// One slot at a time, from publication until its completion was seen and checked; against epoch mode
    /// of the same runtime; then a slot every 50 us, measured from when it was due.
    Latency,
    /// Many slots in flight.
    Throughput,
    /// An automaton for 96 and one for 2,500 words over text in memory: through slots, in one bare dispatch, and
    /// by the aho-corasick crate on one thread.
    Scan,
    /// Random reads that the kernel asks for and sums, at depths of 1, 16 and 64, from the page cache and past it;
    /// against the same reads by io_uring alone, summed by the host. Then a file streamed through the kernel, by
    /// io_uring alone and by `read`.
    #[cfg(target_os = "linux")]
    Io,
    /// Operations of users, linked into the kernel: xxHash64, the largest floats and a key's value, against crates on
    /// one thread; then stores by a handler, by the opcode that is built in, and in a kernel without handlers.
    Handlers,
    /// Slots in kernels that have no opcodes but theirs, all that a lane executes by itself, and nearly all there are.
    Cut,
    /// Tenants of one kernel: how long a CRITICAL slot of one takes alone and beside another's flood of LOW scans;
    /// what each of four gets of the claims, against their weights; slots with 1, 8 and 64 of them.
    Sharing,
    /// Process start to the first verified slot, with the driver's own cache empty (cold) and filled (warm); then
    /// the drop of a busy runtime, and the processor time that an idle one takes.
    Startup,
    /// What `startup` starts: one slot, then the time of the monotonic clock.
    #[command(hide = true)]
    FirstSlot,
}

/// Runs a bench and prints its figures.
pub fn run(global: &Global, args: &Args) -> Ended {
    let options = &args.options;
    match args.bench {
        Bench::Latency => common::print(global.json, &latency::run(global, options)?)?,
        Bench::Throughput => common::print(global.json, &throughput::run(global, options)?)?,
        Bench::Scan => common::print(global.json, &scan::run(global, options)?)?,
        #[cfg(target_os = "linux")]
        Bench::Io => common::print(global.json, &io::run(global, options)?)?,
        Bench::Handlers => common::print(global.json, &handlers::run(global, options)?)?,
        Bench::Cut => common::print(global.json, &cut::run(global, options)?)?,
        Bench::Sharing => common::print(global.json, &sharing::run(global, options)?)?,
        Bench::Startup => common::print(global.json, &startup::run(global)?)?,
        Bench::FirstSlot => startup::first_slot(global)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.01..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("a number of seconds from 0.01 to 3600".into()),
    }
}
