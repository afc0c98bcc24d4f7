//! Bad input and faults of storage, as the slots of a running kernel meet them: odd files, odd ranges,
//! errors, limits, and handles that go away. In both modes and with both engines; each case ends in the
//! file's bytes, or in a FAULT, and leaves no slot behind.

#[path = "../support/process.rs"]
mod process;
#[path = "../support/mod.rs"]
mod support;

mod changing;
mod handles;
mod injected;
mod limits;
mod many;
mod odd_files;
mod ranges;
