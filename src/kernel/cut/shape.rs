//! Takes out the blocks that are no longer reached, and the constructs that nothing needs any more, by the
//! rules of structured control flow (SPIR-V specification section 2.11).
//!
//! One rule may be broken: a merge block that nothing reaches any more ends the function, even in a loop that
//! is within the continue construct of another, where the way back must follow on all there is. Compilers make
//! such loops of a `do` whose condition calls a function that loops.

use rspirv::dr::{Instruction, Operand};
use rspirv::spirv::Op;

use super::constants::Constants;
use super::flow::{Block, Function, NONE, branch, entries, selection_merge};
use super::fold::Value;

/// What becomes of a construct.
enum Fate {
    /// Something in it breaks out of it from within another.
    Stays,
    /// Nothing leaves it but at its end; or this block does so first, and heads a selection instead.
    Goes { first_exit: Option<usize> },
}

/// A function's blocks while constructs go.
struct Shape<'a> {
    function: &'a mut Function,
    constants: &'a Constants,
    at: Vec<u32>,
    live: Vec<bool>,
    /// By block, those reached that branch to it.
    from: Vec<Vec<u32>>,
    /// By block, how many headers name it as where their construct merges or continues.
    named: Vec<u32>,
}

/// Whether something may be simplified because of it.
pub(super) fn reshape(function: &mut Function, constants: &Constants) -> bool {
    let at = function.places(constants.bound());
    let live = function.live(&at);
    let from = function.predecessors(&at, |index| live[index]);
    let mut named = vec![0; live.len()];
    for block in function.blocks.iter().zip(&live).filter(|(_, live)| **live).map(|(block, _)| block) {
        for label in block.names() {
            named[at[label as usize] as usize] += 1;
        }
    }
    let mut shape = Shape { function, constants, at, live, from, named };
    let mut changed = false;
    // Headers come before what they head: the inner ones first.
    for index in (0..shape.live.len()).rev() {
        changed |= shape.live[index] && shape.decide(index);
    }
    shape.rebuild();
    changed
}

impl Shape<'_> {
    fn place(&self, label: u32) -> usize {
        self.at[label as usize] as usize
    }

    /// Takes the construct apart that a block heads, if it can be, and need not be one. Whether a loop went.
    fn decide(&mut self, index: usize) -> bool {
        let block = &self.function.blocks[index];
        let Some(merge) = block.merge_label() else { return false };
        let continues = block.continue_label().map(|label| self.place(label));
        let passes = continues.filter(|place| self.live[*place]);
        match passes {
            Some(place) if self.may_go_back(index, place, merge) => return false,
            None if continues.is_none() && block.targets().nth(1).is_some() => return false,
            _ => {}
        }
        // Where the loop would continue is no more than a block of its body then.
        let back = passes.map(|place| (place, self.function.blocks[place].end.clone()));
        continues.into_iter().for_each(|place| self.named[place] -= 1);
        passes.into_iter().for_each(|place| self.function.blocks[place].end = branch(merge));
        let Fate::Goes { first_exit } = self.fate(index, merge, passes) else {
            continues.into_iter().for_each(|place| self.named[place] += 1);
            back.into_iter().for_each(|(place, end)| self.function.blocks[place].end = end);
            return false;
        };
        if first_exit.is_none() {
            let place = self.place(merge);
            self.named[place] -= 1;
        }
        let block = &mut self.function.blocks[index];
        block.merge = None;
        let only = block.targets().next().filter(|_| block.end.class.opcode == Op::Switch);
        if let Some(only) = only {
            block.end = branch(only);
        }
        if let Some(exit) = first_exit {
            self.function.blocks[exit].merge = Some(selection_merge(merge));
        }
        continues.is_some()
    }

    /// Whether a loop may go back to its header, or continue from elsewhere than the end of its body.
    fn may_go_back(&self, header: usize, continues: usize, merge: u32) -> bool {
        let ends = |index: usize, op| self.function.blocks[index].end.class.opcode == op;
        let end = &self.function.blocks[continues].end;
        let never = match &end.operands[..] {
            [condition, yes, no] if ends(continues, Op::BranchConditional) => {
                let value = condition.id_ref_any().and_then(|id| self.constants.values.get(id as usize));
                match value {
                    Some(Value::Is(0)) => no.id_ref_any() == Some(merge),
                    Some(Value::Is(_)) => yes.id_ref_any() == Some(merge),
                    _ => false,
                }
            }
            _ => false,
        };
        let entered = |from: &u32| (*from as usize) < header || *from as usize == continues;
        let once = ends(header, Op::Branch)
            && self.from[header].iter().all(entered)
            && self.from[continues].len() == 1;
        !never || !once
    }

    /// Follows the blocks that are in the construct that `header` heads, but in none within; those of a loop that does
    /// not go back pass through where it continues.
    fn fate(&self, header: usize, merge: u32, passes: Option<usize>) -> Fate {
        let merge_at = self.place(merge);
        let mut first_exit = None;
        let mut leaving = Vec::new();
        let mut seen = vec![header];
        let mut at = header;
        loop {
            let block = &self.function.blocks[at];
            let to_merge = block.targets().any(|target| target == merge);
            // Over a construct within, to where it merges.
            if let Some(inner) = block.merge_label().filter(|_| at != header) {
                let next = self.place(inner);
                if next == merge_at || !self.live[next] || seen.len() > self.live.len() {
                    break;
                }
                seen.push(next);
                at = next;
                continue;
            }
            if to_merge {
                leaving.push(at as u32);
            }
            // Where it goes on; at what another construct names, it leaves this one.
            let mut on =
                block.targets().filter(|target| *target != merge && self.named[self.place(*target)] == 0);
            let next = on.next();
            if let Some(other) = on.next()
                && Some(other) != next
            {
                return Fate::Stays;
            }
            if to_merge && block.targets().any(|target| target != merge) && first_exit.is_none() {
                first_exit = Some(at);
            }
            match next.map(|next| self.place(next)) {
                Some(next) if seen.len() <= self.live.len() && next != header => {
                    seen.push(next);
                    at = next;
                }
                _ => break,
            }
        }
        if passes.is_some_and(|place| !seen.contains(&place)) {
            return Fate::Stays;
        }
        let breaks = self.from[merge_at].iter().any(|from| !leaving.contains(from));
        let is_branch = self.function.blocks[header].end.class.opcode == Op::Branch;
        let is_loop = self.function.blocks[header].continue_label().is_some();
        if breaks && (is_loop || !is_branch) { Fate::Stays } else { Fate::Goes { first_exit } }
    }

    /// Takes the blocks out that are not reached, but for those that constructs name.
    fn rebuild(self) {
        let Self { function, at, live, mut named, .. } = self;
        // Where a continue target that is not reached leads back to, by block.
        let mut back = vec![NONE; live.len()];
        named.fill(0);
        for (_, block) in function.blocks.iter().enumerate().filter(|(index, _)| live[*index]) {
            for label in block.names() {
                named[at[label as usize] as usize] += 1;
            }
            if let Some(label) = block.continue_label() {
                back[at[label as usize] as usize] = block.id();
            }
        }
        for (index, block) in function.blocks.iter_mut().enumerate().filter(|(index, _)| !live[*index]) {
            block.body.clear();
            block.merge = None;
            block.end = match back[index] {
                NONE => Instruction::new(Op::Unreachable, None, None, vec![]),
                header => branch(header),
            };
        }
        let stays = |index: usize| live[index] || named[index] > 0;
        let from = function.predecessors(&at, stays);
        for (index, block) in function.blocks.iter_mut().enumerate().filter(|(index, _)| live[*index]) {
            let stub = block.continue_label().filter(|label| !live[at[*label as usize] as usize]);
            prune(block, stub, |label| {
                let place = at[label as usize];
                place != NONE && live[place as usize] && from[index].contains(&place)
            });
        }
        let mut index = 0;
        function.blocks.retain(|_| {
            index += 1;
            stays(index - 1)
        });
    }
}

/// Takes from the phis of a block what comes from elsewhere. `stub`: what the way back of its loop has
/// become.
fn prune(block: &mut Block, stub: Option<u32>, comes: impl Fn(u32) -> bool) {
    for phi in block.phis() {
        let all = entries(phi).all(|(_, label)| comes(label));
        if all && stub.is_none() {
            continue;
        }
        let mut operands = Vec::with_capacity(phi.operands.len());
        for (value, label) in entries(phi).filter(|(_, label)| comes(*label)) {
            operands.extend([Operand::IdRef(value), Operand::IdRef(label)]);
        }
        if let Some((stub, id)) = stub.zip(phi.result_id) {
            operands.extend([Operand::IdRef(id), Operand::IdRef(stub)]);
        }
        phi.operands = operands;
    }
}
