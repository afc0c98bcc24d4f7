//! Handles that outlive what they named: each opcode that takes one refuses it, on the device and on the
//! host, though its place belongs to other memory by then.

mod support;

use std::fs::File;
use std::sync::atomic::Ordering;

use ringfence::descriptor::{BuiltinOpcode, SlotDescriptor};
use ringfence::protocol::abi::live::MAX_RESOURCES;
use ringfence::protocol::abi::scan::{SCAN_CARRY_WORDS, SCAN_MATCHED, SCAN_ROW_WORDS, SCAN_START};
use ringfence::protocol::opcode::{COPY_RANGE, CRC32C, SCAN, SUM_WORDS};
use ringfence::protocol::{FaultCode, LoadMiss};
use ringfence::runtime::{FileOptions, Memory, Resource, Runtime, StorageOptions};
use support::{MODES, PATIENCE, assert_silent, builder};

type Ended = Result<u64, (FaultCode, u16)>;

fn run(runtime: &Runtime, slot: &SlotDescriptor) -> Ended {
    let job = runtime.submit(slot).expect("accepted");
    let ended = job.wait_timeout(PATIENCE).expect("well").expect("in time");
    ended.fault().map_or_else(|| Ok(ended.result().expect("not a fault")), Err)
}

fn place(handle: u32) -> u32 {
    handle % MAX_RESOURCES
}

/// An automaton of OP_SCAN that finds nothing.
fn idle_table() -> Vec<u32> {
    let mut words = vec![0; 3 * SCAN_ROW_WORDS as usize];
    words[SCAN_MATCHED as usize..].fill(SCAN_MATCHED);
    words
}

/// One of everything that slots name.
struct Named {
    table: Resource,
    automaton: Resource,
    output: Resource,
    memory: Memory,
}

impl Named {
    fn new(runtime: &Runtime) -> Self {
        Self {
            table: runtime.table(&[0; 1024]).expect("a table"),
            automaton: runtime.scan_table(&idle_table()).expect("an automaton"),
            output: runtime.output(1024).expect("an output"),
            memory: runtime.memory(4096).expect("memory"),
        }
    }

    fn handles(&self) -> [u32; 4] {
        [self.table.handle(), self.automaton.handle(), self.output.handle(), self.memory.handle()]
    }
}

/// Slots that name these, with the argument that has the handle whose place in `handles` comes first.
fn slots(file: u32, handles: [u32; 4]) -> Vec<(usize, u16, SlotDescriptor)> {
    let [table, automaton, output, memory] = handles;
    let scan = [table, 0, 64, automaton, SCAN_START, output, 0, 1024 - SCAN_CARRY_WORDS, 0, 0, 0];
    let scan = SlotDescriptor::single(BuiltinOpcode::Scan, &scan).expect("twelve arguments");
    let load = SlotDescriptor::load_miss(&LoadMiss {
        resource_id: file,
        byte_count: 64,
        dst_handle: memory,
        ..LoadMiss::default()
    });
    vec![
        (0, 2, SlotDescriptor::dfa_step(0, 0, table, 0)),
        (0, 0, SlotDescriptor::crc32c(table, 0, 64, 0)),
        (0, 0, SlotDescriptor::sum_words(table, 0, 64)),
        (0, 0, SlotDescriptor::copy_range((table, 0), (output, 0), 64)),
        (2, 2, SlotDescriptor::copy_range((table, 0), (output, 0), 64)),
        (3, 0, SlotDescriptor::sum_words(memory, 0, 64)),
        (0, 0, scan.clone()),
        (1, 3, scan.clone()),
        (2, 5, scan),
        (3, 5, load.clone()),
        (3, 5, SlotDescriptor::store_range(file, 0, 64, memory, 0)),
    ]
}

#[test]
fn a_handle_does_not_name_what_has_its_place_now() {
    for mode in MODES {
        let runtime = builder(mode)
            .opcodes(&[SCAN, CRC32C, SUM_WORDS, COPY_RANGE])
            .storage(StorageOptions::default())
            .build()
            .expect("a runtime");
        let path = std::env::temp_dir().join(format!("ringfence-handles-{}", std::process::id()));
        std::fs::write(&path, [7; 64]).expect("a file");
        let file = File::options().read(true).write(true).open(&path).expect("open");
        let options = FileOptions { write: true, ..FileOptions::default() };
        let file = runtime.register_file(file, &options).expect("a handle");
        std::fs::remove_file(&path).expect("removable");

        let mut named = Named::new(&runtime);
        for round in 0..3 {
            let old = named.handles();
            drop(named);
            // A readback is a moment without a dispatch in flight: places come back at those.
            runtime.control().expect("a readback");
            named = Named::new(&runtime);
            named.memory.write(0, &[0; 4096]);
            let new = named.handles();
            let mut places = [old.map(place), new.map(place)];
            places.iter_mut().for_each(|places| places.sort_unstable());
            assert_eq!(places[0], places[1], "{mode}: the places are used again");

            for (n, (which, argument, _)) in slots(file.handle(), new).into_iter().enumerate() {
                let mut mixed = new;
                mixed[which] = old[which];
                let (_, _, stale) = slots(file.handle(), mixed).swap_remove(n);
                let what = format!("{mode}, round {round}: {stale:?}");
                assert_eq!(run(&runtime, &stale), Err((FaultCode::BadOperand, argument)), "{what}");
            }
            let output = named.output.words().expect("mapped");
            assert!(output.iter().all(|word| word.load(Ordering::Acquire) == 0), "{mode}: not written");
            assert!(named.memory.to_vec() == [0; 4096], "{mode}: not written");
            for (_, _, slot) in slots(file.handle(), new) {
                let ended = run(&runtime, &slot);
                assert!(ended.is_ok(), "{mode}, round {round}: {slot:?}: {ended:?}");
            }
        }
    }
    assert_silent();
}
