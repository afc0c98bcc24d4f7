//! Why a slot ended in FAULT (PROTOCOL section 1).

use super::abi::fault as abi;
use std::fmt;

/// No handler for the opcode.
pub const UNKNOWN_OPCODE: u8 = abi::FAULT_UNKNOWN_OPCODE as u8;
/// An operand is out of range; the detail is the argument's number, or [`DETAIL_PRIORITY`].
pub const BAD_OPERAND: u8 = abi::FAULT_BAD_OPERAND as u8;
/// Not this tenant's to do.
pub const UNAUTHORIZED: u8 = abi::FAULT_UNAUTHORIZED as u8;
/// Malformed packed slot; the detail is the inner op, or [`DETAIL_PACKED_HEADER`].
pub const BAD_PACKED: u8 = abi::FAULT_BAD_PACKED as u8;
/// The tenant's limit is 0.
pub const OUT_OF_CREDITS: u8 = abi::FAULT_OUT_OF_CREDITS as u8;
/// The detail is an errno.
pub const IO_ERROR: u8 = abi::FAULT_IO_ERROR as u8;
/// Ended before it ran.
pub const CANCELLED: u8 = abi::FAULT_CANCELLED as u8;
/// The device is gone.
pub const DEVICE_LOST: u8 = abi::FAULT_DEVICE_LOST as u8;
/// First code of user handlers.
pub const USER_BASE: u8 = abi::FAULT_USER_BASE as u8;
/// Last code of user handlers.
pub const USER_LAST: u8 = abi::FAULT_USER_LAST as u8;

/// Detail of a BAD_OPERAND that means the priority word.
pub const DETAIL_PRIORITY: u16 = abi::DETAIL_PRIORITY as u16;
/// Detail of a BAD_PACKED whose header, not an op, is malformed.
pub const DETAIL_PACKED_HEADER: u16 = abi::DETAIL_PACKED_HEADER as u16;

/// A fault code, as a type: every byte is one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FaultCode {
    /// No handler for the opcode.
    UnknownOpcode,
    /// An operand is out of range.
    BadOperand,
    /// Not this tenant's to do.
    Unauthorized,
    /// Malformed packed slot.
    BadPacked,
    /// The tenant's limit is 0.
    OutOfCredits,
    /// A read or write failed.
    IoError,
    /// Ended before it ran.
    Cancelled,
    /// The device is gone.
    DeviceLost,
    /// A code of a user's handler, 128 to 255.
    User(u8),
    /// A code that this version does not know.
    Unknown(u8),
}

impl FaultCode {
    /// The code on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::UnknownOpcode => UNKNOWN_OPCODE,
            Self::BadOperand => BAD_OPERAND,
            Self::Unauthorized => UNAUTHORIZED,
            Self::BadPacked => BAD_PACKED,
            Self::OutOfCredits => OUT_OF_CREDITS,
            Self::IoError => IO_ERROR,
            Self::Cancelled => CANCELLED,
            Self::DeviceLost => DEVICE_LOST,
            Self::User(code) | Self::Unknown(code) => code,
        }
    }
}

impl From<u8> for FaultCode {
    fn from(code: u8) -> Self {
        match code {
            UNKNOWN_OPCODE => Self::UnknownOpcode,
            BAD_OPERAND => Self::BadOperand,
            UNAUTHORIZED => Self::Unauthorized,
            BAD_PACKED => Self::BadPacked,
            OUT_OF_CREDITS => Self::OutOfCredits,
            IO_ERROR => Self::IoError,
            CANCELLED => Self::Cancelled,
            DEVICE_LOST => Self::DeviceLost,
            USER_BASE..=USER_LAST => Self::User(code),
            _ => Self::Unknown(code),
        }
    }
}

impl fmt::Display for FaultCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::UnknownOpcode => "UNKNOWN_OPCODE",
            Self::BadOperand => "BAD_OPERAND",
            Self::Unauthorized => "UNAUTHORIZED",
            Self::BadPacked => "BAD_PACKED",
            Self::OutOfCredits => "OUT_OF_CREDITS",
            Self::IoError => "IO_ERROR",
            Self::Cancelled => "CANCELLED",
            Self::DeviceLost => "DEVICE_LOST",
            Self::User(code) => return write!(f, "USER_{code}"),
            Self::Unknown(code) => return write!(f, "UNKNOWN_{code}"),
        };
        f.pad(name)
    }
}

/// How a slot failed: the code, and its 16-bit detail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{code} (detail {detail})")]
pub struct Fault {
    /// What kind of failure it was.
    pub code: FaultCode,
    /// What exactly, as the code defines it.
    pub detail: u16,
}

impl Fault {
    /// A fault of `code` with its detail.
    #[must_use]
    pub const fn new(code: FaultCode, detail: u16) -> Self {
        Self { code, detail }
    }
}
