//! Files through the kernel: every byte of every range, once, as the device sees it, in both modes and with
//! both engines.

mod callers;
mod faults;
mod files;
mod random;
mod rig;
#[path = "../support/mod.rs"]
mod support;
