//! Which module serves which opcodes: the smallest that has them all is the fastest (DESIGN fact 10).

use super::{Module, module};
use crate::protocol::abi::{live::LANE_CLAIM_COST, opcode::*, scan::SCAN_CLAIM_COST};

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
pub(crate) const IO: &[u32] = &[OP_LOAD_MISS, OP_STORE_RANGE, OP_IO_FENCE];

/// Modules by growing size, with what each has beyond [`CORE`].
const FAMILIES: &[(&str, &[u32])] = &[("core", &[]), ("scan", &[OP_SCAN]), ("io", IO)];

/// The smallest module that executes all of `opcodes`; those that none has are a FAULT on the device,
/// so they ask for nothing.
pub(crate) fn smallest(opcodes: &[u32]) -> Option<&'static Module> {
    let known = |op: &u32| CORE.contains(op) || FAMILIES.iter().any(|(_, more)| more.contains(op));
    let serves =
        |more: &[u32]| opcodes.iter().filter(|op| known(op)).all(|op| CORE.contains(op) || more.contains(op));
    FAMILIES.iter().find(|(_, more)| serves(more)).and_then(|(name, _)| module(name))
}

/// Loop turns that the dearest claim of a module can cost; the kernel's `RESERVE`.
pub(crate) fn claim_cost(module: &Module) -> u32 {
    if module.name == "scan" { LANE_CLAIM_COST.max(SCAN_CLAIM_COST) } else { LANE_CLAIM_COST }
}

/// A whole subgroup works on one slot of this opcode.
#[inline]
pub(crate) const fn is_wide(opcode: u32) -> bool {
    opcode == OP_SCAN
}
