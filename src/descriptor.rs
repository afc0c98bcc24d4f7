//! What a host wants done, as values that encode to slots.
//!
//! A descriptor is checked when it is encoded; what encodes is executed exactly as it says. Encoding
//! a [`SlotDescriptor`] or raw [`SlotWords`] allocates nothing.
#![forbid(unsafe_code)]

mod batch;
mod opcode;
mod packed;
mod unfold;
mod window;

pub use batch::{BatchDescriptor, EncodedBatch};
pub use opcode::{BuiltinOpcode, SlotOpcode};
pub use packed::{PackedError, PackedOpDescriptor};
pub use unfold::UnfoldDescriptor;
pub use window::{WindowClass, WindowDescriptor, WindowItem};

use crate::protocol::{
    ARGS_PER_SLOT, LoadMiss, OpcodeError, PRIORITY_IDLE, PRIORITY_NORMAL, ProtocolError, SlotArgs, SlotWords,
    slot,
};
use crate::ring::RingProducer;
use thiserror::Error;

/// Why a descriptor cannot be encoded or published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DescriptorError {
    /// The opcode is not one that a host may publish.
    #[error(transparent)]
    Opcode(#[from] OpcodeError),
    /// The opcode needs a descriptor of its own.
    #[error("{} cannot be a single slot; {fix}", .opcode.name())]
    NotSingle {
        /// The opcode.
        opcode: BuiltinOpcode,
        /// Which descriptor makes it.
        fix: &'static str,
    },
    /// There is no such priority level.
    #[error("priority {0} does not exist; the levels are 0 (CRITICAL) to 4 (IDLE)")]
    Priority(u32),
    /// More argument words than a slot has room for.
    #[error("{given} argument words given, but there is room for {limit}; pass fewer")]
    TooManyArguments {
        /// How many were given.
        given: usize,
        /// The room there is.
        limit: usize,
    },
    /// More slots than one UNFOLD publishes.
    #[error("{count} slots are more than one UNFOLD publishes, {most}; submit several")]
    TooManySlots {
        /// How many were asked for.
        count: u32,
        /// The most.
        most: u32,
    },
    /// An UNFOLD in one part.
    #[error("a fan-out of 1 is none; use 0, or 2 and more")]
    FanOut,
    /// The inner ops do not fit a packed slot.
    #[error(transparent)]
    Packed(#[from] PackedError),
    /// More slots than the fence of a batch can count.
    #[error("a batch of {0} slots is too large; split it below 2^32")]
    BatchTooLarge(usize),
    /// The ring refused.
    #[error(transparent)]
    Ring(#[from] ProtocolError),
}

/// Whatever becomes one slot of sixteen words.
pub trait EncodeSlot {
    /// The slot as it is published: status PUBLISHED, opcode, tenant, priority, arguments.
    ///
    /// # Errors
    /// [`DescriptorError`] for anything that the protocol cannot express.
    fn encode(&self) -> Result<SlotWords, DescriptorError>;
}

/// Words that are published as they are, but for the status: a slot that came from elsewhere, well
/// formed or not. The device checks it.
impl EncodeSlot for SlotWords {
    fn encode(&self) -> Result<SlotWords, DescriptorError> {
        let mut words = *self;
        words[0] = slot::PUBLISHED;
        Ok(words)
    }
}

impl<T: EncodeSlot + ?Sized> EncodeSlot for &T {
    fn encode(&self) -> Result<SlotWords, DescriptorError> {
        (**self).encode()
    }
}

/// One slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SlotDescriptor {
    /// One op.
    Single {
        /// What to do.
        opcode: SlotOpcode,
        /// On whose behalf; advisory, since the queue that a slot comes by decides.
        tenant: u32,
        /// Priority level, 0 (first) to 4.
        priority: u32,
        /// a0 to a11.
        args: SlotArgs,
    },
    /// Several small ops, executed in order.
    Packed {
        /// As for a single slot.
        tenant: u32,
        /// As for a single slot.
        priority: u32,
        /// The ops, first to last.
        ops: Vec<PackedOpDescriptor>,
    },
}

impl SlotDescriptor {
    /// One op of tenant 0 at NORMAL priority; arguments not given are zero.
    ///
    /// # Errors
    /// [`DescriptorError::TooManyArguments`] beyond twelve.
    pub fn single(opcode: impl Into<SlotOpcode>, args: &[u32]) -> Result<Self, DescriptorError> {
        Ok(Self::from_args(opcode.into(), padded(args)?))
    }

    /// Several ops of tenant 0 at NORMAL priority.
    #[must_use]
    pub fn packed(ops: Vec<PackedOpDescriptor>) -> Self {
        Self::Packed { tenant: 0, priority: PRIORITY_NORMAL, ops }
    }

    /// The same slot at another priority level; encoding refuses a level that does not exist.
    #[must_use]
    pub fn with_priority(mut self, level: u32) -> Self {
        let (Self::Single { priority, .. } | Self::Packed { priority, .. }) = &mut self;
        *priority = level;
        self
    }

    /// The same slot with another tenant word.
    #[must_use]
    pub fn with_tenant(mut self, id: u32) -> Self {
        let (Self::Single { tenant, .. } | Self::Packed { tenant, .. }) = &mut self;
        *tenant = id;
        self
    }

    /// NOP.
    #[must_use]
    pub fn nop() -> Self {
        Self::from_args(BuiltinOpcode::Nop.into(), [0; ARGS_PER_SLOT as usize])
    }

    /// STORE_U32: `control[index] = value`.
    #[must_use]
    pub fn store_u32(value: u32, index: u32) -> Self {
        Self::builtin(BuiltinOpcode::StoreU32, [value, index, 0, 0])
    }

    /// ATOMIC_ADD: `control[index] += addend`.
    #[must_use]
    pub fn atomic_add(addend: u32, index: u32) -> Self {
        Self::builtin(BuiltinOpcode::AtomicAdd, [addend, index, 0, 0])
    }

    /// LOAD_U32: `observable[observable] = control[index]`.
    #[must_use]
    pub fn load_u32(index: u32, observable: u32) -> Self {
        Self::builtin(BuiltinOpcode::LoadU32, [index, observable, 0, 0])
    }

    /// COMPARE_SWAP: `control[index]` from `expected` to `new`. `a3` is 0, or 1 + the observable that
    /// receives the value before.
    #[must_use]
    pub fn compare_swap(index: u32, expected: u32, new: u32, a3: u32) -> Self {
        Self::builtin(BuiltinOpcode::CompareSwap, [index, expected, new, a3])
    }

    /// MEMCPY: `words` control words from `source` to `destination`.
    #[must_use]
    pub fn memcpy(source: u32, destination: u32, words: u32) -> Self {
        Self::builtin(BuiltinOpcode::Memcpy, [source, destination, words, 0])
    }

    /// DFA_STEP: from `state` by `byte` in table `table`. `a3` is 0, or 1 + the observable that
    /// receives the next state.
    #[must_use]
    pub fn dfa_step(state: u32, byte: u32, table: u32, a3: u32) -> Self {
        Self::builtin(BuiltinOpcode::DfaStep, [state, byte, table, a3])
    }

    /// PRINTF: a debug record.
    #[must_use]
    pub fn printf(fmt_id: u32, args: [u32; 3]) -> Self {
        let [a, b, c] = args;
        Self::builtin(BuiltinOpcode::Printf, [fmt_id, a, b, c])
    }

    /// LOAD_MISS: bytes of a resource.
    #[must_use]
    pub fn load_miss(request: &LoadMiss) -> Self {
        Self::from_args(BuiltinOpcode::LoadMiss.into(), request.args())
    }

    /// CRC32C of `bytes` bytes of resource `handle` from byte `offset` on. `crc` is 0, or the result for
    /// what came before. At most [`RANGE_MAX_BYTES`](crate::protocol::opcode::RANGE_MAX_BYTES).
    #[must_use]
    pub fn crc32c(handle: u32, offset: u32, bytes: u32, crc: u32) -> Self {
        Self::builtin(BuiltinOpcode::Crc32c, [handle, offset, bytes, crc])
    }

    /// SUM_WORDS: `bytes` bytes of resource `handle` from byte `offset` on, both multiples of 4. At most
    /// [`RANGE_MAX_BYTES`](crate::protocol::opcode::RANGE_MAX_BYTES).
    #[must_use]
    pub fn sum_words(handle: u32, offset: u32, bytes: u32) -> Self {
        Self::builtin(BuiltinOpcode::SumWords, [handle, offset, bytes, 0])
    }

    /// COPY_RANGE: `bytes` bytes from `source` to `destination`, each a handle and a byte offset; all
    /// multiples of 4, and no overlap. At most
    /// [`RANGE_MAX_BYTES`](crate::protocol::opcode::RANGE_MAX_BYTES).
    #[must_use]
    pub fn copy_range(source: (u32, u32), destination: (u32, u32), bytes: u32) -> Self {
        let args = [source.0, source.1, destination.0, destination.1, bytes, 0, 0, 0, 0, 0, 0, 0];
        Self::from_args(BuiltinOpcode::CopyRange.into(), args)
    }

    /// STORE_RANGE: `bytes` of the memory with the handle `memory`, from byte `memory_at` on, to a file.
    #[must_use]
    pub fn store_range(file: u32, offset: u64, bytes: u32, memory: u32, memory_at: u32) -> Self {
        let request = LoadMiss {
            resource_id: file,
            prefetch: false,
            byte_offset: offset,
            byte_count: bytes,
            dst_handle: memory,
            dst_offset: memory_at,
        };
        Self::from_args(BuiltinOpcode::StoreRange.into(), request.args())
    }

    /// LOAD_SUM: as LOAD_MISS (but `prefetch` is ignored), and then the sum of the words that arrived. The
    /// high half of the result tells how many bytes fewer came than were asked for.
    #[must_use]
    pub fn load_sum(request: &LoadMiss) -> Self {
        Self::load_sums(request, 0, 0, 0, 0)
    }

    /// The same, `further` times more, each at one of the first `blocks` blocks of the request's size, which the
    /// device draws: see [`twin::load_sum`](crate::twin::load_sum). Of each the first `head` bytes are summed, or all of
    /// it if `head` is 0.
    #[must_use]
    pub fn load_sums(request: &LoadMiss, further: u32, blocks: u32, seed: u32, head: u32) -> Self {
        let mut args = request.args();
        args[7..11].copy_from_slice(&[further, blocks, seed, head]);
        Self::from_args(BuiltinOpcode::LoadSum.into(), args)
    }

    /// IO_FENCE: completes when all IO asked before it was answered.
    #[must_use]
    pub fn io_fence() -> Self {
        Self::builtin(BuiltinOpcode::IoFence, [0; 4])
    }

    /// SHUTDOWN: drain, then stop.
    #[must_use]
    pub fn shutdown() -> Self {
        Self::builtin(BuiltinOpcode::Shutdown, [0; 4])
    }

    /// Publishes this slot into a ring.
    ///
    /// # Errors
    /// [`DescriptorError`] when it does not encode, or the ring refuses it.
    pub fn publish_into(
        &self,
        ring: &mut (impl RingProducer + ?Sized),
        slot_idx: u32,
    ) -> Result<(), DescriptorError> {
        Ok(ring.publish_run(slot_idx, &[self.encode()?])?)
    }

    fn builtin(opcode: BuiltinOpcode, args: [u32; 4]) -> Self {
        let [a0, a1, a2, a3] = args;
        Self::from_args(opcode.into(), [a0, a1, a2, a3, 0, 0, 0, 0, 0, 0, 0, 0])
    }

    fn from_args(opcode: SlotOpcode, args: SlotArgs) -> Self {
        Self::Single { opcode, tenant: 0, priority: PRIORITY_NORMAL, args }
    }
}

impl EncodeSlot for SlotDescriptor {
    fn encode(&self) -> Result<SlotWords, DescriptorError> {
        match self {
            Self::Single { opcode, tenant, priority, args } => {
                slot_words(opcode.single()?, *tenant, *priority, *args)
            }
            Self::Packed { tenant, priority, ops } => {
                slot_words(BuiltinOpcode::PackedSlot.value(), *tenant, *priority, packed::encode(ops)?)
            }
        }
    }
}

/// The slot of an opcode that was checked already.
fn slot_words(opcode: u32, tenant: u32, priority: u32, args: SlotArgs) -> Result<SlotWords, DescriptorError> {
    if priority > PRIORITY_IDLE {
        return Err(DescriptorError::Priority(priority));
    }
    let [a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11] = args;
    Ok([slot::PUBLISHED, opcode, tenant, priority, a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11])
}

/// Arguments with zeros behind them.
fn padded(args: &[u32]) -> Result<SlotArgs, DescriptorError> {
    let mut words = [0; ARGS_PER_SLOT as usize];
    let limit = words.len();
    let Some(room) = words.get_mut(..args.len()) else {
        return Err(DescriptorError::TooManyArguments { given: args.len(), limit });
    };
    room.copy_from_slice(args);
    Ok(words)
}
