//! The twin as an engine: the same walks on CPU threads, for tests and where there is no device.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::engine::{ChunkEngine, EngineError, ScanDone, ScanJob};
use super::pattern::Patterns;
use crate::twin::scan;

/// Walks chunks with [`scan::execute`].
pub struct TwinEngine {
    work: Option<Sender<ScanJob>>,
    done: Receiver<Result<ScanDone, EngineError>>,
    in_flight: usize,
    threads: Vec<JoinHandle<()>>,
}

impl TwinEngine {
    /// An engine of that many threads that walks as a worker with `lanes` lanes does.
    pub fn new(patterns: &Arc<Patterns>, threads: usize, lanes: u32) -> std::io::Result<Self> {
        let (work, queue) = channel::<ScanJob>();
        let queue = Arc::new(Mutex::new(queue));
        let (answer, done) = channel();
        let mut handles = Vec::new();
        for n in 0..threads.max(1) {
            let (queue, answer, patterns) = (queue.clone(), answer.clone(), patterns.clone());
            let thread = std::thread::Builder::new().name(format!("twin-{n}"));
            handles.push(thread.spawn(move || {
                loop {
                    let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(job) = job else { return };
                    if answer.send(walk(job, &patterns, lanes)).is_err() {
                        return;
                    }
                }
            })?);
        }
        Ok(Self { work: Some(work), done, in_flight: 0, threads: handles })
    }
}

fn walk(job: ScanJob, patterns: &Patterns, lanes: u32) -> Result<ScanDone, EngineError> {
    let mut out = scan::execute(job.chunk.text(), patterns.table().words(), job.state, job.walk, lanes)
        .map_err(|scan::BadArgument(n)| EngineError(format!("argument {n} of a scan slot was refused")))?;
    let total = out.matches.len() as u32;
    // As in the kernel, whose buffer is no larger.
    out.matches.truncate(job.capacity as usize);
    Ok(ScanDone { id: job.id, total, matches: out.matches, carries: out.carries })
}

impl ChunkEngine for TwinEngine {
    fn submit(&mut self, job: ScanJob) -> Result<(), EngineError> {
        let gone = || EngineError("its threads have ended".to_owned());
        self.work.as_ref().ok_or_else(gone)?.send(job).map_err(|_| gone())?;
        self.in_flight += 1;
        Ok(())
    }

    fn next(&mut self) -> Result<Option<ScanDone>, EngineError> {
        if self.in_flight == 0 {
            return Ok(None);
        }
        let done = self.done.recv().map_err(|_| EngineError("its threads have ended".to_owned()))?;
        self.in_flight -= 1;
        done.map(Some)
    }

    fn in_flight(&self) -> usize {
        self.in_flight
    }

    fn depth(&self) -> usize {
        self.threads.len() * 4
    }
}

impl Drop for TwinEngine {
    fn drop(&mut self) {
        self.work = None;
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}
