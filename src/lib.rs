//! io_uring for the GPU: a Vulkan compute kernel that is already running takes 64-byte jobs from a
//! ring that the host writes.
#![deny(unsafe_op_in_unsafe_fn)]
#![warn(missing_docs)]

pub mod kernel;
pub mod protocol;
pub mod twin;
