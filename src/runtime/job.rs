//! A submitted slot, and how it ended.

use std::cell::Cell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::error::RuntimeError;
use super::shared::{Shared, lock};
use crate::protocol::fault;
pub use crate::protocol::live::Outcome;

thread_local! {
    /// This thread is inside a waker, with the completion queue's lock held: it must not wait for the
    /// launcher, which may be waiting for that lock.
    pub(crate) static WAKING: Cell<bool> = const { Cell::new(false) };
}

/// The part of a job that the reaper ends. It outlives the slot, which is free again as soon as its
/// completion was read.
#[derive(Default)]
pub(crate) struct JobState {
    outcome: OnceLock<Outcome>,
    has_waker: AtomicBool,
    waker: Mutex<Option<Waker>>,
    /// The batch's timeline value, for a batch's fence.
    pub batch_value: Option<u64>,
}

impl JobState {
    pub fn fence(value: u64) -> Self {
        Self { batch_value: Some(value), ..Self::default() }
    }

    #[inline]
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome.get().copied()
    }

    pub fn end(&self, outcome: Outcome) {
        let _ = self.outcome.set(outcome);
        // Against `poll`, which sets the flag and then looks again.
        fence(Ordering::SeqCst);
        if self.has_waker.load(Ordering::Relaxed) {
            let waker = lock(&self.waker).take();
            // A waker is an executor's code. If it panics, its future is its own affair; the thread
            // that reads completions for everybody goes on.
            WAKING.set(true);
            let woken = catch_unwind(AssertUnwindSafe(|| waker.map(Waker::wake)));
            WAKING.set(false);
            if woken.is_err() {
                tracing::error!("a waker panicked");
            }
        }
    }
}

/// How a slot ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Completion {
    /// Done with a result, or a fault.
    pub outcome: Outcome,
}

impl Completion {
    /// The result of a slot that is DONE.
    pub fn result(&self) -> Option<u64> {
        match self.outcome {
            Outcome::Done(result) => Some(result),
            Outcome::Fault { .. } => None,
        }
    }

    /// The fault's code and detail of a slot that is FAULT.
    pub fn fault(&self) -> Option<(fault::FaultCode, u16)> {
        match self.outcome {
            Outcome::Done(_) => None,
            Outcome::Fault { code, detail } => Some((fault::FaultCode::from(code), detail)),
        }
    }
}

/// A slot on its way. Dropping it detaches: the slot ends all the same, and nobody looks.
///
/// It is also a `Future`, for any executor; while futures are pending the runtime's own thread reads
/// the completions.
#[must_use = "a dropped job ends unseen; call wait, or detach to say so"]
pub struct Job {
    pub(super) state: Arc<JobState>,
    pub(super) slot: u32,
    pub(super) shared: Arc<Shared>,
}

impl Job {
    /// How the slot ended, if it has. Never blocks; reads completions that are there.
    pub fn try_wait(&self) -> Option<Completion> {
        if self.state.outcome().is_none() {
            self.shared.reap();
        }
        self.state.outcome().map(|outcome| Completion { outcome })
    }

    /// Waits until the slot has ended.
    ///
    /// # Errors
    /// [`RuntimeError::DeviceLost`] or [`RuntimeError::Stalled`] when the device will never answer.
    pub fn wait(&self) -> Result<Completion, RuntimeError> {
        // No deadline: the launcher's patience ends a wait that nothing else would.
        self.wait_until(None).map(|c| c.expect("a wait without a deadline ends with an answer"))
    }

    /// Waits at most `timeout`; `None` when the slot has not ended by then.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub fn wait_timeout(&self, timeout: Duration) -> Result<Option<Completion>, RuntimeError> {
        self.wait_until(Instant::now().checked_add(timeout))
    }

    fn wait_until(&self, deadline: Option<Instant>) -> Result<Option<Completion>, RuntimeError> {
        let ended = self.shared.wait_for(deadline, || self.state.outcome())?;
        match (ended, self.shared.failed.get()) {
            (Some(Outcome::DEVICE_LOST), Some(error)) => Err(error.clone()),
            (Some(outcome), _) => Ok(Some(Completion { outcome })),
            (None, _) => Ok(None),
        }
    }

    /// Wants the slot to end as CANCELLED: at once if it is queued, has given way, or waits for room among requests;
    /// once its transfer has ended if it waits for storage; at its next step if it is a wide one that is being
    /// executed. What has ended stays as it is, and lane-sized slots that are being executed end well. A slot of a
    /// paused tenant is looked at when the tenant is resumed. Never blocks.
    pub fn cancel(&self) {
        self.shared.cancel(self.slot, || self.state.outcome().is_some());
    }

    /// Lets go of the job; the slot ends all the same.
    pub fn detach(self) {}
}

impl Future for Job {
    type Output = Result<Completion, RuntimeError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.try_wait().is_none() {
            *lock(&self.state.waker) = Some(cx.waker().clone());
            self.state.has_waker.store(true, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            self.shared.attend();
        }
        match (self.state.outcome(), self.shared.failed.get()) {
            (Some(Outcome::DEVICE_LOST), Some(error)) => Poll::Ready(Err(error.clone())),
            (Some(outcome), _) => Poll::Ready(Ok(Completion { outcome })),
            (None, _) => Poll::Pending,
        }
    }
}
