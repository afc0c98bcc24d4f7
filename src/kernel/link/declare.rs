//! What a handler declares, matched with what the kernel has.

use std::collections::{BTreeSet, HashMap};

use rspirv::dr::{Instruction, Operand};
use rspirv::spirv::{Op, StorageClass};

use super::globals::{Decorating, Globals, is_private, key};
use super::{Linker, Result};

/// Types and constants are nested at most so deeply.
const DEEPEST: u32 = 64;

impl Linker<'_> {
    pub(super) fn fresh(&mut self) -> u32 {
        self.bound += 1;
        self.bound - 1
    }

    /// A declaration without decorations.
    pub(super) fn find_or_add(&mut self, op: Op, of: Option<u32>, operands: Vec<Operand>) -> u32 {
        let instruction = Instruction::new(op, of, None, operands);
        self.declare(instruction, BTreeSet::new())
    }

    pub(super) fn declare(&mut self, mut instruction: Instruction, decorations: BTreeSet<Decorating>) -> u32 {
        let key = key(&instruction, Some(&decorations));
        let private = is_private(&instruction);
        if let Some(id) = self.known.get(&key).filter(|_| !private) {
            return *id;
        }
        let id = self.fresh();
        decorations.iter().for_each(|decoration| self.decorate(id, decoration));
        instruction.result_id = Some(id);
        if instruction.class.opcode == Op::Variable {
            self.add_to_interface(id);
        }
        self.globals.push(instruction);
        if !private {
            self.known.insert(key, id);
        }
        id
    }

    pub(super) fn decorate(&mut self, id: u32, (member, words): &Decorating) {
        let mut operands = vec![Operand::IdRef(id)];
        operands.extend(member.map(Operand::LiteralBit32));
        operands.extend(words.iter().map(|word| Operand::LiteralBit32(*word)));
        let op = if member.is_some() { Op::MemberDecorate } else { Op::Decorate };
        self.annotations.push(Instruction::new(op, None, None, operands));
    }

    /// Since SPIR-V 1.4 an entry point lists all variables outside functions that it uses.
    pub(super) fn add_to_interface(&mut self, id: u32) {
        let entry = self.head.iter_mut().find(|instruction| instruction.class.opcode == Op::EntryPoint);
        if let Some(entry) = entry {
            entry.operands.push(Operand::IdRef(id));
        }
    }

    /// The kernel's id for one of the handler's.
    pub(super) fn resolve(
        &mut self,
        from: &Globals,
        map: &mut HashMap<u32, u32>,
        id: u32,
        depth: u32,
    ) -> Result<u32> {
        if let Some(known) = map.get(&id) {
            return Ok(*known);
        }
        let mut instruction = from
            .defined
            .get(&id)
            .ok_or_else(|| format!("%{id} is not defined; the module is malformed"))?
            .clone();
        if depth > DEEPEST {
            return Err(format!("%{id} is nested more than {DEEPEST} deep, or contains itself"));
        }
        if let (Op::ExtInstImport, [Operand::LiteralString(name)]) =
            (instruction.class.opcode, &instruction.operands[..])
        {
            let set = self.sets.get(name).copied();
            let set = set.ok_or_else(|| format!("imports {name}, which the kernel does not; do without"))?;
            map.insert(id, set);
            return Ok(set);
        }
        if let Some(of) = &mut instruction.result_type {
            *of = self.resolve(from, map, *of, depth + 1)?;
        }
        for operand in instruction.operands.iter_mut().filter_map(Operand::id_ref_any_mut) {
            *operand = self.resolve(from, map, *operand, depth + 1)?;
        }
        instruction.result_id = None;
        let ours = match (instruction.class.opcode, &instruction.operands[..]) {
            (Op::Variable, [Operand::StorageClass(class), ..]) => {
                self.variable(from, id, *class, &instruction)?
            }
            _ => self.declare(instruction, from.decorations.get(&id).cloned().unwrap_or_default()),
        };
        map.insert(id, ours);
        Ok(ours)
    }

    pub(super) fn variable(
        &mut self,
        from: &Globals,
        id: u32,
        class: StorageClass,
        variable: &Instruction,
    ) -> Result<u32> {
        let decorations = from.decorations.get(&id).cloned().unwrap_or_default();
        match class {
            // Set once for an invocation, which calls the handler many times.
            StorageClass::Private if variable.operands.len() > 1 => {
                Err("has a variable with an initial value outside functions; set it when the handler begins"
                    .into())
            }
            StorageClass::Private => Ok(self.declare(variable.clone(), BTreeSet::new())),
            StorageClass::Input => Ok(self.declare(variable.clone(), decorations)),
            StorageClass::PushConstant => {
                self.known.get(&key(variable, Some(&decorations))).copied().ok_or_else(|| {
                    "has push constants of its own; the kernel's are those of memory.glsl".to_owned()
                })
            }
            StorageClass::StorageBuffer => {
                let place = from.binding(id).ok_or_else(|| format!("%{id} is a buffer without a binding"))?;
                let (set, binding) = place;
                let there = self.buffers.get(&place).ok_or_else(|| {
                    format!(
                        "binds set {set}, binding {binding}, which the kernel does not; reach other memory by its \
                         handle: see memory.glsl"
                    )
                })?;
                let same = there.iter().find(|(of, _)| Some(*of) == variable.result_type);
                same.map(|(_, id)| *id).ok_or_else(|| {
                    format!(
                        "declares set {set}, binding {binding} otherwise than the kernel does; take the declaration of \
                         memory.glsl"
                    )
                })
            }
            class => {
                Err(format!("has a variable of class {class:?}, which handlers are not given; do without"))
            }
        }
    }
}
