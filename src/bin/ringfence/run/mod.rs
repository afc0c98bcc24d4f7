//! `ringfence run`: publishes what a JSON file describes, and prints what came back.

mod input;
mod output;
mod strict;

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ringfence::descriptor::EncodedBatch;
use ringfence::protocol::{PRIORITY_NORMAL, PRIORITY_WORD, priority_offsets, try_read_debug_log};
use ringfence::runtime::{Runtime, RuntimeError};

use crate::common::{self, Ended, Global, Trouble};
use crate::observing::Observing;
use input::{Program, table_place};
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
    #[command(flatten)]
    observing: Observing,
}

/// The file as it was read.
struct File {
    name: String,
    bytes: Vec<u8>,
}

/// Exit code 0 although slots faulted: the faults are the answer.
pub fn run(global: &Global, args: &Args) -> Ended {
    let file = File::read(&args.file)?;
    let program = serde_json::from_slice(&file.bytes)
        .map_err(|error| Trouble::Json { name: file.name.clone(), error })?;
    common::print(global.json, &execute(global, &args.observing, &file, &program)?)?;
    Ok(ExitCode::SUCCESS)
}

impl File {
    fn read(path: &Path) -> Result<Self, Trouble> {
        let standard_input = path.as_os_str() == "-";
        let name = if standard_input { "standard input".into() } else { path.display().to_string() };
        let bytes = if standard_input {
            let mut bytes = Vec::new();
            io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
        } else {
            fs::read(path)
        };
        match bytes {
            Ok(bytes) => Ok(Self { name, bytes }),
            Err(error) => Err(Trouble::File { name, error }),
        }
    }
}

fn execute(
    global: &Global,
    observing: &Observing,
    file: &File,
    program: &Program,
) -> Result<Report, Trouble> {
    let batches: Vec<EncodedBatch> = program.batches.iter().map(|batch| batch.encode()).collect();
    let runtime =
        global.builder().level_slots(level_slots(&batches)).observables(program.observables).build()?;
    let _observer = observing.attach(&runtime, "run")?;
    // Handles count up from 0 in the order of registration.
    let _tables = program
        .tables
        .iter()
        .enumerate()
        .map(|(index, words)| runtime.table(words).map_err(|error| table_trouble(file, index, error)))
        .collect::<Result<Vec<_>, _>>()?;
    let mut reports = Vec::with_capacity(batches.len());
    for (index, batch) in batches.iter().enumerate() {
        reports.push(match runtime.submit_encoded(batch) {
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
    report(&runtime, reports)
}

/// Slots of each level: its usual share of a slab of [`SLOTS`], or what the largest batch needs.
fn level_slots(batches: &[EncodedBatch]) -> [u32; 5] {
    let offsets = priority_offsets(SLOTS).unwrap_or_default();
    let mut sizes = std::array::from_fn(|level| offsets[level + 1] - offsets[level]);
    for batch in batches {
        let mut needed = [0; 5];
        for words in batch.slots.iter().chain([&batch.fence]) {
            // The device refuses what is no level; it goes by NORMAL.
            let level = words[PRIORITY_WORD as usize] as usize;
            needed[if level < needed.len() { level } else { PRIORITY_NORMAL as usize }] += 1;
        }
        sizes.iter_mut().zip(needed).for_each(|(size, needed)| *size = needed.max(*size));
    }
    sizes
}

/// The device does not take a table, mostly for its size.
fn table_trouble(file: &File, index: usize, error: RuntimeError) -> Trouble {
    match table_place(&file.bytes, index) {
        Some((line, column)) => Trouble::Table { name: file.name.clone(), line, column, error },
        None => error.into(),
    }
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
