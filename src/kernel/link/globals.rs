//! What a module declares outside its functions, and what makes two declarations alike.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rspirv::binary::Assemble as _;
use rspirv::dr::{Instruction, Operand};
use rspirv::spirv::{Decoration, Op, StorageClass};

use super::Result;
use crate::protocol::abi::binding::BIND_MAILBOX;

/// A decoration: of which member, if of one, and what follows.
pub(super) type Decorating = (Option<u32>, Vec<u32>);

/// What a module declares outside its functions, by id.
pub(super) struct Globals {
    pub defined: HashMap<u32, Instruction>,
    /// By target.
    pub decorations: BTreeMap<u32, BTreeSet<Decorating>>,
    pub mailbox: Option<u32>,
}

impl Globals {
    pub(super) fn of(instructions: &[Instruction]) -> Self {
        let mut globals = Self { defined: HashMap::new(), decorations: BTreeMap::new(), mailbox: None };
        for instruction in instructions {
            let rest = |from: usize| instruction.operands[from..].iter().flat_map(|o| o.assemble()).collect();
            match (instruction.class.opcode, &instruction.operands[..]) {
                (Op::Function, _) => break,
                (Op::Decorate, [Operand::IdRef(id), ..]) => {
                    globals.decorations.entry(*id).or_default().insert((None, rest(1)));
                }
                (Op::MemberDecorate, [Operand::IdRef(id), Operand::LiteralBit32(member), ..]) => {
                    globals.decorations.entry(*id).or_default().insert((Some(*member), rest(2)));
                }
                _ => {}
            }
            if let Some(id) = instruction.result_id {
                globals.defined.insert(id, instruction.clone());
            }
        }
        globals.mailbox = globals.decorations.keys().copied().find(|id| {
            globals.number(*id, Decoration::Binding) == Some(BIND_MAILBOX)
                && globals.number(*id, Decoration::DescriptorSet) == Some(0)
        });
        globals
    }

    /// The number that a decoration gives to `id`.
    pub(super) fn number(&self, id: u32, what: Decoration) -> Option<u32> {
        self.decorations.get(&id)?.iter().find_map(|(member, words)| match (member, &words[..]) {
            (None, [of, value]) if *of == what as u32 => Some(*value),
            _ => None,
        })
    }

    /// The value of a constant of 32 bits, which is no specialization constant.
    pub(super) fn constant(&self, id: u32) -> Option<u32> {
        let instruction = self.defined.get(&id)?;
        match (instruction.class.opcode, &instruction.operands[..]) {
            (Op::Constant, [Operand::LiteralBit32(value)]) => Some(*value),
            _ => None,
        }
    }

    /// Where a buffer is bound.
    pub(super) fn binding(&self, id: u32) -> Option<(u32, u32)> {
        Some((self.number(id, Decoration::DescriptorSet)?, self.number(id, Decoration::Binding)?))
    }
}

/// What an instruction outside functions is: opcode, type, operands, decorations, with ids of the kernel's.
pub(super) type Key = (u32, Option<u32>, Vec<u32>, BTreeSet<Decorating>);

pub(super) fn key(instruction: &Instruction, decorations: Option<&BTreeSet<Decorating>>) -> Key {
    let operands = instruction.operands.iter().flat_map(|o| o.assemble()).collect();
    let opcode = instruction.class.opcode as u32;
    (opcode, instruction.result_type, operands, decorations.cloned().unwrap_or_default())
}

pub(super) fn is_private(instruction: &Instruction) -> bool {
    matches!(instruction.operands[..], [Operand::StorageClass(StorageClass::Private), ..] if instruction.class.opcode == Op::Variable)
}

/// What a module has outside of its functions, and inside.
pub(super) fn split(instructions: &[Instruction]) -> (&[Instruction], &[Instruction]) {
    let start = instructions.iter().position(|instruction| instruction.class.opcode == Op::Function);
    instructions.split_at(start.unwrap_or(instructions.len()))
}

/// The types of the mailbox's members.
pub(super) fn mailbox_type(globals: &Globals, mailbox: u32) -> Result<Vec<u32>> {
    let wrong = "has another mailbox than the kernel; compile it with the handler.glsl of this version";
    let pointer = globals.defined.get(&mailbox).and_then(|variable| variable.result_type).ok_or(wrong)?;
    let structure = globals.defined.get(&pointer).and_then(|pointer| pointer.operands.get(1)?.id_ref_any());
    let structure = structure.and_then(|id| globals.defined.get(&id)).ok_or(wrong)?;
    let members: Vec<u32> = structure.operands.iter().filter_map(Operand::id_ref_any).collect();
    let words = members.iter().all(|of| {
        let of = globals.defined.get(of).map(|of| (of.class.opcode, &of.operands[..]));
        matches!(of, Some((Op::TypeInt, [Operand::LiteralBit32(32), Operand::LiteralBit32(0)])))
    });
    if structure.class.opcode == Op::TypeStruct && words && members.len() == super::mailbox::WORDS {
        Ok(members)
    } else {
        Err(wrong.to_owned())
    }
}
