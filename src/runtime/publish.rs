//! Publishing what callers submit: single slots and batches, and the jobs that they become.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::batch::Batch;
use super::error::RuntimeError;
use super::job::{Job, JobState};
use super::shared::{Shared, lock};
use super::slab::LEVELS;
use super::submission::{Class, Entry, SlotWords, WhenFull};
use crate::descriptor::EncodedBatch;

impl Shared {
    /// Publishes a tenant's slot.
    pub fn publish_one(
        self: &Arc<Self>,
        tenant: u32,
        words: &SlotWords,
        when_full: WhenFull,
    ) -> Result<Job, RuntimeError> {
        let class = Class::of(words);
        let mut counts = [0; LEVELS];
        counts[class.level()] = 1;
        let mut submission = self.with_free(tenant, &counts, when_full)?;
        let Some(slot) = submission.slab.of(class.level()).pop() else {
            return Err(submission.full(&counts));
        };
        let entry = Entry { slot, class };
        let job = self.own(slot, JobState::default());
        self.write_slot(&entry, words);
        self.publish(&mut submission, tenant, &[entry], 0);
        if class.last && tenant == 0 {
            submission.closed = true;
            drop(submission);
            self.end_pauses();
        }
        Ok(job)
    }

    fn own(self: &Arc<Self>, slot: u32, state: JobState) -> Job {
        let state = Arc::new(state);
        self.owners[slot as usize].job.store(Some(state.clone()));
        Job { state, slot, shared: self.clone() }
    }

    /// Publishes a tenant's batch and its fence, whole.
    pub fn publish_batch(self: &Arc<Self>, tenant: u32, batch: &EncodedBatch) -> Result<Batch, RuntimeError> {
        let count = batch.slots.len();
        let all = || batch.slots.iter().chain([&batch.fence]);
        let mut counts = [0; LEVELS];
        all().for_each(|words| counts[Class::of(words).level()] += 1);
        self.can_hold(tenant, &counts)?;
        let mut submission = self.with_free(tenant, &counts, WhenFull::Wait)?;
        let mut entries = Vec::with_capacity(count + 1);
        for words in all() {
            let class = Class::of(words);
            let Some(slot) = submission.slab.of(class.level()).pop() else {
                return Err(submission.full(&counts));
            };
            entries.push(Entry { slot, class });
        }
        let fence_slot = entries[count].slot;
        let value = {
            let mut batches = lock(&self.batches);
            batches.published += 1;
            batches.published
        };
        let mut jobs = Vec::with_capacity(count);
        for (entry, words) in entries.iter().zip(&batch.slots) {
            jobs.push(self.own(entry.slot, JobState::default()));
            self.write_slot(entry, words);
        }
        let fence = self.own(fence_slot, JobState::fence(value));
        self.write_slot(&entries[count], &batch.fence);
        let announced = &self.buffers.submission_words()[self.layout.batch_count(fence_slot)];
        announced.store(count as u32, Ordering::Relaxed);
        self.publish(&mut submission, tenant, &entries, fence_slot + 1);
        let last = tenant == 0 && entries.iter().any(|entry| entry.class.last);
        submission.closed |= last;
        drop(submission);
        if last {
            self.end_pauses();
        }
        Ok(Batch { jobs, fence, value })
    }
}
