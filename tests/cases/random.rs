//! Slots drawn at random, to find what no table thought of. The twin says what must come back.

use super::{Batch, Case, OBSERVABLES, case, op, tag};
use ringfence::protocol::opcode::{
    ATOMIC_ADD, BATCH_FENCE, COMPARE_SWAP, DFA_STEP, LOAD_U32, MEMCPY, NOP, PACKED_SLOT, PRINTF, STORE_U32,
};
use ringfence::protocol::{CONTROL_MIN_WORDS, PRIORITY_WORD, SlotWords};

/// A case of `batches` batches of one slot each: slots may then touch the same words.
///
/// The outcomes and `after` are not filled in; compare with a twin that runs the same slots. Word
/// operands stay off the counters, since those move while slots run.
pub fn case_of(seed: u64, batches: usize) -> Case {
    let mut rng = Rng(seed | 1);
    let mut random =
        case(&format!("random, seed {seed}")).tables(&[(0..1024).map(|i| i * 7 % 1100).collect()]);
    random.batches = (0..batches)
        .map(|index| Batch {
            slots: vec![(rng.slot(), Ok(0))],
            fence: op(BATCH_FENCE, &[1, tag(index)]),
            fence_fault: None,
        })
        .collect();
    random
}

/// xorshift64*: the cases must be the same on every machine.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) as u32
    }

    fn below(&mut self, end: u32) -> u32 {
        self.next() % end
    }

    /// A word index from the reserved words to somewhat past the end, or anywhere far.
    fn word(&mut self) -> u32 {
        match self.below(12) {
            0 => u32::MAX - self.below(3),
            1 => 0x8000_0000 + self.below(200),
            _ => CONTROL_MIN_WORDS - 14 + self.below(OBSERVABLES + 18),
        }
    }

    /// An observable, mostly.
    fn observable(&mut self) -> u32 {
        if self.below(12) == 0 { u32::MAX } else { self.below(OBSERVABLES + 3) }
    }

    fn op(&mut self) -> (u32, Vec<u32>) {
        match self.below(8) {
            0 => (NOP, vec![]),
            1 => (STORE_U32, vec![self.next(), self.word()]),
            2 => (ATOMIC_ADD, vec![self.next(), self.word()]),
            3 => (LOAD_U32, vec![self.word(), self.observable()]),
            4 => (COMPARE_SWAP, vec![self.word(), self.below(2), self.next(), self.observable()]),
            5 => (MEMCPY, vec![self.word(), self.word(), self.below(24)]),
            6 => (DFA_STEP, vec![self.below(5), self.below(260), self.below(2), self.observable()]),
            _ => (8 + self.below(248), vec![self.next()]),
        }
    }

    fn slot(&mut self) -> SlotWords {
        let mut words = match self.below(10) {
            0 => op(PRINTF, &[self.next(), self.next(), self.next(), self.next()]),
            1..=4 => self.packed(),
            _ => {
                let (opcode, args) = self.op();
                op(opcode, &args)
            }
        };
        words[PRIORITY_WORD as usize] = if self.below(20) == 0 { self.next() } else { self.below(5) };
        words
    }

    /// A packed slot of as many ops as fit, some with a byte changed at random.
    ///
    /// A changed start may give an op other arguments than it was made for, so the ops inside are of
    /// a kind that keeps off the counters whatever its arguments: none that writes by word index.
    fn packed(&mut self) -> SlotWords {
        let forge = self.below(3) == 0;
        let mut header = vec![0u8; 2];
        let mut args = Vec::new();
        for _ in 0..self.below(5) {
            let (opcode, given) = loop {
                let (opcode, given) = self.op();
                if !forge || matches!(opcode, NOP | DFA_STEP | 8..) {
                    break (opcode, given);
                }
            };
            if (header.len() + 2).div_ceil(4) + args.len() + given.len() > 12 {
                break;
            }
            header.extend([opcode as u8, args.len() as u8]);
            args.extend(given);
        }
        header[0] = (header.len() / 2 - 1) as u8;
        header[1] = args.len() as u8;
        if forge {
            // Counts and starts only: an opcode byte could become one that writes.
            let odd = 1 + 2 * self.below(header.len() as u32 / 2) as usize;
            header[odd] = self.next() as u8;
        }
        header.resize(header.len().next_multiple_of(4), 0);
        let metadata = header.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes));
        op(PACKED_SLOT, &metadata.chain(args).collect::<Vec<_>>())
    }
}
