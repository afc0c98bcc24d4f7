//! The Rust source that embeds the modules, `modules.rs` in `OUT_DIR`.

use std::path::Path;

use super::reflect::Reflection;
use super::{Compiled, Result};

/// Writes each module to `<name>.spv` in `out`, and the table that names them to `modules.rs`.
///
/// # Errors
/// When a file cannot be written.
pub fn write(out: &Path, modules: &[(Compiled, Reflection)]) -> Result<()> {
    let mut text = String::from("&[\n");
    for (module, reflection) in modules {
        put(&out.join(&module.name).with_extension("spv"), &module.code)?;
        // Handlers are for tests, which read them from spirv/.
        if !module.name.starts_with("handler_") {
            text += &entry(&module.name, reflection);
        }
    }
    text += "]\n";
    put(&out.join("modules.rs"), text.as_bytes())
}

/// One `Module` of `src/kernel/module.rs`. What `Debug` prints of these values is Rust.
fn entry(name: &str, reflection: &Reflection) -> String {
    let Reflection { loops, local_size, local_size_spec, push_constant_bytes, .. } = reflection;
    let bindings: Vec<_> = reflection.bindings.iter().collect();
    let spec_ids: Vec<_> = reflection.spec_ids.iter().collect();
    let capabilities: Vec<_> = reflection.capabilities.iter().collect();
    format!(
        r#"    Module {{
        name: "{name}",
        code: &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/{name}.spv"))),
        loops: {loops},
        local_size: {local_size:?},
        local_size_spec: {local_size_spec:?},
        bindings: &{bindings:?},
        spec_ids: &{spec_ids:?},
        capabilities: &{capabilities:?},
        push_constant_bytes: {push_constant_bytes},
    }},
"#
    )
}

/// Writes a file unless it already says the same, so that the library is not recompiled for nothing.
pub fn put(path: &Path, content: &[u8]) -> Result<()> {
    if std::fs::read(path).is_ok_and(|found| found == content) {
        return Ok(());
    }
    std::fs::write(path, content).map_err(|e| format!("cannot write {}: {e}", path.display()))
}
