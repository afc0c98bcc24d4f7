//! Slot states (PROTOCOL section 1).

use super::abi;

/// Free: the host may publish into it.
pub const EMPTY: u32 = abi::slot::STATUS_EMPTY;
/// Handed to the device.
pub const PUBLISHED: u32 = abi::slot::STATUS_PUBLISHED;
/// One worker won it.
pub const CLAIMED: u32 = abi::slot::STATUS_CLAIMED;
/// Executed; its completion may be read.
pub const DONE: u32 = abi::slot::STATUS_DONE;
/// Waits for an IO answer.
pub const WAIT_IO: u32 = abi::slot::STATUS_WAIT_IO;
/// Its turn is spent; the continuation is kept.
pub const YIELD: u32 = abi::slot::STATUS_YIELD;
/// Put back, because its tenant is out of credits.
pub const REQUEUE: u32 = abi::slot::STATUS_REQUEUE;
/// Refused or failed; its completion says why.
pub const FAULT: u32 = abi::slot::STATUS_FAULT;
