//! Handlers linked into the kernel: that the result is a module, and what is refused.

mod support;

use std::io::Write as _;
use std::process::{Command, Stdio};

use ringfence::kernel::{
    IO_OPCODES, Kernel, LANE_OPCODES, LinkError, Linked, Selection, Width, disassemble, operations_of,
};
use ringfence::protocol::opcode::{COPY_RANGE, CRC32C, SCAN, SUM_WORDS, UNFOLD};
use support::handlers::code;

/// A handler linked into a kernel that has nothing else.
fn linked(name: &str, code: Vec<u8>) -> Result<Linked, LinkError> {
    Kernel::builder().spirv(name, code).build()?.link(&Selection::default())
}

fn everything() -> Vec<u32> {
    [LANE_OPCODES, IO_OPCODES, &[SCAN, CRC32C, SUM_WORDS, COPY_RANGE, UNFOLD]].concat()
}

/// What spirv-val says of it; nothing if it is well.
fn faults(words: &[u32]) -> String {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let mut child = Command::new("spirv-val")
        .args(["--target-env", "vulkan1.2", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("tools/setup installs spirv-val");
    child.stdin.take().expect("a pipe").write_all(&bytes).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[test]
fn what_is_linked_is_a_module() {
    let full = everything();
    for (opcodes, tenants) in [(&[][..], false), (&full, false), (LANE_OPCODES, true), (&full, true)] {
        let selection = Selection { opcodes: opcodes.to_vec(), tenants, int64: tenants, handlers: true };
        let without = Kernel::builder().build().expect("nothing").link(&selection).expect("it is cut").loops;
        for handlers in
            [&[][..], &["gcd"], &["note", "total"], &["say"], &["gcd", "note", "gcd", "total", "say"]]
        {
            let kernel = (20..).zip(handlers).fold(Kernel::builder(), |kernel, (opcode, name)| {
                kernel.spirv(*name, code(name)).opcode(opcode)
            });
            let linked = kernel.clone().build().expect("they are well").link(&selection).expect("they link");
            assert_eq!(faults(&linked.words), "", "{handlers:?}");
            let again = kernel.build().expect("they are well").link(&selection).expect("they link");
            assert!(again.words == linked.words, "{handlers:?}: other words the second time");
            let loops = handlers.iter().filter(|name| ["gcd", "total"].contains(name)).count() as u32;
            // And that of what it cost a handler to wait for its service.
            assert_eq!(linked.loops, without + loops);
        }
    }
}

#[test]
fn what_handlers_declare_is_read() {
    let kernel = ["total", "note", "gcd"]
        .iter()
        .fold(Kernel::builder(), |kernel, name| kernel.spirv(*name, code(name)))
        .build()
        .expect("they link");
    let told: Vec<_> = kernel.operations().iter().map(|op| (op.opcode, op.width, &op.name[..])).collect();
    assert_eq!(
        told,
        [(8, Width::Lane, "gcd"), (9, Width::Wide, "total"), (0x7FFF_FFFF, Width::Lane, "note")]
    );
    let linked = kernel.link(&Selection::default()).expect("they link");
    assert_eq!(linked.operations, kernel.operations());
    assert_eq!(operations_of(bytemuck::cast_slice(&linked.words)).expect("a module"), kernel.operations());
}

/// A module's words, changed by `change`.
fn changed(name: &str, change: impl FnOnce(&mut Vec<u32>)) -> Vec<u8> {
    let bytes = code(name);
    let (words, _) = bytes.as_chunks::<4>();
    let mut words: Vec<u32> = words.iter().map(|word| u32::from_le_bytes(*word)).collect();
    change(&mut words);
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// Where instructions of this opcode begin.
fn places(words: &[u32], opcode: u32) -> Vec<usize> {
    let mut places = Vec::new();
    let mut at = 5;
    while at < words.len() {
        places.extend((words[at] & 0xFFFF == opcode).then_some(at));
        at += (words[at] >> 16) as usize;
    }
    places
}

#[test]
fn lines_of_the_source_are_left_out() {
    const STRING: u32 = 7;
    const LINE: u32 = 8;
    const DECORATE: u32 = 71;
    const LABEL: u32 = 248;
    let with_lines = changed("note", |words| {
        let id = words[3];
        words[3] += 1;
        let label = places(words, LABEL)[0] + 2;
        words.splice(label..label, [4 << 16 | LINE, id, 1, 1]);
        let annotations = places(words, DECORATE)[0];
        words.splice(annotations..annotations, [3 << 16 | STRING, id, 0x61]);
    });
    let bytes: Vec<u32> =
        with_lines.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
    assert_eq!(faults(&bytes), "");
    let linked = linked("note", with_lines).expect("it links");
    assert_eq!(faults(&linked.words), "");
}

#[test]
fn what_is_wrong_with_a_handler_is_told() {
    const CAPABILITY: u32 = 17;
    const DECORATE: u32 = 71;
    const BINDING: u32 = 33;
    let rebound = |from: u32, to: u32| {
        changed("note", |words| {
            for at in places(words, DECORATE) {
                if words[at + 2] == BINDING && words[at + 3] == from {
                    words[at + 3] = to;
                }
            }
        })
    };
    let cases: [(&str, Vec<u8>, &str); 9] = [
        ("nothing", vec![], "shorter than a SPIR-V header"),
        ("three bytes", vec![3, 2, 35], "cut short"),
        ("cut short", code("note")[..600].to_vec(), "claims"),
        ("big-endian", code("note").iter().rev().copied().collect(), "instead of SPIR-V's"),
        ("a later version", changed("note", |words| words[1] = 0x1_0600), "SPIR-V 1.6, and the kernel 1.5"),
        // Int64 instead of Shader.
        (
            "a capability",
            changed("note", |words| {
                let at = places(words, CAPABILITY)[0];
                words[at + 1] = 11;
            }),
            "capability Int64",
        ),
        ("another binding", rebound(0, 30), "set 0, binding 30"),
        ("the kernel's otherwise", rebound(0, 6), "otherwise than the kernel does"),
        ("no mailbox", rebound(31, 30), "no mailbox"),
    ];
    for (what, code, wanted) in cases {
        let error = linked(what, code).expect_err(what);
        assert!(error.problem.contains(wanted) && error.handler == what, "{what}: {error}");
    }
}

/// Each built-in opcode by itself, all but it, and sets drawn at random, for one and for several tenants.
#[test]
fn what_is_cut_is_a_module() {
    let full = everything();
    let nothing = Kernel::builder().build().expect("nothing");
    let mut sets: Vec<Vec<u32>> = vec![vec![], full.clone(), LANE_OPCODES.to_vec()];
    for opcode in &full {
        sets.push(vec![*opcode]);
        sets.push(full.iter().copied().filter(|other| other != opcode).collect());
    }
    let mut random = 1u32;
    for _ in 0..24 {
        sets.push(
            full.iter()
                .copied()
                .filter(|_| {
                    random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    random >> 31 != 0
                })
                .collect(),
        );
    }
    for (index, opcodes) in sets.into_iter().enumerate() {
        for tenants in [false, true] {
            let (int64, handlers) = (index % 2 == 0, index % 3 == 0);
            let selection = Selection { opcodes: opcodes.clone(), tenants, int64, handlers };
            let linked = nothing.link(&selection).expect("it is cut");
            assert_eq!(faults(&linked.words), "", "{selection:x?}");
            assert!(
                nothing.link(&selection).expect("it is cut").words == linked.words,
                "{selection:x?}: other words"
            );
            let has = linked.opcodes();
            let asked = |op: &u32| opcodes.contains(op);
            let io = opcodes.iter().any(|op| IO_OPCODES.contains(op));
            for op in &full {
                let along = [0, 7, 0xFFFF_FFFF].contains(op) || (io && IO_OPCODES[..3].contains(op));
                assert_eq!(has.contains(op), asked(op) || along, "{op:#x} in {selection:x?}");
            }
        }
    }
}

/// LLVM compiles a module in more than linear time, and most programs start with this one.
#[test]
fn the_kernel_of_what_lanes_execute_is_small() {
    let nothing = Kernel::builder().build().expect("nothing");
    let linked = nothing
        .link(&Selection { opcodes: LANE_OPCODES.to_vec(), ..Selection::default() })
        .expect("it is cut");
    assert!(linked.words.len() * 4 < 65536, "{} words", linked.words.len());
}

/// Every opcode, by itself and as what a specialization constant is made by, with operands of all lengths: rspirv panics
/// on some that are not caught before.
#[test]
fn no_instruction_panics() {
    let head = &support::handlers::code("note")[..20];
    let parsed = |instruction: &[u32]| {
        let words = instruction.iter().flat_map(|word| word.to_le_bytes());
        disassemble(&head.iter().copied().chain(words).collect::<Vec<_>>())
    };
    let mut read = 0;
    for opcode in 0..=0xFFFFu32 {
        for length in [1, 2, 3, 4, 5, 6, 9] {
            for operand in [0, 1, 6, 0x7F, u32::MAX] {
                let mut words = vec![operand; length];
                words[0] = (length as u32) << 16 | opcode;
                read += usize::from(parsed(&words).is_ok());
                let mut words = vec![operand; length + 3];
                words[0] = (length as u32 + 3) << 16 | 52;
                words[3] = opcode;
                read += usize::from(parsed(&words).is_ok());
            }
        }
    }
    assert!(read > 1000, "{read}");
}

/// What `tools/fuzz` came by: bytes that each go another way through the linker.
#[test]
fn the_corpus_does_not_panic() {
    let folder = format!("{}/tests/corpus", env!("CARGO_MANIFEST_DIR"));
    let files = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{folder}: {e}"));
    let mut count = 0;
    for file in files {
        let bytes = std::fs::read(file.expect("an entry").path()).expect("it can be read");
        let _ = (disassemble(&bytes), operations_of(&bytes), linked("found", bytes));
        count += 1;
    }
    assert!(count >= 50, "{count} files in {folder}");
}

/// Words changed at random: an error or a module, and no panic.
#[test]
fn no_bytes_panic() {
    let mut random = 1u32;
    let mut next = |below: usize| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 8) as usize % below
    };
    let mut refused = 0;
    for round in 0..1500 {
        let code = changed(if round % 2 == 0 { "note" } else { "gcd" }, |words| {
            for _ in 0..=next(3) {
                let at = next(words.len());
                words[at] = match next(3) {
                    0 => words[at] ^ 1 << next(32),
                    1 => words[next(words.len())],
                    _ => next(400) as u32,
                };
            }
        });
        refused += usize::from(linked("changed", code).is_err());
    }
    assert!(refused > 500, "{refused}");
}

/// What a compiler does not make, but a file may hold.
#[test]
fn ids_and_sizes_are_looked_at() {
    const NOP: u32 = 1 << 16;
    const ENTRY_POINT: u32 = 15;
    const TYPE_POINTER: u32 = 32;
    const LOAD: u32 = 61;
    let without_stub = changed("note", |words| {
        let at = places(words, ENTRY_POINT)[0];
        let length = words[at] >> 16;
        words.drain(at..at + length as usize);
    });
    let doubled = changed("note", |words| {
        let loads = places(words, LOAD);
        words[loads[1] + 2] = words[loads[0] + 2];
    });
    let out_of_range = changed("note", |words| {
        let at = places(words, LOAD)[0];
        words[at + 3] = words[3] + 5;
    });
    let of_no_type = changed("note", |words| {
        words[3] += 1;
        let at = places(words, LOAD)[0];
        words[at + 1] = words[3] - 1;
    });
    for (what, code, wanted) in [
        ("without the stub", without_stub, "no entry point"),
        ("an id defined twice", doubled, "twice"),
        ("an id out of range", out_of_range, ""),
        ("an id that nothing defines", of_no_type, ""),
        ("10 MB of nothing", vec![0; 10 << 20], "instead of SPIR-V's"),
        ("10 MB behind a module", [code("note"), vec![0; 10 << 20]].concat(), "claims 0 words"),
    ] {
        let error = linked(what, code).expect_err(what);
        assert!(error.problem.contains(wanted) && error.handler == what, "{what}: {error}");
    }
    // A type that names one behind it, and 10 MB that mean nothing: neither is wrong for the linker.
    let forward = changed("note", |words| {
        let pointers = places(words, TYPE_POINTER);
        let at = *pointers.last().expect("there are some");
        let pointer: Vec<u32> = words.drain(at..at + 4).collect();
        words.splice(pointers[0]..pointers[0], pointer);
    });
    let long = changed("note", |words| {
        let at = places(words, ENTRY_POINT)[0];
        words.splice(at..at, vec![NOP; 10 << 18]);
    });
    for (what, code) in [("a forward reference", forward), ("10 MB of OpNop", long)] {
        match linked(what, code) {
            Ok(linked) => assert_eq!(faults(&linked.words), "", "{what}"),
            Err(error) => panic!("{what}: {error}"),
        }
    }
}
