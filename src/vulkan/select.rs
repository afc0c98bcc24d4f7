//! Which device to open.

use ash::vk;

use super::error::{Result, VulkanError};
use super::info::DeviceInfo;
use super::requirements::{self, Optional};

/// A device that meets the requirements.
pub(super) struct Candidate {
    pub(super) physical: vk::PhysicalDevice,
    pub(super) info: DeviceInfo,
    pub(super) optional: Optional,
}

/// The device that `wanted` names, by index or by a part of its name (of either case), or else the
/// best one: discrete before integrated before virtual before CPU, and the loader's order within.
pub(super) fn select(instance: &ash::Instance, wanted: Option<&str>) -> Result<Candidate> {
    // SAFETY: a valid instance.
    let all = unsafe { instance.enumerate_physical_devices() }
        .map_err(|r| VulkanError::call("vkEnumeratePhysicalDevices", r))?;
    let names: Vec<String> = all.iter().map(|&device| name(instance, device)).collect();
    let is_wanted = |index: usize| match wanted.map(|w| (w, w.parse::<usize>())) {
        None => true,
        Some((_, Ok(number))) => number == index,
        Some((part, Err(_))) => names[index].to_lowercase().contains(&part.to_lowercase()),
    };
    let mut refusal = None;
    let mut best: Option<Candidate> = None;
    for (index, &physical) in all.iter().enumerate().filter(|&(index, _)| is_wanted(index)) {
        match requirements::inspect(instance, physical, index) {
            Ok((info, optional)) => {
                if best.as_ref().is_none_or(|best| info.kind < best.info.kind) {
                    best = Some(Candidate { physical, info, optional });
                }
            }
            Err(error) => {
                tracing::debug!(device = names[index], %error, "device passed over");
                refusal.get_or_insert(error);
            }
        }
    }
    best.ok_or_else(|| {
        refusal.unwrap_or_else(|| VulkanError::NoDevice {
            wanted: wanted.map_or_else(|| "at all".into(), |w| format!("{w:?}")),
            available: list(&names),
        })
    })
}

fn name(instance: &ash::Instance, physical: vk::PhysicalDevice) -> String {
    // SAFETY: `physical` comes from `instance`.
    let properties = unsafe { instance.get_physical_device_properties(physical) };
    properties
        .device_name_as_c_str()
        .map_or_else(|_| String::from("?"), |name| name.to_string_lossy().into_owned())
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        return "none".into();
    }
    let lines: Vec<String> = names.iter().enumerate().map(|(i, n)| format!("{i}: {n}")).collect();
    lines.join(", ")
}
