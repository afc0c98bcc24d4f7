//! Which instructions may go if nothing uses what they give.

use rspirv::dr::{Instruction, Operand};
use rspirv::spirv::{MemoryAccess, MemorySemantics, Op};

use super::constants::Constants;
use super::fold::Value;

/// Opcodes that have no other effect than their result, from and to, by the sections of the specification.
const PURE: [(Op, Op); 14] = [
    (Op::Undef, Op::Undef),
    // Memory. The address is computed, not used.
    (Op::Variable, Op::Variable),
    (Op::AccessChain, Op::InBoundsAccessChain),
    (Op::PtrAccessChain, Op::ArrayLength),
    (Op::InBoundsPtrAccessChain, Op::InBoundsPtrAccessChain),
    // Composites, but for `OpCopyLogical`, which came later.
    (Op::VectorExtractDynamic, Op::Transpose),
    (Op::CopyLogical, Op::PtrDiff),
    (Op::ConvertFToU, Op::Bitcast),
    (Op::SNegate, Op::SMulExtended),
    (Op::Any, Op::FUnordGreaterThanEqual),
    (Op::ShiftRightLogical, Op::BitCount),
    (Op::Phi, Op::Phi),
    (Op::GroupNonUniformElect, Op::GroupNonUniformQuadSwap),
    (Op::GroupNonUniformRotateKHR, Op::GroupNonUniformRotateKHR),
];

/// Of GLSL.std.450: `Modf` and `Frexp` write through a pointer.
const WRITING: [u32; 2] = [35, 51];

/// Whether the instruction may go if its result is not used. `glsl`: the id of GLSL.std.450, or 0.
pub(super) fn removable(instruction: &Instruction, constants: &Constants, glsl: u32) -> bool {
    let op = instruction.class.opcode;
    match (op, &instruction.operands[..]) {
        (Op::Load, _) => !is_volatile(instruction),
        // Nobody can rely on an order that follows from a value that nobody looks at.
        (Op::AtomicLoad, [_, _, semantics, ..]) => {
            let semantics = semantics.id_ref_any().and_then(|id| constants.values.get(id as usize));
            matches!(semantics, Some(Value::Is(bits)) if bits & MemorySemantics::VOLATILE.bits() == 0)
        }
        (Op::ExtInst, [Operand::IdRef(set), Operand::LiteralExtInstInteger(number), ..]) => {
            *set == glsl && glsl != 0 && !WRITING.contains(number)
        }
        _ => PURE.iter().any(|(from, to)| (*from as u32..=*to as u32).contains(&(op as u32))),
    }
}

/// Whether a load or store is.
pub(super) fn is_volatile(instruction: &Instruction) -> bool {
    let volatile = |operand: &Operand| match operand {
        Operand::MemoryAccess(access) => access.contains(MemoryAccess::VOLATILE),
        _ => false,
    };
    instruction.operands.iter().any(volatile)
}
