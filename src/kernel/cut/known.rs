//! What is known of a function's values and ways, under the assumption that it is all that may be
//! (optimistic, so that loops do not spoil it), until nothing contradicts.

use rspirv::dr::{Instruction, Operand};
use rspirv::spirv::Op;

use super::constants::Constants;
use super::flow::{Block, Function, NONE, entries, ids};
use super::fold::{Value, fold, folds};

/// Passes over a function at most. Loops nested so deeply that it takes more are not looked into.
const PASSES: usize = 256;

/// What is known of a function. What is known of its values is in [`Constants::values`].
pub(super) struct Known {
    /// Blocks by label.
    pub at: Vec<u32>,
    /// Whether a block is reached.
    pub reached: Vec<bool>,
}

/// Where a block goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Not known yet.
    None,
    /// Always at this label.
    One(u32),
    /// At any of its targets.
    All,
}

impl Known {
    /// `None` if that cannot be told; nothing is then known of the function's values either.
    pub(super) fn of(function: &Function, constants: &mut Constants) -> Option<Self> {
        let at = function.places(constants.bound());
        let mut known = Self { at, reached: vec![false; function.blocks.len()] };
        *known.reached.first_mut()? = true;
        let steps: Vec<Vec<(u32, &Instruction)>> = function
            .blocks
            .iter()
            .map(|block| block.body.iter().filter_map(|step| Some((told(step, constants)?, step))).collect())
            .collect();
        for (id, _) in steps.iter().flatten() {
            constants.values[*id as usize] = Value::Unknown;
        }
        for _ in 0..PASSES {
            if !known.pass(function, &steps, constants) {
                return Some(known);
            }
        }
        for (id, _) in steps.iter().flatten() {
            constants.values[*id as usize] = Value::Varies;
        }
        None
    }

    /// Goes through the blocks in order; whether something came of it.
    fn pass(
        &mut self,
        function: &Function,
        steps: &[Vec<(u32, &Instruction)>],
        constants: &mut Constants,
    ) -> bool {
        let mut changed = false;
        let mut operands = Vec::new();
        for (index, block) in function.blocks.iter().enumerate() {
            if !self.reached[index] {
                continue;
            }
            for (id, step) in &steps[index] {
                let old = constants.values[*id as usize];
                if old == Value::Varies {
                    continue;
                }
                let values = &constants.values;
                let found = match step.class.opcode {
                    Op::Phi => self
                        .coming(function, constants, step, block.id())
                        .fold(Value::Unknown, |value, coming| value.or(values[coming as usize])),
                    Op::CompositeExtract => constants.part(&step.operands),
                    op => {
                        operands.clear();
                        operands.extend(ids(step).map(|id| values[id as usize]));
                        fold(op, &operands)
                    }
                };
                // What is known only becomes less, so that this ends.
                let found = old.or(found);
                constants.values[*id as usize] = found;
                changed |= found != old;
            }
            let way = self.way(function, constants, index);
            for target in block.targets().filter(|target| way.takes(*target)) {
                let reached = &mut self.reached[self.at[target as usize] as usize];
                changed |= !std::mem::replace(reached, true);
            }
        }
        changed
    }

    /// The values that come to a phi over ways that are taken.
    pub(super) fn coming(
        &self,
        function: &Function,
        constants: &Constants,
        phi: &Instruction,
        label: u32,
    ) -> impl Iterator<Item = u32> {
        let taken = move |from: u32| {
            let from = self.at[from as usize];
            from != NONE
                && self.reached[from as usize]
                && function.blocks[from as usize].targets().any(|target| target == label)
                && self.way(function, constants, from as usize).takes(label)
        };
        entries(phi).filter(move |(_, from)| taken(*from)).map(|(value, _)| value)
    }

    /// Where a block goes on.
    pub(super) fn way(&self, function: &Function, constants: &Constants, index: usize) -> Way {
        let block = &function.blocks[index];
        let [Operand::IdRef(selector), rest @ ..] = &block.end.operands[..] else { return Way::All };
        let value = constants.values[*selector as usize];
        match (block.end.class.opcode, value) {
            (Op::BranchConditional, Value::Is(value)) => {
                let (Some(yes), Some(no)) = (block.targets().next(), block.targets().nth(1)) else {
                    return Way::All;
                };
                Way::One(if value == 0 { no } else { yes })
            }
            // A selector that was constant all along makes a construct to break out of.
            (Op::Switch, Value::Is(value)) if !constants.plain[*selector as usize] => {
                chosen(block, rest, value)
            }
            (Op::BranchConditional | Op::Switch, Value::Unknown) => Way::None,
            _ => Way::All,
        }
    }

    /// Whether `target` is the header of a loop that starts no later than the block.
    pub(super) fn leads_back(&self, function: &Function, index: usize, target: u32) -> bool {
        let target = self.at[target as usize] as usize;
        target <= index && function.blocks.get(target).is_some_and(|block| block.continue_label().is_some())
    }
}

impl Way {
    pub(super) fn takes(self, target: u32) -> bool {
        match self {
            Self::None => false,
            Self::One(only) => only == target,
            Self::All => true,
        }
    }
}

/// The target of a switch.
fn chosen(block: &Block, rest: &[Operand], value: u32) -> Way {
    let [default, cases @ ..] = rest else { return Way::All };
    let cases = cases.as_chunks::<2>().0;
    let case = cases.iter().find(|[literal, _]| *literal == Operand::LiteralBit32(value));
    let target = case.map_or(default, |[_, target]| target).id_ref_any();
    target.filter(|target| block.targets().any(|other| other == *target)).map_or(Way::All, Way::One)
}

/// The result of an instruction of which something may become known.
fn told(step: &Instruction, constants: &Constants) -> Option<u32> {
    let op = step.class.opcode;
    let tells =
        constants.scalar(step.result_type) && (matches!(op, Op::Phi | Op::CompositeExtract) || folds(op));
    step.result_id.filter(|_| tells)
}
