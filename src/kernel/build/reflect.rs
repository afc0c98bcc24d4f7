//! What a compiled module says about itself, read with rspirv.

use std::collections::{BTreeMap, BTreeSet};

use rspirv::dr::{Instruction, Operand};
use rspirv::spirv::{Decoration, ExecutionMode, ExecutionModel, Op, StorageClass};

use super::Result;
use super::parse::parse;

/// The facts about one module that the host relies on.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reflection {
    /// `OpLoopMerge` instructions: what each pass of the kernel is charged: lavapipe of
    /// Mesa 22.3 ends loops silently after 65,535 iterations in total.
    pub loops: u32,
    /// Workgroup size, as the module's default.
    pub local_size: [u32; 3],
    /// Specialization ids that override a dimension of the workgroup size.
    pub local_size_spec: [Option<u32>; 3],
    /// Descriptors, sorted by set and binding.
    pub bindings: BTreeSet<Binding>,
    /// Ids of the specialization constants.
    pub spec_ids: BTreeSet<u32>,
    /// Declared capabilities, by their names in the specification.
    pub capabilities: BTreeSet<String>,
    /// Bytes of the push constant block, 0 without one.
    pub push_constant_bytes: u32,
}

/// A descriptor that a module names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Binding {
    /// Descriptor set.
    pub set: u32,
    /// Binding within the set.
    pub binding: u32,
    /// Storage buffer, or anything else.
    pub storage_buffer: bool,
}

/// Reads a module.
///
/// # Errors
/// Any malformed module is an error that says what is wrong with it.
pub fn reflect(code: &[u8]) -> Result<Reflection> {
    Reader::new(&parse(code)?.instructions).read()
}

/// A module with its decorations and definitions indexed by id.
struct Reader<'a> {
    instructions: &'a [Instruction],
    defined: BTreeMap<u32, &'a Instruction>,
    decorations: BTreeMap<(u32, Decoration), u32>,
    offsets: BTreeMap<(u32, u32), u32>,
}

impl<'a> Reader<'a> {
    fn new(instructions: &'a [Instruction]) -> Self {
        let mut reader = Self {
            instructions,
            defined: BTreeMap::new(),
            decorations: BTreeMap::new(),
            offsets: BTreeMap::new(),
        };
        for instruction in instructions {
            if let Some(id) = instruction.result_id {
                reader.defined.insert(id, instruction);
            }
            match instruction.operands[..] {
                [Operand::IdRef(id), Operand::Decoration(what), Operand::LiteralBit32(value), ..] => {
                    reader.decorations.insert((id, what), value);
                }
                // The one decoration of interest whose value is no number: the built-in's name.
                [Operand::IdRef(id), Operand::Decoration(what), Operand::BuiltIn(value), ..] => {
                    reader.decorations.insert((id, what), value as u32);
                }
                [
                    Operand::IdRef(id),
                    Operand::LiteralBit32(member),
                    Operand::Decoration(Decoration::Offset),
                    Operand::LiteralBit32(offset),
                    ..,
                ] => {
                    reader.offsets.insert((id, member), offset);
                }
                _ => {}
            }
        }
        reader
    }

    fn read(&self) -> Result<Reflection> {
        let mut reflection = Reflection {
            loops: self.all(Op::LoopMerge).count() as u32,
            bindings: self.bindings()?,
            push_constant_bytes: self.push_constant_bytes()?,
            ..Reflection::default()
        };
        for (&(_, what), &value) in &self.decorations {
            if what == Decoration::SpecId {
                reflection.spec_ids.insert(value);
            }
        }
        for instruction in self.all(Op::Capability) {
            if let [Operand::Capability(capability)] = instruction.operands[..] {
                reflection.capabilities.insert(format!("{capability:?}"));
            }
        }
        (reflection.local_size, reflection.local_size_spec) = self.local_size()?;
        Ok(reflection)
    }

    fn all(&self, op: Op) -> impl Iterator<Item = &'a Instruction> {
        self.instructions.iter().filter(move |instruction| instruction.class.opcode == op)
    }

    /// The workgroup size of the one entry point, which must be the compute shader `main`.
    fn local_size(&self) -> Result<([u32; 3], [Option<u32>; 3])> {
        let entries: Vec<_> = self.all(Op::EntryPoint).collect();
        match &entries[..] {
            [entry] => match &entry.operands[..] {
                [Operand::ExecutionModel(ExecutionModel::GLCompute), _, Operand::LiteralString(name), ..]
                    if name == "main" => {}
                _ => return Err("the entry point is no compute shader called 'main'".into()),
            },
            _ => return Err(format!("{} entry points; a module has one", entries.len())),
        }
        // Both forms of a specializable size: glslang writes WorkgroupSize before SPIR-V 1.6.
        let workgroup_size = rspirv::spirv::BuiltIn::WorkgroupSize as u32;
        let built_in = self
            .decorations
            .iter()
            .find(|&(&(_, what), &value)| what == Decoration::BuiltIn && value == workgroup_size);
        if let Some((&(id, _), _)) = built_in {
            return self.sizes(&self.definition(id)?.operands);
        }
        for mode in self.all(Op::ExecutionMode).chain(self.all(Op::ExecutionModeId)) {
            match &mode.operands[..] {
                [_, Operand::ExecutionMode(ExecutionMode::LocalSizeId), ids @ ..] => return self.sizes(ids),
                &[
                    _,
                    Operand::ExecutionMode(ExecutionMode::LocalSize),
                    Operand::LiteralBit32(x),
                    Operand::LiteralBit32(y),
                    Operand::LiteralBit32(z),
                ] => return Ok(([x, y, z], [None; 3])),
                _ => {}
            }
        }
        Err("no workgroup size is declared".into())
    }

    /// Three ids of constants, with the specialization id of those that have one.
    fn sizes(&self, ids: &[Operand]) -> Result<([u32; 3], [Option<u32>; 3])> {
        let &[Operand::IdRef(x), Operand::IdRef(y), Operand::IdRef(z)] = ids else {
            return Err("the workgroup size has not three dimensions".into());
        };
        let ids = [x, y, z];
        let mut sizes = [0; 3];
        for (size, id) in sizes.iter_mut().zip(ids) {
            *size = self.constant(id)?;
        }
        Ok((sizes, ids.map(|id| self.decorations.get(&(id, Decoration::SpecId)).copied())))
    }

    fn bindings(&self) -> Result<BTreeSet<Binding>> {
        let mut bindings = BTreeSet::new();
        for (&(id, what), &binding) in &self.decorations {
            if what != Decoration::Binding {
                continue;
            }
            let set = self.decorations.get(&(id, Decoration::DescriptorSet)).copied().unwrap_or(0);
            let storage_buffer = self.definition(id)?.operands.first()
                == Some(&Operand::StorageClass(StorageClass::StorageBuffer));
            bindings.insert(Binding { set, binding, storage_buffer });
        }
        Ok(bindings)
    }

    fn push_constant_bytes(&self) -> Result<u32> {
        let class = Operand::StorageClass(StorageClass::PushConstant);
        let block = self.all(Op::Variable).find(|variable| variable.operands.first() == Some(&class));
        let Some(pointer) = block.and_then(|variable| variable.result_type) else { return Ok(0) };
        match self.definition(pointer)?.operands[..] {
            [_, Operand::IdRef(structure)] => self.size_of(structure, 0),
            _ => Err("the push constant block has no type".into()),
        }
    }

    /// Bytes of a type as its layout decorations say.
    fn size_of(&self, id: u32, depth: u32) -> Result<u32> {
        // Types cannot contain themselves; a malformed module may claim it.
        if depth > 16 {
            return Err(format!("type %{id} nests too deeply"));
        }
        let instruction = self.definition(id)?;
        let size = match (instruction.class.opcode, &instruction.operands[..]) {
            (Op::TypeInt | Op::TypeFloat, [Operand::LiteralBit32(bits), ..]) => Some(bits / 8),
            // A physical address (PhysicalStorageBuffer64).
            (Op::TypePointer, _) => Some(8),
            (Op::TypeVector, [Operand::IdRef(part), Operand::LiteralBit32(n)]) => {
                self.size_of(*part, depth + 1)?.checked_mul(*n)
            }
            (Op::TypeArray, [_, Operand::IdRef(n)]) => self
                .decorations
                .get(&(id, Decoration::ArrayStride))
                .and_then(|stride| self.constant(*n).ok()?.checked_mul(*stride)),
            (Op::TypeStruct, members) => {
                let mut end = Some(0);
                for (index, member) in members.iter().enumerate() {
                    let Operand::IdRef(member) = *member else {
                        return Err(format!("type %{id} is malformed"));
                    };
                    let offset = self.offsets.get(&(id, index as u32)).copied().unwrap_or(0);
                    let last = offset.checked_add(self.size_of(member, depth + 1)?);
                    end = end.max(last);
                }
                end
            }
            _ => None,
        };
        size.ok_or_else(|| format!("the size of type %{id} ({}) is unknown", instruction.class.opname))
    }

    fn constant(&self, id: u32) -> Result<u32> {
        match self.definition(id)?.operands[..] {
            [Operand::LiteralBit32(value)] => Ok(value),
            _ => Err(format!("%{id} is no 32-bit constant")),
        }
    }

    fn definition(&self, id: u32) -> Result<&'a Instruction> {
        self.defined.get(&id).copied().ok_or_else(|| format!("%{id} is used but never defined"))
    }
}
