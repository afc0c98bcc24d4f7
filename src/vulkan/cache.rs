//! The VkPipelineCache, kept on disk for real devices.
//!
//! CPU drivers put nothing into it but a header (SwiftShader's grows with each save), so there it is
//! left out; lavapipe has a disk cache of its own.

use std::fs;
use std::path::{Path, PathBuf};

use ash::vk;

use super::info::DeviceInfo;
use super::workarounds::Workarounds;

/// The cache, and what was on disk.
pub(super) struct PipelineCache {
    raw: vk::PipelineCache,
    path: Option<PathBuf>,
    loaded: Vec<u8>,
}

impl PipelineCache {
    pub(super) fn empty() -> Self {
        Self { raw: vk::PipelineCache::null(), path: None, loaded: Vec::new() }
    }

    /// Loads what is there. A missing, damaged or refused file means an empty cache; a driver that
    /// makes none means none. Pipelines are made all the same.
    pub(super) fn load(device: &ash::Device, info: &DeviceInfo, quirks: &Workarounds) -> Self {
        if quirks.pipeline_cache_useless {
            return Self::empty();
        }
        let path = cache_dir().map(|dir| dir.join(format!("pipelines-{}.bin", info.cache_key())));
        let loaded = path.as_deref().and_then(read).unwrap_or_default();
        let create = |data: &[u8]| {
            let info = vk::PipelineCacheCreateInfo::default().initial_data(data);
            // SAFETY: data that a driver with this cache UUID returned, as the checksum shows.
            unsafe { device.create_pipeline_cache(&info, None) }
        };
        let raw = create(&loaded).or_else(|_| create(&[])).unwrap_or_default();
        Self { raw, path, loaded }
    }

    pub(super) fn raw(&self) -> vk::PipelineCache {
        self.raw
    }

    /// Writes the cache if it changed. Failures are logged only.
    pub(super) fn save(&self, device: &ash::Device) {
        let Some(path) = self.path.as_deref().filter(|_| self.raw != vk::PipelineCache::null()) else {
            return;
        };
        // SAFETY: a cache of this device.
        match unsafe { device.get_pipeline_cache_data(self.raw) } {
            Ok(data) if data != self.loaded => {
                let mut file = checksum(&data).to_le_bytes().to_vec();
                file.extend_from_slice(&data);
                if let Err(error) = write(path, &file) {
                    tracing::debug!(path = %path.display(), %error, "pipeline cache not saved");
                }
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "pipeline cache not read"),
        }
    }

    /// Called once, by the device's drop.
    pub(super) fn destroy(&self, device: &ash::Device) {
        // SAFETY: nobody compiles any more; destroying the null handle does nothing.
        unsafe { device.destroy_pipeline_cache(self.raw, None) };
    }
}

/// The user's cache folder for this program: XDG_CACHE_HOME or ~/.cache, with `ringfence` below it.
/// None where neither is known.
pub(crate) fn cache_dir() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .map(|base| base.join("ringfence"))
}

/// Writes a file whole or not at all: readers see the old one or the new one.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    fs::write(&temporary, bytes)?;
    fs::rename(&temporary, path).inspect_err(|_| {
        let _ = fs::remove_file(&temporary);
    })
}

/// The data of a file whose checksum is right: the specification makes damaged data undefined
/// behaviour, so it never reaches the driver.
fn read(path: &Path) -> Option<Vec<u8>> {
    let file = fs::read(path).ok()?;
    let (sum, data) = file.split_first_chunk::<8>()?;
    (u64::from_le_bytes(*sum) == checksum(data)).then(|| data.to_vec())
}

/// FNV-1a, 64 bits: against damage, not against malice.
fn checksum(data: &[u8]) -> u64 {
    data.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
