//! Links handlers into the kernel: SPIR-V modules into one.
//!
//! A handler is a compute shader whose `main` reads and writes the mailbox of `glsl/mailbox.glsl`, a storage buffer. The
//! module that it is linked into fills that mailbox, and adds to its first word where the handler is to be called; a
//! handler adds to another word where it asks for a service, which is such a shader too. All are buffers so that
//! compilers, optimizers included, leave every access where it is. Here the mailbox becomes variables of the invocation's
//! own, each add becomes a call, and each `main` a function. So it does not matter which compiler made the handler, or
//! whether it inlined what `main` calls.
//!
//! What a handler declares outside its functions is matched with what the kernel has: types, constants and built-ins by
//! what they are, buffers by their binding. What it does not use is left out. The same handlers give the same words each
//! time, since drivers know modules by their words: what is gone through in order is no `HashMap`.

mod check;
mod declare;
mod globals;
mod loops;
mod mailbox;
mod operation;

use std::collections::{BTreeMap, HashMap, HashSet};

use rspirv::binary::Assemble as _;
use rspirv::dr::{Instruction, Operand};
use rspirv::spirv::Op;

use self::globals::{Globals, Key, is_private, key, mailbox_type};
use self::mailbox::{CALL_LANE, CALL_WIDE, FIRST_SERVICE, Mailbox, Resolved, TRAITS, WithoutBuffer};
pub(super) use self::operation::linked_operations;
#[cfg(feature = "shaderc")]
pub(super) use self::operation::with_signature;
pub use self::operation::{Argument, ArgumentKind, Operation, Width};
use super::Result;
use super::cut::cut;
use super::parse::{MAGIC, Parsed, parse};
use super::selection::Parts;

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
    /// The opcode that it is called for, where that is not the one that it declares.
    pub opcode: Option<u32>,
    /// A compute shader that includes `glsl/handler.glsl`, in SPIR-V, little-endian.
    pub code: &'a [u8],
}

/// What handlers are linked into.
#[derive(Clone, Debug)]
pub(super) struct Base<'a> {
    pub kernel: &'a [u8],
    /// What it does for handlers, in the order of the mailbox's words.
    pub services: [&'a [u8]; mailbox::SERVICES],
    /// What both are cut to.
    pub parts: Parts,
}

/// The module that comes about, in the order of SPIR-V's logical layout (specification section 2.4).
struct Linker<'a> {
    services: [(&'a [u8], Option<u32>); mailbox::SERVICES],
    parts: Parts,
    /// Up to the names.
    head: Vec<Instruction>,
    names: Vec<Instruction>,
    /// What it was made from.
    processed: Vec<Instruction>,
    annotations: Vec<Instruction>,
    globals: Vec<Instruction>,
    functions: Vec<Instruction>,
    /// What is there, by what it is; and the first like it of each declaration of the kernel's, which may have several
    /// types that are alike.
    known: HashMap<Key, u32>,
    first: HashMap<u32, u32>,
    version: u32,
    bound: u32,
    capabilities: HashSet<u32>,
    sets: HashMap<String, u32>,
    /// The kernel's buffers, with their types, by binding.
    buffers: HashMap<(u32, u32), Vec<(u32, u32)>>,
    /// The type of a word, and the variables that are words of the mailbox.
    word: u32,
    words: HashMap<u32, u32>,
    void: u32,
    procedure: u32,
    /// The functions that the kernel calls, by the mailbox's words.
    calls: BTreeMap<u32, u32>,
}

/// A kernel with its handlers.
#[derive(Clone, Debug)]
pub struct Linked {
    /// SPIR-V, as `vkCreateShaderModule` takes it.
    pub words: Vec<u32>,
    /// Loops in it: see [`Module::loops`](super::Module::loops).
    pub loops: u32,
    /// What was linked into it, sorted by opcode.
    pub operations: Vec<Operation>,
    pub(super) parts: Parts,
}

impl Linked {
    /// The built-in opcodes that it executes, sorted.
    pub fn opcodes(&self) -> Vec<u32> {
        self.parts.opcodes()
    }

    /// Loop turns that its dearest claim can cost by subgroups of `lanes`.
    pub(crate) fn claim_cost(&self, lanes: u32) -> u32 {
        self.parts.claim_cost(self.loops, lanes)
    }
}

/// Links handlers into a kernel.
///
/// # Errors
/// Names the handler, what is wrong with it, and how to mend it. No input panics.
pub(super) fn link(base: Base<'_>, handlers: &[Handler<'_>]) -> std::result::Result<Linked, LinkError> {
    let named = |name: &str| {
        let handler = name.to_owned();
        move |problem| LinkError { handler, problem }
    };
    let cut = parse(base.kernel)
        .and_then(|kernel| cut(kernel, &base.parts.0, base.parts.place_for_handlers()))
        .map_err(named("kernel"))?;
    let mut linker = Linker::new(base, cut).map_err(named("kernel"))?;
    let mut calls: BTreeMap<u32, (u32, Operation)> = BTreeMap::new();
    for handler in handlers {
        let (function, operation) = linker.add(handler).map_err(named(handler.name))?;
        let opcode = operation.opcode;
        if let Some((_, other)) = calls.insert(opcode, (function, operation)) {
            let problem = format!("has the opcode {opcode:#x}, as '{}' does; give it another", other.name);
            return Err(named(handler.name)(problem));
        }
    }
    let (lanes, wide): (Vec<_>, Vec<_>) =
        calls.values().partition(|(_, operation)| operation.width == Width::Lane);
    for (word, function) in std::mem::take(&mut linker.calls) {
        match word {
            CALL_LANE => linker.dispatch(function, &lanes),
            CALL_WIDE => linker.dispatch(function, &wide),
            _ => linker.traits(function, &wide),
        }
    }
    let operations: Vec<_> = calls.into_values().map(|(_, operation)| operation).collect();
    linker.processed.extend(operations.iter().map(Operation::processed));
    Ok(linker.assemble(operations))
}

/// What a handler is, as far as that can be told without a kernel.
///
/// # Errors
/// As of [`link`].
pub(super) fn operation(handler: &Handler<'_>) -> Result<Operation> {
    let parsed = parse(handler.code)?;
    let globals = Globals::of(&parsed.instructions);
    let (outside, body) = globals::split(&parsed.instructions);
    let main = check::entry_point(outside)?;
    let body = check::reachable(body, main)?;
    let mailbox = Mailbox::of(&globals)?;
    let declared = mailbox.declared(&globals, &body)?;
    Operation::new(handler, outside, declared)
}

impl<'a> Linker<'a> {
    fn new(base: Base<'a>, kernel: Parsed) -> Result<Self> {
        let globals = Globals::of(&kernel.instructions);
        let place = base.parts.place_for_handlers();
        let mut linker = Self {
            services: base.services.map(|code| (code, None)),
            parts: base.parts,
            head: Vec::new(),
            names: Vec::new(),
            processed: Vec::new(),
            annotations: Vec::new(),
            globals: Vec::new(),
            functions: Vec::new(),
            known: HashMap::new(),
            first: HashMap::new(),
            version: kernel.version,
            bound: kernel.bound,
            capabilities: HashSet::new(),
            sets: HashMap::new(),
            buffers: HashMap::new(),
            word: 0,
            words: HashMap::new(),
            void: 0,
            procedure: 0,
            calls: BTreeMap::new(),
        };
        for instruction in kernel.instructions {
            linker.take(&globals, instruction);
        }
        if !place {
            return Ok(linker);
        }
        let mailbox = Mailbox::of(&globals)?;
        let members = mailbox_type(&globals, mailbox.id)?;
        linker.word = members.first().copied().ok_or("its mailbox is empty")?;
        linker.void = linker.find_or_add(Op::TypeVoid, None, vec![]);
        linker.procedure = linker.find_or_add(Op::TypeFunction, None, vec![Operand::IdRef(linker.void)]);
        linker.take_out(mailbox.id);
        let body = std::mem::take(&mut linker.functions);
        for word in mailbox.adds(&globals, &body) {
            if ![CALL_LANE, CALL_WIDE, TRAITS].contains(&word) {
                return Err(format!("it adds to word {word} of the mailbox, which is no call of its own"));
            }
            let function = linker.fresh();
            linker.calls.insert(word, function);
        }
        let calls = linker.calls.clone();
        let WithoutBuffer { body, variables } = mailbox.made_private(&globals, body, &mut linker, &calls)?;
        linker.functions = body.into_iter().map(|(instruction, _)| instruction).collect();
        for instruction in &mut linker.functions {
            for id in instruction.operands.iter_mut().filter_map(Operand::id_ref_any_mut) {
                *id = variables.get(id).copied().unwrap_or(*id);
            }
        }
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

    /// Adds the functions of a handler; returns the one to be called, and what it is.
    fn add(&mut self, handler: &Handler<'_>) -> Result<(u32, Operation)> {
        let parsed = parse(handler.code)?;
        let globals = Globals::of(&parsed.instructions);
        let (outside, body) = globals::split(&parsed.instructions);
        let mailbox = Mailbox::of(&globals)?;
        let main = check::entry_point(outside)?;
        let body = check::reachable(body, main)?;
        let declared = mailbox.declared(&globals, &body)?;
        let operation = Operation::new(handler, outside, declared)?;
        let mut services = BTreeMap::new();
        for word in mailbox.adds(&globals, &body) {
            services.insert(word, self.service(word)?);
        }
        let function = self.add_functions(&parsed, &globals, main, body, &services)?;
        let name = vec![Operand::IdRef(function), Operand::LiteralString(operation.name.clone())];
        self.names.push(Instruction::new(Op::Name, None, None, name));
        Ok((function, operation))
    }

    /// The function of a service, linked when it is first asked for.
    fn service(&mut self, word: u32) -> Result<u32> {
        let index = word.checked_sub(FIRST_SERVICE).map(|index| index as usize);
        let Some((code, function)) = index.and_then(|index| self.services.get(index)).copied() else {
            return Err(format!(
                "adds to word {word} of the mailbox, which is no service; use the functions of handler.glsl"
            ));
        };
        if let Some(function) = function {
            return Ok(function);
        }
        let parsed = cut(parse(code)?, &self.parts.0, true)?;
        let globals = Globals::of(&parsed.instructions);
        let (outside, body) = globals::split(&parsed.instructions);
        let main = check::entry_point(outside)?;
        let body = check::reachable(body, main)?;
        let function = self.add_functions(&parsed, &globals, main, body, &BTreeMap::new())?;
        self.services[index.unwrap_or_default()].1 = Some(function);
        Ok(function)
    }

    /// Adds `body`, what is called from a module's `main`; returns the function that comes of that. `services`: what an
    /// add to a word of the mailbox calls.
    fn add_functions(
        &mut self,
        parsed: &Parsed,
        globals: &Globals,
        main: u32,
        body: Vec<Instruction>,
        services: &BTreeMap<u32, u32>,
    ) -> Result<u32> {
        if parsed.version > self.version {
            return Err(format!(
                "is SPIR-V {}, and the kernel {}; compile it for Vulkan 1.2",
                shown(parsed.version),
                shown(self.version)
            ));
        }
        let (outside, _) = globals::split(&parsed.instructions);
        self.check(outside)?;
        loops::all_end(globals, &body)?;
        let mailbox = Mailbox::of(globals)?;
        let before = self.bound;
        let mut map = HashMap::new();
        for id in body.iter().filter_map(|instruction| instruction.result_id) {
            if globals.defined.contains_key(&id) || map.insert(id, self.bound).is_some() {
                return Err(format!("id %{id} is defined twice; the module is malformed"));
            }
            self.bound += 1;
        }
        let WithoutBuffer { body, variables } = mailbox.made_private(globals, body, self, services)?;
        map.extend(variables);
        let mut inside = Vec::with_capacity(body.len());
        for (mut instruction, resolved) in body {
            if let Some(id) = &mut instruction.result_id {
                *id = map[&*id];
            }
            if let Some(of) = instruction.result_type.as_mut().filter(|_| resolved == Resolved::Nothing) {
                *of = self.resolve(globals, &mut map, *of, 0)?;
            }
            if resolved != Resolved::All {
                for id in instruction.operands.iter_mut().filter_map(Operand::id_ref_any_mut) {
                    *id = self.resolve(globals, &mut map, *id, 0)?;
                }
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
        self.name(outside, &map, before, main);
        map.get(&main).copied().ok_or_else(|| format!("its entry point %{main} is no function"))
    }

    /// Keeps the names of what came with a handler, but for `main`, which is named anew.
    fn name(&mut self, outside: &[Instruction], map: &HashMap<u32, u32>, before: u32, main: u32) {
        for instruction in outside {
            let (Op::Name | Op::MemberName, [Operand::IdRef(id), rest @ ..]) =
                (instruction.class.opcode, &instruction.operands[..])
            else {
                continue;
            };
            if let Some(ours) = map.get(id).filter(|ours| **ours >= before && *id != main) {
                let mut operands = vec![Operand::IdRef(*ours)];
                operands.extend_from_slice(rest);
                self.names.push(Instruction::new(instruction.class.opcode, None, None, operands));
            }
        }
    }

    fn assemble(self, operations: Vec<Operation>) -> Linked {
        let mut words = vec![MAGIC, self.version, 0, self.bound, 0];
        let all = [self.head, self.names, self.processed, self.annotations, self.globals, self.functions];
        all.iter().flatten().for_each(|instruction| instruction.assemble_into(&mut words));
        let loops =
            all.iter().flatten().filter(|instruction| instruction.class.opcode == Op::LoopMerge).count();
        Linked { words, loops: loops as u32, operations, parts: self.parts }
    }
}

fn shown(version: u32) -> String {
    format!("{}.{}", version >> 16 & 0xFF, version >> 8 & 0xFF)
}
