//! Subgroups, and the miscompiled loop (`glsl/probe/lanes.comp`).

use std::sync::atomic::Ordering::Relaxed;

use super::bench::Bench;
use super::report::Lanes;
use crate::vulkan::{Result, VulkanError};

/// Room for a subgroup in each part of the answer, as in the shader.
const LANES: u32 = 128;

pub(super) fn measure(bench: &mut Bench) -> Result<Lanes> {
    let table = bench.shared(u64::from(LANES), "probe: table")?;
    let ascending = bench.shared(u64::from(LANES), "probe: ascending")?;
    let answer = bench.shared(u64::from(4 * LANES), "probe: answer")?;
    let words = |buffer| mapped(buffer);
    let expected = |lane: u32| 3 * lane + 1;
    for buffer in [&table, &ascending] {
        for (lane, word) in (0..).zip(words(buffer)?) {
            word.store(expected(lane), Relaxed);
        }
    }
    let kernel = bench.kernel("probe_lanes", &[&table, &ascending, &answer])?;
    bench.run(&kernel, &[], 1)?;
    let answer = words(&answer)?;
    let load = |at: u32| answer.get(at as usize).map_or(0, |word| word.load(Relaxed));
    let size = load(0);
    let wrong = |part: u32| {
        let lanes = 0..bench.lanes().min(LANES);
        lanes.filter(|lane| load(part * LANES + lane) != expected(*lane)).count() as u32
    };
    Ok(Lanes {
        subgroup_size: size,
        one_full_subgroup: size == bench.lanes() && load(1) == 1 && load(2) == size,
        divergent_load_wrong: wrong(1),
        divergent_atomic_wrong: wrong(2),
        uniform_wrong: wrong(3),
    })
}

/// The words of a buffer that its role maps.
pub(super) fn mapped(buffer: &crate::vulkan::Buffer) -> Result<&[std::sync::atomic::AtomicU32]> {
    buffer.words().ok_or(VulkanError::InvalidArgument {
        what: "buffer",
        value: "not mapped".into(),
        fix: "use a role that the host can map",
    })
}
