//! Batches: slots that are published together, and the fence that completes when they have ended.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error::RuntimeError;
use super::job::{Completion, Job};
use super::shared::{Shared, lock};
use crate::vulkan::Timeline;

/// The timeline on which batches end, one value each, in the order of their publication.
pub(crate) struct BatchValues {
    pub timeline: Arc<Timeline>,
    /// Value of the batch published last.
    pub published: u64,
    /// Value that the timeline stands at.
    signalled: u64,
    /// Batches that ended before one that was published earlier.
    early: BTreeSet<u64>,
}

impl BatchValues {
    pub fn new(timeline: Arc<Timeline>) -> Self {
        Self { timeline, published: 0, signalled: 0, early: BTreeSet::new() }
    }

    pub fn has_ended(&self, value: u64) -> bool {
        value <= self.signalled
    }
}

impl Shared {
    /// A batch's fence has ended, well or not.
    pub fn batch_ended(&self, value: u64) {
        let mut batches = lock(&self.batches);
        batches.early.insert(value);
        let before = batches.signalled;
        let mut reached = before;
        while batches.early.remove(&(reached + 1)) {
            reached += 1;
        }
        batches.signalled = reached;
        if reached > before
            && let Err(e) = batches.timeline.signal(reached)
        {
            // The waiters on the device's side are gone with the device; the others are told.
            tracing::debug!("batch timeline at {reached}: {e}");
        }
    }
}

/// A batch on its way.
#[must_use = "a dropped batch ends unseen"]
pub struct Batch {
    pub(super) jobs: Vec<Job>,
    pub(super) fence: Job,
    pub(super) value: u64,
}

/// How a batch ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchCompletion {
    /// The slots, in the order of the descriptor.
    pub slots: Vec<Completion>,
    /// The fence; its result is the new epoch.
    pub fence: Completion,
}

impl Batch {
    /// The jobs of its slots, in the order of the descriptor.
    pub fn jobs(&self) -> &[Job] {
        &self.jobs
    }

    /// The fence, which ends last.
    pub fn fence(&self) -> &Job {
        &self.fence
    }

    /// Its value on the runtime's batch timeline. The host signals values in publication order, so
    /// that it is reached once this batch and all before it have ended.
    pub fn value(&self) -> u64 {
        self.value
    }

    /// Waits until all of it has ended.
    ///
    /// # Errors
    /// The failures of the device.
    pub fn wait(&self) -> Result<BatchCompletion, RuntimeError> {
        let fence = self.fence.wait()?;
        let slots = self.jobs.iter().map(Job::wait).collect::<Result<_, _>>()?;
        Ok(BatchCompletion { slots, fence })
    }

    /// Waits at most `timeout`; `None` when it has not ended by then.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub fn wait_timeout(&self, timeout: Duration) -> Result<Option<BatchCompletion>, RuntimeError> {
        let deadline = Instant::now().checked_add(timeout);
        let left = || deadline.map_or(timeout, |d| d.saturating_duration_since(Instant::now()));
        let Some(fence) = self.fence.wait_timeout(timeout)? else { return Ok(None) };
        let mut slots = Vec::with_capacity(self.jobs.len());
        for job in &self.jobs {
            let Some(slot) = job.wait_timeout(left())? else { return Ok(None) };
            slots.push(slot);
        }
        Ok(Some(BatchCompletion { slots, fence }))
    }
}
