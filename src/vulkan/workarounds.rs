//! Every driver quirk that the crate works around, in one place, each with its reason.

use ash::vk;

use super::info::DeviceInfo;

/// What this driver needs done differently. [`Workarounds::of`] decides it from the driver's name
/// and version; the probe measures what can be measured and may overrule it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workarounds {
    /// Loop iterations after which a subgroup's loops end silently. lavapipe of Mesa 22.3 counts
    /// all loops of a workgroup together and stops at 65,535 (LP_MAX_TGSI_LOOP_ITERATIONS of its
    /// code generator); Mesa 25.0 has no such limit. Versions between are taken to have it.
    pub loop_limit: Option<u32>,
    /// The driver runs a pool of threads whose size LP_NUM_THREADS sets when the device is made
    /// (lavapipe). More of them than workers cost milliseconds at the 99th percentile.
    pub pool_threads: bool,
    /// Workers run on the host's cores: a worker that spins takes a core from the host.
    pub workers_use_cores: bool,
    /// The VkPipelineCache holds a header only, so keeping it on disk saves nothing (CPU drivers).
    pub pipeline_cache_useless: bool,
}

/// The limit of lavapipe's loops, in iterations.
pub const LAVAPIPE_LOOP_LIMIT: u32 = 65_535;

impl Workarounds {
    /// The quirks of this device's driver.
    #[must_use]
    pub fn of(info: &DeviceInfo) -> Self {
        let lavapipe = info.driver_id == vk::DriverId::MESA_LLVMPIPE;
        // An unreadable version counts as old: the old rules are slower but right everywhere.
        let old_lavapipe = lavapipe && mesa_version(&info.driver_info) < Some((25, 0));
        Self {
            loop_limit: old_lavapipe.then_some(LAVAPIPE_LOOP_LIMIT),
            pool_threads: lavapipe,
            workers_use_cores: info.is_cpu(),
            pipeline_cache_useless: info.is_cpu(),
        }
    }
}

/// Major and minor of a Mesa version line such as "Mesa 22.3.6 (LLVM 15.0.6)".
fn mesa_version(driver_info: &str) -> Option<(u32, u32)> {
    let version = driver_info.split_once("Mesa ")?.1;
    let mut parts = version.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Asks lavapipe to start `threads` threads instead of one per core, unless LP_NUM_THREADS says
/// otherwise already. It reads the variable when the device is made.
///
/// # Safety
///
/// To be called first thing in `main`, before the process has a second thread: setting a variable
/// races with any other thread that reads the environment.
pub unsafe fn limit_driver_threads(threads: u32) {
    const VARIABLE: &str = "LP_NUM_THREADS";
    if std::env::var_os(VARIABLE).is_none() {
        // SAFETY: the caller promises that this is the only thread.
        unsafe { std::env::set_var(VARIABLE, threads.max(1).to_string()) };
    }
}

#[cfg(test)]
mod tests {
    use super::mesa_version;

    #[test]
    fn mesa_versions() {
        for (line, version) in [
            ("Mesa 22.3.6 (LLVM 15.0.6)", Some((22, 3))),
            ("Mesa 25.0.7-2~bpo12+1 (LLVM 15.0.6)", Some((25, 0))),
            ("Mesa 24.1.0-devel (git-1)", Some((24, 1))),
            ("Mesa", None),
            ("", None),
            ("Mesa x.y", None),
        ] {
            assert_eq!(mesa_version(line), version, "{line:?}");
        }
    }
}
