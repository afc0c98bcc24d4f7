//! What a device must have, and what it may have.

use ash::{ext, vk};

use super::error::{Result, VulkanError};
use super::info::{self, DeviceInfo};
use super::instance::has;

/// Subgroup operations that the kernels use.
const SUBGROUP_OPERATIONS: &[(vk::SubgroupFeatureFlags, &str)] = &[
    (vk::SubgroupFeatureFlags::BASIC, "basic"),
    (vk::SubgroupFeatureFlags::VOTE, "vote"),
    (vk::SubgroupFeatureFlags::ARITHMETIC, "arithmetic"),
    (vk::SubgroupFeatureFlags::BALLOT, "ballot"),
    (vk::SubgroupFeatureFlags::SHUFFLE, "shuffle"),
];

/// The extensions that are used where the device has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Optional {
    /// VK_EXT_external_memory_host.
    pub(super) import: bool,
    /// VK_EXT_subgroup_size_control.
    pub(super) size_control: bool,
}

impl Optional {
    pub(super) fn of(instance: &ash::Instance, physical: vk::PhysicalDevice) -> Result<Self> {
        // SAFETY: `physical` comes from `instance`.
        let list = unsafe { instance.enumerate_device_extension_properties(physical) }
            .map_err(|r| VulkanError::call("vkEnumerateDeviceExtensionProperties", r))?;
        Ok(Self {
            import: has(&list, ext::external_memory_host::NAME),
            size_control: has(&list, ext::subgroup_size_control::NAME),
        })
    }
}

/// Fails with the first thing that `physical` lacks.
pub(super) fn check(instance: &ash::Instance, physical: vk::PhysicalDevice, info: &DeviceInfo) -> Result<()> {
    let demand = |there: bool, feature: &str| match there {
        true => Ok(()),
        false => Err(VulkanError::Missing { feature: feature.to_owned(), device: info.to_string() }),
    };
    demand(info.api_version >= vk::API_VERSION_1_2, "Vulkan 1.2")?;
    let mut f12 = vk::PhysicalDeviceVulkan12Features::default();
    let mut features = vk::PhysicalDeviceFeatures2::default().push_next(&mut f12);
    // SAFETY: `physical` comes from `instance` and knows the structures of Vulkan 1.2.
    unsafe { instance.get_physical_device_features2(physical, &mut features) };
    demand(f12.timeline_semaphore == vk::TRUE, "timelineSemaphore")?;
    demand(f12.vulkan_memory_model == vk::TRUE, "vulkanMemoryModel")?;
    demand(f12.vulkan_memory_model_device_scope == vk::TRUE, "vulkanMemoryModelDeviceScope")?;
    demand(f12.buffer_device_address == vk::TRUE, "bufferDeviceAddress")?;
    let mut p11 = vk::PhysicalDeviceVulkan11Properties::default();
    let mut properties = vk::PhysicalDeviceProperties2::default().push_next(&mut p11);
    // SAFETY: as above.
    unsafe { instance.get_physical_device_properties2(physical, &mut properties) };
    let (stages, operations) = (p11.subgroup_supported_stages, p11.subgroup_supported_operations);
    demand(stages.contains(vk::ShaderStageFlags::COMPUTE), "subgroups in compute shaders")?;
    for &(operation, name) in SUBGROUP_OPERATIONS {
        demand(operations.contains(operation), &format!("subgroup operations: {name}"))?;
    }
    demand(queue_family(instance, physical).is_some(), "queue family with compute")
}

/// The version of a device before anything else is asked of it: older ones don't know the
/// structures that [`info::read`] passes.
pub(super) fn too_old(instance: &ash::Instance, physical: vk::PhysicalDevice) -> Option<VulkanError> {
    // SAFETY: `physical` comes from `instance`.
    let p = unsafe { instance.get_physical_device_properties(physical) };
    (p.api_version < vk::API_VERSION_1_2).then(|| VulkanError::Missing {
        feature: "Vulkan 1.2".into(),
        device: p
            .device_name_as_c_str()
            .map_or_else(|_| "the device".into(), |n| n.to_string_lossy().into_owned()),
    })
}

/// The queue family to use: one that does compute but no graphics, which the desktop does not share,
/// else the first that does compute.
pub(super) fn queue_family(instance: &ash::Instance, physical: vk::PhysicalDevice) -> Option<u32> {
    // SAFETY: `physical` comes from `instance`.
    let families = unsafe { instance.get_physical_device_queue_family_properties(physical) };
    let find = |wanted: vk::QueueFlags, unwanted: vk::QueueFlags| {
        families.iter().position(|family| {
            family.queue_count > 0
                && family.queue_flags.contains(wanted)
                && !family.queue_flags.intersects(unwanted)
        })
    };
    let compute = vk::QueueFlags::COMPUTE;
    find(compute, vk::QueueFlags::GRAPHICS)
        .or_else(|| find(compute, vk::QueueFlags::empty()))
        .and_then(|index| u32::try_from(index).ok())
}

/// Reads and checks in one go.
pub(super) fn inspect(
    instance: &ash::Instance,
    physical: vk::PhysicalDevice,
    index: usize,
) -> Result<(DeviceInfo, Optional)> {
    if let Some(error) = too_old(instance, physical) {
        return Err(error);
    }
    let optional = Optional::of(instance, physical)?;
    let info = info::read(instance, physical, index, optional.import, optional.size_control);
    check(instance, physical, &info)?;
    Ok((info, optional))
}
