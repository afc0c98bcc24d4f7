//! `kernel list`: which operations modules have.

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

use ringfence::descriptor::BuiltinOpcode;
use ringfence::kernel::{Kernel, Operation, modules, opcodes, operations_of};
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

#[derive(Serialize)]
struct ModuleReport {
    module: String,
    bytes: usize,
    loops: u32,
    /// Takes handlers.
    place: bool,
    operations: Vec<String>,
}

#[derive(Serialize)]
#[serde(transparent)]
struct ModulesReport(Vec<ModuleReport>);

impl fmt::Display for ModulesReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<24} {:>8} {:>6}  operations", "module", "bytes", "loops")?;
        for ModuleReport { module, bytes, loops, place, operations } in &self.0 {
            let handlers = if *place { ", and handlers" } else { "" };
            writeln!(f, "{module:<24} {bytes:>8} {loops:>6}  {}{handlers}", operations.join(" "))?;
        }
        Ok(())
    }
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
        let name = |op: &u32| BuiltinOpcode::from_value(*op).map(|op| op.name().to_owned());
        let nothing = Kernel::builder().build()?;
        let report = modules().iter().filter_map(|module| {
            Some(ModuleReport {
                module: module.name.to_owned(),
                bytes: module.bytes().len(),
                loops: module.loops,
                place: nothing.link(module).is_ok(),
                operations: opcodes(module)?.iter().filter_map(name).collect(),
            })
        });
        common::print(global.json, &ModulesReport(report.collect()))?;
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
