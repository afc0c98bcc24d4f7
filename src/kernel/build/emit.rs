//! The Rust source that embeds the modules, `modules.rs` in `OUT_DIR`.

use std::fmt::Write as _;
use std::path::Path;

use super::reflect::{Binding, Reflection};
use super::{Compiled, Result};

/// Writes each module to `<name>.spv` in `out`, and the table that names them to `modules.rs`.
///
/// # Errors
/// When a file cannot be written.
pub fn write(out: &Path, modules: &[(Compiled, Reflection)]) -> Result<()> {
    let mut text = String::from("&[\n");
    for (Compiled { name, code }, reflection) in modules {
        put(&out.join(name).with_extension("spv"), code)?;
        let Reflection { loops, local_size, local_size_spec, spec_ids, push_constant_bytes, .. } = reflection;
        let list = |items: Vec<String>| format!("&[{}]", items.join(", "));
        let bindings = list(reflection.bindings.iter().map(binding).collect());
        let capabilities = list(reflection.capabilities.iter().map(|c| format!("{c:?}")).collect());
        let spec_ids = list(spec_ids.iter().map(u32::to_string).collect());
        // Formatting into a String does not fail.
        let _ = write!(
            text,
            "    Module {{\n        name: {name:?},\n        code: &Aligned(*include_bytes!(concat!(env!(\"OUT_DIR\"), \
             \"/{name}.spv\"))),\n        loops: {loops},\n        local_size: {local_size:?},\n        \
             local_size_spec: {local_size_spec:?},\n        bindings: {bindings},\n        spec_ids: {spec_ids},\n        \
             capabilities: {capabilities},\n        push_constant_bytes: {push_constant_bytes},\n    }},\n"
        );
    }
    text.push_str("]\n");
    put(&out.join("modules.rs"), text.as_bytes())
}

/// Writes a file unless it already says the same, so that the library is not recompiled for nothing.
pub fn put(path: &Path, content: &[u8]) -> Result<()> {
    if std::fs::read(path).is_ok_and(|found| found == content) {
        return Ok(());
    }
    std::fs::write(path, content).map_err(|e| format!("cannot write {}: {e}", path.display()))
}

fn binding(Binding { set, binding, storage_buffer }: &Binding) -> String {
    format!("Binding {{ set: {set}, binding: {binding}, storage_buffer: {storage_buffer} }}")
}
