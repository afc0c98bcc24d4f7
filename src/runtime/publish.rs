//! Publishing what callers submit: single slots and batches, and the jobs that they become.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::batch::Batch;
use super::error::RuntimeError;
use super::job::{Job, JobState};
use super::shared::{Shared, SubmissionEnd, lock};
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
        let class = Class::of(words, &self.users);
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
        self.close_after(submission, tenant, &[entry]);
        Ok(job)
    }

    fn own(self: &Arc<Self>, slot: u32, state: JobState) -> Job {
        let state = Arc::new(state);
        self.owners[slot as usize].job.store(Some(state.clone()));
        Job { state, slot, shared: self.clone() }
    }

    /// Publishes slots of a tenant's, all at once or none.
    pub fn publish_all(self: &Arc<Self>, tenant: u32, slots: &[SlotWords]) -> Result<Vec<Job>, RuntimeError> {
        let (mut submission, entries) = self.take_slots(tenant, slots.iter())?;
        let jobs = entries.iter().zip(slots).map(|(entry, words)| {
            self.write_slot(entry, words);
            self.own(entry.slot, JobState::default())
        });
        let jobs = jobs.collect();
        self.publish(&mut submission, tenant, &entries, 0);
        self.close_after(submission, tenant, &entries);
        Ok(jobs)
    }

    /// Publishes a tenant's batch and its fence, whole.
    pub fn publish_batch(self: &Arc<Self>, tenant: u32, batch: &EncodedBatch) -> Result<Batch, RuntimeError> {
        let count = batch.slots.len();
        let (mut submission, entries) = self.take_slots(tenant, batch.slots.iter().chain([&batch.fence]))?;
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
        self.close_after(submission, tenant, &entries);
        Ok(Batch { jobs, fence, value })
    }

    /// Free slots for all of these words, each of its level; waits for them.
    fn take_slots<'a>(
        &self,
        tenant: u32,
        slots: impl Iterator<Item = &'a SlotWords> + Clone,
    ) -> Result<(SubmissionEnd<'_>, Vec<Entry>), RuntimeError> {
        let mut counts = [0; LEVELS];
        slots.clone().for_each(|words| counts[Class::of(words, &self.users).level()] += 1);
        self.can_hold(tenant, &counts)?;
        let mut submission = self.with_free(tenant, &counts, WhenFull::Wait)?;
        let mut entries = Vec::with_capacity(counts.iter().sum::<u32>() as usize);
        for words in slots {
            let class = Class::of(words, &self.users);
            let Some(slot) = submission.slab.of(class.level()).pop() else {
                return Err(submission.full(&counts));
            };
            entries.push(Entry { slot, class });
        }
        Ok((submission, entries))
    }

    /// Takes no more slots if SHUTDOWN was among those that were published.
    fn close_after(&self, mut submission: SubmissionEnd<'_>, tenant: u32, entries: &[Entry]) {
        if tenant == 0 && entries.iter().any(|entry| entry.class.last) {
            submission.closed = true;
            drop(submission);
            self.end_pauses();
        }
    }
}
