//! `kernel link`: a kernel of what was asked for.

use std::fmt;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use ringfence::descriptor::BuiltinOpcode;
use ringfence::kernel::{LANE_OPCODES, Selection};
use serde::Serialize;

use super::handlers::{HandlerFile, kernel_of, write};
use super::list::{OperationReport, builtin};
use crate::common::{self, Ended, Global, Trouble};

#[derive(Serialize)]
struct LinkReport {
    output: String,
    bytes: usize,
    loops: u32,
    link_us: u64,
    /// The kernel's own.
    builtin: Vec<String>,
    operations: Vec<OperationReport>,
}

impl fmt::Display for LinkReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { output, bytes, loops, link_us, builtin, operations } = self;
        writeln!(f, "{}", builtin.join(" "))?;
        for operation in operations {
            writeln!(f, "{operation}")?;
        }
        writeln!(f, "{output}: {bytes} bytes, {loops} loops, cut and linked in {link_us} us")
    }
}

fn opcode(name: &str) -> Result<u32, Trouble> {
    BuiltinOpcode::from_name(name).map(BuiltinOpcode::value).ok_or_else(|| {
        Trouble::Usage(format!("there is no built-in operation '{name}'; kernel list says which there are"))
    })
}

pub(super) fn link(
    global: &Global,
    files: &[HandlerFile],
    output: &Path,
    opcodes: Option<&[String]>,
    tenants: bool,
) -> Ended {
    let opcodes = match opcodes {
        Some(names) => names.iter().map(|name| opcode(name)).collect::<Result<_, _>>()?,
        None => LANE_OPCODES.to_vec(),
    };
    let kernel = kernel_of(files)?;
    let start = Instant::now();
    let linked = kernel.link(&Selection { opcodes, tenants, ..Selection::default() })?;
    let link_us = start.elapsed().as_micros() as u64;
    let bytes: Vec<u8> = linked.words.iter().flat_map(|word| word.to_le_bytes()).collect();
    write(output, &bytes)?;
    let report = LinkReport {
        output: output.display().to_string(),
        bytes: bytes.len(),
        loops: linked.loops,
        link_us,
        builtin: linked.opcodes().into_iter().filter_map(builtin).collect(),
        operations: linked.operations.iter().map(OperationReport::new).collect(),
    };
    common::print(global.json, &report)?;
    Ok(ExitCode::SUCCESS)
}
