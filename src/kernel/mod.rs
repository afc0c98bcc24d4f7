//! The compiled kernel: modules embedded by `build.rs`, cut by opcode family (see docs/building.md).

mod builder;
mod family;
mod link;
mod module;
#[path = "build/parse.rs"]
mod parse;

pub use builder::{Kernel, KernelBuilder, operations_of};
pub(crate) use family::{IO, Wanted, claim_cost, is_wide, smallest};
pub use link::{Argument, ArgumentKind, LinkError, Linked, Operation, Width};
use module::Aligned;
pub use module::{Binding, Module};

/// Of what the build script has too: a message for people.
type Result<T> = std::result::Result<T, String>;

/// Sorted by name.
const MODULES: &[Module] = include!(concat!(env!("OUT_DIR"), "/modules.rs"));

/// All embedded modules, sorted by name.
pub fn modules() -> &'static [Module] {
    MODULES
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
