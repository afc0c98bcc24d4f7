//! What the subcommands share: global options, messages, and how trouble ends the program.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::ValueEnum;
use clap::builder::{EnumValueParser, TypedValueParser as _};
use ringfence::io::transfer::EngineChoice;
use ringfence::kernel::LinkError;
use ringfence::observe::{FetchError, ObserveError};
use ringfence::runtime::{Mode, Runtime, RuntimeBuilder, RuntimeError, SubmitError};
use ringfence::vulkan::VulkanError;
use serde::Serialize;
use tracing_subscriber::EnvFilter;

/// What `--mode` takes: the library knows nothing of the command line.
#[derive(Clone, Copy, ValueEnum)]
enum ModeOption {
    /// Live where the probe's litmus tests passed on this device, else epoch.
    Auto,
    /// A bounded dispatch is in flight whenever there is work; the kernel sees slots as they are
    /// published. Outside the letter of the Vulkan memory model, so only where the probe passed.
    Live,
    /// Publish, submit one bounded dispatch, wait for it. Within the specification.
    Epoch,
}

impl From<ModeOption> for Mode {
    fn from(option: ModeOption) -> Self {
        match option {
            ModeOption::Auto => Self::Auto,
            ModeOption::Live => Self::Live,
            ModeOption::Epoch => Self::Epoch,
        }
    }
}

/// What carries out reads and writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Engine {
    /// io_uring where it works, else threads.
    Auto,
    /// io_uring.
    #[value(name = "io_uring")]
    IoUring,
    /// Positioned reads and writes on threads.
    Threads,
}

impl From<Engine> for EngineChoice {
    fn from(engine: Engine) -> Self {
        match engine {
            Engine::Auto => EngineChoice::Auto,
            Engine::IoUring => EngineChoice::IoUring,
            Engine::Threads => EngineChoice::Threads,
        }
    }
}

/// Options of every subcommand.
#[derive(clap::Args, Clone, Debug)]
pub struct Global {
    /// The device to use: its index, or a part of its name.
    #[arg(long, global = true, value_name = "DEVICE")]
    pub device: Option<String>,
    /// How the kernel is kept running; `auto` is live where the probe passed, else epoch.
    #[arg(long, global = true, default_value_t = Mode::Auto,
          value_parser = EnumValueParser::<ModeOption>::new().map(Mode::from))]
    pub mode: Mode,
    /// Print JSON instead of text.
    #[arg(long, global = true)]
    pub json: bool,
}

impl Global {
    /// A builder with the device and the mode that were asked for.
    pub fn builder(&self) -> RuntimeBuilder {
        let builder = Runtime::builder().mode(self.mode);
        match &self.device {
            Some(device) => builder.device(device),
            None => builder,
        }
    }
}

/// What stopped a subcommand: exit code 2.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// A file that could not be read.
    #[error("{name}: {error}")]
    File { name: String, error: io::Error },
    /// A file that does not say what it must; the error tells line and column.
    #[error("{name}: {error}")]
    BadFile { name: String, error: Box<dyn std::error::Error> },
    /// A table of a file that the device does not take.
    #[error("{name}: the table at line {line} column {column}: {error}")]
    Table { name: String, line: usize, column: usize, error: RuntimeError },
    #[error(transparent)]
    Submit(#[from] SubmitError),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error(transparent)]
    Vulkan(#[from] VulkanError),
    #[error(transparent)]
    Observe(#[from] ObserveError),
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// What can be observed cannot be found out.
    #[error("the processes that can be observed cannot be listed: {0}")]
    Observable(io::Error),
    #[error("the terminal cannot be used: {0}")]
    Terminal(io::Error),
    /// What was asked for cannot be done as things are.
    #[error("{0}")]
    Usage(String),
    #[error("the output could not be written: {0}")]
    Output(io::Error),
    #[error("no thread could be started: {0}")]
    Thread(io::Error),
    /// The device did something that the protocol does not allow.
    #[error("the device answered wrongly: {0}")]
    Wrong(String),
}

/// How a subcommand ends.
pub type Ended = Result<ExitCode, Trouble>;

/// Messages of the library go to standard error, as RINGFENCE_LOG filters them.
pub fn trace() {
    let filter = EnvFilter::try_from_env("RINGFENCE_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
}

/// Says what stopped the program.
pub fn trouble(trouble: impl std::fmt::Display) -> ExitCode {
    // Standard error may be closed; then there is nobody to tell.
    let _ = writeln!(io::stderr(), "ringfence: {trouble}");
    ExitCode::from(2)
}

/// Something that a person should know, and that does not stop the program.
pub fn notice(message: impl std::fmt::Display) {
    let _ = writeln!(io::stderr(), "ringfence: {message}");
}

/// Prints a result: one line of JSON, or text for people.
pub fn print(json: bool, result: &(impl Serialize + std::fmt::Display)) -> Result<(), Trouble> {
    let text = if json {
        serde_json::to_string(result).map_err(|error| Trouble::Output(error.into()))?
    } else {
        result.to_string()
    };
    let mut out = io::stdout().lock();
    match writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush()) {
        // A reader that has seen enough, such as `head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(Trouble::Output),
    }
}

/// The device's name.
pub fn device(runtime: &Runtime) -> String {
    runtime.gpu().info().device_name.clone()
}

/// The driver's name and version line.
pub fn driver(runtime: &Runtime) -> String {
    let info = runtime.gpu().info();
    format!("{} {}", info.driver_name, info.driver_info).trim().to_owned()
}
