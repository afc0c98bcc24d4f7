//! Which module serves which opcodes: the smallest that has them all is the fastest (DESIGN fact 10).

use super::{Module, module};
use crate::protocol::abi::{
    live::FAMILY_CLAIM_COST, live::HANDLER_TURNS, live::LANE_CLAIM_COST, live::PACKED_TURNS,
    opcode::PACKED_MAX_OPS, opcode::*, range::RANGE_CLAIM_COST, scan::SCAN_CLAIM_COST,
};

/// Lane-sized opcodes that every module has.
const CORE: &[u32] = &[
    OP_NOP,
    OP_STORE_U32,
    OP_ATOMIC_ADD,
    OP_LOAD_U32,
    OP_COMPARE_SWAP,
    OP_MEMCPY,
    OP_DFA_STEP,
    OP_BATCH_FENCE,
    OP_PRINTF,
    OP_PACKED_SLOT,
    OP_SHUTDOWN,
];

/// Opcodes that ask the host for IO: only for a runtime that has somebody to answer.
pub(crate) const IO: &[u32] = &[OP_LOAD_MISS, OP_STORE_RANGE, OP_IO_FENCE, OP_LOAD_SUM];

/// Opcodes that a module has or has not together.
struct Family {
    opcodes: &'static [u32],
    /// Loop turns that the dearest claim of one can cost.
    claim_cost: u32,
}

const SCAN: &Family = &Family { opcodes: &[OP_SCAN], claim_cost: SCAN_CLAIM_COST };
const RANGE: &Family =
    &Family { opcodes: &[OP_CRC32C, OP_SUM_WORDS, OP_COPY_RANGE], claim_cost: RANGE_CLAIM_COST };
const UNFOLD: &Family = &Family { opcodes: &[OP_UNFOLD], claim_cost: LANE_CLAIM_COST };
const TRANSFER: &Family = &Family { opcodes: IO, claim_cost: RANGE_CLAIM_COST };

/// Modules, those without and those with transfers each by growing size, with what each has beyond [`CORE`]; those that
/// need 64-bit integers before those that do the same without.
const MODULES: &[(&str, &[&Family])] = &[
    ("core", &[]),
    ("scan", &[SCAN]),
    ("range64", &[RANGE]),
    ("range", &[RANGE]),
    ("wide", &[SCAN, RANGE]),
    ("io64", &[TRANSFER, RANGE]),
    ("io", &[TRANSFER, RANGE]),
    ("unfold", &[UNFOLD, RANGE]),
    ("full", &[UNFOLD, TRANSFER, SCAN, RANGE]),
];

/// The same for runtimes that several tenants share.
const SHARED_MODULES: &[(&str, &[&Family])] = &[
    ("shared", &[]),
    ("shared_wide", &[SCAN, RANGE]),
    ("shared_unfold", &[UNFOLD, RANGE]),
    ("shared_full", &[UNFOLD, TRANSFER, SCAN, RANGE]),
];

/// The same with a place for handlers.
const HANDLER_MODULES: &[(&str, &[&Family])] =
    &[("handlers", &[]), ("handlers_full", &[UNFOLD, TRANSFER, SCAN, RANGE])];
const SHARED_HANDLER_MODULES: &[(&str, &[&Family])] =
    &[("shared_handlers", &[]), ("shared_handlers_full", &[UNFOLD, TRANSFER, SCAN, RANGE])];

/// The opcodes that a module of the kernel's has; none for the probe's modules and the like.
pub fn opcodes(module: &Module) -> Option<Vec<u32>> {
    let all = [MODULES, SHARED_MODULES, HANDLER_MODULES, SHARED_HANDLER_MODULES].concat();
    let (_, families) = all.into_iter().find(|(name, _)| *name == module.name)?;
    let mut opcodes = CORE.to_vec();
    families.iter().for_each(|family| opcodes.extend(family.opcodes));
    opcodes.sort_unstable();
    Some(opcodes)
}

/// What a module is wanted for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wanted<'a> {
    /// Those that no module has are a FAULT on the device, so they ask for nothing.
    pub opcodes: &'a [u32],
    /// The device has 64-bit integers.
    pub int64: bool,
    /// There are several.
    pub tenants: bool,
    /// There are some.
    pub handlers: bool,
}

/// The smallest module that executes all that is wanted.
pub(crate) fn smallest(wanted: &Wanted<'_>) -> Option<&'static Module> {
    let has = |families: &[&Family], op: &u32| families.iter().any(|family| family.opcodes.contains(op));
    let asks = |op: &&u32| !CORE.contains(op) && MODULES.iter().any(|(_, families)| has(families, op));
    let serves = |families: &[&Family]| wanted.opcodes.iter().filter(asks).all(|op| has(families, op));
    let modules = match (wanted.handlers, wanted.tenants) {
        (false, false) => MODULES,
        (false, true) => SHARED_MODULES,
        (true, false) => HANDLER_MODULES,
        (true, true) => SHARED_HANDLER_MODULES,
    };
    modules
        .iter()
        .filter(|(_, families)| serves(families))
        .filter_map(|(name, _)| module(name))
        .find(|module| wanted.int64 || !module.needs_int64())
}

/// What a module with a place for handlers does for them, in the order of the mailbox's words.
pub(super) fn services(module: &Module) -> Option<[&'static Module; 2]> {
    let own = HANDLER_MODULES.iter().any(|(name, _)| *name == module.name);
    let shared = SHARED_HANDLER_MODULES.iter().any(|(name, _)| *name == module.name);
    let names = match (own, shared) {
        (true, _) => ["step", "print"],
        (_, true) => ["shared_step", "shared_print"],
        _ => return None,
    };
    let [step, print] = names.map(super::module);
    Some([step?, print?])
}

/// Loop turns that the dearest claim of a module can cost, which has `loops` with what is linked into it, by subgroups of
/// `lanes`; the kernel's `RESERVE`, or `PACKED_COST` where there are handlers.
pub(crate) fn claim_cost(module: &Module, loops: u32, lanes: u32) -> u32 {
    let families = [MODULES, SHARED_MODULES, HANDLER_MODULES, SHARED_HANDLER_MODULES]
        .concat()
        .into_iter()
        .filter(|(name, _)| *name == module.name)
        .flat_map(|(_, families)| families.iter());
    // Families come on top of whatever the claim executes.
    let unfolds = families.clone().any(|family| family.opcodes.contains(&OP_UNFOLD));
    let handlers = (PACKED_MAX_OPS * HANDLER_TURNS).saturating_mul(lanes);
    let handlers = handlers.saturating_add(PACKED_TURNS.saturating_mul(loops));
    let lanes = LANE_CLAIM_COST.saturating_add(if services(module).is_some() { handlers } else { 0 });
    let executes = families.map(|family| family.claim_cost).fold(lanes, u32::max);
    executes.saturating_add(if unfolds { FAMILY_CLAIM_COST } else { 0 })
}

/// A whole subgroup works on one slot of this opcode.
#[inline]
pub(crate) const fn is_wide(opcode: u32) -> bool {
    matches!(opcode, OP_SCAN | OP_CRC32C | OP_SUM_WORDS | OP_COPY_RANGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_module_that_has_them_all_is_taken() {
        let cases: [(&[u32], &str); 11] = [
            (&[], "core"),
            (&[OP_NOP, 8, 0x8000_0002], "core"),
            (&[OP_PACKED_SLOT, OP_SCAN], "scan"),
            (&[OP_SUM_WORDS, OP_NOP], "range"),
            (&[OP_CRC32C, OP_SUM_WORDS, OP_COPY_RANGE], "range"),
            (&[OP_SCAN, 8, OP_COPY_RANGE], "wide"),
            (&[OP_IO_FENCE, 8], "io"),
            (&[OP_LOAD_MISS, OP_CRC32C], "io"),
            (&[OP_UNFOLD, OP_CRC32C], "unfold"),
            (&[OP_UNFOLD, OP_SCAN], "full"),
            (&[OP_LOAD_MISS, OP_SCAN], "full"),
        ];
        for (opcodes, name) in cases {
            let taken = smallest(&Wanted { opcodes, ..Wanted::default() }).expect("every module is embedded");
            assert_eq!(taken.name, name, "{opcodes:x?}");
            let with = smallest(&Wanted { opcodes, int64: true, ..Wanted::default() })
                .expect("every module is embedded");
            assert_eq!(with.name.trim_end_matches("64"), name, "{opcodes:x?}");
            assert_eq!(with.needs_int64(), with.name.ends_with("64"), "{opcodes:x?}");
            for (_, families) in MODULES.iter().filter(|(module, _)| *module == name) {
                assert!(
                    families.iter().all(|family| family.claim_cost <= claim_cost(taken, taken.loops, 8)),
                    "{name}"
                );
            }
        }
    }
}
