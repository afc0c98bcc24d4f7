//! The command line.

mod probe;
mod scan;

use std::process::ExitCode;

use clap::Parser;

/// io_uring for the GPU.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Probe(probe::Args),
    Scan(scan::Args),
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Probe(args) => probe::run(&args).unwrap_or_else(|error| {
            eprintln!("ringfence: {error}");
            ExitCode::from(2)
        }),
        Command::Scan(args) => scan::run(args),
    }
}
