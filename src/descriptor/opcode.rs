//! Opcodes as types.

use super::DescriptorError;
use crate::protocol::{opcode, validate_user_opcode};
use std::fmt;

macro_rules! builtin_opcodes {
    ($($(#[$doc:meta])* $variant:ident = $name:ident,)*) => {
        /// An opcode that the system defines.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum BuiltinOpcode { $($(#[$doc])* $variant,)* }

        impl BuiltinOpcode {
            /// All of them, by value.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The opcode on the wire.
            #[must_use]
            pub const fn value(self) -> u32 {
                match self { $(Self::$variant => opcode::$name),* }
            }

            /// The name that the protocol gives it, such as `STORE_U32`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($name)),* }
            }
        }
    };
}

builtin_opcodes! {
    /// Nothing.
    Nop = NOP,
    /// `control[a1] = a0`.
    StoreU32 = STORE_U32,
    /// `control[a1] += a0`.
    AtomicAdd = ATOMIC_ADD,
    /// `observable[a1] = control[a0]`.
    LoadU32 = LOAD_U32,
    /// Compare and swap on a control word.
    CompareSwap = COMPARE_SWAP,
    /// Copy of control words.
    Memcpy = MEMCPY,
    /// One step of a byte automaton.
    DfaStep = DFA_STEP,
    /// Completes when its batch has ended; made by a [`BatchDescriptor`](super::BatchDescriptor).
    BatchFence = BATCH_FENCE,
    /// Asks for bytes.
    LoadMiss = LOAD_MISS,
    /// Appends a debug record.
    Printf = PRINTF,
    /// Several inner ops; made by [`SlotDescriptor::Packed`](super::SlotDescriptor::Packed).
    PackedSlot = PACKED_SLOT,
    /// Scans a chunk of text; a wide opcode.
    Scan = SCAN,
    /// CRC32C of a range; a wide opcode.
    Crc32c = CRC32C,
    /// Sum of a range of words; a wide opcode.
    SumWords = SUM_WORDS,
    /// Copies a range of words; a wide opcode.
    CopyRange = COPY_RANGE,
    /// Writes a range of memory to a file.
    StoreRange = STORE_RANGE,
    /// Completes when all IO asked before it was answered.
    IoFence = IO_FENCE,
    /// Asks for bytes and sums their words.
    LoadSum = LOAD_SUM,
    /// Publishes slots from the device, and ends when they have.
    Unfold = UNFOLD,
    /// Drains, then stops the workers.
    Shutdown = SHUTDOWN,
}

impl BuiltinOpcode {
    /// The built-in of this value.
    #[must_use]
    pub fn from_value(value: u32) -> Option<Self> {
        Self::ALL.iter().copied().find(|opcode| opcode.value() == value)
    }

    /// The built-in of this name, as [`name`](Self::name) writes it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|opcode| opcode.name() == name)
    }
}

impl fmt::Display for BuiltinOpcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What a slot does: a built-in, or a user's handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SlotOpcode {
    /// Defined by the system.
    Builtin(BuiltinOpcode),
    /// A user's: 8..=0xFFEF or 0x1_0000..=0x7FFF_FFFF, checked when the slot is encoded.
    Custom(u32),
}

impl SlotOpcode {
    /// The opcode on the wire.
    #[must_use]
    pub const fn value(self) -> u32 {
        match self {
            Self::Builtin(opcode) => opcode.value(),
            Self::Custom(value) => value,
        }
    }

    /// The value, if a slot with bare arguments can carry it.
    pub(super) fn single(self) -> Result<u32, DescriptorError> {
        let not_single = |opcode, fix| Err(DescriptorError::NotSingle { opcode, fix });
        match self {
            Self::Builtin(opcode @ BuiltinOpcode::PackedSlot) => {
                not_single(opcode, "use SlotDescriptor::Packed, which encodes its header")
            }
            Self::Builtin(opcode @ BuiltinOpcode::BatchFence) => {
                not_single(opcode, "use BatchDescriptor, which counts its slots")
            }
            Self::Builtin(opcode) => Ok(opcode.value()),
            Self::Custom(value) => validate_user_opcode(value).map(|()| value).map_err(Into::into),
        }
    }
}

impl From<BuiltinOpcode> for SlotOpcode {
    fn from(opcode: BuiltinOpcode) -> Self {
        Self::Builtin(opcode)
    }
}
