//! The mailbox between the kernel and its handlers, made private; and the calls behind it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rspirv::dr::{Instruction, Operand};
use rspirv::spirv::{FunctionControl, Op, SelectionControl, StorageClass};

use super::globals::{Globals, mailbox_type};
use super::operation::{Operation, Width};
use super::{Linker, Result};
use crate::protocol::abi::live::{HANDLER_CONTRACT, HANDLER_LANE, HANDLER_WIDE, TRAIT_PUBLISHES, TRAIT_WIDE};

/// Words of the mailbox, as `glsl/mailbox.glsl` orders them: what calls handlers;
pub(super) const CALL_LANE: u32 = 0;
pub(super) const CALL_WIDE: u32 = 1;
/// what calls the first service, and then as many;
pub(super) const FIRST_SERVICE: u32 = 2;
/// Services that handlers may ask for.
pub(crate) const SERVICES: usize = 2;
/// what tells of a handler;
pub(super) const TRAITS: u32 = 4;
/// what a handler declares;
const CONTRACT: u32 = 5;
const OPCODE: u32 = 6;
const WIDTH: u32 = 7;
const ASKS: u32 = 8;
const PUBLISHES: u32 = 9;
/// what it is called for;
const OP: u32 = 10;
/// and what services give.
const X0: u32 = 32;
/// All of them.
pub(super) const WORDS: usize = 50;

const fn declares(word: u32) -> bool {
    matches!(word, CONTRACT | OPCODE | WIDTH | ASKS | PUBLISHES)
}

/// What a handler says of itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Declared {
    pub opcode: u32,
    pub width: Width,
    pub asks: bool,
    pub publishes: bool,
}

/// How much of an instruction names the kernel's ids already.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Resolved {
    Nothing,
    All,
}

/// Functions in which the mailbox is no buffer any more.
pub(super) struct WithoutBuffer {
    /// Their instructions, and which of them name the kernel's ids.
    pub body: Vec<(Instruction, Resolved)>,
    /// The kernel's variables that pointers to its words become.
    pub variables: HashMap<u32, u32>,
}

/// A module's variable for the mailbox.
#[derive(Clone, Copy)]
pub(super) struct Mailbox {
    pub id: u32,
}

impl Mailbox {
    pub(super) fn of(globals: &Globals) -> Result<Self> {
        let id = globals
            .mailbox
            .ok_or("has no mailbox; include handler.glsl and use LANE_HANDLER or WIDE_HANDLER")?;
        mailbox_type(globals, id)?;
        Ok(Self { id })
    }

    /// Which word of it an instruction makes a pointer to.
    fn word(&self, globals: &Globals, instruction: &Instruction) -> Option<u32> {
        match (instruction.class.opcode, &instruction.operands[..]) {
            (Op::AccessChain | Op::InBoundsAccessChain, [Operand::IdRef(id), Operand::IdRef(index)])
                if *id == self.id =>
            {
                globals.constant(*index)
            }
            _ => None,
        }
    }

    /// The words that pointers in `body` lead to, by the pointer's id.
    fn words(&self, globals: &Globals, body: &[Instruction]) -> BTreeMap<u32, u32> {
        body.iter()
            .filter_map(|instruction| Some((instruction.result_id?, self.word(globals, instruction)?)))
            .collect()
    }

    /// The words that are added to.
    pub(super) fn adds(&self, globals: &Globals, body: &[Instruction]) -> BTreeSet<u32> {
        let words = self.words(globals, body);
        let adds = body.iter().filter(|instruction| instruction.class.opcode == Op::AtomicIAdd);
        adds.filter_map(|add| words.get(&add.operands.first()?.id_ref_any()?).copied()).collect()
    }

    /// What a handler declares.
    pub(super) fn declared(&self, globals: &Globals, body: &[Instruction]) -> Result<Declared> {
        let words = self.words(globals, body);
        let constant = |wanted: u32, what: &str| {
            let mut stores = body.iter().filter_map(|instruction| match &instruction.operands[..] {
                [Operand::IdRef(pointer), Operand::IdRef(value), ..]
                    if instruction.class.opcode == Op::Store && words.get(pointer) == Some(&wanted) =>
                {
                    Some(*value)
                }
                _ => None,
            });
            match (stores.next(), stores.next()) {
                (Some(value), None) => globals.constant(value).ok_or_else(|| {
                    format!("declares as its {what} what is no constant; give LANE_HANDLER or WIDE_HANDLER a number")
                }),
                (None, _) => {
                    Err(format!("declares no {what}; end the shader with LANE_HANDLER or WIDE_HANDLER"))
                }
                _ => Err(format!("declares its {what} twice; a shader has one handler")),
            }
        };
        let contract = constant(CONTRACT, "contract")?;
        if contract != HANDLER_CONTRACT {
            return Err(format!(
                "keeps to contract {contract} of handlers, and this kernel to {HANDLER_CONTRACT}; compile it with the \
                 handler.glsl of this version"
            ));
        }
        let width = match constant(WIDTH, "width")? {
            HANDLER_LANE => Width::Lane,
            HANDLER_WIDE => Width::Wide,
            other => return Err(format!("declares the width {other}, which there is not; see handler.glsl")),
        };
        let stores = |wanted: u32| {
            body.iter().any(|instruction| {
                let pointer = instruction.operands.first().and_then(Operand::id_ref_any);
                instruction.class.opcode == Op::Store
                    && pointer.and_then(|pointer| words.get(&pointer)) == Some(&wanted)
            })
        };
        let (asks, publishes) = (stores(ASKS), stores(PUBLISHES));
        if publishes && width == Width::Lane {
            return Err("publishes slots, which only wide handlers may; make it one with WIDE_HANDLER".into());
        }
        Ok(Declared { opcode: constant(OPCODE, "opcode")?, width, asks, publishes })
    }

    /// Makes variables of the mailbox. `calls`: the functions that adds to its words are calls of.
    pub(super) fn made_private(
        &self,
        globals: &Globals,
        body: Vec<Instruction>,
        linker: &mut Linker<'_>,
        calls: &BTreeMap<u32, u32>,
    ) -> Result<WithoutBuffer> {
        let words = self.words(globals, &body);
        let mut out = Vec::with_capacity(body.len());
        for mut instruction in body {
            let first = instruction.operands.first().and_then(Operand::id_ref_any);
            let word = first.and_then(|id| words.get(&id)).copied();
            let callee = word.and_then(|word| calls.get(&word));
            let mut resolved = Resolved::Nothing;
            match (instruction.class.opcode, word, callee) {
                _ if self.word(globals, &instruction).is_some() => continue,
                // What follows the pointer, and in a store the value, is for memory that others see.
                (Op::Load, Some(_), _) => instruction.operands.truncate(1),
                (Op::Store, Some(word), _) if declares(word) => continue,
                (Op::Store, Some(_), _) => instruction.operands.truncate(2),
                (Op::AtomicIAdd, Some(_), Some(callee)) => {
                    let callee = vec![Operand::IdRef(*callee)];
                    let of = Some(linker.void);
                    instruction = Instruction::new(Op::FunctionCall, of, instruction.result_id, callee);
                    resolved = Resolved::All;
                }
                _ => {
                    let names = |id: u32| id == self.id || words.contains_key(&id);
                    if instruction.operands.iter().filter_map(Operand::id_ref_any).any(names) {
                        return Err(format!(
                            "Op{} takes the mailbox; only its words may be loaded and stored, one by one: use \
                             argument() and the macros of handler.glsl",
                            instruction.class.opname
                        ));
                    }
                }
            }
            out.push((instruction, resolved));
        }
        let used = words.iter().filter(|(_, word)| !declares(**word));
        let variables = used.map(|(id, word)| (*id, linker.variable_of(*word))).collect();
        Ok(WithoutBuffer { body: out, variables })
    }
}

impl Linker<'_> {
    /// Takes the buffer out that was the kernel's mailbox.
    pub(super) fn take_out(&mut self, mailbox: u32) {
        self.known.retain(|_, id| *id != mailbox);
        self.globals.retain(|instruction| instruction.result_id != Some(mailbox));
        self.annotations.retain(|decoration| decoration.operands.first() != Some(&Operand::IdRef(mailbox)));
        for entry in self.head.iter_mut().filter(|instruction| instruction.class.opcode == Op::EntryPoint) {
            entry.operands.retain(|operand| *operand != Operand::IdRef(mailbox));
        }
        self.head.retain(|instruction| {
            let names = matches!(instruction.class.opcode, Op::Name | Op::MemberName);
            !(names && instruction.operands.first() == Some(&Operand::IdRef(mailbox)))
        });
    }

    /// The variable of the invocation's own that is a word of the mailbox.
    fn variable_of(&mut self, word: u32) -> u32 {
        if let Some(id) = self.words.get(&word) {
            return *id;
        }
        let class = Operand::StorageClass(StorageClass::Private);
        let pointer = self.find_or_add(Op::TypePointer, None, vec![class.clone(), Operand::IdRef(self.word)]);
        let variable = self.find_or_add(Op::Variable, Some(pointer), vec![class]);
        self.words.insert(word, variable);
        variable
    }

    /// The function that calls the handler of the mailbox's opcode; for others it leaves the mailbox as it is.
    pub(super) fn dispatch(&mut self, function: u32, handlers: &[&(u32, Operation)]) {
        let void = self.void;
        self.switch(function, handlers, |linker, handler, _| {
            let callee = vec![Operand::IdRef(handler)];
            vec![Instruction::new(Op::FunctionCall, Some(void), Some(linker.fresh()), callee)]
        });
    }

    /// The function that stores what is known of the handler of the mailbox's opcode where services answer, if it is one
    /// of these.
    pub(super) fn traits(&mut self, function: u32, wide: &[&(u32, Operation)]) {
        let answer = self.variable_of(X0);
        self.switch(function, wide, |linker, _, operation| {
            let traits = TRAIT_WIDE | if operation.publishes { TRAIT_PUBLISHES } else { 0 };
            let known =
                linker.find_or_add(Op::Constant, Some(linker.word), vec![Operand::LiteralBit32(traits)]);
            vec![Instruction::new(Op::Store, None, None, vec![Operand::IdRef(answer), Operand::IdRef(known)])]
        });
    }

    /// A function that does something for the mailbox's opcode, if that is one of these handlers'.
    fn switch(
        &mut self,
        function: u32,
        handlers: &[&(u32, Operation)],
        mut case: impl FnMut(&mut Self, u32, &Operation) -> Vec<Instruction>,
    ) {
        let word = self.variable_of(OP);
        let [label, opcode, end] = [(); 3].map(|()| self.fresh());
        let blocks: Vec<_> = handlers
            .iter()
            .map(|(function, operation)| (operation.opcode, self.fresh(), case(self, *function, operation)))
            .collect();
        let id = Operand::IdRef;
        let mut targets = vec![id(opcode), id(end)];
        targets.extend(blocks.iter().flat_map(|(op, block, _)| [Operand::LiteralBit32(*op), id(*block)]));
        let control = Operand::FunctionControl(FunctionControl::NONE);
        let merge = vec![id(end), Operand::SelectionControl(SelectionControl::NONE)];
        let mut body = vec![
            Instruction::new(
                Op::Function,
                Some(self.void),
                Some(function),
                vec![control, id(self.procedure)],
            ),
            Instruction::new(Op::Label, None, Some(label), vec![]),
            Instruction::new(Op::Load, Some(self.word), Some(opcode), vec![id(word)]),
            Instruction::new(Op::SelectionMerge, None, None, merge),
            Instruction::new(Op::Switch, None, None, targets),
        ];
        for (_, block, does) in blocks {
            body.push(Instruction::new(Op::Label, None, Some(block), vec![]));
            body.extend(does);
            body.push(Instruction::new(Op::Branch, None, None, vec![id(end)]));
        }
        body.extend([
            Instruction::new(Op::Label, None, Some(end), vec![]),
            Instruction::new(Op::Return, None, None, vec![]),
            Instruction::new(Op::FunctionEnd, None, None, vec![]),
        ]);
        self.functions.extend(body);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_where_the_shaders_have_them() {
        let text = include_str!("../../../glsl/mailbox.glsl");
        let words: Vec<&str> =
            text.lines().filter_map(|line| line.trim().strip_prefix("uint ")?.split(';').next()).collect();
        assert_eq!(words.len(), WORDS);
        let at = [
            (CALL_LANE, "call_lane"),
            (CALL_WIDE, "call_wide"),
            (FIRST_SERVICE, "step"),
            (FIRST_SERVICE + SERVICES as u32 - 1, "print"),
            (TRAITS, "traits"),
            (CONTRACT, "contract"),
            (OPCODE, "opcode"),
            (WIDTH, "width"),
            (ASKS, "asks"),
            (PUBLISHES, "publishes"),
            (OP, "op"),
            (X0, "x0"),
        ];
        for (word, name) in at {
            assert_eq!(words[word as usize], name);
        }
    }
}
