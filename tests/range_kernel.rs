//! CRC32C, SUM_WORDS and COPY_RANGE on the device, in both modes, beyond their tables of cases: ranges
//! drawn at random, slots as dear as they come, bytes of files, and modules with other families or without
//! this one.

mod support;

use std::fs::File;
use std::sync::atomic::Ordering;

use ringfence::descriptor::{BatchDescriptor, BuiltinOpcode, PackedOpDescriptor, SlotDescriptor};
use ringfence::protocol::opcode::*;
use ringfence::protocol::{FaultCode, LoadMiss, OBSERVABLE_BASE};
use ringfence::runtime::{Completion, FileOptions, Mode, Resource, Runtime, RuntimeError, StorageOptions};
use ringfence::twin::crc32c::crc32c;
use support::{MODES, PATIENCE, Random, assert_silent, builder};

/// A length up to `most`, most often a short one.
fn length(random: &mut Random, most: u32) -> u32 {
    let scale = [20, 150, 3000, most][random.below(4) as usize];
    random.below(scale.min(most) + 1)
}

fn runtime(mode: Mode) -> Runtime {
    builder(mode).opcodes(&[CRC32C, SUM_WORDS, COPY_RANGE]).build().expect("a runtime with the range family")
}

fn bytes_of(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn sum_of(words: &[u32]) -> u64 {
    words.iter().fold(0u32, |sum, word| sum.wrapping_add(*word)).into()
}

fn held(output: &Resource) -> Vec<u32> {
    output.words().expect("mapped").iter().map(|word| word.load(Ordering::Acquire)).collect()
}

/// How slots ended that were all on their way at once.
fn run(runtime: &Runtime, slots: &[SlotDescriptor]) -> Vec<Result<u64, (FaultCode, u16)>> {
    let jobs: Vec<_> = slots.iter().map(|slot| runtime.submit(slot).expect("accepted")).collect();
    let ended = |completion: Completion| match completion.fault() {
        Some(fault) => Err(fault),
        None => Ok(completion.result().expect("not a fault")),
    };
    jobs.into_iter().map(|job| ended(job.wait_timeout(PATIENCE).expect("well").expect("in time"))).collect()
}

#[test]
fn random_ranges_equal_the_twins() {
    for mode in MODES {
        let runtime = runtime(mode);
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        let words: Vec<u32> = (0..30_000).map(|_| random.next()).collect();
        let bytes = bytes_of(&words);
        let table = runtime.table(&words).expect("a table");
        let output = runtime.output(30_000).expect("an output");
        let mut copied = vec![0; 30_000];
        let size = bytes.len() as u32;
        for round in 0..60 {
            let mut slots = Vec::new();
            let mut wanted = Vec::new();
            // Copies of one round stay within pieces of their own.
            for piece in 0..10 {
                let from = [random.below(70), random.below(size)][random.below(2) as usize];
                let count = length(&mut random, size - from);
                let start = random.next();
                slots.push(SlotDescriptor::crc32c(table.handle(), from, count, start));
                wanted.push(Ok(crc32c(start, bytes[from as usize..][..count as usize].to_vec()).into()));

                let (from, count) = (from & !3, count & !3);
                slots.push(SlotDescriptor::sum_words(table.handle(), from, count));
                let range = &words[from as usize / 4..][..count as usize / 4];
                wanted.push(Ok(sum_of(range)));

                let at = 3000 * piece + random.below(64);
                let range = &range[..range.len().min(2900)];
                let count = 4 * range.len() as u32;
                slots.push(SlotDescriptor::copy_range(
                    (table.handle(), from),
                    (output.handle(), 4 * at),
                    count,
                ));
                copied[at as usize..][..range.len()].copy_from_slice(range);
                wanted.push(Ok(count.into()));
            }
            assert_eq!(run(&runtime, &slots), wanted, "{mode}, round {round}");
            assert_eq!(held(&output), copied, "{mode}, round {round}");
        }
    }
    assert_silent();
}

/// Within one output: a copy that overlaps is a fault and changes nothing.
#[test]
fn copies_within_an_output_never_overlap() {
    for mode in MODES {
        let runtime = runtime(mode);
        let mut random = Random(7);
        let table: Vec<u32> = (1..=400).collect();
        let source = runtime.table(&table).expect("a table");
        let output = runtime.output(400).expect("an output");
        let handle = output.handle();
        let mut words = table;
        assert_eq!(
            run(&runtime, &[SlotDescriptor::copy_range((source.handle(), 0), (handle, 0), 1600)]),
            [Ok(1600)]
        );
        for _ in 0..300 {
            let count = random.below(120) as usize;
            let (from, to) = (random.below(280) as usize, random.below(280) as usize);
            let copy = |n: usize| 4 * n as u32;
            let slot = SlotDescriptor::copy_range((handle, copy(from)), (handle, copy(to)), copy(count));
            let wanted = if from.abs_diff(to) < count {
                Err((FaultCode::BadOperand, 3))
            } else {
                words.copy_within(from..from + count, to);
                Ok(copy(count).into())
            };
            assert_eq!(run(&runtime, &[slot]), [wanted], "{mode}: {count} words from {from} to {to}");
            assert_eq!(held(&output), words, "{mode}: {count} words from {from} to {to}");
        }
    }
    assert_silent();
}

/// The most that slots can cost in loop turns, one after the other without a pause, with cheap ones
/// between. lavapipe 22.3 would end their loops early without a word.
#[test]
fn the_dearest_slots_are_whole() {
    const MOST: u32 = RANGE_MAX_BYTES;
    for mode in MODES {
        let runtime = runtime(mode);
        let mut random = Random(0xDEAD_BEEF);
        let words: Vec<u32> = (0..MOST / 4 + 4).map(|_| random.next()).collect();
        let bytes = bytes_of(&words);
        let table = runtime.table(&words).expect("a table");
        let output = runtime.output(MOST / 4 + 4).expect("an output");
        // From byte 1 on there are bytes before the first whole word, and more behind the last turn.
        let long = |start| SlotDescriptor::crc32c(table.handle(), 1, MOST, start);
        let sum = SlotDescriptor::sum_words(table.handle(), 4, MOST);
        let copy = SlotDescriptor::copy_range((table.handle(), 4), (output.handle(), 8), MOST);
        let short = SlotDescriptor::crc32c(table.handle(), 0, 16, 0);
        let crc = |start| u64::from(crc32c(start, bytes[1..=MOST as usize].to_vec()));
        let wanted_short = u64::from(crc32c(0, bytes[..16].to_vec()));
        let (zero, one) = (crc(0), crc(1));
        for round in 0..3 {
            let mut slots = Vec::new();
            let mut wanted = Vec::new();
            for i in 0..20 {
                slots.extend([long(i % 2), sum.clone(), copy.clone(), short.clone(), short.clone()]);
                wanted.extend([
                    Ok(if i % 2 == 0 { zero } else { one }),
                    Ok(sum_of(&words[1..=MOST as usize / 4])),
                    Ok(MOST.into()),
                    Ok(wanted_short),
                    Ok(wanted_short),
                ]);
            }
            assert_eq!(run(&runtime, &slots), wanted, "{mode}, round {round}");
        }
        assert_eq!(held(&output)[2..][..MOST as usize / 4], words[1..=MOST as usize / 4], "{mode}");
    }
    assert_silent();
}

/// Every number of turns: those that the lanes divide evenly, and all between.
#[test]
fn every_short_length_is_right_at_every_alignment() {
    let runtime = runtime(Mode::Epoch);
    let mut random = Random(3);
    let words: Vec<u32> = (0..300).map(|_| random.next()).collect();
    let bytes = bytes_of(&words);
    let table = runtime.table(&words).expect("a table");
    for offset in 0..4u32 {
        let slots: Vec<_> = (0..600).map(|n| SlotDescriptor::crc32c(table.handle(), offset, n, 0)).collect();
        let wanted: Vec<_> =
            (0..600).map(|n| Ok(crc32c(0, bytes[offset as usize..][..n].to_vec()).into())).collect();
        for (slots, wanted) in slots.chunks(100).zip(wanted.chunks(100)) {
            assert_eq!(run(&runtime, slots), wanted, "offset {offset}");
        }
    }
    assert_silent();
}

#[test]
fn local_memory_has_words() {
    let runtime = runtime(Mode::Epoch);
    for bytes in [0, 1, 6, 1 << 34, u64::MAX] {
        let refused = runtime.local(bytes).err();
        assert!(
            matches!(refused, Some(RuntimeError::BadOption { value, .. }) if value == bytes),
            "{refused:?}"
        );
    }
    let small = runtime.local(4).expect("a word");
    assert_eq!(run(&runtime, &[SlotDescriptor::sum_words(small.handle(), 0, 4)]), [Ok(0)]);
    assert_silent();
}

/// What storage brought is there for the slots that are published after it.
#[test]
fn the_bytes_of_a_file_are_checked_where_they_arrived() {
    const SIZE: u32 = 600_000;
    let mut random = Random(11);
    let words: Vec<u32> = (0..SIZE / 4).map(|_| random.next()).collect();
    let bytes = bytes_of(&words);
    // With little else, with more, and memory that the CPU fills.
    let range = &[CRC32C, SUM_WORDS, COPY_RANGE][..];
    let ways = [(range, true), (&[CRC32C, SUM_WORDS, COPY_RANGE, SCAN], true), (range, false)];
    for (mode, (opcodes, import)) in MODES.into_iter().flat_map(|mode| ways.map(|way| (mode, way))) {
        let runtime = builder(mode)
            .opcodes(opcodes)
            .storage(StorageOptions::default())
            .without_import(!import)
            .build()
            .expect("a runtime with storage");
        let file = tempfile(&bytes);
        let file = runtime.register_file(file, &FileOptions::default()).expect("a handle");
        let memory = runtime.memory(SIZE as usize).expect("memory");
        let output = runtime.output(SIZE / 4).expect("an output");
        let load = SlotDescriptor::load_miss(&LoadMiss {
            resource_id: file.handle(),
            prefetch: false,
            byte_offset: 0,
            byte_count: SIZE,
            dst_handle: memory.handle(),
            dst_offset: 0,
        });
        assert_eq!(run(&runtime, &[load]), [Ok(SIZE.into())], "{mode}");

        let cut = RANGE_MAX_BYTES;
        let first = crc32c(0, bytes[..cut as usize].to_vec());
        let source = |at| (memory.handle(), at);
        let slots = [
            SlotDescriptor::crc32c(memory.handle(), 0, cut, 0),
            SlotDescriptor::crc32c(memory.handle(), cut, SIZE - cut, first),
            SlotDescriptor::sum_words(memory.handle(), 0, cut),
            SlotDescriptor::copy_range(source(0), (output.handle(), 0), cut),
            SlotDescriptor::copy_range(source(cut), (output.handle(), cut), SIZE - cut),
        ];
        let wanted = [
            Ok(first.into()),
            Ok(crc32c(0, bytes.clone()).into()),
            Ok(sum_of(&words[..cut as usize / 4])),
            Ok(cut.into()),
            Ok((SIZE - cut).into()),
        ];
        assert_eq!(run(&runtime, &slots), wanted, "{mode}");
        assert_eq!(held(&output), words, "{mode}");

        // The same near the device, where slots have copied it.
        let local = runtime.local(SIZE.into()).expect("local memory");
        assert_eq!(run(&runtime, &[SlotDescriptor::sum_words(local.handle(), 0, cut)]), [Ok(0)], "{mode}");
        let copies = [
            SlotDescriptor::copy_range(source(0), (local.handle(), 0), cut),
            SlotDescriptor::copy_range(source(cut), (local.handle(), cut), SIZE - cut),
        ];
        assert_eq!(run(&runtime, &copies), wanted[3..], "{mode}");
        let sums = [
            SlotDescriptor::crc32c(local.handle(), 0, cut, 0),
            SlotDescriptor::crc32c(local.handle(), cut, SIZE - cut, first),
            SlotDescriptor::sum_words(local.handle(), 0, cut),
        ];
        assert_eq!(run(&runtime, &sums), wanted[..3], "{mode}");
    }
    assert_silent();
}

/// An unnamed file with these bytes.
fn tempfile(bytes: &[u8]) -> File {
    let path = std::env::temp_dir().join(format!("ringfence-range-{}", std::process::id()));
    std::fs::write(&path, bytes).expect("room");
    let file = File::open(&path).expect("a file");
    std::fs::remove_file(path).expect("removable");
    file
}

#[test]
fn a_kernel_has_the_opcodes_that_were_asked_for() {
    let unknown = Err((FaultCode::UnknownOpcode, 0));
    let bad = Err((FaultCode::BadOperand, 0));
    for mode in MODES {
        for opcodes in [&[][..], &[SCAN], &[SUM_WORDS], &[CRC32C, SCAN], &[COPY_RANGE, SUM_WORDS]] {
            let of = |opcode| if opcodes.contains(&opcode) { bad } else { unknown };
            let runtime = builder(mode).opcodes(opcodes).build().expect("a runtime");
            let no_handle = [99; 12];
            let scan = SlotDescriptor::single(ringfence::descriptor::BuiltinOpcode::Scan, &no_handle);
            let slots = [
                SlotDescriptor::crc32c(99, 0, 0, 0),
                SlotDescriptor::sum_words(99, 0, 0),
                SlotDescriptor::copy_range((99, 0), (99, 0), 0),
                scan.expect("twelve arguments"),
                SlotDescriptor::nop(),
            ];
            let wanted = [of(CRC32C), of(SUM_WORDS), of(COPY_RANGE), of(SCAN), Ok(0)];
            assert_eq!(run(&runtime, &slots), wanted, "{mode}: {opcodes:x?}");
            let table = runtime.table(&[0x3433_3231, 0x3837_3635, 0x39]).expect("a table");
            let crc = run(&runtime, &[SlotDescriptor::crc32c(table.handle(), 0, 9, 0)]);
            let wanted = if of(CRC32C) == bad { Ok(0xE306_9283) } else { unknown };
            assert_eq!(crc, [wanted], "{mode}: {opcodes:x?}");
        }
    }
    assert_silent();
}

#[test]
fn a_kernel_has_only_the_opcodes_that_were_asked_for() {
    let at = OBSERVABLE_BASE + 1;
    let packed = SlotDescriptor::packed(vec![
        PackedOpDescriptor::new(BuiltinOpcode::StoreU32, &[7, at]),
        PackedOpDescriptor::new(BuiltinOpcode::AtomicAdd, &[1, at]),
    ]);
    let unknown = Err((FaultCode::UnknownOpcode, 0));
    for mode in MODES {
        let sets: [&[u32]; 6] = [
            &[],
            &[STORE_U32],
            &[STORE_U32, LOAD_U32, ATOMIC_ADD],
            &[PACKED_SLOT, STORE_U32],
            &[PACKED_SLOT, STORE_U32, ATOMIC_ADD],
            &[MEMCPY, COMPARE_SWAP, PRINTF, DFA_STEP],
        ];
        for opcodes in sets {
            let runtime = builder(mode).only_opcodes(opcodes).build().expect("a runtime");
            let table = runtime.table(&[0; 256]).expect("a table");
            let has = |opcode| opcodes.contains(&opcode);
            let slots = [
                (NOP, SlotDescriptor::nop(), 0),
                (STORE_U32, SlotDescriptor::store_u32(5, at), 0),
                (LOAD_U32, SlotDescriptor::load_u32(at, 0), 5),
                (ATOMIC_ADD, SlotDescriptor::atomic_add(2, at + 1), 0),
                (COMPARE_SWAP, SlotDescriptor::compare_swap(at + 2, 0, 9, 0), 0),
                (MEMCPY, SlotDescriptor::memcpy(at, at + 4, 2), 2),
                (DFA_STEP, SlotDescriptor::dfa_step(0, 0, table.handle(), 0), 0),
                (PRINTF, SlotDescriptor::printf(1, [2, 3, 4]), 1),
            ];
            for (opcode, slot, result) in slots {
                let wanted = if has(opcode) || opcode == NOP { Ok(result) } else { unknown };
                assert_eq!(run(&runtime, &[slot]), [wanted], "{mode}: {opcode:#x} of {opcodes:x?}");
            }
            let wanted = match (has(PACKED_SLOT), has(ATOMIC_ADD)) {
                (false, _) => unknown,
                (true, false) => Err((FaultCode::UnknownOpcode, 1)),
                (true, true) => Ok(2),
            };
            assert_eq!(run(&runtime, std::slice::from_ref(&packed)), [wanted], "{mode}: {opcodes:x?}");
            // Batches are for all.
            let batch = BatchDescriptor::new(vec![SlotDescriptor::nop(); 40], 3);
            let ended = runtime.submit_batch(&batch).expect("taken").wait().expect("well");
            assert!(ended.slots.iter().all(|slot| slot.fault().is_none()), "{mode}: {opcodes:x?}");
        }
    }
    assert_silent();
}
