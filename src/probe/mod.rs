//! What a device really does, measured with small kernels before anything relies on it.
//!
//! Live mode stands outside the Vulkan memory model, which has no synchronisation between the host
//! and a dispatch that runs. So it is used only where the litmus tests here pass on this device,
//! with this driver. Everything is bounded: each loop of a kernel in turns, each wait in time.

mod bench;
mod cache;
mod lanes;
mod live;
mod loops;
mod placement;
mod report;
mod workers;

use std::sync::Arc;
use std::time::{Duration, Instant};

pub use placement::{Placement, PlacementReport};
pub use report::{Lanes, Litmus, Live, Mode, ProbeReport};

use crate::vulkan::{Gpu, Result};
use bench::Bench;

/// Something else may keep the machine busy for a moment: until then a test that found nothing out
/// is done again.
const RETRY: Duration = Duration::from_millis(1200);

/// Measures a device.
pub struct Probe;

impl Probe {
    /// Measures the device afresh, in less than 2 s once its driver has compiled the kernels.
    /// The device should have nothing else to do. Blocks; spins on one core.
    ///
    /// # Errors
    ///
    /// [`VulkanError::DeviceLost`] or [`VulkanError::Timeout`] when a bounded kernel does not end,
    /// or what the driver says. A device that fails a litmus test is not an error: it gets
    /// [`Mode::Epoch`].
    ///
    /// [`VulkanError::DeviceLost`]: crate::vulkan::VulkanError::DeviceLost
    /// [`VulkanError::Timeout`]: crate::vulkan::VulkanError::Timeout
    pub fn run(gpu: &Arc<Gpu>) -> Result<ProbeReport> {
        let start = Instant::now();
        let mut bench = Bench::new(gpu)?;
        let lanes = lanes::measure(&mut bench)?;
        let loops = loops::measure(&mut bench)?;
        let workers = workers::measure(&mut bench)?;
        let placement = placement::measure(&mut bench, workers, false)?;
        let mut live = live::measure(gpu, &bench)?;
        let mut verdict = report::judge(gpu, &lanes, &live, loops.submit_p50_ns);
        while !verdict.conclusive && start.elapsed() < RETRY && !gpu.gpu_assisted_validation() {
            live = live::measure(gpu, &bench)?;
            verdict = report::judge(gpu, &lanes, &live, loops.submit_p50_ns);
        }
        let info = gpu.info();
        let report = ProbeReport {
            build: cache::build(),
            device: info.device_name.clone(),
            driver: info.driver_name.clone(),
            driver_info: info.driver_info.clone(),
            lanes,
            workers,
            loop_limit: loops.limit,
            submit_p50_ns: loops.submit_p50_ns,
            live,
            placement,
            elapsed_ms: u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
            mode: verdict.mode,
            why: verdict.why,
            conclusive: verdict.conclusive,
        };
        tracing::debug!(?report, "probed");
        Ok(report)
    }

    /// Measures where data that storage brought is read best, whatever kind of memory it is in. `run` does
    /// so where that is not near the device.
    ///
    /// # Errors
    ///
    /// As [`Probe::run`].
    pub fn placement(gpu: &Arc<Gpu>) -> Result<Option<PlacementReport>> {
        let mut bench = Bench::new(gpu)?;
        let workers = workers::measure(&mut bench)?;
        placement::measure(&mut bench, workers, true)
    }

    /// What an earlier run on this device, driver version and build found, or else a run now, whose
    /// report is kept in the user's cache folder if it is conclusive.
    ///
    /// # Errors
    ///
    /// As [`Probe::run`]. Trouble with the cache is no error.
    pub fn cached_or_run(gpu: &Arc<Gpu>) -> Result<ProbeReport> {
        // Instrumented shaders behave differently, and say nothing about others.
        let path = cache::path(gpu).filter(|_| !gpu.gpu_assisted_validation());
        if let Some(report) = path.as_deref().and_then(cache::load) {
            return Ok(report);
        }
        let report = Self::run(gpu)?;
        if let Some(path) = path.filter(|_| report.conclusive) {
            cache::save(&path, &report);
        }
        Ok(report)
    }
}
