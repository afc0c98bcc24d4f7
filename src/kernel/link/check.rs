//! What can be told of a handler without looking closer.

use std::collections::{HashMap, HashSet};

use rspirv::dr::{Instruction, Operand};
use rspirv::spirv::{ExecutionModel, Op};

use super::{Linker, Result};

impl Linker<'_> {
    /// What can be told without looking closer.
    pub(super) fn check(&self, outside: &[Instruction]) -> Result<()> {
        for instruction in outside {
            if let (Op::Capability, [Operand::Capability(capability)]) =
                (instruction.class.opcode, &instruction.operands[..])
                && !self.capabilities.contains(&(*capability as u32))
            {
                return Err(format!(
                    "asks for the capability {capability:?}, which the kernel has not enabled; do without"
                ));
            }
        }
        Ok(())
    }
}

/// The id of `main`.
pub(super) fn entry_point(outside: &[Instruction]) -> Result<u32> {
    let mut main = None;
    for instruction in outside {
        match (instruction.class.opcode, &instruction.operands[..]) {
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
    main.ok_or_else(|| "has no entry point; LANE_HANDLER or WIDE_HANDLER makes one".into())
}

/// The functions that are called from `main`, itself included, without lines of the source: those name strings, which the
/// kernel has not.
pub(super) fn reachable(body: &[Instruction], main: u32) -> Result<Vec<Instruction>> {
    acyclic(body)?;
    let mut functions: HashMap<u32, Vec<&Instruction>> = HashMap::new();
    let mut order = Vec::new();
    for instruction in body.iter().filter(|i| !matches!(i.class.opcode, Op::Line | Op::NoLine)) {
        if instruction.class.opcode == Op::Function {
            order.push(instruction.result_id.unwrap_or_default());
        }
        let within = order.last().ok_or("has an instruction outside functions that belongs in one")?;
        functions.entry(*within).or_default().push(instruction);
    }
    let mut wanted = HashSet::from([main]);
    let mut next = vec![main];
    while let Some(function) = next.pop() {
        for instruction in functions.get(&function).into_iter().flatten() {
            match (instruction.class.opcode, &instruction.operands[..]) {
                (Op::ControlBarrier, _) => {
                    return Err(
                        "has a barrier, at which lanes that do not call it never arrive; take it out".into(),
                    );
                }
                (Op::FunctionCall, [Operand::IdRef(callee), ..]) if wanted.insert(*callee) => {
                    next.push(*callee)
                }
                _ => {}
            }
        }
    }
    order.dedup();
    order.retain(|function| wanted.contains(function));
    Ok(order.iter().filter_map(|function| functions.remove(function)).flatten().cloned().collect())
}

/// Refuses functions that call themselves, by way of others too (Kahn, 1962).
pub(super) fn acyclic(body: &[Instruction]) -> Result<()> {
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
