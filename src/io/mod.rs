//! Storage: what the kernel asks for, and who answers.

pub mod arena;
pub mod engine;
pub mod queue;
mod threads;
pub mod transfer;
#[cfg(target_os = "linux")]
mod uring;

pub use queue::{IoCompletion, IoQueue, IoRequest};
