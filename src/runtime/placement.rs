//! Where slots read the data that storage brings.

use std::sync::Arc;

use super::error::RuntimeError;
use crate::probe;
use crate::vulkan::Gpu;

/// Where slots are to read the data that storage brings: on a device with memory of its own, what is
/// imported lies across a bus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Placement {
    /// In place where that is near the device, else what the probe measured to be faster for one pass.
    #[default]
    Auto,
    /// Where it arrived.
    InPlace,
    /// In memory near the device ([`Runtime::local`](super::Runtime::local)), to which the caller has the
    /// kernel copy it first, with COPY_RANGE.
    Copied,
}

impl Placement {
    /// The same for memory of which it is known whether it is near the device; never `Auto`. `measured` is
    /// what the probe found, if it was asked already.
    pub(super) fn resolve(
        self,
        gpu: &Arc<Gpu>,
        device_local: bool,
        measured: Option<&probe::ProbeReport>,
    ) -> Result<Self, RuntimeError> {
        if self != Self::Auto {
            return Ok(self);
        }
        if device_local {
            return Ok(Self::InPlace);
        }
        let choice = match measured {
            Some(report) => report.placement.as_ref().map(|placement| placement.choice),
            None => probe::Probe::cached_or_run(gpu)?.placement.map(|placement| placement.choice),
        };
        Ok(match choice {
            Some(probe::Placement::Copied) => Self::Copied,
            Some(probe::Placement::InPlace) | None => Self::InPlace,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gpu() -> Arc<Gpu> {
        Gpu::open(&Default::default()).expect("a Vulkan 1.2 device")
    }

    #[test]
    fn the_callers_choice_counts_then_what_was_measured() {
        use Placement::{Auto, Copied, InPlace};
        let gpu = gpu();
        let measured = |choice: Option<probe::Placement>| {
            let found = choice.map(|choice| probe::PlacementReport {
                bytes: 1,
                in_place: 1,
                copied: 1,
                again: 1,
                pays_from: None,
                choice,
            });
            let mut report = probe::Probe::cached_or_run(&gpu).expect("the probe ends");
            report.placement = found;
            report
        };
        let [nothing, in_place, copied] =
            [None, Some(probe::Placement::InPlace), Some(probe::Placement::Copied)].map(measured);
        let cases = [
            (InPlace, false, &copied, InPlace),
            (Copied, true, &nothing, Copied),
            (Auto, true, &copied, InPlace),
            (Auto, false, &copied, Copied),
            (Auto, false, &in_place, InPlace),
            (Auto, false, &nothing, InPlace),
        ];
        for (asked, device_local, report, wanted) in cases {
            let got = asked.resolve(&gpu, device_local, Some(report)).expect("resolved");
            assert_eq!(got, wanted, "{asked:?}, device-local {device_local}, {:?}", report.placement);
        }
    }
}
