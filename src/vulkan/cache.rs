//! The VkPipelineCache, kept on disk for real devices.
//!
//! CPU drivers put nothing into it but a header (SwiftShader's grows with each save), so there it is
//! left out; lavapipe has a disk cache of its own.

use std::path::PathBuf;

use ash::vk;

use super::info::DeviceInfo;
use super::workarounds::Workarounds;
use crate::disk::{cache_dir, get, put};

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
        let loaded = path.as_deref().and_then(get).unwrap_or_default();
        let create = |data: &[u8]| {
            let info = vk::PipelineCacheCreateInfo::default().initial_data(data);
            // SAFETY: data that a driver with this cache UUID returned, as the checksum shows; the specification makes
            // damaged data undefined behaviour.
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
                put(path, &data);
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
