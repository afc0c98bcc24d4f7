//! Loops that nothing leaves.

use std::collections::{HashMap, HashSet};

use rspirv::dr::{Instruction, Operand};
use rspirv::spirv::Op;

use super::Result;
use super::globals::Globals;

/// A block of a function: where it may go on, and whether the function may end there.
#[derive(Default)]
struct Block {
    next: Vec<u32>,
    ends: bool,
    /// Where the loop that it is the header of goes on behind.
    merge: Option<u32>,
}

/// Refuses a loop that no way leads out of, but for conditions that are never so. A worker in it would never come back, and
/// a device that is not a CPU's would be lost. Loops that end too late are not found: that takes running them.
pub(super) fn all_end(globals: &Globals, body: &[Instruction]) -> Result<()> {
    let blocks = blocks(globals, body);
    for (header, block) in &blocks {
        if let Some(merge) = block.merge
            && !leads_out(&blocks, *header, merge)
        {
            return Err("has a loop that nothing leaves; every loop must end, see handler.glsl".into());
        }
    }
    Ok(())
}

fn leads_out(blocks: &HashMap<u32, Block>, header: u32, merge: u32) -> bool {
    let mut seen = HashSet::from([header]);
    let mut next = vec![header];
    while let Some(id) = next.pop() {
        let Some(block) = blocks.get(&id) else { continue };
        if block.ends || block.next.contains(&merge) {
            return true;
        }
        next.extend(block.next.iter().copied().filter(|id| seen.insert(*id)));
    }
    false
}

fn blocks(globals: &Globals, body: &[Instruction]) -> HashMap<u32, Block> {
    let mut blocks: HashMap<u32, Block> = HashMap::new();
    let mut at = 0;
    for instruction in body {
        if instruction.class.opcode == Op::Label {
            at = instruction.result_id.unwrap_or_default();
        }
        let block = blocks.entry(at).or_default();
        match (instruction.class.opcode, &instruction.operands[..]) {
            (Op::LoopMerge, [Operand::IdRef(merge), ..]) => block.merge = Some(*merge),
            (Op::Branch, [Operand::IdRef(target)]) => block.next.push(*target),
            (
                Op::BranchConditional,
                [Operand::IdRef(condition), Operand::IdRef(yes), Operand::IdRef(no), ..],
            ) => match globals.defined.get(condition).map(|constant| constant.class.opcode) {
                Some(Op::ConstantTrue) => block.next.push(*yes),
                Some(Op::ConstantFalse) => block.next.push(*no),
                _ => block.next.extend([yes, no]),
            },
            (Op::Switch, operands) => {
                block.next.extend(operands.iter().skip(1).filter_map(Operand::id_ref_any));
            }
            (Op::Return | Op::ReturnValue | Op::Kill | Op::Unreachable | Op::TerminateInvocation, _) => {
                block.ends = true;
            }
            _ => {}
        }
    }
    blocks
}
