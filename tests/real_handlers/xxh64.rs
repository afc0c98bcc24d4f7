//! XXH64: the xxHash64 of a2 bytes from byte a1 of resource a0 on, with the seed a3 | a4 << 32. Twin of
//! `glsl/handlers/xxh64.comp`, held against the crate xxhash-rust.

use ringfence::protocol::SlotArgs;
use ringfence::runtime::Outcome;

use crate::support::{MODES, Random, assert_silent};
use crate::{arguments, bad_operand, hold, runtime};

const XXH64: u32 = 16;

const PRIME_1: u64 = 0x9E37_79B1_85EB_CA87;
const PRIME_2: u64 = 0xC2B2_AE3D_27D4_EB4F;
const PRIME_3: u64 = 0x1656_67B1_9E37_79F9;
const PRIME_4: u64 = 0x85EB_CA77_C2B2_AE63;
const PRIME_5: u64 = 0x27D4_EB2F_1656_67C5;

fn round_of(accumulator: u64, lane: u64) -> u64 {
    accumulator.wrapping_add(lane.wrapping_mul(PRIME_2)).rotate_left(31).wrapping_mul(PRIME_1)
}

fn merge(hash: u64, accumulator: u64) -> u64 {
    (hash ^ round_of(0, accumulator)).wrapping_mul(PRIME_1).wrapping_add(PRIME_4)
}

fn avalanche(mut hash: u64) -> u64 {
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(PRIME_2);
    hash ^= hash >> 29;
    hash = hash.wrapping_mul(PRIME_3);
    hash ^ hash >> 32
}

/// Result: the hash. Faults: no such resource (a0); an offset behind the end (a1); a length that runs past the end
/// (a2). Nothing has a hash, too, even at the very end.
fn execute(memory: Option<&[u8]>, args: &SlotArgs) -> Outcome {
    let [_, offset, bytes, seed_low, seed_high, ..] = *args;
    let seed = u64::from(seed_high) << 32 | u64::from(seed_low);
    let Some(memory) = memory else { return bad_operand(0) };
    let Some(rest) = memory.get(offset as usize..) else { return bad_operand(1) };
    let Some(range) = rest.get(..bytes as usize) else { return bad_operand(2) };

    let (stripes, mut rest) = range.as_chunks::<32>();
    let mut accumulators = [
        seed.wrapping_add(PRIME_1).wrapping_add(PRIME_2),
        seed.wrapping_add(PRIME_2),
        seed,
        seed.wrapping_sub(PRIME_1),
    ];
    for stripe in stripes {
        for (accumulator, lane) in accumulators.iter_mut().zip(stripe.as_chunks().0) {
            *accumulator = round_of(*accumulator, u64::from_le_bytes(*lane));
        }
    }

    let mut hash = seed.wrapping_add(PRIME_5);
    if !stripes.is_empty() {
        let [first, second, third, fourth] = accumulators;
        hash = first
            .rotate_left(1)
            .wrapping_add(second.rotate_left(7))
            .wrapping_add(third.rotate_left(12))
            .wrapping_add(fourth.rotate_left(18));
        hash = merge(merge(merge(merge(hash, first), second), third), fourth);
    }
    hash = hash.wrapping_add(bytes.into());
    while let Some((pair, behind)) = rest.split_first_chunk() {
        hash ^= round_of(0, u64::from_le_bytes(*pair));
        hash = hash.rotate_left(27).wrapping_mul(PRIME_1).wrapping_add(PRIME_4);
        rest = behind;
    }
    if let Some((word, behind)) = rest.split_first_chunk() {
        hash ^= u64::from(u32::from_le_bytes(*word)).wrapping_mul(PRIME_1);
        hash = hash.rotate_left(23).wrapping_mul(PRIME_2).wrapping_add(PRIME_3);
        rest = behind;
    }
    for byte in rest {
        hash ^= u64::from(*byte).wrapping_mul(PRIME_5);
        hash = hash.rotate_left(11).wrapping_mul(PRIME_1);
    }
    Outcome::Done(avalanche(hash))
}

const BYTES: u32 = 400_008;

fn memory() -> Vec<u32> {
    let mut random = Random(64);
    (0..BYTES / 4).map(|_| random.next()).collect()
}

/// Each length up to two turns and more, at each place in a word, and long ones.
fn ranges(random: &mut Random) -> Vec<[u32; 4]> {
    let mut ranges = Vec::new();
    for bytes in 0..300 {
        ranges.push([random.below(1000), bytes, random.next(), random.next()]);
    }
    for bytes in [0, 1, 3, 4, 7, 8, 31, 32, 33, 127, 128, 1023, 1024, 1056, 4095] {
        ranges.extend((0..4).map(|offset| [offset, bytes, 0, 0]));
        // Up to the very end.
        ranges.push([BYTES - bytes, bytes, 1, 0]);
    }
    for _ in 0..60 {
        let offset = random.below(BYTES);
        ranges.push([offset, random.below(BYTES - offset + 1), 0, random.next()]);
    }
    ranges.push([0, BYTES, u32::MAX, u32::MAX]);
    ranges
}

#[test]
fn the_twin_is_xxhash() {
    let memory = memory();
    let memory: &[u8] = bytemuck::cast_slice(&memory);
    for [offset, bytes, seed_low, seed_high] in ranges(&mut Random(5)) {
        let range = &memory[offset as usize..][..bytes as usize];
        let seed = u64::from(seed_high) << 32 | u64::from(seed_low);
        let args = arguments(&[0, offset, bytes, seed_low, seed_high]);
        let wanted = Outcome::Done(xxhash_rust::xxh64::xxh64(range, seed));
        assert_eq!(execute(Some(memory), &args), wanted, "{args:x?}");
    }
}

#[test]
fn hashes_are_as_the_twin_has_them() {
    let words = memory();
    let memory: &[u8] = bytemuck::cast_slice(&words);
    for mode in MODES {
        let runtime = runtime(mode, &["xxh64"]);
        let table = runtime.table(&words).expect("a table");
        let handle = table.handle();
        let mut cases = Vec::new();
        let mut case = |memory, given: &[u32]| {
            let args = arguments(given);
            cases.push((args, execute(memory, &args)));
        };
        for [offset, bytes, seed_low, seed_high] in ranges(&mut Random(5)) {
            case(Some(memory), &[handle, offset, bytes, seed_low, seed_high]);
        }
        case(None, &[handle + 1, 0, 32]);
        for (offset, bytes) in [(BYTES + 1, 0), (u32::MAX, 1), (0, BYTES + 1), (7, BYTES - 6), (8, u32::MAX)]
        {
            case(Some(memory), &[handle, offset, bytes]);
        }
        hold(&runtime, XXH64, &cases);
    }
    assert_silent();
}

/// More turns than a worker of lavapipe 22.3 has, many at once: each gives way again and again.
#[test]
fn long_ranges_give_way() {
    let words = memory();
    let memory: &[u8] = bytemuck::cast_slice(&words);
    for mode in MODES {
        let runtime = runtime(mode, &["xxh64"]);
        let table = runtime.table(&words).expect("a table");
        let mut random = Random(17);
        let case = |_| {
            let offset = random.below(64);
            let args = arguments(&[table.handle(), offset, BYTES - offset - random.below(64), random.next()]);
            (args, execute(Some(memory), &args))
        };
        let cases: Vec<_> = (0..120).map(case).collect();
        hold(&runtime, XXH64, &cases);
    }
    assert_silent();
}
