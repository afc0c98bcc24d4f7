//! UNFOLD: slots of one opcode whose arguments are an arithmetic progression. Twin of `glsl/op/unfold.glsl`.

use super::{Machine, Outcome, bad_operand};
use crate::protocol::abi::fault::DETAIL_DEPTH;
use crate::protocol::abi::live::CHILD_DEPTHS;
use crate::protocol::abi::opcode::{OP_UNFOLD, UNFOLD_FAN_SHIFT, UNFOLD_MAX};
use crate::protocol::{Fault, SlotArgs};

/// Result: how many slots, parts aside. Faults: more than `UNFOLD_MAX`, or a fan-out of one (1); too deep to publish
/// any (`DETAIL_DEPTH`); else that of the first slot that faulted, in time: here in order.
pub fn execute(m: &mut Machine, args: &SlotArgs, level: u32, depth: u32) -> Outcome {
    let op = args[0];
    let count = args[1] & ((1 << UNFOLD_FAN_SHIFT) - 1);
    let fan = args[1] >> UNFOLD_FAN_SHIFT;
    if count > UNFOLD_MAX || fan == 1 {
        return Err(bad_operand(1));
    }
    if count != 0 && depth == CHILD_DEPTHS {
        return Err(bad_operand(DETAIL_DEPTH as u16));
    }
    let splits = fan != 0 && count > fan && depth + 2 <= CHILD_DEPTHS;
    let mut fault: Option<Fault> = None;
    for next in 0..if splits { fan } else { count } {
        let first = args[2];
        let mut child = [0; 12];
        let ended = if splits {
            let (begin, end) = (count * next / fan, count * (next + 1) / fan);
            child = *args;
            child[1] = (end - begin) | fan << UNFOLD_FAN_SHIFT;
            child[2] = first.wrapping_add(begin);
            m.run_child(OP_UNFOLD, &child, level, depth + 1)
        } else {
            let number = first.wrapping_add(next);
            child[..5].copy_from_slice(&args[3..8]);
            for (argument, step) in child.iter_mut().zip(&args[8..]) {
                *argument = argument.wrapping_add(number.wrapping_mul(*step));
            }
            m.run_child(op, &child, level, depth + 1)
        };
        fault = fault.or(ended.err());
    }
    fault.map_or(Ok(count.into()), Err)
}
