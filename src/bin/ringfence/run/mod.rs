//! `ringfence run`: publishes what a JSON file describes, and prints what came back.

mod input;
mod output;
mod place;
mod strict;
mod tenants;

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ringfence::descriptor::EncodedBatch;
use ringfence::kernel::Kernel;
use ringfence::protocol::opcode::UNFOLD;
use ringfence::protocol::{
    OBSERVABLE_BASE, OPCODE_WORD, PRIORITY_NORMAL, PRIORITY_WORD, SlotWords, priority_offsets,
    try_read_debug_log,
};
use ringfence::runtime::{Runtime, RuntimeBuilder, RuntimeError, Tenant};

use crate::common::{self, Ended, Global, Trouble};
use crate::kernel::{HandlerFile, kernel_of};
use crate::observing::Observing;
use input::Program;
use output::{BatchReport, Report, TenantReport};
use place::{Step, place};
use tenants::SYSTEM;

/// Slots of the slab, unless a batch needs more.
const SLOTS: u32 = 256;
/// Slots that a tenant may have on their way, unless a batch needs more.
const TENANT_SLOTS: u32 = 64;

/// Publish the slots that a JSON file describes, and print what came back.
///
/// The file holds {"observables": N, "tables": [[WORD...]...], "batches": [{"slots": [{"op": NAME or
/// number, "args": [WORD...]}]}]}; a PACKED_SLOT takes "ops" instead of "args". Each batch ends with a
/// fence of its own, whose tag 0 goes to observable 0, and the next is published after it.
///
/// "tenants": [{"name": NAME, "window": WORDS, "credits": N, "weight": N, "opcodes": [NAME or number...]}] shares
/// the kernel. A slot is that of its "tenant", a name or the number in that list from 1 on, or the system's; all
/// slots of a batch are one tenant's. "priority" is critical, high, normal, low, idle, or any number.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The file; `-` is standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// A handler of yours to link into the kernel, in SPIR-V (or GLSL, if the program was built for that): slots name it
    /// by its opcode or its name. FILE=OPCODE gives it another opcode than it declares. It is native code on a CPU
    /// driver, and can do there what this program may.
    #[arg(long, value_name = "FILE")]
    handler: Vec<HandlerFile>,
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
    let kernel = kernel_of(&args.handler)?;
    input::know(kernel.operations());
    let program = Program::read(&file.bytes)
        .map_err(|error| Trouble::BadFile { name: file.name.clone(), error: error.into() })?;
    common::print(global.json, &execute(global, args, kernel, &file, &program)?)?;
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
    args: &Args,
    kernel: Kernel,
    file: &File,
    program: &Program,
) -> Result<Report, Trouble> {
    let batches: Vec<EncodedBatch> = program.batches.iter().map(|batch| batch.encode()).collect();
    let builder = builder(global, program, &batches);
    // SAFETY: whoever runs the program answers for the handlers that he gives it, as for the program itself.
    let runtime = unsafe { builder.kernel(kernel) }.build()?;
    let _observer = args.observing.attach(&runtime, "run")?;
    // Handles count up from 0 in the order of registration.
    let _tables = program
        .tables
        .iter()
        .enumerate()
        .map(|(index, words)| runtime.table(words).map_err(|error| table_trouble(file, index, error)))
        .collect::<Result<Vec<_>, _>>()?;
    let tenants =
        program.tenants.iter().map(|tenant| open(&runtime, tenant)).collect::<Result<Vec<_>, _>>()?;
    let mut reports = Vec::with_capacity(batches.len());
    for (index, (batch, whose)) in batches.iter().zip(&program.batches).enumerate() {
        let tenant = whose.tenant.checked_sub(1).and_then(|index| tenants.get(index as usize));
        let name = tenant.map_or_else(|| SYSTEM.to_owned(), Tenant::name);
        let submitted = match tenant {
            Some(tenant) => tenant.submit_encoded(batch),
            None => runtime.submit_encoded(batch),
        };
        reports.push(match submitted {
            Ok(submitted) => BatchReport::new(name, &submitted.wait()?),
            Err(RuntimeError::ShutDown) => {
                common::notice(format_args!(
                    "batch {} was not published: the kernel was shut down before it; its slots are CANCELLED",
                    index + 1
                ));
                BatchReport::cancelled(name, batch.slots.len())
            }
            Err(error) => return Err(error.into()),
        });
    }
    report(&runtime, program.observables, &tenants, reports)
}

/// A runtime with room for all that the file has.
fn builder(global: &Global, program: &Program, batches: &[EncodedBatch]) -> RuntimeBuilder {
    let unfolds = |slot: &SlotWords| slot[OPCODE_WORD as usize] == UNFOLD;
    let opcodes: &[u32] =
        if batches.iter().any(|batch| batch.slots.iter().any(unfolds)) { &[UNFOLD] } else { &[] };
    let builder =
        global.builder().level_slots(level_slots(batches)).observables(program.observables).opcodes(opcodes);
    if program.tenants.is_empty() {
        return builder;
    }
    let largest = batches.iter().zip(&program.batches).filter(|(_, whose)| whose.tenant != 0);
    let largest = largest.map(|(batch, _)| batch.slots.len() as u32 + 1).max();
    builder
        .tenants(program.tenants.len() as u32 + 1)
        .tenant_words(program.tenants.iter().map(|tenant| tenant.window).sum())
        .tenant_slots(largest.unwrap_or_default().max(TENANT_SLOTS))
}

fn open(runtime: &Runtime, terms: &tenants::Tenant) -> Result<Tenant, RuntimeError> {
    let mut builder = runtime.tenant(&terms.name).window(terms.window).weight(terms.weight);
    if let Some(credits) = terms.credits {
        builder = builder.credits(credits);
    }
    if let Some(opcodes) = &terms.opcodes {
        builder = builder.opcodes(opcodes);
    }
    builder.open()
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
    match place(&file.bytes, &[Step::Key("tables"), Step::Index(index)]) {
        Some((line, column)) => Trouble::Table { name: file.name.clone(), line, column, error },
        None => error.into(),
    }
}

fn report(
    runtime: &Runtime,
    observables: u32,
    tenants: &[Tenant],
    batches: Vec<BatchReport>,
) -> Result<Report, Trouble> {
    let counters = runtime.snapshot();
    let control = runtime.control()?;
    let words =
        |range: std::ops::Range<u32>| control.get(range.start as usize..range.end as usize).unwrap_or(&[]);
    let tenants = tenants.iter().map(|tenant| {
        let counters = counters.tenants.iter().find(|counters| counters.id == tenant.id());
        let window = tenant.window();
        Ok(TenantReport::new(counters, window.start, words(window), log(&tenant.debug_log())?))
    });
    Ok(Report {
        mode: runtime.mode(),
        driver: common::driver(runtime),
        batches,
        tenants: tenants.collect::<Result<_, Trouble>>()?,
        control: output::Control::new(words(0..OBSERVABLE_BASE + observables)),
        debug_log: log(&runtime.debug_log())?,
    })
}

fn log(words: &[u32]) -> Result<output::Log, Trouble> {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let log = try_read_debug_log(&bytes).map_err(|error| Trouble::Wrong(error.to_string()))?;
    Ok(output::Log::new(&log))
}
