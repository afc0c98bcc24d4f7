//! `ringfence kernel`: the kernel's modules, and handlers of users.

mod handlers;
mod link;
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
    /// What operations there are: the kernel's own, with what each adds to it, or those of handlers and linked kernels.
    List {
        /// Handlers, or kernels that were linked; without any, the kernel's own operations.
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
    /// Cut a kernel to some of the built-in operations, and link handlers into it.
    Link {
        /// Handlers.
        #[arg(value_name = "FILE")]
        files: Vec<HandlerFile>,
        /// Where to.
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
        /// Built-in operations, by name, with commas between them. Every kernel has NOP, BATCH_FENCE and SHUTDOWN; by
        /// default it has all that a lane executes by itself.
        #[arg(long, value_name = "NAMES", value_delimiter = ',')]
        opcodes: Option<Vec<String>>,
        /// For several tenants.
        #[arg(long)]
        tenants: bool,
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
        #[arg(value_name = "MODULE", default_value = "kernel")]
        module: String,
    },
}

/// Exit code 1 where `check` found something.
pub fn run(global: &Global, args: &Args) -> Ended {
    match &args.command {
        Command::List { files } => list::list(global, files),
        Command::Check { files } => handlers::check(global, files),
        Command::Compile { file, output } => handlers::compile(file, output.as_deref()),
        Command::Link { files, output, opcodes, tenants } => {
            link::link(global, files, output, opcodes.as_deref(), *tenants)
        }
        Command::Disasm { module } => show::disasm(module),
        Command::Explain { module } => show::explain(global, module),
    }
}
