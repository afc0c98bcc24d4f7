//! The kernel's modules against the tables `binding` and `spec` of `src/protocol/abi.rs`.

use super::reflect::{Binding, Reflection};
use super::{Result, Table};

/// Checks what a module of the kernel binds and specializes.
///
/// Modules whose names begin with `probe` have layouts of their own and pass.
///
/// # Errors
/// Names the binding or the constant that no table lists.
pub fn check(name: &str, reflection: &Reflection, tables: &[Table]) -> Result<()> {
    if name.starts_with("probe") {
        return Ok(());
    }
    for Binding { set, binding, storage_buffer } in &reflection.bindings {
        if *set != 0 || !*storage_buffer || !lists(tables, "binding", "BIND_", *binding) {
            return Err(format!(
                "module '{name}' binds {} at set {set}, binding {binding}; the kernel binds storage buffers of \
                 set 0 that `binding` in src/protocol/abi.rs lists as BIND_*. Add it there, or change the GLSL.",
                if *storage_buffer { "a storage buffer" } else { "something else than a storage buffer" }
            ));
        }
    }
    match reflection.spec_ids.iter().find(|id| !lists(tables, "spec", "SPEC_", **id)) {
        Some(id) => Err(format!(
            "module '{name}' has a specialization constant with id {id}, which `spec` in src/protocol/abi.rs does \
             not list as SPEC_*. Add it there, or change the GLSL."
        )),
        None => Ok(()),
    }
}

fn lists(tables: &[Table], table: &str, prefix: &str, value: u32) -> bool {
    let rows = tables.iter().filter(|(name, _)| *name == table).flat_map(|(_, rows)| rows.iter());
    rows.into_iter().any(|(name, listed)| name.starts_with(prefix) && *listed == value)
}
