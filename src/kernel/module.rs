//! One compiled module, with what the build script read out of it.

use super::Binding;

/// A compute shader in SPIR-V, embedded in the library. Its entry point is `main`.
#[derive(Debug)]
pub struct Module {
    /// Name in `glsl/modules`.
    pub name: &'static str,
    /// Loops in the module (`OpLoopMerge`). Where a driver limits loop iterations, each pass of the
    /// kernel's outer loop is charged with this many.
    pub loops: u32,
    /// Workgroup size in invocations, before specialization.
    pub local_size: [u32; 3],
    /// Specialization constant that sets a dimension of the workgroup size, where there is one.
    pub local_size_spec: [Option<u32>; 3],
    /// Descriptors that the module names, sorted.
    pub bindings: &'static [Binding],
    /// Ids of its specialization constants, sorted.
    pub spec_ids: &'static [u32],
    /// Capabilities that it declares, by the names of the SPIR-V specification, sorted.
    pub capabilities: &'static [&'static str],
    /// Size of its push constant block; 0 without one.
    pub push_constant_bytes: u32,
    pub(super) code: &'static Aligned<[u8]>,
}

impl Module {
    /// Whether the device must have `shaderInt64`.
    pub fn needs_int64(&self) -> bool {
        self.capabilities.contains(&"Int64")
    }

    /// The module as `vkCreateShaderModule` takes it.
    pub fn words(&self) -> &'static [u32] {
        // Aligned by `Aligned`, a whole number of words by the build script's check.
        bytemuck::cast_slice(&self.code.0)
    }

    /// The module as bytes, little-endian.
    pub fn bytes(&self) -> &'static [u8] {
        &self.code.0
    }
}

/// Bytes at an address that `u32`s can be read from.
#[derive(Debug)]
#[repr(C, align(4))]
pub(super) struct Aligned<T: ?Sized>(pub(super) T);
