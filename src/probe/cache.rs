//! Reports on disk, one a device, driver version and build.

use std::path::{Path, PathBuf};

use super::report::ProbeReport;
use crate::disk::{cache_dir, write};
use crate::kernel;
use crate::vulkan::Gpu;

/// This build, as far as the probe goes: its version and its kernels.
pub(super) fn build() -> String {
    let kernels = kernel::modules()
        .iter()
        .filter(|module| module.name.starts_with("probe_"))
        .flat_map(|module| module.bytes());
    format!("{} {:016x}", env!("CARGO_PKG_VERSION"), hash(kernels.copied()))
}

/// Where this device's report lies; None without a cache folder. The number of threads that a CPU
/// driver starts belongs to the name, since it changes what the probe finds.
pub(super) fn path(gpu: &Gpu) -> Option<PathBuf> {
    let info = gpu.info();
    let threads = match info.is_cpu() {
        true => {
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            let asked = std::env::var("LP_NUM_THREADS").unwrap_or_default();
            format!("{cores} {asked}")
        }
        false => String::new(),
    };
    let rest = format!("{info} {threads} {}", build());
    let name = format!("probe-{}-{:016x}.json", info.cache_key(), hash(rest.bytes()));
    Some(cache_dir()?.join(name))
}

/// The report, if there is a sound one of this build.
pub(super) fn load(path: &Path) -> Option<ProbeReport> {
    let text = std::fs::read(path).ok()?;
    match serde_json::from_slice::<ProbeReport>(&text) {
        Ok(report) if report.build == build() && report.conclusive => Some(report),
        Ok(_) => None,
        Err(error) => {
            tracing::debug!(path = %path.display(), %error, "damaged probe report ignored");
            None
        }
    }
}

/// Keeps the report. Failures are logged only.
pub(super) fn save(path: &Path, report: &ProbeReport) {
    let saved =
        serde_json::to_vec_pretty(report).map_err(std::io::Error::from).and_then(|text| write(path, &text));
    if let Err(error) = saved {
        tracing::debug!(path = %path.display(), %error, "probe report not saved");
    }
}

/// FNV-1a, 64 bits.
fn hash(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::{Lanes, Live, Mode};

    #[test]
    fn reports_come_back_and_damaged_ones_do_not() {
        let folder = std::env::temp_dir().join(format!("ringfence-probe-{}", std::process::id()));
        let path = folder.join("probe.json");
        let report = ProbeReport {
            build: build(),
            device: "d".into(),
            driver: "v".into(),
            driver_info: String::new(),
            lanes: Lanes {
                subgroup_size: 8,
                one_full_subgroup: true,
                divergent_load_wrong: 7,
                divergent_atomic_wrong: 0,
                uniform_wrong: 0,
            },
            workers: 2,
            loop_limit: Some(65_535),
            submit_p50_ns: 50_000,
            live: Live::default(),
            placement: None,
            elapsed_ms: 5,
            mode: Mode::Live,
            why: "because".into(),
            conclusive: true,
        };
        assert_eq!(load(&path), None, "nothing there");
        save(&path, &report);
        assert_eq!(load(&path).as_ref(), Some(&report));
        save(&path, &ProbeReport { conclusive: false, ..report.clone() });
        assert_eq!(load(&path), None, "inconclusive");
        save(&path, &ProbeReport { build: "other".into(), ..report.clone() });
        assert_eq!(load(&path), None, "of another build");
        let text = serde_json::to_vec(&report).unwrap();
        for length in [0, 1, text.len() / 2, text.len() - 1] {
            std::fs::write(&path, &text[..length]).unwrap();
            assert_eq!(load(&path), None, "cut to {length} bytes");
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
