//! The wire ABI: pure, no Vulkan, no unsafe.
pub mod abi;
pub mod live;
