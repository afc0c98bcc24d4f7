//! Storage: what the kernel asks for, and who answers.

pub mod queue;

pub use queue::{IoCompletion, IoQueue, IoRequest};
