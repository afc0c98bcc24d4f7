//! `kernel list`: which operations there are.

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

use ringfence::descriptor::BuiltinOpcode;
use ringfence::kernel::{Kernel, Linked, Operation, Selection, Width, operations_of};
use serde::Serialize;

use super::handlers::read;
use crate::common::{self, Ended, Global, Trouble};

/// An operation, for people and programs.
#[derive(Serialize)]
pub(super) struct OperationReport {
    opcode: u32,
    name: String,
    width: String,
    /// Null where the handler does not name them.
    arguments: Option<Vec<ArgumentReport>>,
}

#[derive(Serialize)]
struct ArgumentReport {
    name: String,
    kind: String,
}

impl OperationReport {
    pub(super) fn new(operation: &Operation) -> Self {
        let arguments = operation.arguments.as_ref().map(|arguments| {
            let argument = |a: &ringfence::kernel::Argument| ArgumentReport {
                name: a.name.clone(),
                kind: a.kind.to_string(),
            };
            arguments.iter().map(argument).collect()
        });
        Self {
            opcode: operation.opcode,
            name: operation.name.clone(),
            width: operation.width.to_string(),
            arguments,
        }
    }
}

impl fmt::Display for OperationReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x} {} {}", self.opcode, self.width, self.name)?;
        let Some(arguments) = &self.arguments else { return Ok(()) };
        let shown: Vec<_> = arguments.iter().map(|a| format!("{}: {}", a.name, a.kind)).collect();
        write!(f, "({})", shown.join(", "))
    }
}

/// One of the kernel's own.
#[derive(Serialize)]
struct BuiltinReport {
    #[serde(flatten)]
    operation: OperationReport,
    /// What a kernel that has nothing else has more than one that has nothing.
    bytes: usize,
    loops: u32,
}

/// The arguments of a built-in operation, as handlers write theirs; none of words that are left out.
const fn arguments(opcode: BuiltinOpcode) -> &'static str {
    match opcode {
        BuiltinOpcode::StoreU32 => "value: u32, word: u32",
        BuiltinOpcode::AtomicAdd => "addend: u32, word: u32",
        BuiltinOpcode::LoadU32 => "word: u32, observable: u32",
        BuiltinOpcode::CompareSwap => "word: u32, expected: u32, new: u32, observable_after: u32",
        BuiltinOpcode::Memcpy => "source: u32, destination: u32, words: u32",
        BuiltinOpcode::DfaStep => "state: u32, byte: u32, table: read, observable_after: u32",
        BuiltinOpcode::BatchFence => "slots: u32, tag: u32",
        BuiltinOpcode::LoadMiss => {
            "file: file, prefetch: u32, offset_low: u32, offset_high: u32, bytes: u32, memory: write, at: u32"
        }
        BuiltinOpcode::Printf => "format: u32, a: u32, b: u32, c: u32",
        BuiltinOpcode::Scan => {
            "text: read, offset: u32, bytes: u32, table: read, state: u32, found: write, found_at: u32, \
             capacity: u32, walk: u32, first: u32, last: u32"
        }
        BuiltinOpcode::Crc32c => "memory: read, offset: u32, bytes: u32, before: u32",
        BuiltinOpcode::SumWords => "memory: read, offset: u32, bytes: u32",
        BuiltinOpcode::CopyRange => "source: read, offset: u32, destination: write, at: u32, bytes: u32",
        BuiltinOpcode::StoreRange => {
            "file: file, unused: u32, offset_low: u32, offset_high: u32, bytes: u32, memory: read, at: u32"
        }
        BuiltinOpcode::LoadSum => {
            "file: file, unused: u32, offset_low: u32, offset_high: u32, bytes: u32, memory: write, at: u32, \
             further: u32, blocks: u32, seed: u32, head: u32"
        }
        BuiltinOpcode::Unfold => {
            "op: u32, count_and_fan: u32, first: u32, a: u32, b: u32, c: u32, d: u32, e: u32, a_step: u32, \
             b_step: u32, c_step: u32, d_step: u32"
        }
        // A packed slot's words are bytes.
        _ => "",
    }
}

impl OperationReport {
    fn built_in(opcode: BuiltinOpcode) -> Self {
        let argument = |text: &str| {
            let (name, kind) = text.split_once(": ")?;
            Some(ArgumentReport { name: name.to_owned(), kind: kind.to_owned() })
        };
        let wide =
            [BuiltinOpcode::Scan, BuiltinOpcode::Crc32c, BuiltinOpcode::SumWords, BuiltinOpcode::CopyRange];
        Self {
            opcode: opcode.value(),
            name: opcode.name().to_owned(),
            width: if wide.contains(&opcode) { Width::Wide } else { Width::Lane }.to_string(),
            arguments: Some(arguments(opcode).split(", ").filter_map(argument).collect()),
        }
    }
}

#[derive(Serialize)]
struct KernelReport {
    /// Of one that has what every kernel has.
    bytes: usize,
    loops: u32,
    operations: Vec<BuiltinReport>,
}

impl fmt::Display for KernelReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:>7} {:>6}  operation", "bytes", "loops")?;
        for BuiltinReport { operation, bytes, loops } in &self.operations {
            writeln!(f, "{bytes:>7} {loops:>6}  {operation}")?;
        }
        writeln!(f, "{:>7} {:>6}  what every kernel has", self.bytes, self.loops)
    }
}

/// The name of one of the kernel's own operations.
pub(super) fn builtin(opcode: u32) -> Option<String> {
    BuiltinOpcode::from_value(opcode).map(|opcode| opcode.name().to_owned())
}

fn kernel() -> Result<KernelReport, Trouble> {
    let nothing = Kernel::builder().build()?;
    let with =
        |opcodes: &[u32]| nothing.link(&Selection { opcodes: opcodes.to_vec(), ..Selection::default() });
    let size = |linked: &Linked| 4 * linked.words.len();
    let least = with(&[])?;
    let mut operations = Vec::new();
    for &opcode in BuiltinOpcode::ALL {
        let alone = with(&[opcode.value()])?;
        operations.push(BuiltinReport {
            operation: OperationReport::built_in(opcode),
            bytes: size(&alone) - size(&least),
            loops: alone.loops - least.loops,
        });
    }
    Ok(KernelReport { bytes: size(&least), loops: least.loops, operations })
}

#[derive(Serialize)]
struct FileReport {
    file: String,
    bytes: usize,
    operations: Vec<OperationReport>,
}

#[derive(Serialize)]
#[serde(transparent)]
struct FilesReport(Vec<FileReport>);

impl fmt::Display for FilesReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for FileReport { file, bytes, operations } in &self.0 {
            writeln!(f, "{file}: {bytes} bytes")?;
            for operation in operations {
                writeln!(f, "  {operation}")?;
            }
        }
        Ok(())
    }
}

pub(super) fn list(global: &Global, files: &[PathBuf]) -> Ended {
    if files.is_empty() {
        common::print(global.json, &kernel()?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut reports = Vec::new();
    for file in files {
        let bytes = read(file)?;
        let name = file.display().to_string();
        let bad = |problem: String| Trouble::BadFile { name: name.clone(), error: problem.into() };
        let mut operations = operations_of(&bytes).map_err(bad)?;
        if operations.is_empty() {
            operations = Kernel::builder().spirv(&name, &bytes[..]).build()?.operations().to_vec();
        }
        let operations = operations.iter().map(OperationReport::new).collect();
        reports.push(FileReport { file: name, bytes: bytes.len(), operations });
    }
    common::print(global.json, &FilesReport(reports))?;
    Ok(ExitCode::SUCCESS)
}
