//! The wire ABI: the layouts that a host and a running kernel share, and strict codecs for them.
//!
//! Every buffer is an array of little-endian `u32` words. Each constant is a literal once, in
//! [`abi`]; the modules here give it the name that the protocol uses. Nothing in this module names
//! Vulkan, and no input makes it panic: sizes and indices are checked, and malformed bytes are an
//! error, never a zero.
//!
//! All functions are pure and may be called from any thread.
#![forbid(unsafe_code)]

pub mod abi;
pub mod control;
pub mod debug;
mod error;
pub mod fault;
pub mod io;
pub mod live;
mod load_miss;
pub mod opcode;
pub mod request;
pub(crate) mod ring;
pub mod slot;
pub mod tenant;
pub(crate) mod words;

pub use abi::control::{
    CONTROL_MIN_WORDS, DEFAULT_TENANT_COUNT, DEFAULT_TENANT_TABLE, DONE_COUNT, EPOCH, FAIRNESS_BASE,
    FAULT_COUNT, LIMIT_BASE, MAX_ENCODED_OBSERVABLE_SLOTS, METRICS_BASE, METRICS_WORDS, OBSERVABLE_BASE,
    PRIORITY_FAIRNESS_BASE, PRIORITY_OFFSETS_BASE, PRIORITY_OFFSETS_WORDS, PRIORITY_STARVATION_COUNTER,
    QUOTA_BASE, SHUTDOWN, TENANT_BASE, TENANT_COUNT, TENANT_FAIRNESS_BASE, TENANT_FAIRNESS_WORDS,
    TENANT_QUOTA_BASE,
};
pub use abi::debug_log::{CURSOR_WORD, RECORD_CAPACITY, RECORD_WORDS, RECORDS_BASE};
pub use abi::opcode::SYSTEM_MASK;
pub use abi::slot::{
    ARG0_WORD, ARGS_PER_SLOT, MAX_ENCODED_RING_SLOTS, MAX_RING_SLOTS, MIN_LIVE_RING_SLOTS, OPCODE_WORD,
    PRIORITY_CRITICAL, PRIORITY_HIGH, PRIORITY_IDLE, PRIORITY_LEVELS, PRIORITY_LOW, PRIORITY_NORMAL,
    PRIORITY_WORD, SLOT_WORDS, STATUS_WORD, TENANT_WORD,
};
pub use control::{
    control_byte_len, priority_offsets, try_encode_control, try_encode_control_into, try_read_done_count,
    try_read_epoch, try_read_fault_count, try_read_metrics, try_read_observable,
};
pub use debug::{
    DebugLog, DebugLogReader, DebugRecord, debug_log_byte_len, debug_stamp, try_encode_empty_debug_log,
    try_encode_empty_debug_log_into, try_read_debug_log,
};
pub use error::ProtocolError;
pub use fault::{Fault, FaultCode};
pub use io::{io_op, io_status};
pub use load_miss::{LoadMiss, decode_load_miss, try_encode_load_miss, try_encode_load_miss_into};
pub use opcode::{OpcodeError, validate_publish_opcode, validate_user_opcode};
pub use ring::{
    ring_byte_len, try_count_done_ring_slots, try_encode_empty_ring, try_encode_empty_ring_into,
    try_slot_byte_len, try_slot_word_base, try_slot_word_index, try_word_index,
};

/// One slot as words, in wire order.
pub type SlotWords = [u32; SLOT_WORDS as usize];

/// The argument words of a slot, a0 to a11.
pub type SlotArgs = [u32; ARGS_PER_SLOT as usize];
