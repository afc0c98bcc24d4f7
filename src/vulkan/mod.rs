//! The Vulkan side: instance, device, memory roles, pipelines and timelines, on raw `ash`.
//!
//! This is the only place of the crate that names `ash`. It knows nothing of slots or jobs; the
//! runtime builds those on top of it.
//!
//! Lifetimes are held by reference counts: everything keeps the [`Gpu`] that made it, a
//! [`Commands`] keeps what it records, and whatever a submission uses waits for that submission
//! before it is destroyed. So values may be dropped in any order, also while the device works.
//!
//! Once the device is lost every call returns [`VulkanError::DeviceLost`]; none blocks (the
//! specification promises that waits return on a lost device, section "Lost Device").

mod cache;
mod commands;
mod descriptors;
mod error;
pub mod fence;
mod gpu;
mod import;
mod info;
mod instance;
pub mod lost;
mod memory;
mod open;
mod pipeline;
mod queue;
mod requirements;
mod select;
mod timeline;
mod tracking;
pub mod validation;
pub mod workarounds;

pub use ash;
pub use ash::vk::CommandBuffer;

pub use commands::{BarrierKind, Commands, Recorder};
pub use descriptors::DescriptorSet;
pub use error::{Result, VulkanError};
pub use gpu::Gpu;
pub use info::{DeviceInfo, DeviceKind};
pub use memory::{Buffer, Role};
pub use open::{Adopted, AdoptedExtensions, OpenOptions};
pub use pipeline::{ComputePipeline, PipelineOptions};
pub use queue::QueueLock;
pub use timeline::Timeline;
pub use workarounds::Workarounds;
