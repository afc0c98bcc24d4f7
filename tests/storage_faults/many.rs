//! More requests than there is room for.

use ringfence::descriptor::{EncodeSlot as _, SlotDescriptor};
use ringfence::protocol::fault::DETAIL_PRIORITY;
use ringfence::protocol::{FaultCode, PRIORITY_NORMAL, PRIORITY_WORD};
use ringfence::runtime::Outcome;

use crate::support::PATIENCE;
use crate::support::storage::{Rig, Setup, ended, file, image, image_of, load, noise, prefetch};

/// Ten thousand requests published at once, for the 64 places of the request ring. What a fence stands
/// behind has been answered when it ends.
#[test]
fn ten_thousand_requests_share_64_places() {
    const REQUESTS: usize = 10_000;
    const BYTES: usize = 512;
    const BETWEEN_FENCES: usize = 500;
    let bytes = noise(4 << 20);
    let offset = |i: usize| (i * 7919) % (bytes.len() - BYTES);
    Rig::each(Setup { slots: 16_384, ..Setup::default() }, |rig| {
        let source = rig.runtime.register_file(file(&bytes), &Default::default()).expect("a handle");
        let memory = rig.runtime.memory(REQUESTS * BYTES).expect("memory");
        let (mut loads, mut fences) = (Vec::new(), Vec::new());
        for i in 0..REQUESTS {
            let at = (i * BYTES) as u32;
            let (offset, bytes) = (offset(i) as u64, BYTES as u32);
            let slot = if i % 3 == 0 { prefetch } else { load }(&source, offset, bytes, &memory, at);
            loads.push(rig.submit(&slot));
            if (i + 1) % BETWEEN_FENCES == 0 {
                fences.push(rig.submit(&SlotDescriptor::io_fence()));
            }
        }
        for (fence, first) in fences.iter().zip((0..).step_by(BETWEEN_FENCES)) {
            assert_eq!(ended(fence), Ok(0), "{rig}");
            let behind = first..first + BETWEEN_FENCES;
            let got = image_of(&memory, behind.start * BYTES..behind.end * BYTES);
            let missing: Vec<usize> = behind
                .filter(|i| got[(i - first) * BYTES..][..BYTES] != bytes[offset(*i)..][..BYTES])
                .collect();
            assert_eq!(missing, [0usize; 0], "{rig}: behind the fence of {first}");
        }
        for (i, load) in loads.iter().enumerate() {
            assert_eq!(ended(load), Ok(if i % 3 == 0 { 0 } else { BYTES as u64 }), "{rig}: {i}");
        }
    });
}

/// What will never ask is not waited for: here slots of a priority that there is not.
#[test]
fn a_fence_is_not_held_by_slots_that_end_without_asking() {
    let bytes = noise(4096);
    Rig::each(Setup::default(), |rig| {
        let source = rig.runtime.register_file(file(&bytes), &Default::default()).expect("a handle");
        let memory = rig.runtime.memory(4096).expect("memory");
        let mut ring = rig.runtime.ring(300).expect("a ring");
        let encode = |slot: &SlotDescriptor, level| {
            let mut words = slot.encode().expect("a slot");
            words[PRIORITY_WORD as usize] = level;
            words
        };
        for i in 0..100u32 {
            let slots = [
                (load(&source, 0, 16, &memory, 16 * i), 9),
                (prefetch(&source, 0, 16, &memory, 16 * i), u32::MAX),
                (SlotDescriptor::io_fence(), if i % 2 == 0 { PRIORITY_NORMAL } else { 5 }),
            ];
            for (kind, (slot, level)) in slots.iter().enumerate() {
                ring.push(&encode(slot, *level), u64::from(*level) << 8 | kind as u64).expect("room");
            }
        }
        ring.flush().expect("open");
        while ring.in_flight() > 0 {
            let count = ring.wait(PATIENCE, |user, outcome| {
                let fault = Outcome::Fault { code: FaultCode::BadOperand.code(), detail: DETAIL_PRIORITY };
                let want = if user >> 8 == u64::from(PRIORITY_NORMAL) { Outcome::Done(0) } else { fault };
                assert_eq!(outcome, want, "{rig}: {user:x}");
            });
            assert!(count.expect("well") > 0, "{rig}: {} left", ring.in_flight());
        }
        assert_eq!(image(&memory), [0; 4096], "{rig}");
    });
}
