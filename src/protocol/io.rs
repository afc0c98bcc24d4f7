//! IO queue layout (PROTOCOL section 7). The queue itself is [`crate::io::queue`].

pub use super::abi::io::{IO_SLOT_COUNT, IO_SLOT_WORDS};

/// Values of the `OP_TYPE` word.
pub mod io_op {
    use super::super::abi::io as abi;

    /// Source to destination memory.
    pub const READ: u32 = abi::IO_READ;
    /// Memory to destination.
    pub const WRITE: u32 = abi::IO_WRITE;
    /// Completes after what was published before it.
    pub const FENCE: u32 = abi::IO_FENCE;
}

/// Values of the `STATUS` word beyond the slot states.
pub mod io_status {
    use super::super::abi::io as abi;

    /// Ended well: `BYTE_COUNT` is what arrived.
    pub const OK: u32 = abi::IO_STATUS_OK;
    /// Failed: `BYTE_COUNT` is the errno.
    pub const ERROR: u32 = abi::IO_STATUS_ERROR;
}

/// Word indices within an entry.
pub mod io_word {
    use super::super::abi::io as abi;

    /// What is asked for, see [`io_op`](super::io_op).
    pub const OP_TYPE: u32 = abi::IO_OP_TYPE;
    /// Source capability.
    pub const SRC_HANDLE: u32 = abi::IO_SRC_HANDLE;
    /// Destination capability.
    pub const DST_HANDLE: u32 = abi::IO_DST_HANDLE;
    /// Byte offset into the source, low half.
    pub const OFFSET_LO: u32 = abi::IO_OFFSET_LO;
    /// Byte offset into the source, high half.
    pub const OFFSET_HI: u32 = abi::IO_OFFSET_HI;
    /// Bytes asked for; on completion what arrived, or the errno.
    pub const BYTE_COUNT: u32 = abi::IO_BYTE_COUNT;
    /// Slot states, [`io_status`](super::io_status).
    pub const STATUS: u32 = abi::IO_STATUS;
    /// The caller's own word.
    pub const TAG: u32 = abi::IO_TAG;
}
