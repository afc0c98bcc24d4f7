//! Takes back capabilities that nothing needs any more, so that the module runs on devices without.

use std::collections::HashSet;

use rspirv::dr::{Instruction, Operand};
use rspirv::spirv::{Capability, Op};

use super::flow::Module;

/// Whether an instruction needs what the capability enables.
type Needs = fn(&Instruction) -> bool;

/// The capabilities of which all that needs them is known.
const NEEDS: [(Capability, Needs); 6] = [
    (Capability::Int64, |i| {
        i.class.opcode == Op::TypeInt && i.operands.first() == Some(&Operand::LiteralBit32(64))
    }),
    (Capability::GroupNonUniformVote, |i| within(i, Op::GroupNonUniformAll, Op::GroupNonUniformAllEqual)),
    (Capability::GroupNonUniformArithmetic, |i| {
        // Clustered and partitioned ones have capabilities of their own; this one is then kept all the same.
        within(i, Op::GroupNonUniformIAdd, Op::GroupNonUniformLogicalXor)
    }),
    // The masks of lanes are built-ins of this one.
    (Capability::GroupNonUniformBallot, |i| {
        within(i, Op::GroupNonUniformBroadcast, Op::GroupNonUniformBallotFindMSB)
            || i.class.opcode == Op::Decorate
                && i.operands.iter().any(|o| matches!(o, Operand::BuiltIn(b) if is_mask(*b)))
    }),
    (Capability::GroupNonUniformShuffle, |i| {
        within(i, Op::GroupNonUniformShuffle, Op::GroupNonUniformShuffleXor)
    }),
    (Capability::GroupNonUniformShuffleRelative, |i| {
        within(i, Op::GroupNonUniformShuffleUp, Op::GroupNonUniformShuffleDown)
    }),
];

fn within(instruction: &Instruction, from: Op, to: Op) -> bool {
    (from as u32..=to as u32).contains(&(instruction.class.opcode as u32))
}

fn is_mask(built_in: rspirv::spirv::BuiltIn) -> bool {
    use rspirv::spirv::BuiltIn;
    (BuiltIn::SubgroupEqMask as u32..=BuiltIn::SubgroupLtMask as u32).contains(&(built_in as u32))
}

/// Takes out capabilities; of an `open` module Int64 only.
pub(super) fn prune(module: &mut Module, open: bool) {
    let mut idle: Vec<(Capability, Needs)> = NEEDS.to_vec();
    idle.retain(|(capability, _)| !open || *capability == Capability::Int64);
    let inside = module.functions.iter().flat_map(|f| f.blocks.iter().flat_map(|block| &block.body));
    for instruction in module.outside.iter().chain(inside) {
        idle.retain(|(_, needs)| !needs(instruction));
    }
    let idle: HashSet<u32> = idle.into_iter().map(|(capability, _)| capability as u32).collect();
    module.outside.retain(|instruction| match instruction.operands[..] {
        [Operand::Capability(capability)] => !idle.contains(&(capability as u32)),
        _ => true,
    });
}
