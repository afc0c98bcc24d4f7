//! `ringfence run`: the program against the twin, and what it says to bad files.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use ringfence::descriptor::BuiltinOpcode;
use ringfence::protocol::{
    Fault, PRIORITY_NORMAL, SlotWords, abi::control::*, opcode, slot, try_read_debug_log,
};
use ringfence::twin::Machine;
use serde_json::{Value, json};

const MODES: [&str; 2] = ["live", "epoch"];

/// Runs the program with the file on its standard input.
fn run(arguments: &[&str], file: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ringfence"))
        .args(["run", "-"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // It reads all of its input before it does anything else; a bad option ends it before that.
    let _ = child.stdin.take().expect("piped").write_all(file.as_bytes());
    child.wait_with_output().expect("it ends")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn answer(mode: &str, file: &Value) -> (Value, String) {
    let output = run(&["--json", "--mode", mode], &file.to_string());
    assert_eq!(output.status.code(), Some(0), "{mode}: {}", stderr(&output));
    (serde_json::from_slice(&output.stdout).expect("one JSON value"), stderr(&output))
}

/// The slot that a file's slot stands for, if it has no inner ops.
fn words(file: &Value) -> SlotWords {
    let mut words = [0; 16];
    let op = match &file["op"] {
        Value::String(name) => BuiltinOpcode::from_name(name).expect("a name").value(),
        number => number.as_u64().expect("a number") as u32,
    };
    words[..4].copy_from_slice(&[slot::PUBLISHED, op, 0, PRIORITY_NORMAL]);
    for (word, arg) in words[4..].iter_mut().zip(file["args"].as_array().into_iter().flatten()) {
        *word = arg.as_u64().expect("a number") as u32;
    }
    if let Some(ops) = file["ops"].as_array() {
        assert_eq!(ops.len(), 1, "the test packs one op only");
        let inner = self::words(&ops[0]);
        let args = ops[0]["args"].as_array().expect("arguments").len();
        words[4] = 1 | (args as u32) << 8 | inner[1] << 16;
        words[5..5 + args].copy_from_slice(&inner[4..4 + args]);
    }
    words
}

/// What the twin answers to a file, in the program's words.
fn wanted(mode: &str, driver: &Value, file: &Value) -> Value {
    let table = |t: &Value| t.as_array().unwrap().iter().map(|w| w.as_u64().unwrap() as u32).collect();
    let tables = file["tables"].as_array().map(|all| all.iter().map(table).collect());
    let observables = file["observables"].as_u64().unwrap_or(64) as u32;
    let mut twin = Machine::new(observables, tables.unwrap_or_default(), 64).expect("a twin");
    let slot = |outcome: &Result<u64, Fault>| match outcome {
        Ok(result) => json!({"status": "DONE", "result": result, "fault": null, "detail": null}),
        Err(fault) => json!({
            "status": "FAULT", "result": null, "fault": fault.code.to_string(), "detail": fault.detail,
        }),
    };
    let mut batches = Vec::new();
    for batch in file["batches"].as_array().expect("batches") {
        let slots: Vec<SlotWords> = batch["slots"].as_array().expect("slots").iter().map(words).collect();
        let mut fence = [0; 16];
        fence[..5].copy_from_slice(&[
            slot::PUBLISHED,
            opcode::BATCH_FENCE,
            0,
            PRIORITY_NORMAL,
            slots.len() as u32,
        ]);
        let ended = twin.run_batch(&slots, &fence);
        let slots: Vec<Value> = ended.slots.iter().map(slot).collect();
        batches.push(json!({"tenant": "system", "epoch": ended.fence.ok(), "slots": slots}));
    }
    let bytes: Vec<u8> = twin.debug_log().iter().flat_map(|word| word.to_le_bytes()).collect();
    let log = try_read_debug_log(&bytes).expect("a log");
    let records: Vec<Value> =
        log.records.iter().map(|r| json!({"fmt_id": r.fmt_id, "args": r.args})).collect();
    let control = twin.control();
    let metrics = METRICS_BASE as usize;
    json!({
        "mode": mode,
        "driver": driver,
        "batches": batches,
        "tenants": [],
        "control": {
            "done_count": control[DONE_COUNT as usize],
            "fault_count": control[FAULT_COUNT as usize],
            "epoch": control[EPOCH as usize],
            "metrics": control[metrics..metrics + 32],
            "observables": control[OBSERVABLE_BASE as usize..],
        },
        "debug_log": {"records": records, "lost": log.lost},
    })
}

/// Slots of one batch may run in any order, so no two of a batch depend on each other.
fn files() -> Vec<Value> {
    let printf = json!({"op": "PRINTF", "args": [3, 10, 20, 30]});
    vec![
        json!({"batches": []}),
        json!({"batches": [{"slots": []}, {"slots": []}]}),
        // The example of the issue that asked for this program.
        json!({
            "observables": 32, "tables": [[0, 1]],
            "batches": [
                {"slots": [
                    {"op": "STORE_U32", "args": [7, 160]},
                    {"op": "PACKED_SLOT", "ops": [{"op": "ATOMIC_ADD", "args": [1, 161]}]},
                    printf,
                ]},
                {"slots": [{"op": "LOAD_U32", "args": [160, 1]}, {"op": 4660, "args": []}]},
            ],
        }),
        json!({
            "observables": 8,
            "tables": [(0..512).map(|i| (i + 1) % 2).collect::<Vec<u32>>()],
            "batches": [
                {"slots": [
                    {"op": "STORE_U32", "args": [4_294_967_295_u32, 163]},
                    {"op": 1, "args": [5, 164]},
                    {"op": "DFA_STEP", "args": [1, 97, 0, 3]},
                    {"op": "DFA_STEP", "args": [2, 97, 0]},
                    {"op": "NOP"},
                    {"op": "STORE_U32", "args": [1, 168]},
                ]},
                {"slots": [
                    {"op": "ATOMIC_ADD", "args": [2, 163]},
                    {"op": "COMPARE_SWAP", "args": [164, 5, 6, 0]},
                    {"op": "MEMCPY", "args": [162, 165, 1]},
                    {"op": "BATCH_FENCE", "args": [77, 77]},
                ]},
            ],
        }),
        // Numbers that no handler has, and a packed slot whose bytes were forged.
        json!({"batches": [{"slots": [
            {"op": 4_294_967_294_u32}, {"op": 8, "args": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]},
            {"op": 0xFFF5}, {"op": 0xFFFE, "args": [1]}, {"op": 0x8000_0010_u32, "args": [1, 2, 3]},
            {"op": "PACKED_SLOT", "args": [0xFFFF_FFFF_u32]}, {"op": "PACKED_SLOT", "args": []},
        ]}]}),
        json!({"batches": [
            {"slots": [{"op": "ATOMIC_ADD", "args": [3, 170]}, {"op": "SHUTDOWN"}]},
            {"slots": [{"op": "ATOMIC_ADD", "args": [3, 170]}, {"op": "NOP"}]},
            {"slots": []},
        ]}),
        // As many tables as there are handles.
        json!({
            "tables": vec![json!([1]); 4096],
            "batches": [{"slots": [{"op": "DFA_STEP", "args": [0, 0, 4095, 0]}]}],
        }),
        // More slots than the slab has by default.
        json!({"batches": [{"slots": vec![json!({"op": "NOP"}); 1000]}]}),
    ]
}

#[test]
fn answers_are_those_of_the_twin() {
    for mode in MODES {
        for file in files() {
            let (got, message) = answer(mode, &file);
            let wanted = wanted(mode, &got["driver"], &file);
            assert!(got["driver"].as_str().is_some_and(|name| !name.is_empty()));
            assert_eq!(got, wanted, "{mode}: {file}");
            let cancelled = file.to_string().contains("SHUTDOWN");
            assert_eq!(message.contains("batch 2 was not published"), cancelled, "{mode}: {message}");
        }
    }
}

#[test]
fn a_full_debug_log_loses_the_oldest() {
    let slots: Vec<Value> = (0..100).map(|_| json!({"op": "PRINTF", "args": [1, 2, 3, 4]})).collect();
    for mode in MODES {
        let (got, _) = answer(mode, &json!({"batches": [{"slots": slots}]}));
        assert_eq!(got["debug_log"]["lost"], 36, "{mode}");
        assert_eq!(got["debug_log"]["records"].as_array().map(Vec::len), Some(64), "{mode}");
    }
}

#[test]
fn the_text_names_every_slot() {
    let file = r#"{"batches": [{"slots": [{"op": "STORE_U32", "args": [7, 161]}, {"op": 9}]}]}"#;
    let output = run(&[], file);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    for part in ["1     0  DONE   0", "1     1  FAULT  UNKNOWN_OPCODE (detail 0)", "epoch 1", "[1]=7"] {
        assert!(text.contains(part), "{part:?} is missing in\n{text}");
    }
}

/// How a slot ended: its result, or its fault's name.
fn ended(slot: &Value) -> Value {
    if slot["fault"].is_null() { slot["result"].clone() } else { slot["fault"].clone() }
}

#[test]
fn tenants_share_the_kernel() {
    // The first tenant's window begins behind the observables, at word 168.
    let file = json!({
        "observables": 8,
        "tenants": [
            {"name": "a", "window": 4, "weight": 3},
            {"name": "b", "window": 2, "opcodes": ["NOP", "ATOMIC_ADD", 7, "PRINTF"], "credits": 2},
            {"name": "none", "credits": 0}
        ],
        "batches": [
            {"slots": [{"op": "STORE_U32", "args": [7, 161]}]},
            {"slots": [
                {"op": "STORE_U32", "args": [5, 169], "tenant": "a", "priority": "critical"},
                {"op": "STORE_U32", "args": [5, 161], "tenant": 1},
                {"op": "STORE_U32", "args": [5, 172], "tenant": 1, "priority": "Low"},
                {"op": "PRINTF", "args": [1, 2, 3, 4], "tenant": "a"}
            ]},
            {"slots": [
                {"op": "ATOMIC_ADD", "args": [9, 173], "tenant": 2},
                {"op": "STORE_U32", "args": [9, 173], "tenant": 2},
                {"op": "NOP", "tenant": "b", "priority": 5},
                {"op": "NOP", "tenant": "b", "priority": 4_294_967_295_u32},
                {"op": "NOP", "tenant": "b", "priority": 4}
            ]},
            {"slots": [{"op": "NOP", "tenant": "none"}]},
            {"slots": [{"op": "LOAD_U32", "args": [169, 2], "tenant": "system"}]}
        ]
    });
    let log = |records: Value| json!({"records": records, "lost": 0});
    for mode in MODES {
        let (got, message) = answer(mode, &file);
        let batches = got["batches"].as_array().expect("batches");
        let batch = |batch: &Value| {
            let slots: Vec<_> = batch["slots"].as_array().expect("slots").iter().map(ended).collect();
            json!([batch["tenant"], batch["epoch"], slots])
        };
        assert_eq!(
            batches.iter().map(batch).collect::<Vec<_>>(),
            [
                json!(["system", 1, [0]]),
                json!(["a", 2, [0, "BAD_OPERAND", "BAD_OPERAND", 1]]),
                json!(["b", 3, [0, "UNAUTHORIZED", "BAD_OPERAND", "BAD_OPERAND", 0]]),
                json!(["none", null, ["OUT_OF_CREDITS"]]),
                json!(["system", 4, [5]]),
            ],
            "{mode}: {message}"
        );
        let mut tenants = got["tenants"].clone();
        for tenant in tenants.as_array_mut().expect("tenants") {
            // How often depends on when the workers look.
            let throttled = tenant["throttled"].take().as_u64();
            assert!(
                throttled.is_some_and(|throttled| throttled == 0 || tenant["id"] == 2),
                "{mode}: {tenant}"
            );
        }
        let printed = json!([{"fmt_id": 1, "args": [2, 3, 4]}]);
        assert_eq!(
            tenants,
            json!([
                {"id": 1, "name": "a", "published": 5, "done": 3, "faults": 2, "throttled": null,
                 "window": {"first": 168, "words": [0, 5, 0, 0]}, "debug_log": log(printed)},
                {"id": 2, "name": "b", "published": 6, "done": 3, "faults": 3, "throttled": null,
                 "window": {"first": 172, "words": [0, 9]}, "debug_log": log(json!([]))},
                {"id": 3, "name": "none", "published": 2, "done": 0, "faults": 2, "throttled": null,
                 "window": {"first": 168, "words": []}, "debug_log": log(json!([]))},
            ]),
            "{mode}"
        );
        assert_eq!(got["control"]["observables"], json!([0, 7, 5, 0, 0, 0, 0, 0]), "{mode}");
        assert_eq!(got["debug_log"], log(json!([])), "{mode}");
    }
    let output = run(&[], &file.to_string());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for part in [
        "2  of a",
        "tenant 2, b: 6 published, 3 done, 3 faults",
        "from 168 on, that are not 0: [1]=5",
        "format 1: 2 3 4",
    ] {
        assert!(text.contains(part), "{part:?} is missing in\n{text}");
    }
}

#[test]
fn bad_files_are_refused_with_line_and_column() {
    let slot = |slot: &str| format!("{{\"batches\": [{{\"slots\": [\n{slot}\n]}}]}}");
    let many = |element: &str, count| vec![element; count].join(",");
    let tenants = |list: &str| format!("{{\"tenants\": [{list}], \"batches\": []}}");
    let mixed = |slots: &str| {
        format!(
            "{{\"tenants\": [{{\"name\": \"a\"}}, {{\"name\": \"b\"}}],\n \"batches\": [{{\"slots\": [{{\"op\": {slots}}}]}}]}}"
        )
    };
    let cases = [
        (String::new(), "line 1 column 0"),
        ("{".into(), "line 1 column 1"),
        ("[]".into(), "sequence, expected an object at line 1 column"),
        ("[1, [], []]".into(), "sequence, expected an object at line 1 column"),
        ("{}".into(), "missing field `batches`"),
        ("{\"batches\": []} x".into(), "line 1 column 17"),
        ("{\"batches\": [],\n \"batch\": []}".into(), "unknown field `batch`"),
        ("{\"batches\": [],\n \"batch\": []}".into(), "line 2 column 8"),
        ("{\"batches\": [], \"batches\": []}".into(), "duplicate field `batches`"),
        ("{\"observables\": 1048577, \"batches\": []}".into(), "1048577 observables are too many"),
        ("{\"observables\": -1, \"batches\": []}".into(), "line 1 column 18"),
        ("{\"tables\": [[4294967296]], \"batches\": []}".into(), "line 1 column 23"),
        (
            format!("{{\"batches\": [], \"tables\": [\n{}\n]}}", many("[]", 4100)),
            "expected at most 4096 tables at line 2 column 12291",
        ),
        ("{\"tables\": [[1],\n [2], {}], \"batches\": []}".into(), "line 2 column 6"),
        ("{\"batches\": [{\"slots\": [], \"tag\": 1}]}".into(), "unknown field `tag`"),
        ("{\"batches\": [\n[[]]\n]}".into(), "sequence, expected an object at line 2 column"),
        (slot(&many("{\"op\":0}", 1 << 20)), "expected at most 1048575 slots beside the fence"),
        (slot("[\"NOP\", []]"), "sequence, expected an object at line 2 column"),
        (slot("[\"NOP\", [], null, 2]"), "sequence, expected an object at line 2 column"),
        (slot("{\"args\": []}"), "missing field `op`"),
        (slot("{\"op\": \"NOOP\"}"), "no opcode \"NOOP\""),
        (slot("{\"op\": \"NOOP\"}"), "line 2 column 13"),
        (slot("{\"op\": 4294967296}"), "line 2 column 17"),
        (slot("{\"op\": -1}"), "line 2 column 9"),
        (slot("{\"op\": 1.5}"), "line 2 column 10"),
        (slot("{\"op\": null}"), "the name of an opcode"),
        (slot("{\"op\": 0, \"priority\": \"urgent\"}"), "no priority \"urgent\""),
        (slot("{\"op\": 0, \"priority\": \"urgent\"}"), "line 2 column 30"),
        (slot("{\"op\": 0, \"priority\": 4294967296}"), "the name of a priority level"),
        (slot("{\"op\": 0, \"tenant\": 1}"), "there is no tenant 1"),
        (slot("{\"op\": 0, \"tenant\": 1}"), "line 2 column 21"),
        (slot("{\"op\": 0, \"tenant\": \"a\"}"), "there is no tenant \"a\""),
        (slot("{\"op\": 0, \"tenant\": [1]}"), "the name of a tenant, or its number"),
        (slot("{\"op\": 0, \"tenant\": -1}"), "line 2 column 22"),
        (tenants("{\"name\": \"a\"}, {\"name\": \"a\"}"), "another tenant \"a\" at line 1 column 38"),
        (tenants("{\"name\": \"system\"}"), "another tenant \"system\" at line 1 column 23"),
        (tenants("{}"), "missing field `name`"),
        (tenants("[\"a\"]"), "sequence, expected an object at line 1 column"),
        (tenants("{\"name\": \"a\", \"slots\": 1}"), "unknown field `slots`"),
        (tenants("{\"name\": \"a\", \"window\": -1}"), "line 1 column 39"),
        (
            tenants("{\"name\": \"a\", \"window\": 1048577}"),
            "have 1048577 words; at most 1048576 fit at line 1 column 38",
        ),
        (
            tenants("{\"name\": \"a\", \"window\": 1048576},\n {\"name\": \"b\", \"window\": 1}"),
            "have 1048577 words; at most 1048576 fit at line 2 column 26",
        ),
        (tenants(&many("{\"name\": \"a\", \"window\": 4294967295}", 1)), "have 4294967295 words"),
        (tenants("{\"name\": \"a\", \"credits\": 2147483648}"), "2147483648 credits are too many"),
        (tenants("{\"name\": \"a\", \"weight\": 0}"), "a weight is 1 to 100, not 0"),
        (tenants("{\"name\": \"a\", \"weight\": 101}"), "a weight is 1 to 100, not 101"),
        (tenants("{\"name\": \"a\", \"opcodes\": [\"NOOP\"]}"), "no opcode \"NOOP\""),
        (tenants(&many("{\"name\": \"a\"}", 1024)), "expected at most 1023 tenants"),
        (
            mixed("0, \"tenant\": \"a\"}, {\"op\": 0, \"tenant\": \"b\""),
            "one tenant's; this one is another's",
        ),
        (mixed("0, \"tenant\": \"a\"}, {\"op\": 0, \"tenant\": \"b\""), "line 2 column 71"),
        (mixed("0, \"tenant\": \"a\"}, {\"op\": 0"), "one tenant's; this one is another's"),
        (mixed("0}, {\"op\": 0, \"tenant\": 2"), "one tenant's; this one is another's"),
        (mixed("0, \"tenant\": 3"), "no tenant 3; \"tenants\" has 2"),
        (mixed("0, \"tenant\": \"c\""), "no tenant \"c\" in \"tenants\""),
        (
            mixed(&many("0, \"tenant\": 1", 65_536).replace(",0", "}, {\"op\": 0")),
            "at most 65535 slots beside the fence",
        ),
        (slot("{\"op\": 0, \"args\": [0,0,0,0,0,0,0,0,0,0,0,0,0]}"), "at most 12 numbers"),
        (slot("{\"op\": 0, \"args\": [\"1\"]}"), "line 2 column"),
        (slot("{\"op\": 0, \"args\": [], \"ops\": []}"), "not both"),
        (slot("{\"op\": 0, \"ops\": []}"), "only a PACKED_SLOT"),
        (slot("{\"op\": \"PACKED_SLOT\", \"ops\": [{\"op\": 0, \"ops\": []}]}"), "unknown field `ops`"),
        (slot("{\"op\": \"PACKED_SLOT\", \"ops\": [{\"op\": \"PRINTF\"}]}"), "inner op 0"),
        (slot("{\"op\": \"PACKED_SLOT\",\n \"ops\": [[1, []]]}"), "expected an object at line 3 column 9"),
        (slot("{\"op\": \"PACKED_SLOT\", \"ops\": [{\"op\": 1}, {\"op\": 256}]}"), "inner op 1"),
        (
            slot("{\"op\": \"PACKED_SLOT\", \"ops\": [{\"op\": 0, \"args\": [1,2,3,4,5,6,7,8,9,10,11,12]}]}"),
            "room for 11",
        ),
    ];
    let mut wrong = Vec::new();
    for (file, message) in cases {
        let output = run(&["--json"], &file);
        let said = stderr(&output);
        let file = file.get(..200).unwrap_or(&file);
        assert_eq!(output.status.code(), Some(2), "{file}");
        assert!(output.stdout.is_empty(), "{file}");
        if !said.contains(message) || !said.contains(" at line ") || !said.contains(" column ") {
            wrong.push(format!("{file}\nsaid {said:?}\nwithout {message:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn other_trouble_is_exit_code_2_as_well() {
    let missing = Command::new(env!("CARGO_BIN_EXE_ringfence")).args(["run", "no/such/file"]).output();
    let device = Command::new(env!("CARGO_BIN_EXE_ringfence"))
        .args(["run", "--device", "no such device", "Cargo.toml"])
        .output();
    for output in [missing, device] {
        let output = output.expect("the program starts");
        assert_eq!(output.status.code(), Some(2));
        assert!(!output.stderr.is_empty() && output.stdout.is_empty());
    }
    let output = run(&["--device", "no such device"], "{\"batches\": []}");
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("no such device"), "{}", stderr(&output));
}
