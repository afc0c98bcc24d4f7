//! The floor: what two host threads take to hand each other a cache line, there and back. A device that
//! runs on the host's cores cannot answer faster.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;

use super::samples::Samples;
use crate::common::Trouble;

/// The peer parks.
const REST: u32 = 0;
/// The peer ends.
const END: u32 = u32::MAX;

/// A peer thread that answers while a block runs and is parked in between, so that it costs the other blocks
/// nothing. It lives long: a new thread shares its creator's core for its first 12 ms.
pub struct Floor {
    line: Arc<CachePadded<AtomicU32>>,
    peer: Option<JoinHandle<()>>,
}

impl Floor {
    pub fn start() -> Result<Self, Trouble> {
        let line = Arc::new(CachePadded::new(AtomicU32::new(REST)));
        let peer = std::thread::Builder::new().name("floor".into()).spawn({
            let line = line.clone();
            move || answer(&line)
        });
        Ok(Self { line, peer: Some(peer.map_err(Trouble::Thread)?) })
    }

    /// Round trips for as long as `time`.
    pub fn block(&self, time: Duration) -> Samples {
        let mut samples = Samples::with_capacity(time.as_nanos() as usize / 50);
        let mut word = 1;
        let began = Instant::now();
        let mut last = began;
        loop {
            self.line.store(word, Ordering::Release);
            if word == 1
                && let Some(peer) = &self.peer
            {
                peer.thread().unpark();
            }
            while self.line.load(Ordering::Acquire) == word {
                std::hint::spin_loop();
            }
            let now = Instant::now();
            samples.push(now - last);
            last = now;
            if now - began >= time {
                break;
            }
            // Odd words are this thread's, even ones the peer's; neither REST nor END comes up.
            word = if word >= END - 4 { 1 } else { word + 2 };
        }
        self.line.store(REST, Ordering::Release);
        samples
    }
}

fn answer(line: &AtomicU32) {
    loop {
        match line.load(Ordering::Acquire) {
            REST => std::thread::park(),
            END => return,
            word if word & 1 == 1 => line.store(word + 1, Ordering::Release),
            _ => std::hint::spin_loop(),
        }
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        self.line.store(END, Ordering::Release);
        if let Some(peer) = self.peer.take() {
            peer.thread().unpark();
            // It cannot have panicked: it does nothing that could.
            let _ = peer.join();
        }
    }
}
