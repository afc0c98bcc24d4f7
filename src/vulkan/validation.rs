//! The Khronos validation layer: switched on by an option or by RINGFENCE_VALIDATION, its messages
//! collected so that tests can demand that there are none.

use std::ffi::{CStr, c_void};
use std::sync::Mutex;

use ash::vk;

/// The layer's name.
pub(super) const LAYER: &CStr = c"VK_LAYER_KHRONOS_validation";

/// Messages that are not faults of this crate: part of id or text, and the reason.
const ALLOWED: &[(&str, &str)] = &[
    (
        "specialuse-extension",
        "VK_EXT_debug_utils and VK_EXT_validation_features are there because validation was asked for",
    ),
    (
        "BestPractices-vkBindMemory-small-dedicated-allocation",
        "imported host memory is an allocation of its own, as small as the caller's",
    ),
    (
        "BestPractices-vkAllocateMemory-small-allocation",
        "imported host memory is an allocation of its own, as small as the caller's",
    ),
    (
        "BestPractices-vkCreateDevice-physical-device-features-not-retrieved",
        "features are read with vkGetPhysicalDeviceFeatures2, which the check overlooks",
    ),
    (
        "BestPractices-vkBeginCommandBuffer-simultaneous-use",
        "one recording is queued several times ahead, so that a kernel is always running",
    ),
    (
        "BestPractices-pipeline-stage-flags",
        "a caller's command buffers wait at all stages, since what they do is not known here",
    ),
    (
        "BestPractices-Error-Result",
        "an error of the driver is returned to the caller, who may have provoked it",
    ),
    (
        "UNASSIGNED-VkSemaphore-state-timeout",
        "the layer waits for its own record of a timeline that another thread signals, and says itself \
         that this is most likely a bug of its own",
    ),
    (
        "shaderInt64 feature is not available",
        "GPU-assisted validation says which of its own checks it leaves out on SwiftShader",
    ),
];

static MESSAGES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// How much to validate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// Nothing.
    Off,
    /// Core, synchronization and best-practices checks.
    Host,
    /// These and GPU-assisted checks, which instrument the shaders.
    GpuAssisted,
}

impl Level {
    /// From the option and the environment: "gpu" adds the GPU-assisted checks; empty, "0" and unset
    /// ask for nothing.
    pub(super) fn choose(asked: bool) -> Self {
        match std::env::var("RINGFENCE_VALIDATION").as_deref() {
            Ok("gpu") => Self::GpuAssisted,
            Ok("" | "0") | Err(_) if !asked => Self::Off,
            _ => Self::Host,
        }
    }
}

/// The checks of a level beyond the core ones.
pub(super) fn features(level: Level) -> &'static [vk::ValidationFeatureEnableEXT] {
    use vk::ValidationFeatureEnableEXT as Enable;
    match level {
        Level::Off => &[],
        Level::Host => &[Enable::SYNCHRONIZATION_VALIDATION, Enable::BEST_PRACTICES],
        Level::GpuAssisted => &[
            Enable::SYNCHRONIZATION_VALIDATION,
            Enable::BEST_PRACTICES,
            Enable::GPU_ASSISTED,
            Enable::GPU_ASSISTED_RESERVE_BINDING_SLOT,
        ],
    }
}

/// Every message of the layer since the process began, warnings and errors, but for those on the
/// allow-list. Safe from any thread.
#[must_use]
pub fn messages() -> Vec<String> {
    lock().clone()
}

/// Empties the list and returns what it held.
pub fn take_messages() -> Vec<String> {
    std::mem::take(&mut *lock())
}

fn lock() -> std::sync::MutexGuard<'static, Vec<String>> {
    MESSAGES.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// What the messenger is created with.
pub(super) fn messenger() -> vk::DebugUtilsMessengerCreateInfoEXT<'static> {
    use vk::{DebugUtilsMessageSeverityFlagsEXT as Severity, DebugUtilsMessageTypeFlagsEXT as Type};
    vk::DebugUtilsMessengerCreateInfoEXT::default()
        .message_severity(Severity::WARNING | Severity::ERROR)
        .message_type(Type::GENERAL | Type::VALIDATION | Type::PERFORMANCE)
        .pfn_user_callback(Some(on_message))
}

/// Called by the layer from whatever thread made the faulty call.
unsafe extern "system" fn on_message(
    severity: vk::DebugUtilsMessageSeverityFlagsEXT,
    kind: vk::DebugUtilsMessageTypeFlagsEXT,
    data: *const vk::DebugUtilsMessengerCallbackDataEXT<'_>,
    _user: *mut c_void,
) -> vk::Bool32 {
    // SAFETY: the specification has `data` point at a valid structure during the call, and its
    // strings be null or terminated (VkDebugUtilsMessengerCallbackDataEXT, valid usage).
    let (id, message) = unsafe {
        match data.as_ref() {
            Some(data) => (text(data.p_message_id_name), text(data.p_message)),
            None => return vk::FALSE,
        }
    };
    // The loader reports drivers that it can't load in the same way. That is not about this crate.
    let from_loader = kind == vk::DebugUtilsMessageTypeFlagsEXT::GENERAL && !id.contains("VUID");
    if from_loader || ALLOWED.iter().any(|(part, _)| id.contains(part) || message.contains(part)) {
        tracing::debug!(%id, %message, "allowed validation message");
        return vk::FALSE;
    }
    if severity.contains(vk::DebugUtilsMessageSeverityFlagsEXT::ERROR) {
        tracing::error!(%id, %message, "validation");
    } else {
        tracing::warn!(%id, %message, "validation");
    }
    lock().push(format!("{id}: {message}"));
    vk::FALSE
}

/// # Safety
///
/// `pointer` is null or points at a terminated string.
unsafe fn text(pointer: *const std::ffi::c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: not null, and terminated by the caller's promise.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}
