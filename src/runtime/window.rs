//! Windows: items that are wanted now, and items that will be wanted next (PROTOCOL section 6).

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error::RuntimeError;
use super::job::{Completion, Job};
use super::shared::Shared;
use super::tenant::Tenant;
use super::{Runtime, SubmitError};
use crate::descriptor::{WindowClass, WindowDescriptor};
use crate::protocol::{PRIORITY_IDLE, PRIORITY_LEVELS, PRIORITY_WORD};

/// A window on its way. It is ready when all required items have ended. Dropping it moves on: lookahead items that
/// have not ended are cancelled; required ones end, and nobody looks.
#[must_use = "a dropped window's lookahead is cancelled"]
pub struct Window {
    required: Vec<Job>,
    lookahead: Vec<Job>,
}

impl Window {
    pub(super) fn submit(
        shared: &Arc<Shared>,
        tenant: u32,
        window: &WindowDescriptor,
    ) -> Result<Self, SubmitError> {
        let mut slots = window.encode()?;
        let required = window.items.iter().filter(|item| item.class == WindowClass::Required).count();
        for words in &mut slots[required..] {
            let level = &mut words[PRIORITY_WORD as usize];
            // One level below; what is no level stays what it is, and the device refuses it.
            if *level < PRIORITY_LEVELS {
                *level = (*level + 1).min(PRIORITY_IDLE);
            }
        }
        let mut jobs = shared.publish_all(tenant, &slots)?;
        let lookahead = jobs.split_off(required);
        Ok(Self { required: jobs, lookahead })
    }

    /// The required items, in the order of the descriptor.
    pub fn required(&self) -> &[Job] {
        &self.required
    }

    /// The lookahead items, in the order of the descriptor.
    pub fn lookahead(&self) -> &[Job] {
        &self.lookahead
    }

    /// Whether all required items have ended, well or not. Never blocks.
    pub fn is_ready(&self) -> bool {
        self.required.iter().all(|job| job.try_wait().is_some())
    }

    /// Waits until the window is ready; how the required items ended.
    ///
    /// # Errors
    /// The failures of the device.
    pub fn wait(&self) -> Result<Vec<Completion>, RuntimeError> {
        self.required.iter().map(Job::wait).collect()
    }

    /// Waits at most `timeout`; `None` when it is not ready by then.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub fn wait_timeout(&self, timeout: Duration) -> Result<Option<Vec<Completion>>, RuntimeError> {
        let deadline = Instant::now().checked_add(timeout);
        let left = || deadline.map_or(timeout, |d| d.saturating_duration_since(Instant::now()));
        self.required.iter().map(|job| job.wait_timeout(left())).collect()
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        self.lookahead.iter().for_each(Job::cancel);
    }
}

impl Runtime {
    /// Publishes a window, whole: required items at the window's priority, lookahead items one level below. Waits
    /// until there is room for all of it. `start_slot` and the tenant word say nothing here.
    ///
    /// # Errors
    /// As [`submit`](Self::submit), and [`RuntimeError::BatchTooLarge`].
    pub fn submit_window(&self, window: &WindowDescriptor) -> Result<Window, SubmitError> {
        Window::submit(&self.shared, 0, window)
    }
}

impl Tenant {
    /// Publishes a window of the tenant's, as [`Runtime::submit_window`].
    ///
    /// # Errors
    /// As there, and [`RuntimeError::Revoked`].
    pub fn submit_window(&self, window: &WindowDescriptor) -> Result<Window, SubmitError> {
        Window::submit(&self.shared, self.id, window)
    }
}
