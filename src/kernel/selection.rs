//! Which of the built-in opcodes a kernel has, and what follows from that: what is left out makes it faster (DESIGN fact 10).

use std::collections::BTreeMap;

use super::{Module, Operation, Width, module};
use crate::protocol::abi::live::{FAMILY_CLAIM_COST, HANDLER_TURNS, LANE_CLAIM_COST, PACKED_TURNS};
use crate::protocol::abi::opcode::{PACKED_MAX_OPS, *};
use crate::protocol::abi::range::RANGE_CLAIM_COST;
use crate::protocol::abi::scan::SCAN_CLAIM_COST;
use crate::protocol::abi::spec::*;

/// Those that no kernel does without.
const ALWAYS: [u32; 3] = [OP_NOP, OP_BATCH_FENCE, OP_SHUTDOWN];

/// Opcodes of which each lane of a subgroup has a slot.
pub const LANE_OPCODES: &[u32] = &[
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

/// Opcodes that ask the host for storage: only for a runtime that has somebody to answer.
pub const IO_OPCODES: &[u32] = &[OP_LOAD_MISS, OP_STORE_RANGE, OP_IO_FENCE, OP_LOAD_SUM];

/// What the kernel has for some opcodes, in place where one of them is wanted: what `glsl/options.glsl` lists.
struct Part {
    spec: u32,
    opcodes: &'static [u32],
    /// Loop turns that the dearest claim of one of them can cost.
    claim_cost: u32,
}

const fn part(spec: u32, opcodes: &'static [u32], claim_cost: u32) -> Part {
    Part { spec, opcodes, claim_cost }
}

const PARTS: &[Part] = &[
    part(SPEC_STORE_U32, &[OP_STORE_U32], 0),
    part(SPEC_ATOMIC_ADD, &[OP_ATOMIC_ADD], 0),
    part(SPEC_LOAD_U32, &[OP_LOAD_U32], 0),
    part(SPEC_COMPARE_SWAP, &[OP_COMPARE_SWAP], 0),
    part(SPEC_MEMCPY, &[OP_MEMCPY], 0),
    part(SPEC_DFA_STEP, &[OP_DFA_STEP], 0),
    part(SPEC_PRINTF, &[OP_PRINTF], 0),
    part(SPEC_PACKED_SLOT, &[OP_PACKED_SLOT], 0),
    part(SPEC_SCAN, &[OP_SCAN], SCAN_CLAIM_COST),
    part(SPEC_CRC32C, &[OP_CRC32C], RANGE_CLAIM_COST),
    part(SPEC_SUM_WORDS, &[OP_SUM_WORDS], RANGE_CLAIM_COST),
    part(SPEC_COPY_RANGE, &[OP_COPY_RANGE], RANGE_CLAIM_COST),
    part(SPEC_IO, IO_OPCODES, 0),
    part(SPEC_LOAD_SUM, &[OP_LOAD_SUM], RANGE_CLAIM_COST),
    part(SPEC_UNFOLD, &[OP_UNFOLD], 0),
];

/// What a kernel is to have of its own, beside operations of users: see [`Kernel::link`](super::Kernel::link).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Selection {
    /// Built-in opcodes. NOP, BATCH_FENCE and SHUTDOWN are in every kernel; what is not built in asks for nothing.
    pub opcodes: Vec<u32>,
    /// Several tenants share it.
    pub tenants: bool,
    /// The device has `shaderInt64`, with which some drivers sum words faster.
    pub int64: bool,
    /// It has a place for operations of users, even if there are none: it takes the place of a kernel that had some, of
    /// which slots may be left that gave way.
    pub handlers: bool,
}

impl Selection {
    /// The embedded modules that a kernel is made of: itself, and what it does for users' operations, in the order of the
    /// mailbox's words.
    pub(super) fn modules(&self) -> Option<(&'static Module, [&'static Module; 2])> {
        let [kernel, step, print] = match self.tenants {
            false => ["kernel", "step", "print"],
            true => ["shared", "shared_step", "shared_print"],
        };
        Some((module(kernel)?, [module(step)?, module(print)?]))
    }

    /// Whether each part is to be there, with these operations of users.
    pub(super) fn parts(&self, users: &[Operation]) -> Parts {
        let some = |of: fn(&Operation) -> bool| (self.handlers || users.iter().any(of)).into();
        let mut parts: BTreeMap<u32, u32> = PARTS
            .iter()
            .map(|part| (part.spec, part.opcodes.iter().any(|op| self.opcodes.contains(op)).into()))
            .collect();
        parts.insert(SPEC_LANE_HANDLERS, some(|operation| operation.width == Width::Lane));
        parts.insert(SPEC_WIDE_HANDLERS, some(|operation| operation.width == Width::Wide));
        parts.insert(SPEC_PUBLISHERS, some(|operation| operation.publishes));
        parts.insert(SPEC_INT64, self.int64.into());
        Parts(parts)
    }
}

/// The specialization constants of `glsl/options.glsl`, as they are in a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parts(pub BTreeMap<u32, u32>);

impl Parts {
    fn has(&self, spec: u32) -> bool {
        self.0.get(&spec).is_some_and(|value| *value != 0)
    }

    pub fn place_for_handlers(&self) -> bool {
        self.has(SPEC_LANE_HANDLERS) || self.has(SPEC_WIDE_HANDLERS)
    }

    /// Those that a kernel with these parts executes, sorted.
    pub fn opcodes(&self) -> Vec<u32> {
        let mut opcodes = ALWAYS.to_vec();
        for part in PARTS.iter().filter(|part| self.has(part.spec)) {
            opcodes.extend(part.opcodes.iter().filter(|op| **op != OP_LOAD_SUM || self.has(SPEC_LOAD_SUM)));
        }
        opcodes.sort_unstable();
        opcodes.dedup();
        opcodes
    }

    /// Loop turns that the dearest claim can cost in a kernel of `loops`, with what is linked into it, by subgroups of
    /// `lanes`: the kernel's `RESERVE`, or its `PACKED_COST` where that is more.
    pub fn claim_cost(&self, loops: u32, lanes: u32) -> u32 {
        let (ops, turns) = if self.has(SPEC_PACKED_SLOT) { (PACKED_MAX_OPS, PACKED_TURNS) } else { (1, 0) };
        let handlers =
            (ops * HANDLER_TURNS).saturating_mul(lanes).saturating_add(turns.saturating_mul(loops));
        let handlers = if self.has(SPEC_LANE_HANDLERS) { handlers } else { 0 };
        let parts = PARTS.iter().filter(|part| self.has(part.spec)).map(|part| part.claim_cost);
        let executes = parts.fold(LANE_CLAIM_COST.saturating_add(handlers), u32::max);
        // Families come on top of whatever the claim executes.
        let families = self.has(SPEC_UNFOLD) || self.has(SPEC_PUBLISHERS);
        executes.saturating_add(if families { FAMILY_CLAIM_COST } else { 0 })
    }
}

/// A whole subgroup works on one slot of this opcode.
#[inline]
pub(crate) const fn is_wide(opcode: u32) -> bool {
    matches!(opcode, OP_SCAN | OP_CRC32C | OP_SUM_WORDS | OP_COPY_RANGE)
}
