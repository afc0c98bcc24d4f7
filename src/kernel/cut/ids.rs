//! Numbers ids densely. Drivers size tables by the bound, and so does what is done here.

use rspirv::dr::{Instruction, Operand};

use super::Result;

/// Numbers the ids by where they first appear, from 1 on; returns the bound.
///
/// # Errors
/// Names an id that is not below the bound.
pub(super) fn dense(instructions: &mut [Instruction], bound: u32) -> Result<u32> {
    let mut map = vec![0; bound as usize];
    let mut next = 1;
    for instruction in instructions {
        let own = instruction.result_type.iter_mut().chain(&mut instruction.result_id);
        for id in own.chain(instruction.operands.iter_mut().filter_map(Operand::id_ref_any_mut)) {
            let place = map.get_mut(*id as usize).filter(|_| *id != 0);
            let place = place.ok_or_else(|| format!("id %{id} is outside 1..{bound}"))?;
            if *place == 0 {
                *place = next;
                next += 1;
            }
            *id = *place;
        }
    }
    Ok(next)
}
