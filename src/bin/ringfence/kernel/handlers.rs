//! Handlers in files: checked, compiled.

use std::convert::Infallible;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

use ringfence::kernel::{Kernel, KernelBuilder, LinkError};
use serde::Serialize;

use super::list::OperationReport;
use crate::common::{self, Ended, Global, Trouble};

/// FILE or FILE=OPCODE.
#[derive(Clone, Debug)]
pub struct HandlerFile {
    path: PathBuf,
    opcode: Option<u32>,
}

impl FromStr for HandlerFile {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let number = |text: &str| match text.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        };
        // What follows may well belong to a file's name.
        let (path, opcode) = match text.rsplit_once('=') {
            Some((path, opcode)) if number(opcode).is_some() => (path, number(opcode)),
            _ => (text, None),
        };
        Ok(Self { path: path.into(), opcode })
    }
}

impl HandlerFile {
    fn add(&self, kernel: KernelBuilder) -> Result<KernelBuilder, Trouble> {
        let kernel = if is_spirv(&self.path) {
            kernel.spirv(self.path.display().to_string(), read(&self.path)?)
        } else {
            add_glsl(kernel, &self.path)?
        };
        Ok(match self.opcode {
            Some(opcode) => kernel.opcode(opcode),
            None => kernel,
        })
    }
}

fn is_spirv(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "spv")
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, Trouble> {
    fs::read(path).map_err(|error| Trouble::File { name: path.display().to_string(), error })
}

#[cfg(feature = "shaderc")]
fn add_glsl(kernel: KernelBuilder, path: &Path) -> Result<KernelBuilder, Trouble> {
    // Reads it for the message's sake.
    read(path)?;
    Ok(kernel.glsl_file(path)?)
}

#[cfg(not(feature = "shaderc"))]
fn add_glsl(_: KernelBuilder, path: &Path) -> Result<KernelBuilder, Trouble> {
    Err(Trouble::Usage(format!(
        "{} is no .spv: to compile GLSL the program must be built with the feature shaderc; or compile it with another \
         compiler, as docs/handlers.md says",
        path.display()
    )))
}

/// The handlers of all files together.
pub fn kernel_of(files: &[HandlerFile]) -> Result<Kernel, Trouble> {
    let all = files.iter().try_fold(Kernel::builder(), |kernel, file| file.add(kernel))?;
    Ok(all.build()?)
}

#[derive(Serialize)]
struct Checked {
    file: String,
    #[serde(flatten)]
    operation: Option<OperationReport>,
    problem: Option<String>,
}

#[derive(Serialize)]
#[serde(transparent)]
struct CheckReport(Vec<Checked>);

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Checked { file, operation, problem } in &self.0 {
            match (operation, problem) {
                (Some(operation), None) => writeln!(f, "{file}: {operation}")?,
                (_, problem) => writeln!(f, "{file}: {}", problem.as_deref().unwrap_or("no handler"))?,
            }
        }
        Ok(())
    }
}

/// Each by itself, and then all together.
pub(super) fn check(global: &Global, files: &[HandlerFile]) -> Ended {
    let mut report = Vec::new();
    let mut together = Kernel::builder();
    for file in files {
        together = file.add(together)?;
        let alone = file.add(Kernel::builder())?.build();
        let (operation, problem) = match alone {
            Ok(kernel) => (kernel.operations().first().map(OperationReport::new), None),
            Err(LinkError { problem, .. }) => (None, Some(problem)),
        };
        report.push(Checked { file: file.path.display().to_string(), operation, problem });
    }
    let mut well = report.iter().all(|checked| checked.problem.is_none());
    if well && let Err(LinkError { handler, problem }) = together.build() {
        well = false;
        report.push(Checked { file: handler, operation: None, problem: Some(problem) });
    }
    common::print(global.json, &CheckReport(report))?;
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Writes the handler's SPIR-V, if it is well.
pub(super) fn compile(file: &Path, output: Option<&Path>) -> Ended {
    if is_spirv(file) {
        return Err(Trouble::Usage(format!("{} is SPIR-V already; see kernel check", file.display())));
    }
    let kernel = add_glsl(Kernel::builder(), file)?.build()?;
    let beside = file.with_extension("spv");
    let (_, code) = kernel.handlers().next().unwrap_or_default();
    write(output.unwrap_or(&beside), code)?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), Trouble> {
    fs::write(path, bytes).map_err(|error| Trouble::File { name: path.display().to_string(), error })
}
