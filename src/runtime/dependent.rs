//! Vulkan work of the user's that follows a batch.
//!
//! Devices have one queue more often than not. A submission that waits for a batch there would hold
//! up the re-arm behind it, and the batch with it. So the runtime holds such work back until its batch
//! has ended, and submits it then, without a semaphore to wait for (DESIGN fact 12).

use std::sync::Arc;
use std::time::Duration;

use super::error::RuntimeError;
use super::shared::{Shared, lock};
use crate::vulkan::{CommandBuffer, Timeline};

/// Work that waits for its batch.
pub(crate) struct Dependent {
    pub value: u64,
    pub commands: Vec<CommandBuffer>,
    pub done: Arc<Timeline>,
    /// Why it was never submitted.
    pub refused: Arc<std::sync::OnceLock<RuntimeError>>,
}

/// Command buffers that follow a batch, on their way.
#[derive(Debug, Clone)]
pub struct Following {
    pub(super) done: Arc<Timeline>,
    pub(super) refused: Arc<std::sync::OnceLock<RuntimeError>>,
}

impl Following {
    /// The timeline that stands at 1 once the command buffers have ended.
    pub fn timeline(&self) -> &Timeline {
        &self.done
    }

    /// Waits at most `timeout`; false when they have not ended by then.
    ///
    /// # Errors
    /// The failures of the device, or [`RuntimeError::ShutDown`] when the runtime ended first.
    pub fn wait(&self, timeout: Duration) -> Result<bool, RuntimeError> {
        let ended = self.done.wait(1, timeout)?;
        match self.refused.get() {
            Some(e) => Err(e.clone()),
            None => Ok(ended),
        }
    }
}

impl Shared {
    pub fn has_dependents(&self) -> bool {
        !lock(&self.requests).dependents.is_empty()
    }

    /// Submits the work whose batch has ended.
    pub fn submit_dependents(&self) -> Result<(), RuntimeError> {
        if !self.has_dependents() {
            return Ok(());
        }
        self.reap();
        let ready: Vec<Dependent> = {
            let batches = lock(&self.batches);
            let mut requests = lock(&self.requests);
            requests.dependents.extract_if(.., |d| batches.has_ended(d.value)).collect()
        };
        if ready.is_empty() {
            return Ok(());
        }
        // The dispatches ahead in the queue leave at once instead of living out their budget.
        let quiet = self.quiesced_at_once(|_| {
            for dependent in &ready {
                // SAFETY: the caller of `submit_after` promised that the command buffers may be
                // submitted now and live until they have ended.
                let submitted =
                    unsafe { self.gpu.submit_raw(&dependent.commands, &[], &[(&dependent.done, 1)]) };
                if let Err(e) = submitted {
                    refuse(dependent, e.into());
                }
            }
        });
        if let Err(e) = &quiet {
            ready.iter().for_each(|dependent| refuse(dependent, e.clone()));
        }
        quiet
    }

    /// The runtime ends: work whose batch will never be waited for again is refused.
    pub fn retire_dependents(&self) {
        let error = self.failed.get().cloned().unwrap_or(RuntimeError::ShutDown);
        let mut requests = lock(&self.requests);
        requests.stop = true;
        for dependent in requests.dependents.drain(..) {
            refuse(&dependent, error.clone());
        }
    }
}

fn refuse(dependent: &Dependent, error: RuntimeError) {
    let _ = dependent.refused.set(error);
    let _ = dependent.done.signal(1);
}
