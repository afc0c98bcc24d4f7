//! Compiling `glsl/` with an installed `glslc`, for experiments on a machine without the feature `shaderc`.

use std::path::Path;
use std::process::Command;

use super::manifest::Entry;
use super::{Compiled, Result};

/// Compiles every module with `program`, leaving its output in `out`.
///
/// # Errors
/// When the program does not start, or refuses a module; its own messages go to standard error.
pub fn compile(program: &str, glsl: &Path, entries: &[Entry], out: &Path) -> Result<Vec<Compiled>> {
    entries
        .iter()
        .map(|entry| {
            let output = out.join(format!("{}.glslc.spv", entry.name));
            let define = |(name, value): &(String, Option<String>)| match value {
                Some(value) => format!("-D{name}={value}"),
                None => format!("-D{name}"),
            };
            let status = Command::new(program)
                .args(super::lock::OPTIONS.split(' '))
                .args(entry.defines.iter().map(define))
                .args(["-Werror", "-fshader-stage=compute", "-I"])
                .arg(glsl)
                .arg(glsl.join(&entry.source))
                .arg("-o")
                .arg(&output)
                .status()
                .map_err(|e| format!("cannot run {program}: {e}; unset RINGFENCE_GLSLC, or install it"))?;
            if !status.success() {
                return Err(format!("{program} refused module '{}'", entry.name));
            }
            let code =
                std::fs::read(&output).map_err(|e| format!("cannot read {}: {e}", output.display()))?;
            Ok(Compiled { name: entry.name.clone(), code })
        })
        .collect()
}
