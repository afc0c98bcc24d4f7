//! Links handlers into the kernel: SPIR-V modules into one.
//!
//! A handler is a compute shader whose `main` reads and writes the mailbox of `glsl/mailbox.glsl`, a storage buffer. The
//! module that it is linked into fills that mailbox, and adds to its first word where the handler is to be called. Both
//! are buffers so that compilers, optimizers included, leave every access where it is. Here the mailbox becomes variables
//! of the invocation's own, the add becomes a call, and `main` a function that is called for its opcode. So it does not
//! matter which compiler made the handler, or whether it inlined what `main` calls.
//!
//! What a handler declares outside its functions is matched with what the kernel has: types, constants and built-ins by
//! what they are, buffers by their binding. What it does not use is left out.

mod check;
mod declare;
mod globals;
mod mailbox;

use std::collections::{BTreeMap, HashMap, HashSet};

use rspirv::binary::Assemble as _;
use rspirv::dr::{Instruction, Operand};
use rspirv::spirv::Op;

use self::globals::{Globals, Key, is_private, key, mailbox_type};
use super::Result;
use super::parse::{MAGIC, Parsed, parse};
use crate::protocol::validate_user_opcode;

/// Why a handler cannot be linked, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("handler '{handler}': {problem}")]
pub struct LinkError {
    /// The handler's name, or the kernel's module's.
    pub handler: String,
    /// What is wrong, and how to mend it.
    pub problem: String,
}

/// A handler to be linked.
#[derive(Clone, Copy, Debug)]
pub struct Handler<'a> {
    /// What errors call it.
    pub name: &'a str,
    /// The opcode that it is called for.
    pub opcode: u32,
    /// A compute shader that includes `glsl/handler.glsl`, in SPIR-V, little-endian.
    pub code: &'a [u8],
}

/// The module that comes about, in the order of SPIR-V's logical layout (specification section 2.4).
struct Linker {
    /// Up to the annotations.
    head: Vec<Instruction>,
    annotations: Vec<Instruction>,
    globals: Vec<Instruction>,
    functions: Vec<Instruction>,
    /// What is there, by what it is; and the first like it of each declaration of the kernel's, which may have several
    /// types that are alike.
    known: HashMap<Key, u32>,
    first: HashMap<u32, u32>,
    bound: u32,
    capabilities: HashSet<u32>,
    sets: HashMap<String, u32>,
    /// The kernel's buffers, with their types, by binding.
    buffers: HashMap<(u32, u32), Vec<(u32, u32)>>,
    mailbox: u32,
    /// The pointer to a word of the mailbox.
    word_pointer: u32,
    word: u32,
    void: u32,
    procedure: u32,
    /// The function that calls the handler of an opcode.
    dispatch: u32,
}

/// A kernel with its handlers.
#[derive(Clone, Debug)]
pub struct Linked {
    /// SPIR-V, as `vkCreateShaderModule` takes it.
    pub words: Vec<u32>,
    /// Loops in it: see [`Module::loops`](super::Module::loops).
    pub loops: u32,
}

/// Links handlers into `kernel`, a module compiled with `WITH_HANDLERS`.
///
/// # Errors
/// Names the handler, what is wrong with it, and how to mend it. No input panics.
pub fn link(kernel: &[u8], handlers: &[Handler<'_>]) -> std::result::Result<Linked, LinkError> {
    let named = |name: &str| {
        let handler = name.to_owned();
        move |problem| LinkError { handler, problem }
    };
    let kernel = parse(kernel).map_err(named("kernel"))?;
    let version = kernel.version;
    let mut linker = Linker::new(kernel).map_err(named("kernel"))?;
    let mut calls = BTreeMap::new();
    for handler in handlers {
        validate_user_opcode(handler.opcode).map_err(|e| named(handler.name)(e.to_string()))?;
        let function = linker.add(handler, version).map_err(named(handler.name))?;
        if calls.insert(handler.opcode, function).is_some() {
            let problem = format!("opcode {:#x} has a handler already; give it another", handler.opcode);
            return Err(named(handler.name)(problem));
        }
    }
    linker.dispatch(&calls);
    Ok(linker.assemble(version))
}

impl Linker {
    fn new(kernel: Parsed) -> Result<Self> {
        let globals = Globals::of(&kernel.instructions);
        let missing = "it has no place for handlers; compile it with WITH_HANDLERS";
        let mailbox = globals.mailbox.ok_or(missing)?;
        let mut linker = Self {
            head: Vec::new(),
            annotations: Vec::new(),
            globals: Vec::new(),
            functions: Vec::new(),
            known: HashMap::new(),
            first: HashMap::new(),
            bound: kernel.bound,
            capabilities: HashSet::new(),
            sets: HashMap::new(),
            buffers: HashMap::new(),
            mailbox,
            word_pointer: 0,
            word: 0,
            void: 0,
            procedure: 0,
            dispatch: 0,
        };
        for instruction in kernel.instructions {
            linker.take(&globals, instruction);
        }
        let (pointer, members) = mailbox_type(&globals, mailbox)?;
        linker.word = members.first().copied().ok_or(missing)?;
        linker.void = linker.find_or_add(Op::TypeVoid, None, vec![]);
        linker.procedure = linker.find_or_add(Op::TypeFunction, None, vec![Operand::IdRef(linker.void)]);
        linker.make_private(pointer)?;
        linker.dispatch = linker.fresh();
        let body = std::mem::take(&mut linker.functions);
        linker.functions = linker.with_private_mailbox(body, mailbox, true)?;
        Ok(linker)
    }

    /// Puts an instruction of the kernel's where it belongs.
    fn take(&mut self, globals: &Globals, instruction: Instruction) {
        if !self.functions.is_empty() || instruction.class.opcode == Op::Function {
            return self.functions.push(instruction);
        }
        match (instruction.class.opcode, &instruction.operands[..]) {
            (Op::Decorate | Op::MemberDecorate, _) => return self.annotations.push(instruction),
            (Op::Capability, [Operand::Capability(capability)]) => {
                self.capabilities.insert(*capability as u32);
            }
            (Op::ExtInstImport, [Operand::LiteralString(name)]) => {
                self.sets.extend(instruction.result_id.map(|id| (name.clone(), id)));
            }
            _ => {}
        }
        let Some(id) = instruction.result_id.filter(|_| instruction.class.opcode != Op::ExtInstImport) else {
            let forward = instruction.class.opcode == Op::TypeForwardPointer;
            return if forward { self.globals.push(instruction) } else { self.head.push(instruction) };
        };
        let mut like = instruction.clone();
        let ids = like.operands.iter_mut().filter_map(Operand::id_ref_any_mut).chain(&mut like.result_type);
        ids.for_each(|id| *id = self.first.get(id).copied().unwrap_or(*id));
        if let (Some(place), Some(of)) = (globals.binding(id), like.result_type) {
            self.buffers.entry(place).or_default().push((of, id));
        }
        // Each variable of an invocation's own is another one.
        if !is_private(&instruction) {
            let first = *self.known.entry(key(&like, globals.decorations.get(&id))).or_insert(id);
            self.first.insert(id, first);
        }
        self.globals.push(instruction);
    }

    /// Adds the functions of a handler; returns the one to be called.
    fn add(&mut self, handler: &Handler<'_>, version: u32) -> Result<u32> {
        let parsed = parse(handler.code)?;
        if parsed.version > version {
            return Err(format!(
                "is SPIR-V {}, and the kernel {}; compile it for Vulkan 1.2",
                shown(parsed.version),
                shown(version)
            ));
        }
        let globals = Globals::of(&parsed.instructions);
        let start = parsed.instructions.iter().position(|i| i.class.opcode == Op::Function);
        let (outside, body) = parsed.instructions.split_at(start.unwrap_or(parsed.instructions.len()));
        // Lines of the source name strings, which the kernel has not.
        let line = |instruction: &&Instruction| matches!(instruction.class.opcode, Op::Line | Op::NoLine);
        let body: Vec<Instruction> = body.iter().filter(|instruction| !line(instruction)).cloned().collect();
        let main = self.check(outside, &body)?;
        let mailbox = globals.mailbox.ok_or("has no mailbox; include handler.glsl and use LANE_HANDLER")?;
        mailbox_type(&globals, mailbox)?;
        let mut map = HashMap::from([(mailbox, self.mailbox)]);
        for id in body.iter().filter_map(|instruction| instruction.result_id) {
            if globals.defined.contains_key(&id) || map.insert(id, self.bound).is_some() {
                return Err(format!("id %{id} is defined twice; the module is malformed"));
            }
            self.bound += 1;
        }
        let body = self.with_private_mailbox(body, mailbox, false)?;
        let mut inside = Vec::with_capacity(body.len());
        for mut instruction in body {
            if let Some(id) = &mut instruction.result_id {
                *id = map[&*id];
            }
            // The type that was put there is the kernel's already.
            let own = matches!(instruction.class.opcode, Op::AccessChain | Op::InBoundsAccessChain)
                && instruction.operands.first().and_then(Operand::id_ref_any) == Some(mailbox);
            if let Some(of) = instruction.result_type.as_mut().filter(|_| !own) {
                *of = self.resolve(&globals, &mut map, *of, 0)?;
            }
            for id in instruction.operands.iter_mut().filter_map(Operand::id_ref_any_mut) {
                *id = self.resolve(&globals, &mut map, *id, 0)?;
            }
            inside.push(instruction);
        }
        self.functions.extend(inside);
        // Those of types and variables came with them.
        for (id, decorations) in &globals.decorations {
            if let Some(ours) = map.get(id).filter(|_| !globals.defined.contains_key(id)) {
                decorations.iter().for_each(|decoration| self.decorate(*ours, decoration));
            }
        }
        map.get(&main).copied().ok_or_else(|| format!("its entry point %{main} is no function"))
    }

    fn assemble(self, version: u32) -> Linked {
        let mut words = vec![MAGIC, version, 0, self.bound, 0];
        let all = [self.head, self.annotations, self.globals, self.functions];
        all.iter().flatten().for_each(|instruction| instruction.assemble_into(&mut words));
        let loops =
            all.iter().flatten().filter(|instruction| instruction.class.opcode == Op::LoopMerge).count();
        Linked { words, loops: loops as u32 }
    }
}

fn shown(version: u32) -> String {
    format!("{}.{}", version >> 16 & 0xFF, version >> 8 & 0xFF)
}
