//! Small modules from text, and what they store.

use std::collections::{BTreeMap, HashMap};

use rspirv::binary::Assemble as _;
use rspirv::dr::{Instruction, Operand};
use rspirv::grammar::{INSTRUCTION_TABLE, OperandKind};
use rspirv::spirv::{
    AddressingModel, Decoration, ExecutionModel, FunctionControl, LoopControl, MemoryModel, Op,
    SelectionControl, StorageClass,
};

use super::super::super::parse::{MAGIC, Parsed};
use super::super::flow;

/// Before each function. Booleans 6 and 7 have SpecIds 16 and 17, the number 8 has SpecId 1, 9 to 11 are 0 to
/// 2, 13 is what stores are seen of, 15 is private, 16 is `6 && 7`, 17 is `6 ? 1 : 2`.
const HEAD: &str = "2 = TypeVoid; 3 = TypeFunction 2; 4 = TypeBool; 5 = TypeInt #32 #0; \
    6 = SpecConstantTrue 4; \
    7 = SpecConstantTrue 4; 8 = SpecConstant 5 #1; 9 = Constant 5 #0; 10 = Constant 5 #1; \
    11 = Constant 5 #2; \
    12 = TypePointer ~StorageBuffer 5; 13 = Variable 12 ~StorageBuffer; 14 = TypePointer ~Private 5; \
    15 = Variable 14 ~Private; 16 = SpecConstantOp 4 LogicalAnd 6 7; 17 = SpecConstantOp 5 Select 6 10 11; ";

/// Ids below, and where none is a `#number`, `~class` or the name of an operation.
fn instruction(line: &str) -> Instruction {
    let (id, rest) = match line.split_once(" = ") {
        Some((id, rest)) => (Some(id.trim().parse().expect("an id")), rest),
        None => (None, line),
    };
    let mut words = rest.split_whitespace();
    let name = words.next().expect("an opcode");
    let class = INSTRUCTION_TABLE.iter().find(|class| class.opname == name).expect("a known opcode");
    let typed = class.operands.iter().any(|operand| operand.kind == OperandKind::IdResultType);
    let of = words.next_if_typed(typed);
    let mut operands: Vec<Operand> = words
        .map(|word| match (word.split_at(1), word) {
            (("#", number), _) => Operand::LiteralBit32(number.parse().expect("a number")),
            (_, "~StorageBuffer") => Operand::StorageClass(StorageClass::StorageBuffer),
            (_, "~Private") => Operand::StorageClass(StorageClass::Private),
            (_, "LogicalAnd") => Operand::LiteralSpecConstantOpInteger(Op::LogicalAnd),
            (_, "Select") => Operand::LiteralSpecConstantOpInteger(Op::Select),
            _ => Operand::IdRef(word.parse().expect("an id")),
        })
        .collect();
    match class.opcode {
        Op::SelectionMerge => operands.push(Operand::SelectionControl(SelectionControl::NONE)),
        Op::LoopMerge => operands.push(Operand::LoopControl(LoopControl::NONE)),
        _ => {}
    }
    Instruction::new(class.opcode, of, id, operands)
}

trait Words {
    fn next_if_typed(&mut self, typed: bool) -> Option<u32>;
}

impl<'a, T: Iterator<Item = &'a str>> Words for T {
    fn next_if_typed(&mut self, typed: bool) -> Option<u32> {
        if typed { Some(self.next()?.parse().expect("a type")) } else { None }
    }
}

pub(super) fn module(body: &str) -> Parsed {
    use Operand::{IdRef, LiteralBit32};
    let entry = vec![
        Operand::ExecutionModel(ExecutionModel::GLCompute),
        IdRef(1),
        Operand::LiteralString("main".into()),
        IdRef(13),
        IdRef(15),
    ];
    let memory =
        vec![Operand::AddressingModel(AddressingModel::Logical), Operand::MemoryModel(MemoryModel::GLSL450)];
    let decorated = |id, spec| {
        let operands = vec![IdRef(id), Operand::Decoration(Decoration::SpecId), LiteralBit32(spec)];
        Instruction::new(Op::Decorate, None, None, operands)
    };
    let mut instructions = vec![
        Instruction::new(Op::MemoryModel, None, None, memory),
        Instruction::new(Op::EntryPoint, None, None, entry),
        decorated(6, 16),
        decorated(7, 17),
        decorated(8, 1),
    ];
    let lines = |text: &str| -> Vec<Instruction> {
        text.split(';').map(str::trim).filter(|line| !line.is_empty()).map(instruction).collect()
    };
    instructions.extend(lines(HEAD));
    let function = vec![Operand::FunctionControl(FunctionControl::NONE), IdRef(3)];
    instructions.push(Instruction::new(Op::Function, Some(2), Some(1), function));
    instructions.extend(lines(body));
    instructions.push(Instruction::new(Op::FunctionEnd, None, None, vec![]));
    Parsed { version: 0x0001_0500, bound: 64, instructions }
}

pub(super) fn words(parsed: &Parsed) -> Vec<u32> {
    let mut words = vec![MAGIC, parsed.version, 0, parsed.bound, 0];
    parsed.instructions.iter().for_each(|instruction| instruction.assemble_into(&mut words));
    words
}

pub(super) fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// What a module stores to the buffer, which holds `seed`; constants are as the module says, or `given` by
/// SpecId.
pub(super) fn run(parsed: &Parsed, given: &BTreeMap<u32, u32>, seed: u32) -> Vec<u32> {
    let all = &parsed.instructions;
    let spec: HashMap<u32, u32> = all
        .iter()
        .filter_map(|i| match i.operands[..] {
            [Operand::IdRef(id), Operand::Decoration(Decoration::SpecId), Operand::LiteralBit32(spec)] => {
                Some((id, *given.get(&spec)?))
            }
            _ => None,
        })
        .collect();
    let (mut values, mut memory, mut stored) = (HashMap::<u32, u32>::new(), HashMap::new(), Vec::new());
    let mut buffer = 0;
    let (mut at, mut block, mut before) = (0, 0, 0);
    for _ in 0..10_000 {
        let Some(step) = all.get(at) else { break };
        at += 1;
        let ids: Vec<u32> = flow::ids(step).collect();
        let value = |index: usize| values.get(&ids[index]).copied().unwrap_or_default();
        let literal = |index: usize| match step.operands.get(index) {
            Some(Operand::LiteralBit32(value)) => *value,
            _ => 0,
        };
        let mut to = None;
        let result = match step.class.opcode {
            Op::ConstantTrue | Op::SpecConstantTrue => 1,
            Op::Constant | Op::SpecConstant => literal(0),
            Op::SpecConstantOp if ids.len() == 2 => value(0) & value(1),
            Op::SpecConstantOp | Op::Select => value(if value(0) == 1 { 1 } else { 2 }),
            Op::Variable => {
                let class = Operand::StorageClass(StorageClass::StorageBuffer);
                if step.operands[0] == class {
                    buffer = step.result_id.unwrap_or_default();
                    memory.insert(buffer, seed);
                }
                0
            }
            Op::Label => {
                (before, block) = (block, step.result_id.unwrap_or_default());
                0
            }
            Op::Phi => flow::entries(step)
                .find(|(_, from)| *from == before)
                .and_then(|(id, _)| values.get(&id).copied())
                .unwrap_or_default(),
            Op::Load => memory.get(&ids[0]).copied().unwrap_or_default(),
            Op::Store => {
                memory.insert(ids[0], value(1));
                stored.extend((ids[0] == buffer).then_some(value(1)));
                0
            }
            Op::LogicalNot => value(0) ^ 1,
            Op::LogicalAnd => value(0) & value(1),
            Op::LogicalOr => value(0) | value(1),
            Op::IAdd => value(0).wrapping_add(value(1)),
            Op::IEqual => u32::from(value(0) == value(1)),
            Op::ULessThan => u32::from(value(0) < value(1)),
            Op::Branch => {
                to = Some(ids[0]);
                0
            }
            Op::BranchConditional => {
                to = Some(ids[if value(0) == 1 { 1 } else { 2 }]);
                0
            }
            Op::Switch => {
                let case = (2..step.operands.len()).step_by(2).position(|index| literal(index) == value(0));
                to = Some(ids[case.map_or(1, |case| case + 2)]);
                0
            }
            Op::Return => return stored,
            Op::Unreachable => panic!("reached what is not to be reached"),
            _ => 0,
        };
        if let Some(id) = step.result_id {
            values.insert(id, spec.get(&id).copied().unwrap_or(result));
        }
        if let Some(to) = to {
            let label = |step: &Instruction| step.class.opcode == Op::Label && step.result_id == Some(to);
            at = all.iter().position(label).expect("a branch leads to a block");
        }
    }
    // A loop that nothing leaves.
    stored.truncate(20);
    stored
}
