//! PACKED_SLOT: several inner ops in the argument words of one slot (PROTOCOL section 5). Twin of
//! `glsl/op/packed_slot.glsl`.
//!
//! The whole shape is checked before anything runs, so a malformed slot changes nothing. It is
//! BAD_PACKED with detail `DETAIL_PACKED_HEADER` when the counts do not fit (n above 23, or M + T
//! above 12), else with the index of the first op whose start goes back or past T, or whose opcode
//! may not stand inside (7, BATCH_FENCE: a byte can name no other opcode that is not lane-sized).
//!
//! An inner op that faults ends the slot, and the ops before it keep their effects and their metrics.
//! The slot then has the fault *code* of that op, so that a missing handler inside reads like one
//! outside, and its *index* as detail: which op it was is what the caller cannot know otherwise, and
//! which argument follows from the op's own documentation.

use super::{Machine, Outcome};
use crate::protocol::fault::DETAIL_PACKED_HEADER;
use crate::protocol::opcode::{BATCH_FENCE, PACKED_MAX_OPS};
use crate::protocol::{ARGS_PER_SLOT, Fault, FaultCode, SlotArgs};

/// Result: inner ops executed, which is all of them.
pub fn execute(m: &mut Machine, args: &SlotArgs) -> Outcome {
    let packed = check(args)?;
    for i in 0..packed.n {
        let inner = packed.args(args, i);
        m.execute_op(packed_byte(args, 2 + 2 * i), &inner)
            .map_err(|fault| Fault::new(fault.code, i as u16))?;
    }
    Ok(packed.n.into())
}

/// The counts of a packed slot.
struct Packed {
    /// Inner ops.
    n: u32,
    /// Argument words of all ops.
    total: u32,
    /// Where the argument area starts, in words.
    area: u32,
}

/// Byte `k` of the argument words.
fn packed_byte(args: &SlotArgs, k: u32) -> u32 {
    (args[(k >> 2) as usize] >> ((k & 3) * 8)) & 0xFF
}

/// Looks at the whole shape.
fn check(args: &SlotArgs) -> Result<Packed, Fault> {
    let bad_packed = |detail| Fault::new(FaultCode::BadPacked, detail);
    let n = packed_byte(args, 0);
    let packed = Packed { n, total: packed_byte(args, 1), area: (2 + 2 * n).div_ceil(4) };
    if n > PACKED_MAX_OPS || packed.area + packed.total > ARGS_PER_SLOT {
        return Err(bad_packed(DETAIL_PACKED_HEADER));
    }
    let mut before = 0;
    for i in 0..n {
        let start = packed_byte(args, 3 + 2 * i);
        if start < before || start > packed.total || packed_byte(args, 2 + 2 * i) == BATCH_FENCE {
            return Err(bad_packed(i as u16));
        }
        before = start;
    }
    Ok(packed)
}

impl Packed {
    /// The arguments of op `i`: from its start to the next op's, zeros behind.
    fn args(&self, args: &SlotArgs, i: u32) -> SlotArgs {
        let start = packed_byte(args, 3 + 2 * i);
        let end = if i + 1 < self.n { packed_byte(args, 5 + 2 * i) } else { self.total };
        let mut inner = SlotArgs::default();
        for k in start..end {
            inner[(k - start) as usize] = args[(self.area + k) as usize];
        }
        inner
    }
}
