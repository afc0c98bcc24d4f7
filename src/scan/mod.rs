//! `ringfence scan`: thousands of patterns at once over real files, in one automaton that the
//! running kernel walks.

pub mod pattern;
pub mod table;
