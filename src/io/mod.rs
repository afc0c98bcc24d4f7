//! Storage: what the kernel asks for, and who answers.

pub mod arena;
pub mod queue;
pub mod transfer;
pub mod window;

pub use queue::{IoCompletion, IoQueue, IoRequest};
