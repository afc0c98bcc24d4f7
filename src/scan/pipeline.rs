//! The parts put together: reader, feeder and whoever takes the results, each on its own thread.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;

use super::engine::{ChunkEngine, EngineError};
use super::feed::{FeedTotals, Scanned, feed};
use super::ingest::{Closed, IngestError, Input, ingest};
use crate::io::arena::Arena;
use crate::io::window::Window;

/// Items between two threads; the arena bounds the memory, this only the idling.
const QUEUE: usize = 64;

/// Why a scan ended before its inputs did.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// See there.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// See there.
    #[error(transparent)]
    Ingest(#[from] IngestError),
    /// A thread of the scan panicked, which is a bug.
    #[error("a scan thread ended unexpectedly: please report this")]
    Thread,
}

/// Scans `inputs` and passes everything to `sink`, on the caller's thread, in the order of the
/// inputs, until it breaks off.
///
/// `text`: see [`ingest`]. `arena` is the memory that both engines were made for. `reads` goes to the
/// thread that uses it, and ends there.
pub fn scan(
    inputs: impl Iterator<Item = Input> + Send,
    arena: &Arc<Arena>,
    mut reads: Window,
    walks: &mut dyn ChunkEngine,
    text: bool,
    mut sink: impl FnMut(Scanned) -> ControlFlow<()>,
) -> Result<FeedTotals, ScanError> {
    let cancel = AtomicBool::new(false);
    let cancel = &cancel;
    std::thread::scope(|scope| {
        let (items, queue) = sync_channel(QUEUE);
        let (results, done) = sync_channel(QUEUE);
        let reader =
            std::thread::Builder::new().name("scan-read".to_owned()).spawn_scoped(scope, move || {
                ingest(inputs, &mut reads, arena, text, cancel, |item| items.send(item).map_err(|_| Closed))
            });
        let feeder =
            std::thread::Builder::new().name("scan-feed".to_owned()).spawn_scoped(scope, move || {
                feed(&queue, walks, |scanned| results.send(scanned).map_err(|_| Closed))
            });
        for scanned in done {
            if sink(scanned).is_break() {
                break;
            }
        }
        // The receiver is gone by now: both threads find that out at their next item, unless the
        // reader waits for a pipe.
        cancel.store(true, Ordering::Relaxed);
        let join = |error: std::io::Error| EngineError(format!("cannot start a thread: {error}"));
        let read = reader.map_err(join)?.join().map_err(|_| ScanError::Thread)?;
        let totals = feeder.map_err(join)?.join().map_err(|_| ScanError::Thread)??;
        read?;
        Ok(totals)
    })
}
