//! `kernel disasm` and `kernel explain`.

use std::fmt;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use ringfence::kernel::{Reflection, disassemble, module, reflect};
use ringfence::protocol::abi;
use serde::Serialize;

use super::handlers::read;
use crate::common::{self, Ended, Global, Trouble};

/// A module's bytes: one of the kernel's by its name, else a file's.
fn code(name: &str) -> Result<Vec<u8>, Trouble> {
    match module(name) {
        Some(module) => Ok(module.bytes().to_vec()),
        None => read(Path::new(name)),
    }
}

pub(super) fn disasm(name: &str) -> Ended {
    let text = disassemble(&code(name)?).map_err(|problem| bad(name, problem))?;
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // A reader that has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        written => written.map_err(Trouble::Output)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn bad(name: &str, problem: String) -> Trouble {
    Trouble::BadFile { name: name.to_owned(), error: problem.into() }
}

#[derive(Serialize)]
struct Explanation {
    module: String,
    bytes: usize,
    loops: u32,
    push_constant_bytes: u32,
    bindings: Vec<Named>,
    specialization_constants: Vec<Named>,
    capabilities: Vec<String>,
}

/// A number and its name in `src/protocol/abi.rs`.
#[derive(Serialize)]
struct Named {
    number: u32,
    name: &'static str,
}

impl Named {
    fn new(table: &str, prefix: &str, number: u32) -> Self {
        let rows = abi::TABLES.iter().filter(|(name, _)| *name == table).flat_map(|(_, rows)| *rows);
        let named = rows.into_iter().find(|(name, value)| name.starts_with(prefix) && *value == number);
        Self { number, name: named.map_or("not the kernel's", |(name, _)| name) }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} bytes, {} loops", self.module, self.bytes, self.loops)?;
        writeln!(f, "bindings of set 0, storage buffers")?;
        for Named { number, name } in &self.bindings {
            writeln!(f, "  {number:>4}  {name}")?;
        }
        writeln!(f, "specialization constants")?;
        for Named { number, name } in &self.specialization_constants {
            writeln!(f, "  {number:>4}  {name}")?;
        }
        writeln!(f, "push constants\n  {:>4}  bytes", self.push_constant_bytes)?;
        writeln!(f, "capabilities")?;
        self.capabilities.iter().try_for_each(|capability| writeln!(f, "        {capability}"))
    }
}

pub(super) fn explain(global: &Global, name: &str) -> Ended {
    let code = code(name)?;
    let Reflection { loops, bindings, spec_ids, capabilities, push_constant_bytes, .. } =
        reflect(&code).map_err(|problem| bad(name, problem))?;
    let explanation = Explanation {
        module: name.to_owned(),
        bytes: code.len(),
        loops,
        push_constant_bytes,
        bindings: bindings.iter().map(|b| Named::new("binding", "BIND_", b.binding)).collect(),
        specialization_constants: spec_ids.iter().map(|id| Named::new("spec", "SPEC_", *id)).collect(),
        capabilities: capabilities.into_iter().collect(),
    };
    common::print(global.json, &explanation)?;
    Ok(ExitCode::SUCCESS)
}
