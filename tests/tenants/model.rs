//! What a slot of a tenant must end as, and which words it changes: lane-sized opcodes, packed ones too, inside a
//! window. As the twins, but that words are a tenant's own.

use std::collections::BTreeSet;
use std::ops::Range;

use ringfence::protocol::abi::opcode::*;
use ringfence::protocol::{ARG0_WORD, OBSERVABLE_BASE, OPCODE_WORD, PRIORITY_WORD};
use ringfence::runtime::{Outcome, SlotWords};

pub const UNAUTHORIZED: Outcome = Outcome::Fault { code: 3, detail: 0 };
pub const OUT_OF_CREDITS: Outcome = Outcome::Fault { code: 5, detail: 0 };
const UNKNOWN: Outcome = Outcome::Fault { code: 1, detail: 0 };

pub const fn bad_operand(argument: u16) -> Outcome {
    Outcome::Fault { code: 2, detail: argument }
}

/// What a tenant may do.
#[derive(Clone, Debug)]
pub struct Rights {
    pub window: Range<u32>,
    /// `None`: all.
    pub opcodes: Option<BTreeSet<u32>>,
    /// It never has any.
    pub no_credits: bool,
    /// The system's own.
    pub system: bool,
    /// Handle of the table that it may read, of two rows whose words are their indices.
    pub table: u32,
    /// Handle of a table of the same kind for SUM_WORDS, if the kernel has it.
    pub sums: bool,
}

pub const TABLE_WORDS: u32 = 512;

/// Opcodes that a set names one by one; all others go together.
const NAMED: [u32; 11] = [
    OP_LOAD_MISS,
    OP_PRINTF,
    OP_PACKED_SLOT,
    OP_SCAN,
    OP_CRC32C,
    OP_SUM_WORDS,
    OP_COPY_RANGE,
    OP_STORE_RANGE,
    OP_IO_FENCE,
    OP_LOAD_SUM,
    OP_UNFOLD,
];

impl Rights {
    pub fn may_use(&self, opcode: u32) -> bool {
        let named = |opcode: &u32| *opcode < 8 || NAMED.contains(opcode);
        self.opcodes.as_ref().is_none_or(|set| {
            set.contains(&opcode) || !named(&opcode) && set.iter().any(|other| !named(other))
        })
    }

    fn has(&self, word: u32, count: u32) -> bool {
        word >= self.window.start && word <= self.window.end && count <= self.window.end - word
    }

    fn observable(&self, observable: u32) -> Option<u32> {
        OBSERVABLE_BASE.checked_add(observable).filter(|word| self.has(*word, 1))
    }
}

/// What a slot does if it is executed.
#[derive(Clone, Debug)]
pub struct Effect {
    pub outcome: Outcome,
    /// Any result is right, if it is DONE.
    pub any_result: bool,
    /// Words that it reads or writes.
    pub touched: BTreeSet<u32>,
    /// Words that it writes, and with what, the last counting.
    pub written: Vec<(u32, u32)>,
    /// Operations executed well, by their opcodes.
    pub executed: Vec<u32>,
    pub records: u32,
    pub fences: u32,
}

/// A slot being executed on `memory`, the words of the control buffer.
struct Run<'a> {
    rights: &'a Rights,
    memory: &'a [u32],
    effect: Effect,
}

impl Run<'_> {
    fn load(&mut self, word: u32) -> u32 {
        self.effect.touched.insert(word);
        let own = self.effect.written.iter().rev().find(|(at, _)| *at == word);
        own.map_or(self.memory[word as usize], |(_, value)| *value)
    }

    fn store(&mut self, word: u32, value: u32) {
        self.effect.touched.insert(word);
        self.effect.written.push((word, value));
    }

    /// A lane-sized operation.
    fn op(&mut self, opcode: u32, a: [u32; 4]) -> Outcome {
        let rights = self.rights;
        if !rights.may_use(opcode) {
            return UNAUTHORIZED;
        }
        let result = match opcode {
            OP_NOP => 0,
            OP_STORE_U32 => {
                if !rights.has(a[1], 1) {
                    return bad_operand(1);
                }
                self.store(a[1], a[0]);
                0
            }
            OP_ATOMIC_ADD => {
                if !rights.has(a[1], 1) {
                    return bad_operand(1);
                }
                let before = self.load(a[1]);
                self.store(a[1], before.wrapping_add(a[0]));
                before
            }
            OP_LOAD_U32 => {
                if !rights.has(a[0], 1) {
                    return bad_operand(0);
                }
                let Some(to) = rights.observable(a[1]) else { return bad_operand(1) };
                let value = self.load(a[0]);
                self.store(to, value);
                value
            }
            OP_COMPARE_SWAP => {
                if !rights.has(a[0], 1) {
                    return bad_operand(0);
                }
                let to = a[3].checked_sub(1).map(|observable| rights.observable(observable));
                if to == Some(None) {
                    return bad_operand(3);
                }
                let before = self.load(a[0]);
                if before == a[1] {
                    self.store(a[0], a[2]);
                }
                if let Some(Some(to)) = to {
                    self.store(to, before);
                }
                before
            }
            OP_MEMCPY => {
                if !rights.has(a[0], a[2]) {
                    return bad_operand(0);
                }
                if !rights.has(a[1], a[2]) {
                    return bad_operand(1);
                }
                // A window of a test holds fewer words than a copy may move.
                let words: Vec<u32> = (0..a[2]).map(|i| self.load(a[0] + i)).collect();
                (0..).zip(words).for_each(|(i, word)| self.store(a[1] + i, word));
                a[2]
            }
            OP_DFA_STEP => {
                if a[2] != rights.table {
                    return bad_operand(2);
                }
                if a[0] >= TABLE_WORDS / 256 {
                    return bad_operand(0);
                }
                if a[1] > 255 {
                    return bad_operand(1);
                }
                let to = a[3].checked_sub(1).map(|observable| rights.observable(observable));
                if to == Some(None) {
                    return bad_operand(3);
                }
                let next = 256 * a[0] + a[1];
                if let Some(Some(to)) = to {
                    self.store(to, next);
                }
                next
            }
            OP_PRINTF => {
                self.effect.records += 1;
                self.effect.any_result = true;
                0
            }
            _ => return UNKNOWN,
        };
        Outcome::Done(result.into())
    }

    fn packed(&mut self, args: &[u32; 12]) -> Outcome {
        let bytes: Vec<u32> = args.iter().flat_map(|word| word.to_le_bytes()).map(u32::from).collect();
        let (n, total) = (bytes[0] as usize, bytes[1] as usize);
        let area = (2 + 2 * n).div_ceil(4);
        let bad_packed = |detail| Outcome::Fault { code: 4, detail };
        if n > 23 || area + total > 12 {
            return bad_packed(0xFFFF);
        }
        let start = |i: usize| if i < n { bytes[3 + 2 * i] as usize } else { total };
        let mut before = 0;
        for i in 0..n {
            if start(i) < before || start(i) > total || bytes[2 + 2 * i] == OP_BATCH_FENCE {
                return bad_packed(i as u16);
            }
            before = start(i);
        }
        for i in 0..n {
            let mut inner = [0; 4];
            let given = &args[area + start(i)..area + start(i + 1)];
            inner.iter_mut().zip(given).for_each(|(to, word)| *to = *word);
            match self.op(bytes[2 + 2 * i], inner) {
                Outcome::Done(_) => self.effect.executed.push(bytes[2 + 2 * i]),
                Outcome::Fault { code, .. } => return Outcome::Fault { code, detail: i as u16 },
            }
        }
        Outcome::Done(n as u64)
    }

    fn slot(&mut self, words: &SlotWords, batch_fence: bool) -> Outcome {
        let rights = self.rights;
        let opcode = words[OPCODE_WORD as usize];
        if words[PRIORITY_WORD as usize] > 4 {
            return bad_operand(15);
        }
        if !rights.may_use(opcode) || opcode == OP_SHUTDOWN {
            return UNAUTHORIZED;
        }
        if rights.no_credits {
            return OUT_OF_CREDITS;
        }
        let args: [u32; 12] = words[ARG0_WORD as usize..].try_into().expect("12 words");
        let [a, b, c, d, ..] = args;
        let outcome = match opcode {
            OP_PACKED_SLOT => return self.packed(&args),
            OP_BATCH_FENCE => {
                if !batch_fence && a != 0 {
                    return bad_operand(0);
                }
                let first = rights.window.start.max(OBSERVABLE_BASE);
                if rights.has(first, 1) {
                    self.store(first, b);
                }
                self.effect.fences += 1;
                self.effect.any_result = true;
                Outcome::Done(0)
            }
            OP_SUM_WORDS if rights.sums => sum_words(rights.table, [a, b, c]),
            opcode => self.op(opcode, [a, b, c, d]),
        };
        if let Outcome::Done(_) = outcome {
            self.effect.executed.push(opcode);
        }
        outcome
    }
}

fn sum_words(table: u32, [handle, offset, bytes]: [u32; 3]) -> Outcome {
    let most = 4 * TABLE_WORDS;
    if handle != table {
        bad_operand(0)
    } else if !offset.is_multiple_of(4) || offset > most {
        bad_operand(1)
    } else if !bytes.is_multiple_of(4) || bytes > most - offset {
        bad_operand(2)
    } else {
        Outcome::Done((offset / 4..(offset + bytes) / 4).map(u64::from).sum())
    }
}

/// What a slot does to `memory` if it is executed; `batch_fence`: it is the fence of a batch, and names its count.
pub fn execute(words: &SlotWords, rights: &Rights, memory: &[u32], batch_fence: bool) -> Effect {
    let effect = Effect {
        outcome: Outcome::Done(0),
        any_result: false,
        touched: BTreeSet::new(),
        written: Vec::new(),
        executed: Vec::new(),
        records: 0,
        fences: 0,
    };
    let mut run = Run { rights, memory, effect };
    let outcome = run.slot(words, batch_fence);
    if words[OPCODE_WORD as usize] == OP_PACKED_SLOT {
        // Its result is a count.
        run.effect.any_result = false;
    }
    Effect { outcome, ..run.effect }
}
