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

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use rspirv::binary::Assemble as _;
use rspirv::dr::{Instruction, Operand};
use rspirv::spirv::{Decoration, ExecutionModel, FunctionControl, Op, SelectionControl, StorageClass};

use super::Result;
use super::parse::{MAGIC, Parsed, parse};
use crate::protocol::abi::binding::BIND_MAILBOX;
use crate::protocol::validate_user_opcode;

/// Types and constants are nested at most so deeply.
const DEEPEST: u32 = 64;
/// Where the mailbox has the opcode: `op` in `glsl/mailbox.glsl`.
const MAILBOX_OP: u32 = 1;

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

/// A decoration: of which member, if of one, and what follows.
type Decorating = (Option<u32>, Vec<u32>);

/// What a module declares outside its functions, by id.
struct Globals {
    defined: HashMap<u32, Instruction>,
    /// By target.
    decorations: HashMap<u32, BTreeSet<Decorating>>,
    mailbox: Option<u32>,
}

impl Globals {
    fn of(instructions: &[Instruction]) -> Self {
        let mut globals = Self { defined: HashMap::new(), decorations: HashMap::new(), mailbox: None };
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
        globals.mailbox = globals.defined.keys().copied().find(|id| {
            globals.number(*id, Decoration::Binding) == Some(BIND_MAILBOX)
                && globals.number(*id, Decoration::DescriptorSet) == Some(0)
        });
        globals
    }

    /// The number that a decoration gives to `id`.
    fn number(&self, id: u32, what: Decoration) -> Option<u32> {
        self.decorations.get(&id)?.iter().find_map(|(member, words)| match (member, &words[..]) {
            (None, [of, value]) if *of == what as u32 => Some(*value),
            _ => None,
        })
    }

    /// Where a buffer is bound.
    fn binding(&self, id: u32) -> Option<(u32, u32)> {
        Some((self.number(id, Decoration::DescriptorSet)?, self.number(id, Decoration::Binding)?))
    }
}

/// What an instruction outside functions is: opcode, type, operands, decorations, with ids of the kernel's.
type Key = (u32, Option<u32>, Vec<u32>, BTreeSet<Decorating>);

fn key(instruction: &Instruction, decorations: Option<&BTreeSet<Decorating>>) -> Key {
    let operands = instruction.operands.iter().flat_map(|o| o.assemble()).collect();
    let opcode = instruction.class.opcode as u32;
    (opcode, instruction.result_type, operands, decorations.cloned().unwrap_or_default())
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

    fn fresh(&mut self) -> u32 {
        self.bound += 1;
        self.bound - 1
    }

    /// A declaration without decorations.
    fn find_or_add(&mut self, op: Op, of: Option<u32>, operands: Vec<Operand>) -> u32 {
        let instruction = Instruction::new(op, of, None, operands);
        self.declare(instruction, BTreeSet::new())
    }

    fn declare(&mut self, mut instruction: Instruction, decorations: BTreeSet<Decorating>) -> u32 {
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

    fn decorate(&mut self, id: u32, (member, words): &Decorating) {
        let mut operands = vec![Operand::IdRef(id)];
        operands.extend(member.map(Operand::LiteralBit32));
        operands.extend(words.iter().map(|word| Operand::LiteralBit32(*word)));
        let op = if member.is_some() { Op::MemberDecorate } else { Op::Decorate };
        self.annotations.push(Instruction::new(op, None, None, operands));
    }

    /// Since SPIR-V 1.4 an entry point lists all variables outside functions that it uses.
    fn add_to_interface(&mut self, id: u32) {
        let entry = self.head.iter_mut().find(|instruction| instruction.class.opcode == Op::EntryPoint);
        if let Some(entry) = entry {
            entry.operands.push(Operand::IdRef(id));
        }
    }

    /// Makes a variable of the invocation's own of the mailbox. Its type loses the layout, which such a variable
    /// must not have.
    fn make_private(&mut self, pointer: u32) -> Result<()> {
        let (mailbox, word) = (self.mailbox, self.word);
        let class = |class| Operand::StorageClass(class);
        let mut structure = None;
        for instruction in &mut self.globals {
            if instruction.result_id == Some(pointer) {
                instruction.operands[0] = class(StorageClass::Private);
                structure = instruction.operands.get(1).and_then(Operand::id_ref_any);
            } else if instruction.result_id == Some(mailbox) {
                instruction.operands[0] = class(StorageClass::Private);
            }
        }
        let structure = structure.ok_or("its mailbox has no type")?;
        self.annotations.retain(|decoration| {
            let target = decoration.operands.first().and_then(Operand::id_ref_any);
            target != Some(mailbox) && target != Some(structure)
        });
        self.word_pointer =
            self.find_or_add(Op::TypePointer, None, vec![class(StorageClass::Private), Operand::IdRef(word)]);
        Ok(())
    }

    /// Instructions of functions in which the mailbox, `mailbox`, is no buffer any more. `calls`: an add to it is the
    /// call of a handler, which a handler must not make.
    fn with_private_mailbox(
        &self,
        body: Vec<Instruction>,
        mailbox: u32,
        calls: bool,
    ) -> Result<Vec<Instruction>> {
        let mut words = HashSet::new();
        let mut out = Vec::with_capacity(body.len());
        for mut instruction in body {
            let names = |id: u32| instruction.operands.iter().any(|o| o.id_ref_any() == Some(id));
            let first = instruction.operands.first().and_then(Operand::id_ref_any);
            let of_word = first.is_some_and(|id| words.contains(&id));
            match instruction.class.opcode {
                Op::AccessChain | Op::InBoundsAccessChain if first == Some(mailbox) => {
                    words.extend(instruction.result_id);
                    instruction.result_type = Some(self.word_pointer);
                }
                // What follows the pointer, and in a store the value, is for memory that others see.
                Op::Load if of_word => instruction.operands.truncate(1),
                Op::Store if of_word => instruction.operands.truncate(2),
                Op::AtomicIAdd if of_word && calls => {
                    let callee = vec![Operand::IdRef(self.dispatch)];
                    let of = Some(self.void);
                    instruction = Instruction::new(Op::FunctionCall, of, instruction.result_id, callee);
                }
                _ if names(mailbox)
                    || instruction
                        .operands
                        .iter()
                        .any(|o| o.id_ref_any().is_some_and(|id| words.contains(&id))) =>
                {
                    let op = instruction.class.opname;
                    return Err(format!(
                        "Op{op} takes the mailbox; only its words may be loaded and stored, one by one: use argument() \
                         and the macros of handler.glsl"
                    ));
                }
                _ => {}
            }
            out.push(instruction);
        }
        Ok(out)
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

    /// What can be told without looking closer; the id of `main`.
    fn check(&self, outside: &[Instruction], body: &[Instruction]) -> Result<u32> {
        let mut main = None;
        for instruction in outside {
            match (instruction.class.opcode, &instruction.operands[..]) {
                (Op::Capability, [Operand::Capability(capability)])
                    if !self.capabilities.contains(&(*capability as u32)) =>
                {
                    return Err(format!(
                        "asks for the capability {capability:?}, which the kernel has not enabled; do without"
                    ));
                }
                (
                    Op::EntryPoint,
                    [Operand::ExecutionModel(ExecutionModel::GLCompute), Operand::IdRef(id), ..],
                ) if main.is_none() => {
                    main = Some(*id);
                }
                (Op::EntryPoint, _) => {
                    return Err("has another entry point than one of a compute shader; take it out".into());
                }
                _ => {}
            }
        }
        for instruction in body {
            if matches!(instruction.class.opcode, Op::ControlBarrier) {
                return Err(
                    "has a barrier, at which lanes that do not call it never arrive; take it out".into()
                );
            }
        }
        acyclic(body)?;
        main.ok_or_else(|| "has no entry point; LANE_HANDLER makes one".into())
    }

    /// The kernel's id for one of the handler's.
    fn resolve(&mut self, from: &Globals, map: &mut HashMap<u32, u32>, id: u32, depth: u32) -> Result<u32> {
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

    fn variable(
        &mut self,
        from: &Globals,
        id: u32,
        class: StorageClass,
        variable: &Instruction,
    ) -> Result<u32> {
        let decorations = from.decorations.get(&id).cloned().unwrap_or_default();
        match class {
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

    /// The function that calls the handler of the mailbox's opcode; for others it leaves the mailbox as it is.
    fn dispatch(&mut self, calls: &BTreeMap<u32, u32>) {
        let index = self.find_or_add(Op::Constant, Some(self.word), vec![Operand::LiteralBit32(MAILBOX_OP)]);
        let [label, pointer, opcode, end] = [(); 4].map(|()| self.fresh());
        let blocks: Vec<_> =
            calls.iter().map(|(op, function)| (*op, *function, self.fresh(), self.fresh())).collect();
        let id = Operand::IdRef;
        let mut switch = vec![id(opcode), id(end)];
        switch.extend(blocks.iter().flat_map(|(op, _, block, _)| [Operand::LiteralBit32(*op), id(*block)]));
        let mut body = vec![
            Instruction::new(
                Op::Function,
                Some(self.void),
                Some(self.dispatch),
                vec![Operand::FunctionControl(FunctionControl::NONE), id(self.procedure)],
            ),
            Instruction::new(Op::Label, None, Some(label), vec![]),
            Instruction::new(
                Op::AccessChain,
                Some(self.word_pointer),
                Some(pointer),
                vec![id(self.mailbox), id(index)],
            ),
            Instruction::new(Op::Load, Some(self.word), Some(opcode), vec![id(pointer)]),
            Instruction::new(
                Op::SelectionMerge,
                None,
                None,
                vec![id(end), Operand::SelectionControl(SelectionControl::NONE)],
            ),
            Instruction::new(Op::Switch, None, None, switch),
        ];
        for (_, function, block, result) in blocks {
            body.extend([
                Instruction::new(Op::Label, None, Some(block), vec![]),
                Instruction::new(Op::FunctionCall, Some(self.void), Some(result), vec![id(function)]),
                Instruction::new(Op::Branch, None, None, vec![id(end)]),
            ]);
        }
        body.extend([
            Instruction::new(Op::Label, None, Some(end), vec![]),
            Instruction::new(Op::Return, None, None, vec![]),
            Instruction::new(Op::FunctionEnd, None, None, vec![]),
        ]);
        self.functions.extend(body);
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

fn is_private(instruction: &Instruction) -> bool {
    matches!(instruction.operands[..], [Operand::StorageClass(StorageClass::Private), ..] if instruction.class.opcode == Op::Variable)
}

/// The pointer type of the mailbox, and the types of its members.
fn mailbox_type(globals: &Globals, mailbox: u32) -> Result<(u32, Vec<u32>)> {
    let wrong = "has another mailbox than the kernel; compile it with the handler.glsl of this version";
    let pointer = globals.defined.get(&mailbox).and_then(|variable| variable.result_type).ok_or(wrong)?;
    let structure = globals.defined.get(&pointer).and_then(|pointer| pointer.operands.get(1)?.id_ref_any());
    let structure = structure.and_then(|id| globals.defined.get(&id)).ok_or(wrong)?;
    let members: Vec<u32> = structure.operands.iter().filter_map(Operand::id_ref_any).collect();
    let words = members.iter().all(|of| {
        let of = globals.defined.get(of).map(|of| (of.class.opcode, &of.operands[..]));
        matches!(of, Some((Op::TypeInt, [Operand::LiteralBit32(32), Operand::LiteralBit32(0)])))
    });
    if structure.class.opcode == Op::TypeStruct && words && members.len() == MAILBOX_WORDS {
        Ok((pointer, members))
    } else {
        Err(wrong.to_owned())
    }
}

/// Members of the mailbox.
const MAILBOX_WORDS: usize = 13;

/// Refuses functions that call themselves, by way of others too (Kahn, 1962).
fn acyclic(body: &[Instruction]) -> Result<()> {
    let mut callers: HashMap<u32, Vec<u32>> = HashMap::new();
    let mut waits: HashMap<u32, usize> = HashMap::new();
    let mut within = 0;
    for instruction in body {
        match (instruction.class.opcode, &instruction.operands[..]) {
            (Op::Function, _) => {
                within = instruction.result_id.unwrap_or_default();
                waits.entry(within).or_default();
            }
            (Op::FunctionCall, [Operand::IdRef(callee), ..]) => {
                callers.entry(*callee).or_default().push(within);
                *waits.entry(within).or_default() += 1;
            }
            _ => {}
        }
    }
    let mut ready: Vec<u32> =
        waits.iter().filter(|(_, calls)| **calls == 0).map(|(function, _)| *function).collect();
    let mut done = 0;
    while let Some(function) = ready.pop() {
        done += 1;
        for caller in callers.remove(&function).unwrap_or_default() {
            if let Some(calls) = waits.get_mut(&caller) {
                *calls -= 1;
                ready.extend((*calls == 0).then_some(caller));
            }
        }
    }
    if done == waits.len() {
        Ok(())
    } else {
        Err("has a function that calls itself; shaders have no recursion".into())
    }
}

fn shown(version: u32) -> String {
    format!("{}.{}", version >> 16 & 0xFF, version >> 8 & 0xFF)
}
