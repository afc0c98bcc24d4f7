//! LOAD_MISS, STORE_RANGE and IO_FENCE: bytes that the running kernel asks for, against the files
//! themselves, in both modes, with both engines, and where the CPU copies because the device cannot import
//! memory.

mod support;

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ringfence::descriptor::{BatchDescriptor, SlotDescriptor};
use ringfence::io::transfer::faulty::{Faults, Faulty};
use ringfence::io::transfer::{EngineChoice, TransferEngine, TransferOptions};
use ringfence::protocol::opcode::{CRC32C, SUM_WORDS};
use ringfence::protocol::{FaultCode, LoadMiss, slot};
use ringfence::runtime::{
    FileOptions, Job, Memory, Mode, Outcome, Runtime, StorageOptions, StreamOptions, Tenants,
};
use ringfence::twin::crc32c::crc32c;
use support::{MODES, PATIENCE, assert_silent, builder};

/// Engines, and whether the device imports the memory.
const WAYS: [(EngineChoice, bool); 3] =
    [(EngineChoice::IoUring, true), (EngineChoice::Threads, true), (EngineChoice::IoUring, false)];

fn runtime(mode: Mode, (engine, import): (EngineChoice, bool)) -> Runtime {
    let transfer = TransferOptions { engine, ..TransferOptions::default() };
    let options = StorageOptions { transfer, ..StorageOptions::default() };
    let builder = builder(mode).storage(options).slots(2048).without_import(!import);
    let runtime = builder.build().expect("a runtime with storage");
    assert!(import || copies(&runtime));
    runtime
}

fn each(mut test: impl FnMut(&Runtime, &str)) {
    for mode in MODES {
        for (engine, import) in WAYS {
            let copied = if import { "" } else { ", copied" };
            test(&runtime(mode, (engine, import)), &format!("{mode}, {engine:?}{copied}"));
        }
    }
    assert_silent();
}

/// Whether the CPU copies between storage's memory and the device's.
fn copies(runtime: &Runtime) -> bool {
    let notes = &runtime.storage().expect("storage").notes;
    notes.iter().any(|note| note.contains("the CPU copies"))
}

/// The CPU has copied so much so far, or nothing where memory is imported.
fn assert_copied(runtime: &Runtime, bytes: u64, what: &str) {
    let wanted = if copies(runtime) { bytes } else { 0 };
    assert_eq!(runtime.stats().cpu_copied_bytes, wanted, "{what}");
}

/// An unnamed file with these bytes, open for reading and writing.
fn file(bytes: &[u8]) -> File {
    let path = std::env::temp_dir().join(format!("ringfence-storage-{}-{:p}", std::process::id(), bytes));
    let mut options = File::options();
    let mut file = options.read(true).write(true).create(true).truncate(true).open(&path).expect("a file");
    file.write_all(bytes).expect("room");
    std::fs::remove_file(path).expect("removable");
    file
}

fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    (0..bytes)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect()
}

fn read(file: u32, offset: u64, bytes: u32, memory: &Memory, at: u32) -> SlotDescriptor {
    SlotDescriptor::load_miss(&LoadMiss {
        resource_id: file,
        prefetch: false,
        byte_offset: offset,
        byte_count: bytes,
        dst_handle: memory.handle(),
        dst_offset: at,
    })
}

fn ended(job: &Job) -> Result<u64, (FaultCode, u16)> {
    let ended = job.wait_timeout(PATIENCE).expect("the device is well").expect("it ends in time");
    match ended.fault() {
        Some(fault) => Err(fault),
        None => Ok(ended.result().expect("not a fault")),
    }
}

#[test]
fn reads_bring_the_files_bytes() {
    let bytes = noise(300_000);
    each(|runtime, what| {
        let source = runtime.register_file(file(&bytes), &FileOptions::default()).expect("a handle");
        let memory = runtime.memory(1 << 20).expect("memory");
        // Offset, bytes, place, and what arrives.
        let cases: [(u64, u32, u32); 9] = [
            (0, 4096, 0),
            (1, 1, 5),
            (4095, 4098, 3),
            (299_999, 1, 9),
            (300_000, 0, 0),
            (17, 0, 11),
            (0, 300_000, 700_000),
            (123_456, 65_537, 12_345),
            (4096, 8192, 4096),
        ];
        let mut moved = 0;
        for (offset, count, at) in cases {
            let job = runtime.submit(&read(source.handle(), offset, count, &memory, at)).expect("accepted");
            let whole = if count == 0 { 300_000 - offset as usize } else { count as usize };
            assert_eq!(ended(&job), Ok(whole as u64), "{what}: {offset} {count}");
            let got = &memory.to_vec()[at as usize..][..whole];
            assert!(got == &bytes[offset as usize..][..whole], "{what}: {offset} {count}");
            moved += whole as u64;
        }
        assert_copied(runtime, moved, what);
    });
}

#[test]
fn what_is_written_is_in_the_file() {
    let bytes = noise(100_000);
    each(|runtime, what| {
        let target = file(&[0; 10]);
        let options = FileOptions { write: true, ..FileOptions::default() };
        let handle =
            runtime.register_file(target.try_clone().expect("a descriptor"), &options).expect("a handle");
        let memory = runtime.memory(bytes.len()).expect("memory");
        memory.write(0, &bytes);
        for (offset, count, at) in
            [(0u64, 4096u32, 0u32), (5, 7, 3), (8192, 50_001, 777), (70_000, 1, 99_999), (3, 0, 5)]
        {
            let slot = SlotDescriptor::store_range(handle.handle(), offset, count, memory.handle(), at);
            assert_eq!(ended(&runtime.submit(&slot).expect("accepted")), Ok(u64::from(count)), "{what}");
            let mut got = vec![0; count as usize];
            target.read_exact_at(&mut got, offset).expect("there");
            assert!(got == bytes[at as usize..][..count as usize], "{what}: {offset} {count}");
        }
        assert_copied(runtime, 4096 + 7 + 50_001 + 1, what);
    });
}

#[test]
fn bad_requests_fault_and_move_nothing() {
    let bytes = noise(10_000);
    each(|runtime, what| {
        let source = runtime.register_file(file(&bytes), &FileOptions::default()).expect("a handle");
        let gone = runtime.register_file(file(&bytes), &FileOptions::default()).expect("a handle");
        let revoked = gone.handle();
        drop(gone);
        let anew = runtime.register_file(file(&bytes), &FileOptions::default()).expect("a handle");
        assert_ne!(anew.handle(), revoked, "a revoked handle names nothing else");
        let memory = runtime.memory(8192).expect("memory");
        memory.write(0, &[7; 8192]);
        let write = |count| SlotDescriptor::store_range(source.handle(), 0, count, memory.handle(), 0);
        let other = runtime.scratch(64).expect("other memory");
        let to = |handle| {
            SlotDescriptor::load_miss(&LoadMiss {
                resource_id: source.handle(),
                byte_count: 16,
                dst_handle: handle,
                ..LoadMiss::default()
            })
        };
        let folder = File::open(std::env::temp_dir()).expect("a folder");
        let folder = runtime
            .register_file(folder, &FileOptions { size: Some(1 << 20), ..FileOptions::default() })
            .expect("a handle");
        let cases = [
            ("an unknown file", read(999, 0, 16, &memory, 0), (FaultCode::BadOperand, 0)),
            ("a revoked file", read(revoked, 0, 16, &memory, 0), (FaultCode::BadOperand, 0)),
            ("behind the end", read(source.handle(), 10_001, 1, &memory, 0), (FaultCode::BadOperand, 2)),
            ("across the end", read(source.handle(), 9_999, 2, &memory, 0), (FaultCode::BadOperand, 4)),
            ("past 4 GiB", read(source.handle(), 1 << 40, 1, &memory, 0), (FaultCode::BadOperand, 2)),
            ("all of it, too much", read(source.handle(), 0, 0, &memory, 0), (FaultCode::BadOperand, 4)),
            ("behind the memory", read(source.handle(), 0, 1, &memory, 8193), (FaultCode::BadOperand, 6)),
            ("across its end", read(source.handle(), 0, 2, &memory, 8191), (FaultCode::BadOperand, 4)),
            ("no memory of transfers", to(other.handle()), (FaultCode::BadOperand, 5)),
            ("unknown memory", to(u32::MAX), (FaultCode::BadOperand, 5)),
            ("a file to read", write(16), (FaultCode::Unauthorized, 0)),
            ("a directory", read(folder.handle(), 0, 16, &memory, 0), (FaultCode::IoError, 21)),
        ];
        for (case, slot, fault) in cases {
            assert_eq!(ended(&runtime.submit(&slot).expect("accepted")), Err(fault), "{what}: {case}");
        }
        assert!(memory.to_vec() == [7; 8192], "{what}");
    });
}

/// Files and memory are for the tenants that they were given to, be it the system's own or another.
#[test]
fn what_is_anothers_is_unauthorized_and_untouched() {
    let bytes = noise(4096);
    for mode in MODES {
        for system in [true, false] {
            let runtime = builder(mode)
                .storage(StorageOptions::default())
                .opcodes(&[SUM_WORDS])
                .tenants(3)
                .build()
                .expect("a runtime with storage");
            let [one, other] = ["one", "other"].map(|name| runtime.tenant(name).open().expect("a tenant"));
            let own = if system { Tenants::SYSTEM } else { one.set() };
            let what = format!("{mode}, {own:?}");
            let register = |tenants| {
                let target = file(&bytes);
                let options = FileOptions { write: true, tenants, ..FileOptions::default() };
                let held = target.try_clone().expect("a descriptor");
                (runtime.register_file(target, &options).expect("a handle"), held)
            };
            let (mine, _) = register(own);
            let (theirs, held) = register(Tenants::of([other.id(), 1023]).expect("ids"));
            let everybodys = runtime.memory_for(4096, Tenants::ALL).expect("memory");
            let theirs_too = runtime.memory_for(4096, other.set()).expect("memory");
            for memory in [&everybodys, &theirs_too] {
                memory.write(0, &[7; 4096]);
            }
            let end = |slot: &SlotDescriptor| {
                let job = if system { runtime.submit(slot) } else { one.submit(slot) };
                ended(&job.expect("accepted"))
            };
            let store = |file, memory| SlotDescriptor::store_range(file, 0, 4096, memory, 0);
            let none = |argument| Err((FaultCode::Unauthorized, argument));
            let cases = [
                (read(theirs.handle(), 0, 4096, &everybodys, 0), none(0)),
                (store(theirs.handle(), everybodys.handle()), none(0)),
                (read(mine.handle(), 0, 4096, &theirs_too, 0), none(5)),
                (store(mine.handle(), theirs_too.handle()), none(5)),
                (prefetch(theirs.handle(), 0, 4096, &everybodys), Ok(0)),
                (SlotDescriptor::io_fence(), Ok(0)),
                // The device does not reach it either.
                (SlotDescriptor::sum_words(theirs_too.handle(), 0, 4), Err((FaultCode::BadOperand, 0))),
            ];
            for (slot, wanted) in cases {
                assert_eq!(end(&slot), wanted, "{what}: {slot:?}");
            }
            for memory in [&everybodys, &theirs_too] {
                assert!(memory.to_vec() == [7; 4096], "{what}");
            }
            let mut got = vec![0; 4096];
            held.read_exact_at(&mut got, 0).expect("there");
            assert!(got == bytes, "{what}: the file is as it was");
            assert_eq!(end(&read(mine.handle(), 0, 4096, &everybodys, 0)), Ok(4096), "{what}");
            assert!(everybodys.to_vec() == bytes, "{what}");
        }
    }
    assert_silent();
}

/// Many more requests than the IO queue has places, mixed with other work, in batches.
#[test]
fn a_full_queue_delays_and_loses_nothing() {
    let bytes = noise(1 << 20);
    each(|runtime, what| {
        let source = runtime.register_file(file(&bytes), &FileOptions::default()).expect("a handle");
        let memory = runtime.memory(1 << 20).expect("memory");
        for round in 0..5u64 {
            let mut slots = Vec::new();
            for i in 0..500u64 {
                let offset = (i * 7919 + round * 131) % ((1 << 20) - 512);
                slots.push(read(source.handle(), offset, 512, &memory, 512 * i as u32));
                slots.push(SlotDescriptor::atomic_add(1, 161));
            }
            slots.push(SlotDescriptor::io_fence());
            let batch = BatchDescriptor::new(slots, round as u32);
            let batch = runtime.submit_batch(&batch).expect("accepted");
            let done = batch.wait_timeout(PATIENCE).expect("well").expect("in time");
            assert!(done.slots.iter().all(|slot| slot.fault().is_none()), "{what}");
            let got = memory.to_vec();
            for i in 0..500u64 {
                let offset = ((i * 7919 + round * 131) % ((1 << 20) - 512)) as usize;
                assert!(got[512 * i as usize..][..512] == bytes[offset..][..512], "{what}: {i}");
            }
        }
        let control = runtime.control().expect("a readback");
        assert_eq!(control[161], 2500, "{what}");
    });
}

/// A revoked file is closed, though nobody asks for anything afterwards.
#[test]
fn a_revoked_file_is_closed() {
    each(|runtime, what| {
        let path = std::env::temp_dir().join(format!("ringfence-closed-{}", std::process::id()));
        std::fs::write(&path, [7; 100]).expect("a file");
        let open = || {
            let links = std::fs::read_dir("/proc/self/fd").expect("descriptors");
            links.filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok()).filter(|to| *to == path).count()
        };
        let file = File::open(&path).expect("readable");
        let source = runtime.register_file(file, &FileOptions::default()).expect("a handle");
        let memory = runtime.memory(100).expect("memory");
        assert_eq!(
            ended(&runtime.submit(&read(source.handle(), 0, 0, &memory, 0)).expect("accepted")),
            Ok(100)
        );
        assert!(open() > 0, "{what}: kept open while it is registered");
        drop(source);
        let begin = std::time::Instant::now();
        while open() > 0 {
            assert!(begin.elapsed() < PATIENCE, "{what}: still open");
            std::thread::sleep(Duration::from_millis(1));
        }
        std::fs::remove_file(&path).expect("removable");
    });
}

fn prefetch(file: u32, offset: u64, bytes: u32, memory: &Memory) -> SlotDescriptor {
    SlotDescriptor::load_miss(&LoadMiss {
        resource_id: file,
        prefetch: true,
        byte_offset: offset,
        byte_count: bytes,
        dst_handle: memory.handle(),
        dst_offset: 0,
    })
}

#[test]
fn a_prefetch_is_done_at_once_and_a_fence_waits_for_it() {
    let bytes = noise(1 << 20);
    each(|runtime, what| {
        let source = runtime.register_file(file(&bytes), &FileOptions::default()).expect("a handle");
        for round in 0..20u64 {
            let memory = runtime.memory(1 << 19).expect("memory");
            let asked = runtime.submit(&prefetch(source.handle(), round * 4096, 1 << 19, &memory));
            let bad = runtime.submit(&prefetch(77, 0, 16, &memory));
            let fence = runtime.submit(&SlotDescriptor::io_fence()).expect("accepted");
            assert_eq!(ended(&asked.expect("accepted")), Ok(0), "{what}");
            assert_eq!(ended(&bad.expect("accepted")), Ok(0), "{what}: nobody waits for its fault");
            assert_eq!(ended(&fence), Ok(0), "{what}");
            assert!(memory.to_vec() == bytes[round as usize * 4096..][..1 << 19], "{what}: {round}");
        }
    });
}

#[test]
fn a_runtime_tells_where_slots_are_to_read() {
    use ringfence::runtime::Placement::{Auto, Copied, InPlace};
    for (asked, import) in [(Auto, true), (Auto, false), (InPlace, true), (Copied, true), (Copied, false)] {
        let options = StorageOptions { placement: asked, ..StorageOptions::default() };
        let runtime =
            builder(Mode::Epoch).storage(options).without_import(!import).build().expect("a runtime");
        let told = runtime.placement().expect("with storage");
        let near = runtime.gpu().info().import_device_local == Some(true);
        match asked {
            Auto => assert!(told == InPlace || told == Copied && !near, "{told:?}"),
            asked => assert_eq!(told, asked),
        }
    }
    assert_eq!(builder(Mode::Epoch).build().expect("a runtime").placement(), None);
    assert_silent();
}

/// Whatever the last owner of its place has left there.
#[test]
fn memory_is_zero_at_first() {
    each(|runtime, what| {
        for bytes in [100, 10_000, 5_000, 100] {
            let [a, b] = [bytes, 4096].map(|bytes| runtime.memory(bytes).expect("memory"));
            for memory in [a, b] {
                assert!(memory.to_vec().iter().all(|byte| *byte == 0), "{what}: {bytes}");
                memory.write(0, &vec![7; memory.len()]);
            }
            // Places come back at a moment without a dispatch in flight.
            runtime.control().expect("a readback");
        }
    });
}

/// A stream's chunks, whether the device imports them or the CPU copies each.
#[test]
fn streams_bring_the_same_either_way() {
    let bytes = noise(1_000_001);
    let chunk = 64 << 10;
    for (mode, import) in MODES.into_iter().flat_map(|mode| [(mode, true), (mode, false)]) {
        let runtime = builder(mode).opcodes(&[CRC32C]).without_import(!import).build().expect("a runtime");
        let options = StreamOptions { chunk_bytes: chunk, chunks: 8, depth: 4, ..StreamOptions::default() };
        let mut stream = runtime.stream(&options).expect("a stream");
        stream.push(Arc::new(file(&bytes)), .., 7);
        let mut sums = vec![None; bytes.len().div_ceil(chunk)];
        while let Some(ended) =
            stream.next(PATIENCE, |arrived| arrived.slot(CRC32C, arrived.bytes)).expect("well")
        {
            if !ended.last {
                let Outcome::Done(crc) = ended.outcome else { panic!("{mode}, {import}: {ended:?}") };
                sums[ended.offset as usize / chunk] = Some(crc as u32);
            }
        }
        let wanted: Vec<_> =
            bytes.chunks(chunk).map(|chunk| Some(crc32c(0, chunk.iter().copied()))).collect();
        assert_eq!(sums, wanted, "{mode}, {import}");
        let copied = runtime.stats().cpu_copied_bytes;
        let all = bytes.len().next_multiple_of(4) as u64;
        assert!(copied == all || import && copied == 0, "{mode}, {import}: {copied}");
    }
    assert_silent();
}

#[test]
fn without_storage_the_opcodes_are_unknown() {
    for mode in MODES {
        let runtime = builder(mode).build().expect("a runtime");
        for slot in [SlotDescriptor::io_fence(), SlotDescriptor::load_miss(&LoadMiss::default())] {
            let job = runtime.submit(&slot).expect("accepted");
            assert_eq!(ended(&job), Err((FaultCode::UnknownOpcode, 0)), "{mode}");
        }
        assert!(runtime.memory(16).is_err());
    }
    assert_silent();
}

/// The thread that steps in sleeps for long while others serve, and learns of it when they have gone.
#[test]
fn slots_that_nobody_waits_for_get_their_bytes() {
    let bytes = noise(4096);
    each(|runtime, what| {
        let source = runtime.register_file(file(&bytes), &FileOptions::default()).expect("a handle");
        let memory = runtime.memory(1 << 20).expect("memory");
        let submit = |at| runtime.submit(&read(source.handle(), 0, 4096, &memory, at)).expect("accepted");
        for round in 0..3 {
            let began = Instant::now();
            while began.elapsed() < Duration::from_millis(40) {
                assert_eq!(ended(&submit(0)), Ok(4096), "{what}");
            }
            let jobs = (1..64).map(|n| submit(n * 4096)).collect::<Vec<_>>();
            let began = Instant::now();
            while memory.to_vec()[4096..].chunks(4096).take(63).any(|got| got != bytes) {
                assert!(began.elapsed() < PATIENCE, "{what}: nobody serves in round {round}");
                std::thread::sleep(Duration::from_millis(1));
            }
            drop(jobs);
            memory.words().iter().for_each(|word| word.store(0, Ordering::Relaxed));
        }
    });
}

/// Reads on their way when the last handle goes: they end before their memory does, and the jobs as
/// CANCELLED or DONE.
#[test]
fn a_runtime_may_go_while_reads_are_in_flight() {
    let bytes = noise(8 << 20);
    for round in 0..5 {
        for mode in MODES {
            for way in WAYS {
                let runtime = runtime(mode, way);
                let source = runtime.register_file(file(&bytes), &FileOptions::default()).expect("a handle");
                let memory = runtime.memory(8 << 20).expect("memory");
                let jobs: Vec<_> = (0..100)
                    .map(|_| runtime.submit(&read(source.handle(), 0, 0, &memory, 0)).expect("accepted"))
                    .collect();
                if round % 2 == 0 {
                    drop(memory);
                }
                drop(source);
                drop(runtime);
                for job in jobs {
                    let end = ended(&job);
                    let known = [
                        Ok(8 << 20),
                        Err((FaultCode::Cancelled, 0)),
                        Err((FaultCode::BadOperand, 0)),
                        Err((FaultCode::BadOperand, 5)),
                    ];
                    assert!(known.contains(&end), "{mode}, {way:?}: {end:?}");
                }
            }
        }
    }
    assert_silent();
}

#[test]
fn a_readback_shows_who_waits_and_shutdown_waits_for_them() {
    let bytes = noise(4 << 20);
    each(|runtime, what| {
        let source = runtime.register_file(file(&bytes), &FileOptions::default()).expect("a handle");
        let memory = runtime.memory(4 << 20).expect("memory");
        let jobs: Vec<_> = (0..64)
            .map(|_| runtime.submit(&read(source.handle(), 0, 0, &memory, 0)).expect("accepted"))
            .collect();
        let states = |runtime: &Runtime| {
            let readback = runtime.readback().expect("a readback");
            let words = readback.ring().chunks_exact(64).map(|slot| slot[0]);
            words.map(u32::from).filter(|status| *status != slot::EMPTY).collect::<Vec<_>>()
        };
        let known = [slot::PUBLISHED, slot::WAIT_IO, slot::DONE];
        assert!(states(runtime).iter().all(|status| known.contains(status)), "{what}");
        for job in &jobs {
            assert_eq!(ended(job), Ok(4 << 20), "{what}");
        }
        assert_eq!(states(runtime), [slot::DONE; 64], "{what}: all that waited have ended");
        let jobs: Vec<_> = (0..64)
            .map(|_| runtime.submit(&read(source.handle(), 0, 0, &memory, 0)).expect("accepted"))
            .collect();
        let last = runtime.submit(&SlotDescriptor::shutdown()).expect("accepted");
        for job in &jobs {
            assert_eq!(ended(job), Ok(4 << 20), "{what}");
        }
        assert_eq!(ended(&last), Ok(0), "{what}");
    });
}

/// Each readback has the device quiet, and workers go as soon as they come: slots get their turns all the same.
#[test]
fn readbacks_one_behind_the_other_hold_up_no_read() {
    let bytes = noise(300_000);
    each(|runtime, what| {
        let source = runtime.register_file(file(&bytes), &FileOptions::default()).expect("a handle");
        let memory = runtime.memory(64 * 4096).expect("memory");
        let offset = |n: u32| u64::from(n) * 4099;
        let submit = |n: u32| {
            let slot = read(source.handle(), offset(n), 4096, &memory, n * 4096);
            runtime.submit(&slot).expect("accepted")
        };
        let jobs: Vec<_> = (0..64).map(submit).collect();
        let mut readbacks = 0;
        while jobs.iter().any(|job| job.try_wait().is_none()) {
            // Some 3, a hundred now and then; thousands where workers get no more time than they are given by chance.
            assert!(readbacks < 1000, "{what}: readbacks leave slots no time");
            runtime.control().expect("a readback");
            readbacks += 1;
        }
        for (n, (job, got)) in (0..).zip(jobs.iter().zip(memory.to_vec().chunks(4096))) {
            assert_eq!(ended(job), Ok(4096), "{what}: {n}");
            assert!(got == &bytes[offset(n) as usize..][..4096], "{what}: {n}");
        }
    });
}

/// An engine that answers late, out of order and short.
#[test]
fn slow_disorderly_and_short_answers_are_told_as_they_are() {
    let wrap = |inner| -> Box<dyn TransferEngine> {
        let faults =
            Faults { seed: 7, delay: Duration::from_millis(3), short_one_in: 3, ..Faults::default() };
        Box::new(Faulty::new(inner, faults))
    };
    let bytes = noise(1 << 20);
    for mode in MODES {
        let options = StorageOptions::default();
        let runtime = builder(mode).storage(options).wrap_storage_engine(wrap).build().expect("a runtime");
        let source = runtime.register_file(file(&bytes), &FileOptions::default()).expect("a handle");
        let memory = runtime.memory(1 << 20).expect("memory");
        let mut short = 0;
        for round in 0..10u64 {
            memory.words().iter().for_each(|word| word.store(0, Ordering::Relaxed));
            let at = |i: u64| (i * 10_007 + round * 77) % 1_000_000;
            let slots: Vec<_> =
                (0..100).map(|i| read(source.handle(), at(i), 4096, &memory, 4096 * i as u32)).collect();
            let jobs: Vec<_> = slots.iter().map(|slot| runtime.submit(slot).expect("accepted")).collect();
            let fence = runtime.submit(&SlotDescriptor::io_fence()).expect("accepted");
            assert_eq!(ended(&fence), Ok(0), "{mode}");
            let got = memory.to_vec();
            for (i, job) in (0u64..).zip(jobs) {
                let count = ended(&job).expect("no fault") as usize;
                let (place, offset) = (4096 * i as usize, at(i) as usize);
                assert!(got[place..][..count] == bytes[offset..][..count], "{mode}: {i}");
                short += u32::from(count < 4096);
            }
        }
        assert!(short > 100, "{mode}: {short} of 1000");
    }
    assert_silent();
}
