//! Writes into a function what is known of it: values become constants, or others that they are the same as,
//! and branches lose their conditions.

use rspirv::dr::{Instruction, Operand};
use rspirv::spirv::Op;

use super::constants::Constants;
use super::flow::{Function, branch};
use super::fold::Value;
use super::known::{Known, Way};

/// Which values are the same as others, by id; 0 for those that are no other.
struct Same(Vec<u32>);

impl Same {
    fn find(&mut self, id: u32) -> u32 {
        let mut root = id;
        while let Some(next) = self.0.get(root as usize).copied().filter(|next| *next != 0) {
            root = next;
        }
        let mut at = id;
        while at != root {
            at = std::mem::replace(&mut self.0[at as usize], root);
        }
        root
    }

    fn set(&mut self, id: u32, other: u32) {
        let other = self.find(other);
        // Equal where ways lead in a circle that nothing enters.
        if other != id && self.0[id as usize] == 0 {
            self.0[id as usize] = other;
        }
    }
}

/// Afterwards conditional branches of which the condition is known are plain ones, with the merge instruction
/// still before them, and such switches have the default alone.
pub(super) fn simplify(function: &mut Function, constants: &mut Constants) {
    let Some(known) = Known::of(function, constants) else { return };
    let mut same = Same(vec![0; constants.bound() as usize]);
    for (index, block) in function.blocks.iter().enumerate() {
        for step in block.body.iter().filter(|_| known.reached[index]) {
            let Some((id, of)) = step.result_id.zip(step.result_type) else { continue };
            if let Value::Is(value) = constants.values[id as usize]
                && constants.scalar(Some(of))
            {
                let constant = constants.find_or_add(of, value);
                same.set(id, constant);
            } else if step.class.opcode == Op::Phi {
                // If all that comes is one value, that is defined on every way to here first.
                let mut coming = known.coming(function, constants, step, block.id()).map(|id| same.find(id));
                let mut only = None;
                if coming.all(|value| value == id || *only.get_or_insert(value) == value)
                    && let Some(only) = only
                {
                    same.set(id, only);
                }
            } else if let Some(other) = operand_that_results(step, &constants.values) {
                same.set(id, other);
            }
        }
    }
    let ends: Vec<Way> = (0..function.blocks.len())
        .map(|index| {
            // A loop has a way back, even if it is not taken (specification section 2.11).
            let back = |target| known.leads_back(function, index, target);
            let way = if known.reached[index] { known.way(function, constants, index) } else { Way::All };
            match way {
                Way::One(only) if function.blocks[index].targets().any(|to| to != only && back(to)) => {
                    Way::All
                }
                way => way,
            }
        })
        .collect();
    for (block, way) in function.blocks.iter_mut().zip(ends) {
        for step in &mut block.body {
            become_negation(step, &constants.values);
            replace(step, &mut same);
        }
        replace(&mut block.end, &mut same);
        let first = block.targets().next();
        let alike = block.targets().nth(1).is_some() && block.targets().all(|target| Some(target) == first);
        let only = match way {
            Way::One(only) => Some(only),
            _ => first.filter(|_| alike),
        };
        match (only, block.end.class.opcode) {
            (Some(only), Op::BranchConditional) => block.end = branch(only),
            (Some(only), Op::Switch) => {
                block.end.operands.truncate(2);
                if let Some(default) = block.end.operands.last_mut() {
                    *default = Operand::IdRef(only);
                }
            }
            _ => {}
        }
    }
}

fn replace(step: &mut Instruction, same: &mut Same) {
    for id in step.operands.iter_mut().filter_map(Operand::id_ref_any_mut) {
        *id = same.find(*id);
    }
}

/// The operand that an operation with a constant always gives.
fn operand_that_results(step: &Instruction, values: &[Value]) -> Option<u32> {
    let value = |operand: &Operand| operand.id_ref_any().and_then(|id| values.get(id as usize).copied());
    let neutral = match (step.class.opcode, &step.operands[..]) {
        (Op::Select, [condition, yes, no]) => {
            let taken = match value(condition) {
                Some(Value::Is(0)) => no,
                Some(Value::Is(_)) => yes,
                _ if yes == no => yes,
                _ => return None,
            };
            return taken.id_ref_any();
        }
        (Op::CopyObject, [of]) => return of.id_ref_any(),
        (Op::LogicalAnd | Op::LogicalEqual, _) => 1,
        (Op::LogicalOr | Op::LogicalNotEqual, _) => 0,
        _ => return None,
    };
    let [a, b] = &step.operands[..] else { return None };
    match (value(a), value(b)) {
        (Some(Value::Is(known)), _) if known == neutral => b.id_ref_any(),
        (_, Some(Value::Is(known))) if known == neutral => a.id_ref_any(),
        _ => None,
    }
}

/// A comparison of a boolean with what it is not is a negation.
fn become_negation(step: &mut Instruction, values: &[Value]) {
    let opposite = match step.class.opcode {
        Op::LogicalEqual => Value::Is(0),
        Op::LogicalNotEqual => Value::Is(1),
        _ => return,
    };
    let is =
        |operand: &Operand| operand.id_ref_any().is_some_and(|id| values.get(id as usize) == Some(&opposite));
    let other = match &step.operands[..] {
        [a, b] if is(a) => b.clone(),
        [a, b] if is(b) => a.clone(),
        _ => return,
    };
    *step = Instruction::new(Op::LogicalNot, step.result_type, step.result_id, vec![other]);
}
