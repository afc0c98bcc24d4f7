//! What a compiled module says about itself, read with rspirv.

use std::collections::{BTreeMap, BTreeSet};

use rspirv::dr::{self, Operand};
use rspirv::spirv::{Decoration, ExecutionMode, ExecutionModel, Op, StorageClass};

use super::Result;

/// SPIR-V's first word (specification section 2.3).
const MAGIC: u32 = 0x0723_0203;
/// Words before the first instruction.
const HEADER_WORDS: usize = 5;

/// The facts about one module that the host relies on.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reflection {
    /// `OpLoopMerge` instructions: what each pass of the kernel is charged (DESIGN fact 2).
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

/// Where a descriptor is bound.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
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
    let words = words(code)?;
    walk(&words)?;
    // rspirv 0.13 checks lengths only where `walk` cannot: it panics on some operands (DESIGN fact 18).
    let module = std::panic::catch_unwind(|| dr::load_words(&words))
        .map_err(|_| "rspirv panicked on an operand; the module is malformed".to_owned())?
        .map_err(|e| format!("not a valid module: {e}"))?;
    Reader::new(&module).read()
}

fn words(code: &[u8]) -> Result<Vec<u32>> {
    let (words, rest) = code.as_chunks::<4>();
    match rest {
        [] => Ok(words.iter().map(|word| u32::from_le_bytes(*word)).collect()),
        _ => Err(format!("{} bytes are no whole number of words; the file is cut short", code.len())),
    }
}

/// Checks the header, and that the lengths of the instructions lead exactly to the end.
fn walk(words: &[u32]) -> Result<()> {
    let (&[magic, .., bound, _], mut rest) =
        words.split_first_chunk::<HEADER_WORDS>().ok_or("shorter than a SPIR-V header")?;
    if magic != MAGIC {
        return Err(format!("starts with {magic:#010x} instead of SPIR-V's {MAGIC:#010x}"));
    }
    // Universal limit on ids (specification section 2.17).
    if bound == 0 || bound > 4_194_303 {
        return Err(format!("id bound {bound} is outside 1..=4194303"));
    }
    while let [first, ..] = rest {
        let length = (first >> 16) as usize;
        let at = words.len() - rest.len();
        if length == 0 || length > rest.len() {
            return Err(format!("the instruction at word {at} claims {length} words of {}", rest.len()));
        }
        rest = &rest[length..];
    }
    Ok(())
}

/// A module with its decorations and definitions indexed by id.
struct Reader<'a> {
    module: &'a dr::Module,
    defined: BTreeMap<u32, &'a dr::Instruction>,
    decorations: BTreeMap<(u32, Decoration), u32>,
    offsets: BTreeMap<(u32, u32), u32>,
}

impl<'a> Reader<'a> {
    fn new(module: &'a dr::Module) -> Self {
        let mut reader =
            Self { module, defined: BTreeMap::new(), decorations: BTreeMap::new(), offsets: BTreeMap::new() };
        for instruction in &module.types_global_values {
            if let Some(id) = instruction.result_id {
                reader.defined.insert(id, instruction);
            }
        }
        for instruction in &module.annotations {
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
            loops: self.count(Op::LoopMerge),
            bindings: self.bindings()?,
            push_constant_bytes: self.push_constant_bytes()?,
            ..Reflection::default()
        };
        for (&(_, what), &value) in &self.decorations {
            if what == Decoration::SpecId {
                reflection.spec_ids.insert(value);
            }
        }
        for instruction in &self.module.capabilities {
            if let [Operand::Capability(capability)] = instruction.operands[..] {
                reflection.capabilities.insert(format!("{capability:?}"));
            }
        }
        (reflection.local_size, reflection.local_size_spec) = self.local_size()?;
        Ok(reflection)
    }

    fn count(&self, op: Op) -> u32 {
        self.module.all_inst_iter().filter(|i| i.class.opcode == op).count() as u32
    }

    /// The workgroup size of the one entry point, which must be the compute shader `main`.
    fn local_size(&self) -> Result<([u32; 3], [Option<u32>; 3])> {
        match &self.module.entry_points[..] {
            [entry] => match &entry.operands[..] {
                [Operand::ExecutionModel(ExecutionModel::GLCompute), _, Operand::LiteralString(name), ..]
                    if name == "main" => {}
                _ => return Err("the entry point is no compute shader called 'main'".into()),
            },
            entries => return Err(format!("{} entry points; a module has one", entries.len())),
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
        for mode in &self.module.execution_modes {
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
        let block = self.module.types_global_values.iter().find(|i| {
            i.class.opcode == Op::Variable
                && i.operands.first() == Some(&Operand::StorageClass(StorageClass::PushConstant))
        });
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

    fn definition(&self, id: u32) -> Result<&'a dr::Instruction> {
        self.defined.get(&id).copied().ok_or_else(|| format!("%{id} is used but never defined"))
    }
}
