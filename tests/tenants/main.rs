//! Several tenants on one kernel: what each may do, what it sees, what becomes of its slots, and how much it gets.

#[path = "../support/mod.rs"]
mod support;

mod basics;
mod cap;
mod crowded;
mod ends;
mod holding;
mod lives;
mod model;
mod pauses;
mod regressions;
mod revoked;
mod tables;
