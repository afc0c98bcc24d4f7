//! Slots that publish slots: UNFOLD against its twin, what bounds it, and who waits for whom.

#[path = "../support/mod.rs"]
mod support;

mod bounds;
mod shared;
mod twin;
