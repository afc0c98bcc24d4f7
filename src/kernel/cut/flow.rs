//! A module as functions of blocks.

use rspirv::dr::{Instruction, Operand};
use rspirv::spirv::{Op, SelectionControl};

use super::Result;

/// In tables of blocks by label: of no block.
pub(super) const NONE: u32 = u32::MAX;

/// A module, in the order of its instructions.
pub(super) struct Module {
    /// What comes before the functions.
    pub outside: Vec<Instruction>,
    pub functions: Vec<Function>,
}

pub(super) struct Function {
    /// `OpFunction` and the parameters.
    pub head: Vec<Instruction>,
    /// The first is entered. All targets of branches and merges are in here.
    pub blocks: Vec<Block>,
    pub end: Instruction,
}

pub(super) struct Block {
    pub label: Instruction,
    /// Without what is below.
    pub body: Vec<Instruction>,
    /// Where a selection or loop that this heads goes on behind.
    pub merge: Option<Instruction>,
    /// The terminator.
    pub end: Instruction,
}

impl Module {
    /// Reads the functions. Lines of the source are left out.
    pub(super) fn read(instructions: Vec<Instruction>, bound: u32) -> Result<Self> {
        let mut module = Self { outside: Vec::new(), functions: Vec::new() };
        let mut defined = vec![false; bound as usize];
        let mut rest = instructions.into_iter().filter(|i| !matches!(i.class.opcode, Op::Line | Op::NoLine));
        let mut define = move |instruction: &Instruction| {
            let place = instruction.result_id.and_then(|id| defined.get_mut(id as usize));
            match place.map(|place| std::mem::replace(place, true)) {
                Some(true) => Err("an id is defined twice".to_owned()),
                _ => Ok(()),
            }
        };
        while let Some(instruction) = rest.next() {
            define(&instruction)?;
            match instruction.class.opcode {
                Op::Function => module.functions.push(Function::read(instruction, &mut rest, &mut define)?),
                Op::Label | Op::FunctionEnd | Op::FunctionParameter => {
                    return Err(format!("has an Op{} outside functions", instruction.class.opname));
                }
                _ if !module.functions.is_empty() => {
                    return Err(format!("has an Op{} between functions", instruction.class.opname));
                }
                _ => module.outside.push(instruction),
            }
        }
        for function in &module.functions {
            function.check(bound)?;
        }
        Ok(module)
    }

    /// All instructions in order.
    pub(super) fn write(self) -> Vec<Instruction> {
        let mut all = self.outside;
        for function in self.functions {
            all.extend(function.head);
            for block in function.blocks {
                all.push(block.label);
                all.extend(block.body);
                all.extend(block.merge);
                all.push(block.end);
            }
            all.push(function.end);
        }
        all
    }
}

impl Function {
    fn read(
        first: Instruction,
        rest: &mut impl Iterator<Item = Instruction>,
        mut define: impl FnMut(&Instruction) -> Result<()>,
    ) -> Result<Self> {
        let mut head = vec![first];
        let mut blocks = Vec::new();
        let mut block: Option<(Instruction, Vec<Instruction>, Option<Instruction>)> = None;
        for instruction in rest {
            define(&instruction)?;
            let op = instruction.class.opcode;
            match (op, &mut block) {
                (Op::FunctionEnd, None) => return Ok(Self { head, blocks, end: instruction }),
                (Op::FunctionParameter, None) if blocks.is_empty() => head.push(instruction),
                (Op::Label, None) => block = Some((instruction, Vec::new(), None)),
                (Op::SelectionMerge | Op::LoopMerge, Some((_, _, merge @ None))) => {
                    *merge = Some(instruction);
                }
                (Op::FunctionEnd | Op::FunctionParameter | Op::Label | Op::Function, _) | (_, None) => {
                    return Err(format!("has an Op{} where none may be", instruction.class.opname));
                }
                _ if is_terminator(op) => {
                    if let Some((label, body, merge)) = block.take() {
                        blocks.push(Block { label, body, merge, end: instruction });
                    }
                }
                (_, Some((_, body, None))) => body.push(instruction),
                _ => {
                    return Err(format!("has an Op{} behind a merge instruction", instruction.class.opname));
                }
            }
        }
        Err("a function has no end".into())
    }

    /// Sees to it that branches and merges name blocks of the function, and have what they need.
    fn check(&self, bound: u32) -> Result<()> {
        let at = self.places(bound);
        let is_block = |id: u32| at.get(id as usize).is_some_and(|place| *place != NONE);
        for block in &self.blocks {
            let merges = block.merge.as_ref().map_or(0, |merge| match merge.class.opcode {
                Op::LoopMerge => 2,
                _ => 1,
            });
            let named = block.merge.iter().flat_map(|merge| ids(merge).take(merges));
            let wanted = match block.end.class.opcode {
                Op::Branch => 1,
                Op::BranchConditional => 2,
                Op::Switch => 1,
                _ => 0,
            };
            let selects = !matches!(block.end.class.opcode, Op::BranchConditional | Op::Switch)
                || block.end.operands.first().is_some_and(|operand| operand.id_ref_any().is_some());
            let whole = named.clone().count() == merges && block.targets().count() >= wanted && selects;
            if !whole || !named.chain(block.targets()).all(is_block) {
                let label = block.id();
                return Err(format!(
                    "block %{label} branches to, or merges at, what is no block of its function"
                ));
            }
        }
        Ok(())
    }

    /// Where blocks are, by label.
    pub(super) fn places(&self, bound: u32) -> Vec<u32> {
        let mut at = vec![NONE; bound as usize];
        for (index, block) in self.blocks.iter().enumerate() {
            if let Some(place) = at.get_mut(block.id() as usize) {
                *place = index as u32;
            }
        }
        at
    }

    /// Whether each block is reached from the first.
    pub(super) fn live(&self, at: &[u32]) -> Vec<bool> {
        let mut live = vec![false; self.blocks.len()];
        let mut next = Vec::new();
        if let Some(first) = live.first_mut() {
            *first = true;
            next.push(0);
        }
        while let Some(index) = next.pop() {
            for target in self.blocks[index].targets() {
                let target = at[target as usize] as usize;
                if !std::mem::replace(&mut live[target], true) {
                    next.push(target);
                }
            }
        }
        live
    }

    /// The blocks that branch to each block, each once, of those that `counts`.
    pub(super) fn predecessors(&self, at: &[u32], counts: impl Fn(usize) -> bool) -> Vec<Vec<u32>> {
        let mut from = vec![Vec::new(); self.blocks.len()];
        for (index, block) in self.blocks.iter().enumerate().filter(|(index, _)| counts(*index)) {
            for target in block.targets() {
                let from: &mut Vec<u32> = &mut from[at[target as usize] as usize];
                if from.last() != Some(&(index as u32)) {
                    from.push(index as u32);
                }
            }
        }
        from
    }
}

impl Block {
    pub(super) fn id(&self) -> u32 {
        self.label.result_id.unwrap_or_default()
    }

    /// The labels that it may go on at; one may be there more than once.
    pub(super) fn targets(&self) -> impl Iterator<Item = u32> + Clone {
        let (skip, take) = match self.end.class.opcode {
            Op::Branch => (0, 1),
            Op::BranchConditional => (1, 2),
            Op::Switch => (1, usize::MAX),
            _ => (0, 0),
        };
        ids(&self.end).skip(skip).take(take)
    }

    /// The label of the merge block, if this is a header.
    pub(super) fn merge_label(&self) -> Option<u32> {
        ids(self.merge.as_ref()?).next()
    }

    /// The label of the continue target, if this is the header of a loop.
    pub(super) fn continue_label(&self) -> Option<u32> {
        ids(self.merge.as_ref().filter(|merge| merge.class.opcode == Op::LoopMerge)?).nth(1)
    }

    /// The labels of the blocks that this names as the header of a construct, but for itself.
    pub(super) fn names(&self) -> impl Iterator<Item = u32> {
        let own = self.id();
        self.merge_label().into_iter().chain(self.continue_label().filter(move |label| *label != own))
    }

    /// The phis, which are first.
    pub(super) fn phis(&mut self) -> impl Iterator<Item = &mut Instruction> {
        self.body.iter_mut().take_while(|instruction| instruction.class.opcode == Op::Phi)
    }
}

/// The ids among the operands.
pub(super) fn ids(instruction: &Instruction) -> impl Iterator<Item = u32> + Clone {
    instruction.operands.iter().filter_map(Operand::id_ref_any)
}

/// The values and labels of a phi.
pub(super) fn entries(phi: &Instruction) -> impl Iterator<Item = (u32, u32)> + Clone {
    phi.operands
        .as_chunks::<2>()
        .0
        .iter()
        .filter_map(|[value, label]| Some((value.id_ref_any()?, label.id_ref_any()?)))
}

pub(super) fn branch(to: u32) -> Instruction {
    Instruction::new(Op::Branch, None, None, vec![Operand::IdRef(to)])
}

pub(super) fn selection_merge(at: u32) -> Instruction {
    let operands = vec![Operand::IdRef(at), Operand::SelectionControl(SelectionControl::NONE)];
    Instruction::new(Op::SelectionMerge, None, None, operands)
}

fn is_terminator(op: Op) -> bool {
    matches!(
        op,
        Op::Branch
            | Op::BranchConditional
            | Op::Switch
            | Op::Return
            | Op::ReturnValue
            | Op::Kill
            | Op::Unreachable
            | Op::TerminateInvocation
            | Op::EmitMeshTasksEXT
            | Op::IgnoreIntersectionKHR
            | Op::TerminateRayKHR
    )
}
