//! Straightens what has become empty: selections that choose between nothing and nothing, and blocks that
//! only follow one another.

use rspirv::dr::{Instruction, Operand};
use rspirv::spirv::Op;

use super::flow::{Function, branch, entries};

/// Times that a function is gone over at most, each for a construct within others at the worst.
const ROUNDS: usize = 16;

/// Whether a condition is no longer needed.
pub(super) fn straighten(function: &mut Function, bound: u32) -> bool {
    let mut changed = false;
    for _ in 0..ROUNDS {
        let emptied = drop_empty(function, bound);
        join(function, bound);
        changed |= emptied;
        if !emptied {
            break;
        }
    }
    changed
}

/// By block, whether a header names it.
fn named(function: &Function, at: &[u32]) -> Vec<bool> {
    let mut named = vec![false; function.blocks.len()];
    for block in &function.blocks {
        for label in block.names() {
            named[at[label as usize] as usize] = true;
        }
    }
    named
}

/// Takes out selections all ways of which lead to where they merge, and make no difference there.
fn drop_empty(function: &mut Function, bound: u32) -> bool {
    let at = function.places(bound);
    let named = named(function, &at);
    let from = function.predecessors(&at, |_| true);
    let mut gone = vec![false; function.blocks.len()];
    let mut changed = false;
    for index in (0..function.blocks.len()).rev() {
        let block = &function.blocks[index];
        let selects = matches!(block.end.class.opcode, Op::BranchConditional | Op::Switch);
        let Some(merge) = block.merge_label().filter(|_| selects && block.continue_label().is_none()) else {
            continue;
        };
        let header = block.id();
        let mut ways = Vec::new();
        let straight = block.targets().all(|target| {
            let place = at[target as usize] as usize;
            let between = &function.blocks[place];
            ways.push(if target == merge { header } else { target });
            let empty = between.body.is_empty()
                && between.merge.is_none()
                && between.end.class.opcode == Op::Branch
                && between.targets().eq([merge]);
            target == merge
                || empty && !named[place] && !gone[place] && from[place].iter().eq([&(index as u32)])
        });
        let merge_at = at[merge as usize] as usize;
        let phis = || function.blocks[merge_at].body.iter().take_while(|step| step.class.opcode == Op::Phi);
        let alike = |phi: &Instruction| {
            let mut values = entries(phi).filter(|(_, label)| ways.contains(label)).map(|(value, _)| value);
            let first = values.next();
            first.is_some() && values.all(|value| Some(value) == first)
        };
        if !straight || merge_at == index || !phis().all(alike) {
            continue;
        }
        for phi in function.blocks[merge_at].phis() {
            let mut merged = false;
            let mut operands = Vec::with_capacity(phi.operands.len());
            for (value, label) in entries(phi) {
                let ours = ways.contains(&label);
                if !ours || !std::mem::replace(&mut merged, true) {
                    operands.extend([value, if ours { header } else { label }].map(Operand::IdRef));
                }
            }
            phi.operands = operands;
        }
        for way in ways.iter().filter(|way| **way != header) {
            gone[at[*way as usize] as usize] = true;
        }
        let block = &mut function.blocks[index];
        (block.merge, block.end) = (None, branch(merge));
        changed = true;
    }
    let mut index = 0;
    function.blocks.retain(|_| {
        index += 1;
        !gone[index - 1]
    });
    changed
}

/// Makes one block of two where the second only ever follows the first.
fn join(function: &mut Function, bound: u32) {
    let at = function.places(bound);
    let named = named(function, &at);
    let from = function.predecessors(&at, |_| true);
    let mut gone = vec![false; function.blocks.len()];
    // By label, the one that the block has become part of.
    let mut part: Vec<u32> = Vec::new();
    for index in 0..function.blocks.len() {
        if gone[index] {
            continue;
        }
        let follower = |function: &Function| {
            let block = &function.blocks[index];
            let target = block.targets().next().filter(|_| block.end.class.opcode == Op::Branch)?;
            let next = at[target as usize] as usize;
            let second = &function.blocks[next];
            let phi = second.body.first().is_some_and(|step| step.class.opcode == Op::Phi);
            let loops = second.continue_label().is_some();
            let alone = block.merge.is_none() && from[next].len() == 1 && !phi && !loops && !named[next];
            (alone && next != index && next != 0).then_some((block.id(), target, next))
        };
        while let Some((label, target, next)) = follower(function).filter(|(_, _, next)| !gone[*next]) {
            part.resize(bound as usize, 0);
            part[target as usize] = label;
            gone[next] = true;
            let ended = branch(target);
            let second = &mut function.blocks[next];
            let (body, merge) = (std::mem::take(&mut second.body), second.merge.take());
            let end = std::mem::replace(&mut second.end, ended);
            let first = &mut function.blocks[index];
            first.body.extend(body);
            (first.merge, first.end) = (merge, end);
        }
    }
    if part.is_empty() {
        return;
    }
    let mut index = 0;
    function.blocks.retain(|_| {
        index += 1;
        !gone[index - 1]
    });
    for phi in function.blocks.iter_mut().flat_map(|block| block.phis()) {
        for [_, label] in phi.operands.as_chunks_mut::<2>().0 {
            if let Some(label) = label.id_ref_any_mut() {
                while let Some(whole) = part.get(*label as usize).filter(|whole| **whole != 0) {
                    *label = *whole;
                }
            }
        }
    }
}
