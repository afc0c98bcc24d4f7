//! The mailbox between the kernel and its handlers, made private; and the call behind it.

use std::collections::{BTreeMap, HashSet};

use rspirv::dr::{Instruction, Operand};
use rspirv::spirv::{FunctionControl, Op, SelectionControl, StorageClass};

use super::{Linker, Result};

/// Where the mailbox has the opcode: `op` in `glsl/mailbox.glsl`.
const MAILBOX_OP: u32 = 1;

impl Linker {
    /// Makes a variable of the invocation's own of the mailbox. Its type loses the layout, which such a variable
    /// must not have.
    pub(super) fn make_private(&mut self, pointer: u32) -> Result<()> {
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
        // What a handler declares like them is a buffer.
        self.known.retain(|_, id| ![pointer, structure, mailbox].contains(id));
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
    pub(super) fn with_private_mailbox(
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

    /// The function that calls the handler of the mailbox's opcode; for others it leaves the mailbox as it is.
    pub(super) fn dispatch(&mut self, calls: &BTreeMap<u32, u32>) {
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
}
