//! The constants of a module: freezes those of specialization, and makes new ones.

use std::collections::{BTreeMap, HashMap};

use rspirv::dr::{Instruction, Operand};
use rspirv::spirv::{Decoration, Op};

use super::flow::ids;
use super::fold::{Value, fold};

/// A type that values are known of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    /// Of 32 bits.
    Int,
    /// Of 32 bits. Frozen, but no value is known of it.
    Float,
    Other,
}

/// What is known of ids. All tables are by id, below the bound.
pub(super) struct Constants {
    /// Of types.
    kinds: Vec<Kind>,
    /// Of scalars. Of what a function defines while that is looked at.
    pub values: Vec<Value>,
    /// Whether it can no longer be specialized; composites too.
    fixed: Vec<bool>,
    /// Whether it was a plain constant before.
    pub plain: Vec<bool>,
    /// The constituents of composites.
    parts: HashMap<u32, Vec<u32>>,
    /// By type and value.
    known: HashMap<(u32, u32), u32>,
    /// New ones, to be declared.
    pub added: Vec<Instruction>,
}

impl Constants {
    pub(super) fn freeze(outside: &mut Vec<Instruction>, frozen: &BTreeMap<u32, u32>, bound: u32) -> Self {
        let size = bound as usize;
        let mut constants = Self {
            kinds: vec![Kind::Other; size],
            values: vec![Value::Varies; size],
            fixed: vec![false; size],
            plain: vec![false; size],
            parts: HashMap::new(),
            known: HashMap::new(),
            added: Vec::new(),
        };
        let given: HashMap<u32, u32> = outside
            .iter()
            .filter_map(|decoration| {
                let (target, spec_id) = spec_id(decoration)?;
                Some((target, *frozen.get(&spec_id)?))
            })
            .collect();
        for instruction in &mut *outside {
            if let Some(id) = instruction.result_id {
                constants.take(id, instruction, given.get(&id).copied());
            }
        }
        outside.retain(|decoration| {
            spec_id(decoration).is_none_or(|(target, _)| !constants.fixed[target as usize])
        });
        constants
    }

    /// Notes a declaration, and freezes it if all is known of it.
    fn take(&mut self, id: u32, instruction: &mut Instruction, given: Option<u32>) {
        let at = id as usize;
        let kind = instruction.result_type.map_or(Kind::Other, |of| self.kind(of));
        match (instruction.class.opcode, &instruction.operands[..]) {
            (Op::TypeBool, _) => self.kinds[at] = Kind::Bool,
            (Op::TypeInt, [Operand::LiteralBit32(32), _]) => self.kinds[at] = Kind::Int,
            (Op::TypeFloat, [Operand::LiteralBit32(32), ..]) => self.kinds[at] = Kind::Float,
            (op @ (Op::ConstantTrue | Op::ConstantFalse), _) => {
                self.fix(id, instruction, u32::from(op == Op::ConstantTrue));
                self.plain[at] = true;
            }
            (Op::Constant, [Operand::LiteralBit32(value)]) if kind == Kind::Int => {
                let value = *value;
                self.fix(id, instruction, value);
                self.plain[at] = true;
            }
            (Op::ConstantNull, _) => {
                (self.fixed[at], self.plain[at]) = (true, true);
                if matches!(kind, Kind::Bool | Kind::Int) {
                    self.values[at] = Value::Is(0);
                }
            }
            (Op::Constant, _) => (self.fixed[at], self.plain[at]) = (true, true),
            (Op::SpecConstantTrue | Op::SpecConstantFalse | Op::SpecConstant, _) if kind != Kind::Other => {
                if let Some(value) = given {
                    self.fix(id, instruction, value);
                }
            }
            (Op::ConstantComposite | Op::SpecConstantComposite, _) => {
                let parts: Vec<_> = ids(instruction).collect();
                if parts.iter().all(|part| self.fixed[*part as usize]) {
                    become_(
                        instruction,
                        Op::ConstantComposite,
                        parts.iter().copied().map(Operand::IdRef).collect(),
                    );
                    self.fixed[at] = true;
                }
                self.parts.insert(id, parts);
            }
            (Op::SpecConstantOp, [Operand::LiteralSpecConstantOpInteger(op), ..])
                if matches!(kind, Kind::Bool | Kind::Int) =>
            {
                let value = match *op {
                    Op::CompositeExtract => self.part(&instruction.operands[1..]),
                    op => {
                        let operands: Vec<_> = ids(instruction).map(|id| self.values[id as usize]).collect();
                        fold(op, &operands)
                    }
                };
                if let Value::Is(value) = value {
                    self.fix(id, instruction, value);
                }
            }
            _ => {}
        }
    }

    /// Makes `instruction` a plain constant.
    fn fix(&mut self, id: u32, instruction: &mut Instruction, value: u32) {
        let Some(of) = instruction.result_type else { return };
        let (op, operands, value) = constant(self.kind(of), value);
        become_(instruction, op, operands);
        self.fixed[id as usize] = true;
        if self.kind(of) != Kind::Float {
            self.values[id as usize] = Value::Is(value);
            self.known.entry((of, value)).or_insert(id);
        }
    }

    /// What `OpCompositeExtract` gives of these operands.
    pub(super) fn part(&self, operands: &[Operand]) -> Value {
        let [Operand::IdRef(of), indices @ ..] = operands else { return Value::Varies };
        let mut id = *of;
        for index in indices {
            let Operand::LiteralBit32(index) = index else { return Value::Varies };
            let part = self.parts.get(&id).and_then(|parts| parts.get(*index as usize));
            let Some(part) = part else { return Value::Varies };
            id = *part;
        }
        self.values[id as usize]
    }

    pub(super) fn kind(&self, of: u32) -> Kind {
        self.kinds.get(of as usize).copied().unwrap_or(Kind::Other)
    }

    /// Whether the values of a type are told by [`fold`].
    pub(super) fn scalar(&self, of: Option<u32>) -> bool {
        matches!(of.map(|of| self.kind(of)), Some(Kind::Bool | Kind::Int))
    }

    /// All ids are below.
    pub(super) fn bound(&self) -> u32 {
        self.values.len() as u32
    }

    /// The constant of a type that is a scalar.
    pub(super) fn find_or_add(&mut self, of: u32, value: u32) -> u32 {
        if let Some(id) = self.known.get(&(of, value)) {
            return *id;
        }
        let id = self.bound();
        let (op, operands, value) = constant(self.kind(of), value);
        self.added.push(Instruction::new(op, Some(of), Some(id), operands));
        self.kinds.push(Kind::Other);
        self.values.push(Value::Is(value));
        self.fixed.push(true);
        self.plain.push(true);
        self.known.insert((of, value), id);
        id
    }
}

/// What declares a constant; and its value, which is 0 or 1 for booleans.
fn constant(kind: Kind, value: u32) -> (Op, Vec<Operand>, u32) {
    match (kind, value) {
        (Kind::Bool, 0) => (Op::ConstantFalse, vec![], 0),
        (Kind::Bool, _) => (Op::ConstantTrue, vec![], 1),
        _ => (Op::Constant, vec![Operand::LiteralBit32(value)], value),
    }
}

fn become_(instruction: &mut Instruction, op: Op, operands: Vec<Operand>) {
    if instruction.class.opcode != op {
        *instruction = Instruction::new(op, instruction.result_type, instruction.result_id, operands);
    }
}

/// The target and the number of a `SpecId` decoration.
fn spec_id(instruction: &Instruction) -> Option<(u32, u32)> {
    match (instruction.class.opcode, &instruction.operands[..]) {
        (
            Op::Decorate,
            [Operand::IdRef(target), Operand::Decoration(Decoration::SpecId), Operand::LiteralBit32(id)],
        ) => Some((*target, *id)),
        _ => None,
    }
}
