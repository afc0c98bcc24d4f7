//! What can go wrong on the Vulkan side, with what to do about it.

use ash::vk;
use thiserror::Error;

use super::memory::Role;

/// The result of a Vulkan call.
pub type Result<T, E = VulkanError> = std::result::Result<T, E>;

/// An error of the Vulkan side. Each message names the value at fault and a remedy.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum VulkanError {
    /// The Vulkan loader library is not installed.
    #[error(
        "no Vulkan loader: {reason}; install it (Debian, Ubuntu: libvulkan1) and a driver \
         (a CPU driver: mesa-vulkan-drivers)"
    )]
    NoLoader {
        /// What the dynamic linker said.
        reason: String,
    },
    /// The loader is there, but lists no device that was asked for.
    #[error(
        "no Vulkan device {wanted}; available: {available}; install a driver (Debian, Ubuntu: \
         mesa-vulkan-drivers), name one in VK_DRIVER_FILES, or choose another with --device"
    )]
    NoDevice {
        /// The index or name that was asked for, or "at all".
        wanted: String,
        /// The devices that are there, by index.
        available: String,
    },
    /// A device lacks a feature that the runtime can't do without.
    #[error("{device} has no {feature}; update its driver or choose another device with --device")]
    Missing {
        /// The feature, limit or extension by its Vulkan name.
        feature: String,
        /// The device by name and driver.
        device: String,
    },
    /// The validation layer was asked for and is not installed.
    #[error(
        "validation was asked for, but the loader finds no VK_LAYER_KHRONOS_validation; install it \
         (Debian, Ubuntu: vulkan-validationlayers) or unset RINGFENCE_VALIDATION"
    )]
    NoValidationLayer,
    /// The device is lost: it was reset, unplugged, or its driver gave up.
    #[error(
        "the device was lost; what was in flight has no result: build a new runtime, and submit \
         that work again"
    )]
    DeviceLost,
    /// No memory left for a buffer of this role.
    #[error("no memory for {bytes} bytes ({role:?}, {label}); use smaller or fewer buffers")]
    OutOfMemory {
        /// What the buffer was for.
        role: Role,
        /// Its size in bytes.
        bytes: u64,
        /// Its label.
        label: String,
    },
    /// No memory type of the device serves this role.
    #[error(
        "no memory type of the device serves {role:?} ({bytes} bytes, {label}); choose another \
         device with --device"
    )]
    NoMemoryType {
        /// What the buffer was for.
        role: Role,
        /// Its size in bytes.
        bytes: u64,
        /// Its label.
        label: String,
    },
    /// An argument breaks a rule of the call.
    #[error("{what} is {value}: {fix}")]
    InvalidArgument {
        /// The argument.
        what: &'static str,
        /// Its value.
        value: String,
        /// What to pass instead.
        fix: &'static str,
    },
    /// Bounded work did not end. What it uses stays allocated as long as it runs.
    #[error(
        "{what} did not end within {after:?}; the device is wedged or the machine overloaded: try \
         again, or choose another device with --device"
    )]
    Timeout {
        /// The work.
        what: &'static str,
        /// How long it was waited for.
        after: std::time::Duration,
    },
    /// Any other failure of the driver, by the call that failed.
    #[error("{call} failed: {result}; if it happens again, run with RINGFENCE_VALIDATION=1 to see why")]
    Driver {
        /// The Vulkan command.
        call: &'static str,
        /// What it returned.
        result: vk::Result,
    },
    /// The allocator failed for a reason other than missing memory.
    #[error("device memory: {reason}; use smaller or fewer buffers")]
    Allocator {
        /// What the allocator said.
        reason: String,
    },
}

impl VulkanError {
    /// An error of the Vulkan command `call`. A lost device has its own variant, whatever the call.
    pub(super) fn call(call: &'static str, result: vk::Result) -> Self {
        match result {
            vk::Result::ERROR_DEVICE_LOST => Self::DeviceLost,
            result => Self::Driver { call, result },
        }
    }
}
