//! What it costs to be a handler: stores by one, by the opcode that is built in, and by that of a kernel without
//! handlers.

use std::time::Duration;

use ringfence::protocol::{OBSERVABLE_BASE, SlotWords};
use ringfence::runtime::Runtime;

use super::flow::{Flow, slot_words};
use super::work::Work;
use crate::common::Trouble;

/// Words that are stored into, in turn.
pub const WORDS: u32 = 1024;

/// Stores by one opcode.
struct Stores<'a, W> {
    runtime: &'a Runtime,
    opcode: u32,
    flow: Flow<W>,
}

/// What a word gets in a run, by whom.
fn value(n: usize, run: u32, opcode: u32) -> u32 {
    (n as u32 + 1).wrapping_mul(0x9E37_79B9) ^ run ^ opcode << 24
}

/// Stores by `opcode`, whose first argument is the value and whose second the word.
pub fn stores(runtime: &Runtime, depth: u32, opcode: u32) -> Result<impl Work + '_, Trouble> {
    let slot = move |n: usize, run| slot_words(opcode, [value(n, run, opcode), OBSERVABLE_BASE + n as u32]);
    Ok(Stores { runtime, opcode, flow: Flow::new(runtime, depth, vec![0; WORDS as usize], slot)? })
}

impl<W: Fn(usize, u32) -> SlotWords> Work for Stores<'_, W> {
    /// Every word is stored into, and holds afterwards what came last.
    fn on_device(&mut self, time: Duration) -> Result<(u64, Duration), Trouble> {
        let done = self.flow.run(time)?;
        let control = self.runtime.control()?;
        let words = control.get(OBSERVABLE_BASE as usize..).unwrap_or(&[]);
        let stored = |n: &usize| words.get(*n) == Some(&value(*n, self.flow.last_run(), self.opcode));
        match (0..WORDS as usize).find(|n| !stored(n)) {
            None => Ok(done),
            Some(n) => Err(Trouble::Wrong(format!("word {n} does not hold what was stored last"))),
        }
    }
}
