//! `ringfence scan`: thousands of patterns at once over real files, in one automaton that the
//! running kernel walks.
//!
//! Text flows one way: [`ingest`] reads files into an arena and cuts them into chunks, [`feed`]
//! keeps an [`engine`] busy with them and puts the answers in order, [`select`] turns positions
//! into lines. [`pipeline`] connects them.

pub mod bare;
pub mod chunk;
pub mod engine;
pub mod feed;
pub mod ingest;
pub mod kernel_engine;
pub mod pattern;
pub mod pipeline;
pub mod select;
pub mod table;
pub mod twin_engine;
