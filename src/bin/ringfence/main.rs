//! The command line: one folder or file per subcommand.

mod bench;
mod common;
mod kernel;
mod load;
mod observing;
mod probe;
mod run;
mod scan;
mod top;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use common::Global;
use ringfence::vulkan::workarounds::limit_driver_threads;

/// Live 64-byte jobs for a Vulkan compute kernel that is already running.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Bench(bench::Args),
    Kernel(kernel::Args),
    Load(load::Args),
    Probe(probe::Args),
    Run(run::Args),
    Scan(scan::Args),
    Top(top::Args),
}

impl Command {
    /// Threads that a CPU driver may have. A host that spins needs a core of its own, one that is
    /// parked needs none (DESIGN facts 16 and 24).
    fn driver_threads(&self, cores: u32) -> u32 {
        match self {
            Self::Bench(args) if args.leaves_cores() => cores,
            Self::Bench(_) | Self::Load(_) | Self::Run(_) => cores.saturating_sub(1),
            Self::Kernel(_) | Self::Probe(_) | Self::Scan(_) | Self::Top(_) => cores,
        }
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get() as u32);
    // SAFETY: nothing has started a thread yet: the parser and the call above start none.
    unsafe { limit_driver_threads(cli.command.driver_threads(cores)) };
    common::trace();
    match cli.command {
        Command::Bench(args) => bench::run(&cli.global, &args).unwrap_or_else(common::trouble),
        Command::Kernel(args) => kernel::run(&cli.global, &args).unwrap_or_else(common::trouble),
        Command::Load(args) => load::run(&cli.global, &args).unwrap_or_else(common::trouble),
        Command::Probe(args) => probe::run(&cli.global, &args).unwrap_or_else(common::trouble),
        Command::Run(args) => run::run(&cli.global, &args).unwrap_or_else(common::trouble),
        Command::Scan(args) => scan::run(&cli.global, args),
        Command::Top(args) => top::run(&cli.global, &args).unwrap_or_else(common::trouble),
    }
}
