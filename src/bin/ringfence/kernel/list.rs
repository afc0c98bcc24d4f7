//! `kernel list`: which operations there are.

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

use ringfence::descriptor::BuiltinOpcode;
use ringfence::kernel::{Kernel, Linked, Operation, Selection, operations_of};
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
    opcode: u32,
    name: String,
    /// What a kernel that has nothing else has more than one that has nothing.
    bytes: usize,
    loops: u32,
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
        writeln!(f, "{:<10} {:<14} {:>7} {:>6}", "opcode", "operation", "bytes", "loops")?;
        for BuiltinReport { opcode, name, bytes, loops } in &self.operations {
            writeln!(f, "{opcode:#010x} {name:<14} {bytes:>7} {loops:>6}")?;
        }
        writeln!(f, "{:<25} {:>7} {:>6}", "what every kernel has", self.bytes, self.loops)
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
            opcode: opcode.value(),
            name: opcode.name().to_owned(),
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
