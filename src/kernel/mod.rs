//! The compiled kernel: modules embedded by `build.rs`, of which each runtime cuts what it asks for and links operations of
//! users into the rest (docs/building.md, docs/handlers.md).

mod builder;
mod cut;
#[cfg(feature = "shaderc")]
mod glsl;
mod kept;
mod link;
mod module;
#[path = "build/parse.rs"]
mod parse;
#[path = "build/reflect.rs"]
mod reflect;
mod selection;

pub use builder::{Kernel, KernelBuilder, operations_of};
pub use link::{Argument, ArgumentKind, LinkError, Linked, Operation, Width};
use module::Aligned;
pub use module::Module;
pub use reflect::{Binding, Reflection, reflect};
pub(crate) use selection::is_wide;
pub use selection::{IO_OPCODES, LANE_OPCODES, Selection};

/// Of what the build script has too: a message for people.
type Result<T> = std::result::Result<T, String>;

/// Sorted by name.
const MODULES: &[Module] = include!(concat!(env!("OUT_DIR"), "/modules.rs"));

/// All embedded modules, sorted by name.
pub fn modules() -> &'static [Module] {
    MODULES
}

/// A module as people read it, an instruction a line.
///
/// # Errors
/// What is wrong with a malformed module. No input panics.
pub fn disassemble(code: &[u8]) -> std::result::Result<String, String> {
    use rspirv::binary::Disassemble as _;

    let parsed = parse::parse(code)?;
    let mut text = format!(
        "; SPIR-V {}.{}, ids below {}\n",
        parsed.version >> 16 & 0xFF,
        parsed.version >> 8 & 0xFF,
        parsed.bound
    );
    for instruction in &parsed.instructions {
        text += &instruction.disassemble();
        text.push('\n');
    }
    Ok(text)
}

/// The module of this name, if there is one.
pub fn module(name: &str) -> Option<&'static Module> {
    MODULES.binary_search_by(|module| module.name.cmp(name)).ok().map(|index| &MODULES[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_found_by_name() {
        assert!(modules().is_sorted_by_key(|module| module.name));
        for wanted in modules() {
            let found = module(wanted.name).expect("every listed module is found");
            assert_eq!(found.name, wanted.name);
            assert_eq!(found.words().len() * 4, found.bytes().len());
            assert_eq!(found.words()[0], 0x0723_0203);
        }
        assert!(module("no such module").is_none());
    }
}
