//! Whole buffers to and from the device.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::error::RuntimeError;
use crate::vulkan::{BarrierKind, Buffer, Commands, Gpu, Recorder, Role, Timeline, VulkanError};

/// Fills a buffer from the host, through a copy where it is not mapped.
pub(super) fn upload(gpu: &Arc<Gpu>, buffer: &Buffer, words: &[u32]) -> Result<(), VulkanError> {
    let fill = |to: &Buffer| {
        if let Some(mapped) = to.words() {
            mapped.iter().zip(words).for_each(|(to, word)| to.store(*word, Ordering::Relaxed));
        }
    };
    if buffer.words().is_some() {
        fill(buffer);
        return Ok(());
    }
    let staging = Buffer::new(gpu, Role::HostToDevice, buffer.bytes(), "staging")?;
    fill(&staging);
    run_once(gpu, |rec| {
        rec.barrier(BarrierKind::HostToTransfer);
        rec.copy(&staging, 0, buffer, 0, (words.len() * 4) as u64);
        rec.barrier(BarrierKind::TransferToCompute);
    })
}

/// Reads a buffer, through a copy where the host has no mapping or a write-combined one, which it never
/// reads (DESIGN fact 8). No dispatch may be in flight.
pub(super) fn download(gpu: &Arc<Gpu>, buffer: &Buffer) -> Result<Vec<u32>, RuntimeError> {
    let read = |from: &Buffer| -> Vec<u32> {
        from.words().unwrap_or(&[]).iter().map(|w| w.load(Ordering::Acquire)).collect()
    };
    if buffer.words().is_some() && !buffer.is_write_combined() {
        return Ok(read(buffer));
    }
    let staging = Buffer::new(gpu, Role::DeviceToHost, buffer.bytes(), "readback")?;
    run_once(gpu, |rec| {
        rec.barrier(BarrierKind::ComputeToTransfer);
        rec.copy(buffer, 0, &staging, 0, buffer.bytes());
        rec.barrier(BarrierKind::TransferToHost);
    })?;
    Ok(read(&staging))
}

fn run_once(gpu: &Arc<Gpu>, record: impl FnOnce(&mut Recorder<'_>)) -> Result<(), VulkanError> {
    let commands = Commands::record(gpu, record)?;
    let timeline = Timeline::new(gpu, 0)?;
    gpu.submit(&[&commands], &[], &[(&timeline, 1)])?;
    // Unbounded but for the device's loss, which ends it: a copy always ends.
    timeline.wait(1, Duration::MAX).map(|_| ())
}
