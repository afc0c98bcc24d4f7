//! CPU twins of the kernel's opcodes: the oracles that the device is held against.

pub mod scan;
