//! The launcher: the thread that keeps a kernel running while there is work, and none when there is
//! none.
//!
//! In live mode it keeps a few submissions queued ahead. When nothing was outstanding for the linger
//! it lowers COMMAND_RUN, waits for the dispatches to leave, and sleeps until the next publication. In
//! epoch mode it steps in for slots that nobody waits for.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::backoff;
use super::dependent::Dependent;
use super::error::RuntimeError;
use super::job::WAKING;
use super::mode::Mode;
use super::shared::{Shared, lock};
use crate::protocol::live::Outcome;

/// What other threads ask of the launcher.
#[derive(Default)]
pub(crate) struct Requests {
    pub stop: bool,
    pub dependents: Vec<Dependent>,
}

/// How long the launcher lets a waiter drive an epoch before it does so itself.
const GRACE: Duration = Duration::from_micros(200);
/// How often it looks while futures or dependents are pending.
const BUSY_TICK: Duration = Duration::from_micros(50);
/// How often it looks while somebody may be waiting by himself.
const TICK: Duration = Duration::from_millis(2);
/// By how much it looks less often while slots are on their way. Each look takes the processor from a worker or a
/// waiter for some 10 us, which is the 99th percentile of who asks now and then. With 16 ms that was lower still in most
/// runs, but in some a waiter that sleeps stayed on the worker's core, and the 99th percentile was a millisecond.
const BUSY_FACTOR: u32 = 2;

pub(crate) struct Launcher {
    shared: Arc<Shared>,
    linger: Duration,
    patience: Duration,
    /// Dispatches were armed since the last rest.
    running: bool,
    last_work: Instant,
    last_ended: u64,
    /// Since when nothing has ended while something was outstanding. Idle time does not count.
    barren: Option<Instant>,
    /// When it last looked whether storage is served.
    looked: Instant,
}

impl Launcher {
    pub fn start(
        shared: Arc<Shared>,
        linger: Duration,
        patience: Duration,
    ) -> Result<std::thread::JoinHandle<()>, RuntimeError> {
        let now = Instant::now();
        let mut launcher = Self {
            shared,
            linger,
            patience,
            running: false,
            last_work: now,
            last_ended: 0,
            barren: None,
            looked: now,
        };
        let shared = launcher.shared.clone();
        let run = move || shared.guarded("the launcher thread panicked", || launcher.run());
        std::thread::Builder::new().name("ringfence".into()).spawn(run).map_err(|e| RuntimeError::Host {
            what: "the launcher thread could not be started",
            error: e.to_string(),
        })
    }

    fn run(&mut self) {
        backoff::fine_timers();
        loop {
            if self.shared.failed.get().is_some() {
                break;
            }
            if lock(&self.shared.requests).stop {
                break;
            }
            if let Err(e) = self.turn() {
                self.shared.fail(e);
            }
        }
        self.shared.retire_dependents();
        if self.shared.failed.get().is_none() {
            // The host owns every slot once the dispatches have left.
            let drained = self.shared.quiesced_at_once(|_| self.shared.cancel_all(Outcome::CANCELLED));
            if let Err(e) = drained {
                self.shared.fail(e);
            }
        }
    }

    fn turn(&mut self) -> Result<(), RuntimeError> {
        let outstanding = self.shared.due();
        let ended = self.shared.ended.load(Ordering::Relaxed);
        if outstanding > 0 || ended != self.last_ended {
            self.last_work = Instant::now();
        }
        if outstanding == 0 || ended != self.last_ended || self.shared.awaits_storage() {
            self.barren = None;
        } else if self.barren.get_or_insert_with(Instant::now).elapsed() > self.shared.patience(self.patience)
        {
            return Err(RuntimeError::Stalled(self.patience));
        }
        self.last_ended = ended;
        self.shared.submit_dependents()?;
        match self.shared.mode.load() {
            Mode::Live => self.live(outstanding),
            Mode::Epoch | Mode::Auto => self.epoch(outstanding),
        }
    }

    fn live(&mut self, outstanding: u64) -> Result<(), RuntimeError> {
        if outstanding == 0 && (!self.running || self.last_work.elapsed() >= self.linger) {
            if std::mem::take(&mut self.running) {
                self.shared.quiesced_at_once(|_| ())?;
                return Ok(());
            }
            self.rest();
            return Ok(());
        }
        let mut engine = lock(&self.shared.engine);
        if self.shared.pausing.load(Ordering::Acquire) > 0 {
            drop(engine);
            self.sleep(BUSY_TICK);
            return Ok(());
        }
        if self.shared.mode.load() != Mode::Live {
            return Ok(());
        }
        self.running = true;
        let until = engine.keep_live(&self.shared)?;
        let (timeline, _) = engine.timeline();
        drop(engine);
        let busy = self.shared.attended.load(Ordering::Acquire) || self.shared.has_dependents();
        // The kernel stays for as long beyond its linger, at most.
        let tick = TICK.min(self.linger) * if outstanding == 0 { 1 } else { BUSY_FACTOR };
        timeline.wait(until, if busy { BUSY_TICK } else { tick.max(BUSY_TICK) })?;
        if busy {
            self.shared.reap();
        } else {
            // No storage, whose own thread takes turns of others as a sign that somebody stays with it.
            self.shared.reap_alone();
            // Not twice within the length of a turn.
            if self.looked.elapsed() >= TICK
                && let Some(storage) = &self.shared.storage
            {
                self.looked = Instant::now();
                storage.look_after();
            }
        }
        if self.shared.due() == 0 {
            self.shared.attended.store(false, Ordering::Release);
        }
        Ok(())
    }

    fn epoch(&mut self, outstanding: u64) -> Result<(), RuntimeError> {
        self.running = false;
        if outstanding == 0 {
            // While callers come one after the other, waking this thread for each would cost them more
            // than its looking up now and then.
            if self.last_work.elapsed() < self.linger {
                self.sleep(self.linger / 2)
            } else {
                self.rest()
            }
            return Ok(());
        }
        if !self.shared.attended.load(Ordering::Acquire) && !self.shared.has_dependents() {
            self.sleep(GRACE);
        }
        if self.shared.due() > 0 && self.shared.mode.load() != Mode::Live {
            match self.shared.engine_for_epoch() {
                Some(mut engine) => engine.epoch(&self.shared)?,
                None => self.sleep(BUSY_TICK),
            }
        }
        if self.shared.due() == 0 {
            self.shared.attended.store(false, Ordering::Release);
        }
        Ok(())
    }

    /// Sleeps until somebody publishes or asks for something.
    fn rest(&self) {
        if let Some(storage) = self.shared.storage.as_ref().filter(|storage| storage.in_flight() > 0) {
            // Nobody looks after it from here on.
            storage.wake_server();
        }
        let Some(requests) = self.shared.rests() else { return };
        let wanted = self.shared.due() > 0
            || requests.stop
            || !requests.dependents.is_empty()
            || self.shared.failed.get().is_some();
        if !wanted {
            // A wake-up that is not for the launcher costs one turn.
            drop(self.shared.wake.wait(requests));
        }
        // It stays raised, since the storage thread may rest too; the next publication lowers it.
    }

    fn sleep(&self, time: Duration) {
        let requests = lock(&self.shared.requests);
        if !requests.stop {
            drop(self.shared.wake.wait_timeout(requests, time));
        }
    }
}

/// The owner of a runtime's threads: its drop stops them.
pub(crate) struct Running {
    pub shared: Arc<Shared>,
    pub thread: Option<std::thread::JoinHandle<()>>,
    pub storage: Option<std::thread::JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.submission().closed = true;
        lock(&self.shared.requests).stop = true;
        self.shared.set_run(false);
        self.shared.wake.notify_all();
        if let Some(storage) = &self.shared.storage {
            storage.wake_server();
        }
        // In a waker that holds the last handle the launcher ends alone.
        if let Some(thread) = self.thread.take()
            && !WAKING.get()
            && thread.join().is_err()
        {
            tracing::error!("the launcher panicked; its slots stay unended");
        }
        // Behind the launcher, which may still need answers; it waits for what storage is busy with.
        if let Some(storage) = self.storage.take()
            && !WAKING.get()
        {
            let _ = storage.join();
        }
    }
}
