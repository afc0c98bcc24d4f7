//! `ringfence top`, and what it rests on: observers, their socket and their metrics.

mod clients;
mod metrics;
mod program;
mod rig;
mod terminal;
