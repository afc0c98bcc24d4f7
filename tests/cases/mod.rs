//! Tables of cases, one file per opcode: what is published, how each slot ends, what is left behind.
//!
//! The twin and the device run the same cases. Slots of one batch may run side by side, so none of
//! them depends on another; what comes after something stands in a later batch. Each batch ends with
//! a fence, which must complete with the number of fences so far.
#![allow(dead_code, reason = "each test crate that includes this module uses its own part of it")]

mod atomic_add;
mod batch_fence;
mod compare_swap;
mod copy_range;
mod crc32c;
mod dfa_step;
mod load_u32;
mod memcpy;
mod nop;
mod packed_slot;
mod printf;
pub mod random;
mod shutdown;
mod store_u32;
mod sum_words;
mod unknown;

use ringfence::protocol::{Fault, FaultCode, OPCODE_WORD, PRIORITY_NORMAL, SlotWords, opcode, slot};
use ringfence::twin::Outcome;

/// Observables of a case, unless it says otherwise.
pub const OBSERVABLES: u32 = 32;
/// First observable: the tag of the last fence.
pub const OBS: u32 = 160;
/// Words of the control buffer with `OBSERVABLES`: the first index that is out of bounds.
pub const LEN: u32 = OBS + OBSERVABLES;

/// A batch: its slots with the outcome that each must have, and its fence likewise.
#[derive(Debug, Clone)]
pub struct Batch {
    pub slots: Vec<(SlotWords, Outcome)>,
    pub fence: SlotWords,
    /// `None`: completes with the next epoch.
    pub fence_fault: Option<Fault>,
}

#[derive(Debug, Clone)]
pub struct Case {
    pub name: String,
    pub observables: u32,
    /// Tables registered as handles 0, 1, ...
    pub tables: Vec<Vec<u32>>,
    /// What the outputs, registered as the handles behind those, hold in the end; zeros at first.
    pub outputs: Vec<Vec<u32>>,
    pub log_capacity: u32,
    /// In publication order, each after the one before has ended.
    pub batches: Vec<Batch>,
    /// Words from 146 on that are not zero in the end; word 160 is the last good fence's tag.
    pub after: Vec<(u32, u32)>,
    /// Executions by metric, where they do not follow from the slots (packed slots).
    pub inner_metrics: Vec<(u32, u32)>,
    /// Records in the debug log in the end, and how many it has lost.
    pub log: Vec<[u32; 4]>,
    pub lost: u64,
}

/// Every case of every opcode, its name with the opcode's before it.
pub fn all() -> Vec<Case> {
    let tables = [
        ("nop", nop::cases()),
        ("store_u32", store_u32::cases()),
        ("atomic_add", atomic_add::cases()),
        ("load_u32", load_u32::cases()),
        ("compare_swap", compare_swap::cases()),
        ("memcpy", memcpy::cases()),
        ("dfa_step", dfa_step::cases()),
        ("batch_fence", batch_fence::cases()),
        ("printf", printf::cases()),
        ("packed_slot", packed_slot::cases()),
        ("crc32c", crc32c::cases()),
        ("sum_words", sum_words::cases()),
        ("copy_range", copy_range::cases()),
        ("shutdown", shutdown::cases()),
        ("unknown", unknown::cases()),
    ];
    tables
        .into_iter()
        .flat_map(|(opcode, cases)| cases.into_iter().map(move |case| case.within(opcode)))
        .collect()
}

/// A published slot of tenant 0 at NORMAL priority, whatever the opcode.
pub fn op(opcode: u32, args: &[u32]) -> SlotWords {
    let mut words = [0; 16];
    words[..4].copy_from_slice(&[slot::PUBLISHED, opcode, 0, PRIORITY_NORMAL]);
    words[4..4 + args.len()].copy_from_slice(args);
    words
}

pub fn done(result: u64) -> Outcome {
    Ok(result)
}

pub fn fault(code: FaultCode, detail: u16) -> Outcome {
    Err(Fault::new(code, detail))
}

/// BAD_OPERAND of an argument.
pub fn bad(argument: u16) -> Outcome {
    fault(FaultCode::BadOperand, argument)
}

/// A case of one batch, to which more is added by the methods below.
pub fn case(name: &str) -> Case {
    Case {
        name: name.to_owned(),
        observables: OBSERVABLES,
        tables: Vec::new(),
        outputs: Vec::new(),
        log_capacity: 64,
        batches: vec![Batch::new(0)],
        after: Vec::new(),
        inner_metrics: Vec::new(),
        log: Vec::new(),
        lost: 0,
    }
}

/// A case of one slot.
pub fn one(name: &str, words: SlotWords, outcome: Outcome) -> Case {
    case(name).slot(words, outcome)
}

/// The tag of the `index`th batch.
pub fn tag(index: usize) -> u32 {
    0xF00D_0000 + index as u32
}

impl Batch {
    fn new(index: usize) -> Self {
        Self { slots: Vec::new(), fence: op(opcode::BATCH_FENCE, &[0, tag(index)]), fence_fault: None }
    }
}

impl Case {
    /// One more slot in the batch; the fence counts it.
    pub fn slot(mut self, words: SlotWords, outcome: Outcome) -> Self {
        let batch = self.last();
        batch.slots.push((words, outcome));
        batch.fence[4] += 1;
        self
    }

    /// What comes now is published when the batch before has ended.
    pub fn then(mut self) -> Self {
        let index = self.batches.len();
        self.batches.push(Batch::new(index));
        self
    }

    /// Stores these words in a batch of its own, and goes on in the next.
    pub fn given(self, words: &[(u32, u32)]) -> Self {
        words
            .iter()
            .fold(self, |case, &(index, value)| case.slot(op(opcode::STORE_U32, &[value, index]), done(0)))
            .then()
    }

    /// Changes the fence of the batch so that it ends in `fence_fault`.
    pub fn bad_fence(mut self, change: impl FnOnce(&mut SlotWords), fence_fault: Fault) -> Self {
        let batch = self.last();
        change(&mut batch.fence);
        batch.fence_fault = Some(fence_fault);
        self
    }

    pub fn after(mut self, words: &[(u32, u32)]) -> Self {
        self.after = words.to_vec();
        self
    }

    pub fn observables(mut self, count: u32) -> Self {
        self.observables = count;
        self
    }

    pub fn tables(mut self, tables: &[Vec<u32>]) -> Self {
        self.tables = tables.to_vec();
        self
    }

    /// An output as the next handle, by what it holds in the end.
    pub fn output(mut self, words: &[u32]) -> Self {
        self.outputs.push(words.to_vec());
        self
    }

    /// Words of each output.
    pub fn output_sizes(&self) -> Vec<u32> {
        self.outputs.iter().map(|words| words.len() as u32).collect()
    }

    /// Every opcode that is published.
    pub fn opcodes(&self) -> Vec<u32> {
        let slots = self.batches.iter().flat_map(|batch| &batch.slots);
        slots.map(|(words, _)| words[OPCODE_WORD as usize]).collect()
    }

    pub fn inner_metrics(mut self, metrics: &[(u32, u32)]) -> Self {
        self.inner_metrics = metrics.to_vec();
        self
    }

    pub fn log(mut self, records: &[[u32; 4]], lost: u64) -> Self {
        self.log = records.to_vec();
        self.lost = lost;
        self
    }

    fn within(mut self, opcode: &str) -> Self {
        self.name = format!("{opcode}: {}", self.name);
        self
    }

    fn last(&mut self) -> &mut Batch {
        self.batches.last_mut().expect("a case has a batch")
    }
}
