//! The loader, the instance and, with validation, its messenger.

use std::ffi::CStr;

use ash::{ext, vk};

use super::error::{Result, VulkanError};
use super::validation::{self, Level};

/// An instance with what hangs on it.
pub(super) struct Instance {
    pub(super) entry: ash::Entry,
    pub(super) raw: ash::Instance,
    messenger: Option<(ext::debug_utils::Instance, vk::DebugUtilsMessengerEXT)>,
    pub(super) validation: Level,
    /// False for a caller's instance, which is not ours to destroy.
    owned: bool,
}

impl Instance {
    /// Loads the loader and makes an instance for Vulkan 1.2.
    pub(super) fn create(validate: bool) -> Result<Self> {
        // SAFETY: loading the system's Vulkan loader runs its initialisers, which is what having it
        // installed means. It stays loaded as long as `entry` lives.
        let entry = unsafe { ash::Entry::load() }
            .map_err(|error| VulkanError::NoLoader { reason: error.to_string() })?;
        // SAFETY: the loader is loaded. A loader of Vulkan 1.0 lacks the call.
        let version = unsafe { entry.try_enumerate_instance_version() };
        if !matches!(version, Ok(Some(version)) if version >= vk::API_VERSION_1_1) {
            return Err(VulkanError::NoLoader { reason: "the one installed is for Vulkan 1.0".into() });
        }
        let level = Level::choose(validate);
        let app = vk::ApplicationInfo::default()
            .application_name(c"ringfence")
            .engine_name(c"ringfence")
            .api_version(vk::API_VERSION_1_2);
        let mut info = vk::InstanceCreateInfo::default().application_info(&app);
        let layers = [validation::LAYER.as_ptr()];
        let extensions = [ext::debug_utils::NAME.as_ptr(), ext::validation_features::NAME.as_ptr()];
        let mut messenger = validation::messenger();
        let mut features =
            vk::ValidationFeaturesEXT::default().enabled_validation_features(validation::features(level));
        if level != Level::Off {
            require_layer(&entry)?;
            info = info
                .enabled_layer_names(&layers)
                .enabled_extension_names(&extensions)
                .push_next(&mut messenger)
                .push_next(&mut features);
        }
        // SAFETY: `info` and its chain live until the call returns.
        let raw = match unsafe { entry.create_instance(&info, None) } {
            Ok(raw) => raw,
            Err(vk::Result::ERROR_INCOMPATIBLE_DRIVER) => {
                return Err(VulkanError::NoDevice {
                    wanted: "at all".into(),
                    available: "none, no driver is installed".into(),
                });
            }
            Err(result) => return Err(VulkanError::call("vkCreateInstance", result)),
        };
        let mut instance = Self { entry, raw, messenger: None, validation: level, owned: true };
        if level != Level::Off {
            let utils = ext::debug_utils::Instance::new(&instance.entry, &instance.raw);
            // SAFETY: the instance has the extension; the callback is a static function.
            let raw = unsafe { utils.create_debug_utils_messenger(&validation::messenger(), None) }
                .map_err(|r| VulkanError::call("vkCreateDebugUtilsMessengerEXT", r))?;
            instance.messenger = Some((utils, raw));
        }
        Ok(instance)
    }

    /// A caller's instance, never destroyed here.
    pub(super) fn adopt(entry: ash::Entry, raw: ash::Instance) -> Self {
        Self { entry, raw, messenger: None, validation: Level::Off, owned: false }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // SAFETY: `Gpu` drops its device, the last thing made from this instance, before this.
        unsafe {
            if let Some((utils, messenger)) = self.messenger.take() {
                utils.destroy_debug_utils_messenger(messenger, None);
            }
            if self.owned {
                self.raw.destroy_instance(None);
            }
        }
    }
}

fn require_layer(entry: &ash::Entry) -> Result<()> {
    // SAFETY: the loader is loaded.
    let layers = unsafe { entry.enumerate_instance_layer_properties() }
        .map_err(|r| VulkanError::call("vkEnumerateInstanceLayerProperties", r))?;
    let ours = |layer: &vk::LayerProperties| layer.layer_name_as_c_str() == Ok(validation::LAYER);
    match layers.iter().any(ours) {
        true => Ok(()),
        false => Err(VulkanError::NoValidationLayer),
    }
}

/// Whether a list of extensions has this one.
pub(super) fn has(extensions: &[vk::ExtensionProperties], name: &CStr) -> bool {
    extensions.iter().any(|e| e.extension_name_as_c_str() == Ok(name))
}
