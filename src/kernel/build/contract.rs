//! What a module may ask of the host: the tables `binding` and `spec` of `src/protocol/abi.rs`, and the
//! features that `src/vulkan` demands of every device.

use super::reflect::{Binding, Reflection};
use super::{Result, Table};

/// Capabilities that every device has on which ringfence opens.
const CAPABILITIES: &[&str] = &[
    "Shader",
    "VulkanMemoryModel",
    "VulkanMemoryModelDeviceScope",
    "PhysicalStorageBufferAddresses",
    "GroupNonUniform",
    "GroupNonUniformVote",
    "GroupNonUniformArithmetic",
    "GroupNonUniformBallot",
    "GroupNonUniformShuffle",
];

/// Capabilities that only some have; modules with them are for those, and `src/kernel/family.rs` has others for the
/// rest.
const OPTIONAL: &[&str] = &["Int64"];

/// Bytes of push constants that every device has (Vulkan specification, table "Required Limits").
const PUSH_CONSTANT_BYTES: u32 = 128;

/// Checks what a module binds, specializes and demands.
///
/// Modules whose names begin with `probe` have bindings and constants of their own.
///
/// # Errors
/// Names what the host does not provide, and where it would have to be added.
pub fn check(name: &str, reflection: &Reflection, tables: &[Table]) -> Result<()> {
    let known = |capability: &str| CAPABILITIES.contains(&capability) || OPTIONAL.contains(&capability);
    if let Some(other) = reflection.capabilities.iter().find(|c| !known(c)) {
        return Err(format!(
            "module '{name}' declares the capability {other}, which ringfence does not demand of devices. Change \
             the GLSL; or demand the feature in src/vulkan and add it to src/kernel/build/contract.rs."
        ));
    }
    if reflection.push_constant_bytes > PUSH_CONSTANT_BYTES {
        return Err(format!(
            "module '{name}' has {} bytes of push constants; devices need not have more than {PUSH_CONSTANT_BYTES}. \
             Move some into a buffer.",
            reflection.push_constant_bytes
        ));
    }
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
    if let Some(id) = reflection.spec_ids.iter().find(|id| !lists(tables, "spec", "SPEC_", **id)) {
        return Err(format!(
            "module '{name}' has a specialization constant with id {id}, which `spec` in src/protocol/abi.rs does \
             not list as SPEC_*. Add it there, or change the GLSL."
        ));
    }
    // A workgroup is one subgroup, so its size is the host's to set.
    let [width, height, depth] = reflection.local_size_spec;
    let pinned = width.is_some_and(|id| lists(tables, "spec", "SPEC_SUBGROUP_SIZE", id));
    if !pinned || height.or(depth).is_some() || reflection.local_size[1..] != [1, 1] {
        return Err(format!(
            "module '{name}' has the workgroup size {:?} with specialization constants {:?}; the kernel's is \
             SPEC_SUBGROUP_SIZE by 1 by 1. Declare it with layout(local_size_x_id = SPEC_SUBGROUP_SIZE) in.",
            reflection.local_size, reflection.local_size_spec
        ));
    }
    Ok(())
}

fn lists(tables: &[Table], table: &str, prefix: &str, value: u32) -> bool {
    let rows = tables.iter().filter(|(name, _)| *name == table).flat_map(|(_, rows)| rows.iter());
    rows.into_iter().any(|(name, listed)| name.starts_with(prefix) && *listed == value)
}
