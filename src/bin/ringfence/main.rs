//! The command line.

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
    Scan(scan::Args),
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Scan(args) => scan::run(args),
    }
}
