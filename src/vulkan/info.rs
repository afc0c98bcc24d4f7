//! What a device says of itself.

use std::ffi::CStr;
use std::fmt;

use ash::vk;

/// The kind of a device, in the order of preference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeviceKind {
    /// A card with memory of its own.
    Discrete,
    /// Shares the host's memory.
    Integrated,
    /// A partition of a device, passed to a guest.
    Virtual,
    /// A driver that runs on the host's cores.
    Cpu,
    /// Anything else.
    Other,
}

impl From<vk::PhysicalDeviceType> for DeviceKind {
    fn from(kind: vk::PhysicalDeviceType) -> Self {
        match kind {
            vk::PhysicalDeviceType::DISCRETE_GPU => Self::Discrete,
            vk::PhysicalDeviceType::INTEGRATED_GPU => Self::Integrated,
            vk::PhysicalDeviceType::VIRTUAL_GPU => Self::Virtual,
            vk::PhysicalDeviceType::CPU => Self::Cpu,
            _ => Self::Other,
        }
    }
}

/// Names, limits and optional abilities of a device. Sizes are in bytes.
#[derive(Debug, Clone)]
pub struct DeviceInfo {
    /// The device's name.
    pub device_name: String,
    /// The driver's name, such as "llvmpipe".
    pub driver_name: String,
    /// The driver's own version line, such as "Mesa 22.3.6 (LLVM 15.0.6)".
    pub driver_info: String,
    /// Which driver it is.
    pub driver_id: vk::DriverId,
    /// The Vulkan version that the device implements, packed as Vulkan does.
    pub api_version: u32,
    /// The driver's version, in its own packing.
    pub driver_version: u32,
    /// What kind of device it is.
    pub kind: DeviceKind,
    /// Its memory is not the host's: mapped memory lies across a bus.
    pub discrete: bool,
    /// The device's UUID: which model of device, as this driver counts.
    pub device_uuid: [u8; 16],
    /// The driver's UUID: which build of the driver.
    pub driver_uuid: [u8; 16],
    /// Changes when a compiled pipeline of before can't be used any more.
    pub pipeline_cache_uuid: [u8; 16],
    /// Lanes of a subgroup where nothing else is asked for.
    pub subgroup_size: u32,
    /// Least and greatest size that can be pinned, where the device has subgroup size control.
    pub subgroup_size_range: Option<(u32, u32)>,
    /// Whether a pipeline may demand full subgroups.
    pub full_subgroups: bool,
    /// Whether shaders have 64-bit integers (`shaderInt64`).
    pub int64: bool,
    /// Most bytes of one storage buffer binding.
    pub max_storage_buffer_range: u32,
    /// Most workgroups of one dispatch, in x.
    pub max_workgroups: u32,
    /// Most invocations of one workgroup.
    pub max_workgroup_invocations: u32,
    /// Most bytes of push constants.
    pub max_push_constant_bytes: u32,
    /// How far a pending timeline value may be ahead of the present one.
    pub max_timeline_difference: u64,
    /// Alignment of address and length that imported host memory must have, where the device can
    /// import it (VK_EXT_external_memory_host).
    pub import_alignment: Option<u64>,
    /// Whether imported host memory is near the device, as where all memory is the host's. Otherwise it
    /// lies across a bus. None where the device can't import memory.
    pub import_device_local: Option<bool>,
    /// The index that the loader gives the device.
    pub index: usize,
}

impl DeviceInfo {
    /// A file-name-safe key that changes with the device, its driver or the driver's version.
    #[must_use]
    pub fn cache_key(&self) -> String {
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        format!("{}-{}-{:08x}", hex(&self.device_uuid), hex(&self.pipeline_cache_uuid), self.driver_version)
    }

    /// Whether the driver runs on the host's own cores.
    #[must_use]
    pub fn is_cpu(&self) -> bool {
        self.kind == DeviceKind::Cpu
    }
}

impl fmt::Display for DeviceInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}", self.device_name, self.driver_name)?;
        if !self.driver_info.is_empty() {
            write!(f, ", {}", self.driver_info)?;
        }
        f.write_str(")")
    }
}

/// Reads all of it. `extensions` are those that will be enabled.
pub(super) fn read(
    instance: &ash::Instance,
    physical: vk::PhysicalDevice,
    index: usize,
    import: bool,
    size_control: bool,
) -> DeviceInfo {
    let mut p11 = vk::PhysicalDeviceVulkan11Properties::default();
    let mut p12 = vk::PhysicalDeviceVulkan12Properties::default();
    let mut host = vk::PhysicalDeviceExternalMemoryHostPropertiesEXT::default();
    let mut size = vk::PhysicalDeviceSubgroupSizeControlProperties::default();
    let mut p = vk::PhysicalDeviceProperties2::default().push_next(&mut p11).push_next(&mut p12);
    if import {
        p = p.push_next(&mut host);
    }
    if size_control {
        p = p.push_next(&mut size);
    }
    // SAFETY: `physical` comes from `instance`; each structure of the chain is known to a device of
    // Vulkan 1.2 or belongs to an extension that the caller found there.
    unsafe { instance.get_physical_device_properties2(physical, &mut p) };
    let v1 = p.properties;
    let mut f_size = vk::PhysicalDeviceSubgroupSizeControlFeatures::default();
    let mut f = vk::PhysicalDeviceFeatures2::default();
    if size_control {
        f = f.push_next(&mut f_size);
    }
    // SAFETY: as above.
    unsafe { instance.get_physical_device_features2(physical, &mut f) };
    let int64 = f.features.shader_int64 == vk::TRUE;
    let pinnable = f_size.subgroup_size_control == vk::TRUE
        && size.required_subgroup_size_stages.contains(vk::ShaderStageFlags::COMPUTE);
    let kind = DeviceKind::from(v1.device_type);
    DeviceInfo {
        device_name: text(v1.device_name_as_c_str()),
        driver_name: text(p12.driver_name_as_c_str()),
        driver_info: text(p12.driver_info_as_c_str()),
        driver_id: p12.driver_id,
        api_version: v1.api_version,
        driver_version: v1.driver_version,
        kind,
        discrete: kind == DeviceKind::Discrete
            || kind == DeviceKind::Virtual && !all_host_visible(instance, physical),
        device_uuid: p11.device_uuid,
        driver_uuid: p11.driver_uuid,
        pipeline_cache_uuid: v1.pipeline_cache_uuid,
        subgroup_size: p11.subgroup_size,
        subgroup_size_range: pinnable.then_some((size.min_subgroup_size, size.max_subgroup_size)),
        full_subgroups: f_size.compute_full_subgroups == vk::TRUE,
        int64,
        max_storage_buffer_range: v1.limits.max_storage_buffer_range,
        max_workgroups: v1.limits.max_compute_work_group_count[0],
        max_workgroup_invocations: v1.limits.max_compute_work_group_invocations,
        max_push_constant_bytes: v1.limits.max_push_constants_size,
        max_timeline_difference: p12.max_timeline_semaphore_value_difference,
        import_alignment: import.then_some(host.min_imported_host_pointer_alignment),
        // Asked of the open device.
        import_device_local: None,
        index,
    }
}

fn text(name: Result<&CStr, std::ffi::FromBytesUntilNulError>) -> String {
    name.map_or_else(|_| String::from("?"), |name| name.to_string_lossy().into_owned())
}

/// Whether every heap of the device is one that the host can map in place.
fn all_host_visible(instance: &ash::Instance, physical: vk::PhysicalDevice) -> bool {
    // SAFETY: `physical` comes from `instance`.
    let memory = unsafe { instance.get_physical_device_memory_properties(physical) };
    memory
        .memory_types_as_slice()
        .iter()
        .filter(|t| t.property_flags.contains(vk::MemoryPropertyFlags::DEVICE_LOCAL))
        .all(|t| t.property_flags.contains(vk::MemoryPropertyFlags::HOST_VISIBLE))
}
