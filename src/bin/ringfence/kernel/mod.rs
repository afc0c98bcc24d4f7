//! `ringfence kernel`: the kernel's modules, and handlers of users.

mod handlers;
mod list;
mod show;

use std::path::PathBuf;

use clap::Subcommand;

use crate::common::{Ended, Global};
pub use handlers::{HandlerFile, kernel_of};

/// Look at the kernel's modules, and at handlers of your own; compile and link them.
///
/// A handler is an operation of yours in GLSL or SPIR-V; docs/handlers.md says how to write one. A FILE that ends in .spv
/// is SPIR-V, any other GLSL, for which the program must have been built with the feature `shaderc`. FILE=OPCODE gives a
/// handler another opcode than it declares.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// What operations modules have: the kernel's own, or those of handlers and linked modules.
    List {
        /// Handlers, or modules that were linked; without any, the kernel's own.
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Say what is wrong with handlers; exit code 1 where something is.
    Check {
        /// Handlers.
        #[arg(value_name = "FILE", required = true)]
        files: Vec<HandlerFile>,
    },
    /// Compile a handler from GLSL to SPIR-V.
    Compile {
        /// The handler.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Where to; by default beside the file, with the ending .spv.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Link handlers into the kernel's module.
    Link {
        /// Handlers.
        #[arg(value_name = "FILE", required = true)]
        files: Vec<HandlerFile>,
        /// Where to.
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
        /// The module with a place for them.
        #[arg(long, value_name = "MODULE", default_value = "handlers")]
        into: String,
    },
    /// Print a module's instructions.
    Disasm {
        /// The name of one of the kernel's modules, or a file in SPIR-V.
        #[arg(value_name = "MODULE")]
        module: String,
    },
    /// Say what a module binds, specializes and demands of the device.
    Explain {
        /// The name of one of the kernel's modules, or a file in SPIR-V.
        #[arg(value_name = "MODULE", default_value = "core")]
        module: String,
    },
}

/// Exit code 1 where `check` found something.
pub fn run(global: &Global, args: &Args) -> Ended {
    match &args.command {
        Command::List { files } => list::list(global, files),
        Command::Check { files } => handlers::check(global, files),
        Command::Compile { file, output } => handlers::compile(file, output.as_deref()),
        Command::Link { files, output, into } => handlers::link(global, files, output, into),
        Command::Disasm { module } => show::disasm(module),
        Command::Explain { module } => show::explain(global, module),
    }
}
