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
        batches.push(json!({"epoch": ended.fence.ok(), "slots": slots}));
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

#[test]
fn bad_files_are_refused_with_line_and_column() {
    let slot = |slot: &str| format!("{{\"batches\": [{{\"slots\": [\n{slot}\n]}}]}}");
    let many = |element: &str, count| vec![element; count].join(",");
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
        (slot("{\"op\": 0, \"tenant\": 1}"), "unknown field `tenant`"),
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
