//! What can be told of a handler without looking closer.

use std::collections::HashMap;

use rspirv::dr::{Instruction, Operand};
use rspirv::spirv::{ExecutionModel, Op};

use super::{Linker, Result};

impl Linker {
    /// What can be told without looking closer; the id of `main`.
    pub(super) fn check(&self, outside: &[Instruction], body: &[Instruction]) -> Result<u32> {
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
