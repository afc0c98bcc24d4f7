//! `glsl/abi.glsl`, rendered from the tables of `src/protocol/abi.rs`.

use std::fmt::Write as _;
use std::path::Path;

use super::{Result, Table, read_text};

/// The file's text, tables and constants in the order in which Rust defines them.
pub fn render(tables: &[Table]) -> String {
    let mut text = String::from(
        "// The constants that host and kernel share. Written by tools/spirv from src/protocol/abi.rs:\n\
         // change them there.\n\
         #ifndef RINGFENCE_ABI\n\
         #define RINGFENCE_ABI\n",
    );
    for (section, constants) in tables {
        let _ = writeln!(text, "\n// {section}");
        for (name, value) in *constants {
            // Counts and indices read better in decimal, masks and codes in hexadecimal.
            let _ = match value {
                0..=0xFFFF => writeln!(text, "const uint {name} = {value}u;"),
                _ => writeln!(text, "const uint {name} = 0x{value:08X}u;"),
            };
        }
    }
    text.push_str("\n#endif\n");
    text
}

/// Checks that `glsl/abi.glsl` says what the tables say.
///
/// # Errors
/// Names the first line that differs, with both versions, and the command that repairs it.
pub fn check(glsl: &Path, tables: &[Table]) -> Result<()> {
    let expected = render(tables);
    let found = read_text(&glsl.join("abi.glsl"))?;
    if found == expected {
        return Ok(());
    }
    let missing = "(nothing)";
    let longest = expected.lines().count().max(found.lines().count());
    let differs = |n: &usize| expected.lines().nth(*n) != found.lines().nth(*n);
    // Texts that differ in their last line end alone have no differing line.
    let line = (0..longest).find(differs).unwrap_or(longest);
    Err(format!(
        "glsl/abi.glsl line {} disagrees with src/protocol/abi.rs\n  abi.glsl: {}\n  abi.rs:   {}\n\
         src/protocol/abi.rs is the definition. Run tools/spirv, which renders abi.glsl and recompiles \
         spirv/; tools/spirv --abi renders it alone.",
        line + 1,
        found.lines().nth(line).unwrap_or(missing),
        expected.lines().nth(line).unwrap_or(missing),
    ))
}
