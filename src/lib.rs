//! io_uring for the GPU: a Vulkan compute kernel that is already running takes 64-byte jobs from a
//! ring that the host writes.
#![deny(unsafe_op_in_unsafe_fn)]
#![warn(missing_docs)]

pub mod build;
pub mod descriptor;
mod disk;
pub mod io;
pub mod kernel;
pub mod observe;
pub mod probe;
pub mod protocol;
pub mod readback;
pub mod ring;
pub mod runtime;
pub mod scan;
pub mod twin;
pub mod vulkan;
