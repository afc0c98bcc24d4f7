//! What the tests of the runtime share: one device under the validation layers, and both modes.
#![allow(dead_code, reason = "each test crate that includes this module uses its own part of it")]

pub mod handlers;
pub mod storage;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ringfence::runtime::{Mode, Runtime, RuntimeBuilder};
use ringfence::vulkan::{Gpu, OpenOptions, VulkanError, validation};

pub const MODES: [Mode; 2] = [Mode::Live, Mode::Epoch];

/// Longer than any wait of a test that is well: a first dispatch may compile for seconds, under the
/// layers and beside other tests.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// The device that the loader picks, opened once, under validation unless the environment says
/// otherwise.
pub fn gpu() -> Arc<Gpu> {
    static GPU: OnceLock<Arc<Gpu>> = OnceLock::new();
    GPU.get_or_init(own_gpu).clone()
}

/// A device of the test's own.
pub fn own_gpu() -> Arc<Gpu> {
    let validation = std::env::var("RINGFENCE_VALIDATION").as_deref() != Ok("0");
    match Gpu::open(&OpenOptions { device: None, validation }) {
        Err(VulkanError::NoValidationLayer) => {
            eprintln!("no validation layer: running without");
            Gpu::open(&OpenOptions::default())
        }
        result => result,
    }
    .expect("a Vulkan 1.2 device; tools/setup installs one")
}

pub fn builder(mode: Mode) -> RuntimeBuilder {
    Runtime::builder().gpu(gpu()).mode(mode).patience(PATIENCE)
}

/// No message of the validation layers so far, in this process.
pub fn assert_silent() {
    assert_eq!(validation::messages(), Vec::<String>::new());
}

/// xorshift: the same cases in every run.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as u32
    }

    /// Below `n`, which is not 0.
    pub fn below(&mut self, n: u32) -> u32 {
        self.next() % n
    }
}
