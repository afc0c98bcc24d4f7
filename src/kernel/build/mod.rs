//! How `spirv/` is made from `glsl/`, and checked against it; see docs/building.md.
//!
//! This module belongs to the build script: `build.rs` and `tests/build.rs` include it by path, the
//! library does not. Everything here takes folders and tables as arguments, so that the tests can hand
//! it copies with a fault in them.

pub mod abi_glsl;
pub mod contract;
pub mod emit;
pub mod glslc;
pub mod lock;
pub mod manifest;
pub mod parse;
pub mod reflect;

/// A message for whoever runs the build: what is wrong, where, and what to do.
pub type Result<T> = std::result::Result<T, String>;

/// A table of shared constants, as `src/protocol/abi.rs` lists them.
pub type Table<'a> = (&'a str, &'a [(&'a str, u32)]);

/// A compiled module, before it is embedded.
pub struct Compiled {
    /// Its name in `glsl/modules`.
    pub name: String,
    /// SPIR-V, little-endian.
    pub code: Vec<u8>,
}

/// Reads a text file with its line ends normalised, since git may have rewritten them.
pub fn read_text(path: &std::path::Path) -> Result<String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    Ok(text.replace("\r\n", "\n"))
}
