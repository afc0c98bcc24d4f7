//! The kernel around the opcodes, as one worker that runs slot after slot.
#![forbid(unsafe_code)]

use super::{
    Outcome, atomic_add, bad_operand, batch_fence, compare_swap, copy_range, crc32c, dfa_step, load_u32,
    memcpy, nop, packed_slot, printf, shutdown, store_u32, sum_words, unfold, unknown,
};
use crate::protocol::words::word_at;
use crate::protocol::{
    ARG0_WORD, CONTROL_MIN_WORDS, DONE_COUNT, FAULT_COUNT, Fault, FaultCode, METRICS_BASE, METRICS_WORDS,
    OPCODE_WORD, PRIORITY_FAIRNESS_BASE, PRIORITY_LEVELS, PRIORITY_WORD, ProtocolError, SHUTDOWN, SlotArgs,
    SlotWords, TENANT_FAIRNESS_BASE, fault, opcode, try_encode_control, try_encode_empty_debug_log,
};

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchOutcome {
    /// How each slot ended, in the order of the batch.
    pub slots: Vec<Outcome>,
    /// How the fence ended.
    pub fence: Outcome,
}

/// The state that opcodes act on. Everything runs as the system tenant 0, which may name any word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// At least `CONTROL_MIN_WORDS` words.
    pub(super) control: Vec<u32>,
    /// Tables, then outputs.
    pub(super) resources: Vec<Vec<u32>>,
    /// How many of them are tables, which are only read.
    pub(super) tables: usize,
    /// 1 + 5 * capacity words, the capacity a power of two.
    pub(super) debug_log: Vec<u32>,
    pub(super) log_capacity: u32,
    /// A SHUTDOWN waits for what was published before it.
    pub(super) draining: bool,
}

impl Machine {
    /// A machine with a fresh control buffer of one tenant, the registered DFA tables, and an empty
    /// debug log.
    ///
    /// # Errors
    /// [`ProtocolError`] for sizes that the encoders refuse.
    pub fn new(observables: u32, tables: Vec<Vec<u32>>, log_capacity: u32) -> Result<Self, ProtocolError> {
        let words = |bytes: Vec<u8>| (0..).map_while(|i| word_at(&bytes, i)).collect();
        Ok(Self {
            control: words(try_encode_control(false, 1, observables)?),
            tables: tables.len(),
            resources: tables,
            debug_log: words(try_encode_empty_debug_log(log_capacity)?),
            log_capacity,
            draining: false,
        })
    }

    /// The same machine with outputs of so many words, all zero. Their handles follow those of the tables.
    #[must_use]
    pub fn with_outputs(mut self, words: &[u32]) -> Self {
        self.resources.extend(words.iter().map(|words| vec![0; *words as usize]));
        self
    }

    /// The outputs.
    #[must_use]
    pub fn outputs(&self) -> &[Vec<u32>] {
        &self.resources[self.tables..]
    }

    /// The control buffer.
    #[must_use]
    pub fn control(&self) -> &[u32] {
        &self.control
    }

    /// The control buffer, to prepare it.
    pub fn control_mut(&mut self) -> &mut [u32] {
        &mut self.control
    }

    /// The debug log.
    #[must_use]
    pub fn debug_log(&self) -> &[u32] {
        &self.debug_log
    }

    /// Words of the control buffer.
    pub(super) fn control_words(&self) -> u32 {
        // Bounded by the encoder, 160 + 1,048,576.
        self.control.len() as u32
    }

    /// Observables of the control buffer.
    pub(super) fn observables(&self) -> u32 {
        self.control_words() - CONTROL_MIN_WORDS
    }

    /// The words behind a handle; none behind one that is not registered. Nothing is ever given back here,
    /// so that all handles are of generation 0, and equal their index.
    pub(super) fn resource(&self, handle: u32) -> &[u32] {
        self.resources.get(handle as usize).map_or(&[], Vec::as_slice)
    }

    /// Those that a slot may write.
    pub(super) fn output(&mut self, handle: u32) -> &mut [u32] {
        match self.resources.get_mut(handle as usize) {
            Some(words) if handle as usize >= self.tables => words,
            _ => &mut [],
        }
    }

    /// Runs the slots of a batch one after another, and then its fence.
    ///
    /// After a SHUTDOWN has drained, whatever comes ends as CANCELLED and changes nothing.
    pub fn run_batch(&mut self, slots: &[SlotWords], fence: &SlotWords) -> BatchOutcome {
        if self.control[SHUTDOWN as usize] != 0 && self.draining {
            let cancelled = Err(Fault::new(FaultCode::Cancelled, 0));
            return BatchOutcome { slots: vec![cancelled; slots.len()], fence: cancelled };
        }
        let ended = slots.iter().map(|words| self.run_slot(words, 0)).collect();
        let fence = self.run_slot(fence, slots.len() as u32);
        if self.draining {
            self.control[SHUTDOWN as usize] = 1;
        }
        BatchOutcome { slots: ended, fence }
    }

    /// Runs one slot and counts it. `batch_count` is how many slots the batch has that this slot may
    /// be the fence of; 0 for a slot that is not one's fence.
    fn run_slot(&mut self, words: &SlotWords, batch_count: u32) -> Outcome {
        let op = words[OPCODE_WORD as usize];
        let level = words[PRIORITY_WORD as usize];
        let args: SlotArgs = std::array::from_fn(|i| words[ARG0_WORD as usize + i]);
        let outcome = if level >= PRIORITY_LEVELS {
            Err(bad_operand(fault::DETAIL_PRIORITY))
        } else {
            self.add(PRIORITY_FAIRNESS_BASE + level, 1);
            match op {
                opcode::BATCH_FENCE => self.counted(op, |m| batch_fence::execute(m, &args, batch_count)),
                opcode::PACKED_SLOT => packed_slot::execute(self, &args),
                opcode::UNFOLD => self.counted(op, |m| unfold::execute(m, &args, level, 0)),
                _ => self.execute_op(op, &args),
            }
        };
        self.count_end(outcome);
        outcome
    }

    /// Runs a slot that another has published, at the same level and so deep, and counts it.
    pub(super) fn run_child(&mut self, op: u32, args: &SlotArgs, level: u32, depth: u32) -> Outcome {
        self.add(PRIORITY_FAIRNESS_BASE + level, 1);
        let outcome = match op {
            opcode::BATCH_FENCE => self.counted(op, |m| batch_fence::execute(m, args, 0)),
            opcode::PACKED_SLOT => packed_slot::execute(self, args),
            opcode::UNFOLD => self.counted(op, |m| unfold::execute(m, args, level, depth)),
            opcode::SHUTDOWN => unknown::execute(self, args),
            _ => self.execute_op(op, args),
        };
        self.count_end(outcome);
        outcome
    }

    fn count_end(&mut self, outcome: Outcome) {
        self.add(if outcome.is_ok() { DONE_COUNT } else { FAULT_COUNT }, 1);
        self.add(TENANT_FAIRNESS_BASE, 1);
    }

    /// Executes one operation, of a slot of its own or within a packed one, and counts it.
    pub(super) fn execute_op(&mut self, op: u32, args: &SlotArgs) -> Outcome {
        self.counted(op, |m| match op {
            opcode::NOP => nop::execute(m, args),
            opcode::STORE_U32 => store_u32::execute(m, args),
            opcode::ATOMIC_ADD => atomic_add::execute(m, args),
            opcode::LOAD_U32 => load_u32::execute(m, args),
            opcode::COMPARE_SWAP => compare_swap::execute(m, args),
            opcode::MEMCPY => memcpy::execute(m, args),
            opcode::DFA_STEP => dfa_step::execute(m, args),
            opcode::PRINTF => printf::execute(m, args),
            opcode::CRC32C => crc32c::execute(m, args),
            opcode::SUM_WORDS => sum_words::execute(m, args),
            opcode::COPY_RANGE => copy_range::execute(m, args),
            opcode::SHUTDOWN => shutdown::execute(m, args),
            _ => unknown::execute(m, args),
        })
    }

    /// Counts an execution of `op`, unless it faulted.
    fn counted(&mut self, op: u32, execute: impl FnOnce(&mut Self) -> Outcome) -> Outcome {
        let outcome = execute(self);
        if outcome.is_ok() {
            self.add(METRICS_BASE + op.min(METRICS_WORDS - 1), 1);
        }
        outcome
    }

    /// Adds to a control word, modulo 2^32.
    fn add(&mut self, word: u32, amount: u32) {
        let word = &mut self.control[word as usize];
        *word = word.wrapping_add(amount);
    }
}
