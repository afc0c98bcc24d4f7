//! Cuts a module down to what given specialization constants leave of it.
//!
//! Drivers fold specialization constants too, but only behind their front ends, which take time and memory by
//! the words that they are given. Here the constants become plain ones; what then is known of values and
//! branches is propagated through each function (Wegman and Zadeck, "Constant propagation with conditional
//! branches", 1991); blocks that are never reached go, as the rules of structured control flow allow; and of
//! the rest what has neither an effect nor a use, marked from the entry point. This is repeated until nothing
//! more goes: an emptied selection frees its condition.
//!
//! The same input gives the same words each time, since drivers know modules by their words: what is gone
//! through in order is no `HashMap`. What is not understood stays as it is.

mod constants;
mod dead;
mod declared;
mod effects;
mod flow;
mod fold;
mod ids;
mod known;
mod order;
mod shape;
mod simplify;
mod straight;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use self::constants::Constants;
use self::flow::Module;
use super::Result;
use super::parse::Parsed;

/// Times that the whole is gone over at most. Few modules take more than three; stopping early leaves a
/// longer module.
const ROUNDS: usize = 8;

/// Freezes the specialization constants in `frozen` (by SpecId; 0 is false for booleans), and takes out all that this makes
/// unreachable or unused. What is to be linked into an `open` module finds its buffers and its capabilities, but for Int64.
///
/// # Errors
/// Says what is malformed. No input panics.
pub(super) fn cut(parsed: Parsed, frozen: &BTreeMap<u32, u32>, open: bool) -> Result<Parsed> {
    let version = parsed.version;
    let mut instructions = parsed.instructions;
    let bound = ids::dense(&mut instructions, parsed.bound)?;
    let mut module = Module::read(instructions, bound)?;
    let mut constants = Constants::freeze(&mut module.outside, frozen, bound);
    for _ in 0..ROUNDS {
        let mut changed = false;
        for function in &mut module.functions {
            simplify::simplify(function, &mut constants);
            changed |= shape::reshape(function, &constants);
        }
        module.outside.append(&mut constants.added);
        dead::sweep(&mut module, &constants, open);
        for function in &mut module.functions {
            changed |= straight::straighten(function, constants.bound());
        }
        if !changed {
            break;
        }
    }
    for function in &mut module.functions {
        order::order(function, constants.bound());
    }
    declared::prune(&mut module, open);
    let mut instructions = module.write();
    let bound = ids::dense(&mut instructions, constants.bound())?;
    Ok(Parsed { version, bound, instructions })
}
