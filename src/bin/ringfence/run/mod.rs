//! `ringfence run`: publishes what a JSON file describes, and prints what came back.

mod input;
mod output;
mod strict;

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ringfence::protocol::{MIN_LIVE_RING_SLOTS, try_read_debug_log};
use ringfence::runtime::{Runtime, RuntimeError};

use crate::common::{self, Ended, Global, Trouble};
use input::Program;
use output::{BatchReport, Report};

/// Slots of the slab, unless a batch needs more.
const SLOTS: u32 = 256;

/// Publish the slots that a JSON file describes, and print what came back.
///
/// The file holds {"observables": N, "tables": [[WORD...]...], "batches": [{"slots": [{"op": NAME or
/// number, "args": [WORD...]}]}]}; a PACKED_SLOT takes "ops" instead of "args". Each batch ends with a
/// fence of its own, whose tag 0 goes to observable 0, and the next is published after it.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The file; `-` is standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Exit code 0 although slots faulted: the faults are the answer.
pub fn run(global: &Global, args: &Args) -> Ended {
    let program = read(&args.file)?;
    common::print(global.json, &execute(global, &program)?)?;
    Ok(ExitCode::SUCCESS)
}

fn read(path: &Path) -> Result<Program, Trouble> {
    let standard_input = path.as_os_str() == "-";
    let name = || if standard_input { "standard input".into() } else { path.display().to_string() };
    let bytes = if standard_input {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(path)
    };
    let bytes = bytes.map_err(|error| Trouble::File { name: name(), error })?;
    serde_json::from_slice(&bytes).map_err(|error| Trouble::Json { name: name(), error })
}

fn execute(global: &Global, program: &Program) -> Result<Report, Trouble> {
    let largest = program.batches.iter().map(|batch| batch.slots.len() as u32 + 1).max().unwrap_or(0);
    let runtime = global
        .builder()
        .slots(largest.max(SLOTS).max(MIN_LIVE_RING_SLOTS))
        .observables(program.observables)
        .build()?;
    // Handles count up from 0 in the order of registration.
    let _tables =
        program.tables.iter().map(|table| runtime.table(table)).collect::<Result<Vec<_>, RuntimeError>>()?;
    let mut batches = Vec::with_capacity(program.batches.len());
    for (index, batch) in program.batches.iter().enumerate() {
        batches.push(match runtime.submit_encoded(&batch.encode()) {
            Ok(submitted) => BatchReport::new(&submitted.wait()?),
            Err(RuntimeError::ShutDown) => {
                common::notice(format_args!(
                    "batch {} was not published: the kernel was shut down before it; its slots are CANCELLED",
                    index + 1
                ));
                BatchReport::cancelled(batch.slots.len())
            }
            Err(error) => return Err(error.into()),
        });
    }
    report(&runtime, batches)
}

fn report(runtime: &Runtime, batches: Vec<BatchReport>) -> Result<Report, Trouble> {
    let control = runtime.control()?;
    let log: Vec<u8> = runtime.debug_log().iter().flat_map(|word| word.to_le_bytes()).collect();
    let log = try_read_debug_log(&log).map_err(|error| Trouble::Wrong(error.to_string()))?;
    Ok(Report {
        mode: runtime.mode(),
        driver: common::driver(runtime),
        batches,
        control: output::Control::new(&control),
        debug_log: output::Log::new(&log),
    })
}
