//! Orders the blocks of a function: each must come before those that it dominates (SPIR-V specification
//! section 2.16.1), and with ways gone, a block may dominate others that it did not, and that it stands
//! behind.

use super::flow::{Block, Function, NONE};

/// Moves as few blocks as must be.
pub(super) fn order(function: &mut Function, bound: u32) {
    let at = function.places(bound);
    let mut above = dominators(function, &at);
    for (index, block) in function.blocks.iter().enumerate() {
        // What is not reached stands behind the header that names it.
        for label in block.names() {
            let place = at[label as usize] as usize;
            if above[index] != NONE && above[place] == NONE {
                above[place] = index as u32;
            }
        }
    }
    let size = function.blocks.len();
    let late = |index: usize| above[index] != NONE && above[index] as usize > index;
    if !(0..size).any(late) {
        return;
    }
    let mut waiting = vec![Vec::new(); size];
    let mut placed = vec![false; size];
    let mut order = Vec::with_capacity(size);
    for (index, over) in above.iter().enumerate() {
        let over = *over as usize;
        if index != 0 && placed.get(over) == Some(&false) {
            waiting[over].push(index);
            continue;
        }
        let mut next = vec![index];
        while let Some(index) = next.pop() {
            placed[index] = true;
            order.push(index);
            next.extend(waiting[index].drain(..).rev());
        }
    }
    // A block that waits for one that waits for it would be left out; dominators have no circles.
    if order.len() == size {
        let mut blocks: Vec<Option<Block>> = function.blocks.drain(..).map(Some).collect();
        function.blocks = order.iter().filter_map(|index| blocks[*index].take()).collect();
    }
}

/// By block, the one that immediately dominates it; the first is its own, and those not reached have [`NONE`]
/// (Cooper, Harvey and Kennedy, "A simple, fast dominance algorithm", 2001).
fn dominators(function: &Function, at: &[u32]) -> Vec<u32> {
    let size = function.blocks.len();
    let (order, number) = postorder(function, at);
    let from = function.predecessors(at, |index| number[index] != NONE);
    let mut above = vec![NONE; size];
    let Some(first) = above.first_mut() else { return above };
    *first = 0;
    let mut changed = true;
    while std::mem::take(&mut changed) {
        for index in order.iter().rev().copied().filter(|index| *index != 0) {
            let known = from[index].iter().copied().filter(|from| above[*from as usize] != NONE);
            let meet = known.reduce(|mut a, mut b| {
                while a != b {
                    while number[a as usize] < number[b as usize] {
                        a = above[a as usize];
                    }
                    while number[b as usize] < number[a as usize] {
                        b = above[b as usize];
                    }
                }
                a
            });
            let meet = meet.unwrap_or(NONE);
            changed |= std::mem::replace(&mut above[index], meet) != meet;
        }
    }
    above
}

/// The blocks that are reached, each behind those that it leads to, but for ways back; and their places in
/// that, by block.
fn postorder(function: &Function, at: &[u32]) -> (Vec<usize>, Vec<u32>) {
    let size = function.blocks.len();
    let mut order = Vec::with_capacity(size);
    let mut number = vec![NONE; size];
    let mut seen = vec![false; size];
    let mut stack = Vec::new();
    if let (Some(first), Some(block)) = (seen.first_mut(), function.blocks.first()) {
        *first = true;
        stack.push((0, block.targets()));
    }
    while let Some((index, targets)) = stack.last_mut() {
        let next = targets.map(|target| at[target as usize] as usize).find(|next| !seen[*next]);
        if let Some(next) = next {
            seen[next] = true;
            stack.push((next, function.blocks[next].targets()));
        } else {
            number[*index] = order.len() as u32;
            order.push(*index);
            stack.pop();
        }
    }
    (order, number)
}
