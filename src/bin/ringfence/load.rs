//! `ringfence load`: brings a range of a file through the kernel, and prints its CRC32C, computed there.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::ValueEnum;
use ringfence::descriptor::SlotDescriptor;
use ringfence::io::transfer::TransferOptions;
use ringfence::protocol::opcode::{COPY_RANGE, CRC32C, RANGE_MAX_BYTES};
use ringfence::protocol::{FaultCode, LoadMiss};
use ringfence::runtime::{
    FileOptions, Job, Memory, Placement, RegisteredFile, Resource, Runtime, StorageOptions,
};
use serde::Serialize;

use crate::common::{self, Ended, Engine, Global, Trouble};

/// Reads on their way ahead of the sum.
const DEPTH: usize = 8;

/// Load a range of a file through the kernel, and print its CRC32C (Castagnoli), computed on the device.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file.
    file: PathBuf,
    /// Byte to begin at.
    #[arg(long, default_value_t = 0, value_name = "N")]
    offset: u64,
    /// Bytes to load; without, up to the end.
    #[arg(long, value_name = "N")]
    bytes: Option<u64>,
    /// How the bytes are read.
    #[arg(long, value_enum, default_value_t = Engine::Auto)]
    engine: Engine,
    /// Past the page cache, where the file system allows it.
    #[arg(long)]
    direct: bool,
    /// Where the device reads them: where they arrived, or near it, copied there by the kernel.
    #[arg(long, value_enum, default_value_t = Where::Auto)]
    placement: Where,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Where {
    /// What is faster on this device.
    Auto,
    InPlace,
    Copied,
}

/// What is printed.
#[derive(Serialize)]
struct Loaded {
    file: String,
    bytes: u64,
    crc32c: String,
    driver: String,
    device: String,
    mode: String,
    engine: &'static str,
    placement: &'static str,
    seconds: f64,
}

impl fmt::Display for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.crc32c, self.bytes, self.file)
    }
}

/// Loads, and prints the sum.
///
/// # Errors
/// A file that cannot be opened or read, a device that does not do it.
pub fn run(global: &Global, args: &Args) -> Ended {
    let name = args.file.display().to_string();
    let unreadable = |error| Trouble::File { name: name.clone(), error };
    let file = File::open(&args.file).map_err(unreadable)?;
    let transfer =
        TransferOptions { engine: args.engine.into(), direct: args.direct, ..TransferOptions::default() };
    let memory_bytes = DEPTH * RANGE_MAX_BYTES as usize;
    let placement = match args.placement {
        Where::Auto => Placement::Auto,
        Where::InPlace => Placement::InPlace,
        Where::Copied => Placement::Copied,
    };
    let storage = StorageOptions { transfer, memory_bytes, placement };
    let runtime = global.builder().only_opcodes(&[CRC32C, COPY_RANGE]).storage(storage).build()?;
    // The file may change while it is read: its end is where reads come back short.
    let options = FileOptions { size: Some(i64::MAX as u64), ..FileOptions::default() };
    let source = runtime.register_file(file, &options)?;
    let begin = Instant::now();
    let (bytes, crc) = sum(&runtime, &source, args.offset, args.bytes).map_err(|stop| match stop {
        Stop::File(error) => unreadable(error),
        Stop::Trouble(trouble) => trouble,
    })?;
    let loaded = Loaded {
        file: name.clone(),
        bytes,
        crc32c: format!("{crc:08x}"),
        driver: common::driver(&runtime),
        device: common::device(&runtime),
        mode: runtime.mode().to_string(),
        engine: runtime.storage().map_or("none", |storage| storage.name),
        placement: if copies(&runtime) { "copied" } else { "in_place" },
        seconds: begin.elapsed().as_secs_f64(),
    };
    common::print(global.json, &loaded)?;
    Ok(ExitCode::SUCCESS)
}

fn copies(runtime: &Runtime) -> bool {
    runtime.placement() == Some(Placement::Copied)
}

enum Stop {
    File(io::Error),
    Trouble(Trouble),
}

impl<E: Into<Trouble>> From<E> for Stop {
    fn from(error: E) -> Self {
        Stop::Trouble(error.into())
    }
}

/// Bytes loaded, and their sum. Reads run ahead; the sums follow each other, each beginning with the one
/// before.
fn sum(
    runtime: &Runtime,
    source: &RegisteredFile,
    offset: u64,
    bytes: Option<u64>,
) -> Result<(u64, u32), Stop> {
    let mut free =
        (0..DEPTH).map(|_| runtime.memory(RANGE_MAX_BYTES as usize)).collect::<Result<VecDeque<_>, _>>()?;
    let local = if copies(runtime) { Some(runtime.local(RANGE_MAX_BYTES.into())?) } else { None };
    let mut reads: VecDeque<(Job, Memory, u32)> = VecDeque::new();
    let limit = bytes.unwrap_or(u64::MAX).min((i64::MAX as u64).saturating_sub(offset));
    let (mut asked, mut loaded, mut crc) = (0, 0, 0);
    loop {
        while asked < limit
            && let Some(memory) = free.pop_front()
        {
            let count = (limit - asked).min(u64::from(RANGE_MAX_BYTES)) as u32;
            let read = LoadMiss {
                resource_id: source.handle(),
                byte_offset: offset + asked,
                byte_count: count,
                dst_handle: memory.handle(),
                ..LoadMiss::default()
            };
            reads.push_back((runtime.submit(&SlotDescriptor::load_miss(&read))?, memory, count));
            asked += u64::from(count);
        }
        let Some((read, memory, count)) = reads.pop_front() else { break };
        let got = result(&read)? as u32;
        if got > 0 {
            let read = in_reach(runtime, &memory, got, local.as_ref())?;
            let sum = runtime.submit(&SlotDescriptor::crc32c(read, 0, got, crc))?;
            crc = result(&sum)? as u32;
        }
        loaded += u64::from(got);
        if got < count {
            break;
        }
        free.push_back(memory);
    }
    Ok((loaded, crc))
}

/// The resource that has the bytes where the device is to read them.
fn in_reach(runtime: &Runtime, memory: &Memory, bytes: u32, local: Option<&Resource>) -> Result<u32, Stop> {
    let Some(local) = local else { return Ok(memory.handle()) };
    // Copies are of whole words, and so is the memory.
    let copy =
        SlotDescriptor::copy_range((memory.handle(), 0), (local.handle(), 0), bytes.next_multiple_of(4));
    result(&runtime.submit(&copy)?)?;
    Ok(local.handle())
}

fn result(job: &Job) -> Result<u64, Stop> {
    let ended = job.wait()?;
    match ended.fault() {
        Some((FaultCode::IoError, errno)) => Err(Stop::File(io::Error::from_raw_os_error(i32::from(errno)))),
        Some((code, detail)) => Err(Trouble::Wrong(format!("{code} {detail}")).into()),
        None => Ok(ended.result().unwrap_or(0)),
    }
}
