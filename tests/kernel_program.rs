//! `ringfence kernel`, and `ringfence run --handler`: handlers tried without a line of Rust.

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ringfence::descriptor::BuiltinOpcode;
use serde_json::{Value, json};

fn ringfence(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ringfence")).args(arguments).output().expect("the program starts")
}

fn handler(name: &str) -> String {
    format!("{}/spirv/handler_{name}.spv", env!("CARGO_MANIFEST_DIR"))
}

fn text(output: &[u8]) -> String {
    String::from_utf8_lossy(output).into_owned()
}

fn answer(arguments: &[&str]) -> Value {
    let output = ringfence(arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("one JSON value")
}

/// A file of this test's own.
fn file(name: &str, content: &[u8]) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("kernel_program.{name}"));
    std::fs::write(&path, content).expect("it is written");
    path
}

fn shown(path: &Path) -> &str {
    path.to_str().expect("a name")
}

#[test]
fn the_kernels_operations_are_listed_with_what_each_adds() {
    let kernel = answer(&["kernel", "list", "--json"]);
    let all = kernel["operations"].as_array().expect("a list");
    assert_eq!(all.len(), BuiltinOpcode::ALL.len());
    for operation in all {
        let name = operation["name"].as_str().expect("a name");
        let free = ["NOP", "BATCH_FENCE", "SHUTDOWN"].contains(&name);
        let bytes = operation["bytes"].as_u64().expect("a number");
        assert!(free == (bytes == 0) && bytes < 100_000, "{operation}");
        let wide = ["SCAN", "CRC32C", "SUM_WORDS", "COPY_RANGE"].contains(&name);
        assert_eq!(operation["width"], if wide { "wide" } else { "lane" }, "{operation}");
        let first = &operation["arguments"][0];
        assert!(name != "CRC32C" || *first == json!({"name": "memory", "kind": "read"}), "{operation}");
        let loops = operation["loops"].as_u64().expect("a number");
        let loops_on =
            ["MEMCPY", "PACKED_SLOT", "SCAN", "CRC32C", "SUM_WORDS", "COPY_RANGE", "LOAD_SUM", "UNFOLD"];
        assert_eq!(loops_on.contains(&name), loops != 0, "{operation}");
    }
}

#[test]
fn a_kernel_is_cut_to_what_is_asked_for() {
    let out = file("cut_kernel.spv", b"");
    let link =
        |arguments: &[&str]| answer(&[&["kernel", "link", "-o", shown(&out), "--json"], arguments].concat());
    let of = |names: &[&str]| {
        let mut all = [&["NOP", "BATCH_FENCE", "SHUTDOWN"], names].concat();
        all.sort_by_key(|name| BuiltinOpcode::from_name(name).expect("a name").value());
        json!(all)
    };
    let least = link(&["--opcodes", "NOP"]);
    let scan = link(&["--opcodes", "SCAN,PRINTF"]);
    let shared = link(&["--opcodes", "SCAN,PRINTF", "--tenants"]);
    assert_eq!(least["builtin"], of(&[]));
    assert_eq!(scan["builtin"], of(&["SCAN", "PRINTF"]));
    assert_eq!(shared["builtin"], of(&["SCAN", "PRINTF"]));
    let bytes = |report: &Value| report["bytes"].as_u64().expect("a number");
    assert!(bytes(&least) < bytes(&scan) && bytes(&scan) < bytes(&shared), "{least} {scan} {shared}");
}

#[test]
fn what_is_linked_tells_what_it_has() {
    let out = file("linked.spv", b"");
    let (gcd, total) = (handler("gcd"), handler("total") + "=0x10001");
    let report = answer(&["kernel", "link", &gcd, &total, "-o", shown(&out), "--json"]);
    let operations = json!([
        {"opcode": 8, "name": "handler_gcd", "width": "lane", "arguments": null},
        {"opcode": 0x1_0001, "name": "handler_total", "width": "wide", "arguments": null},
    ]);
    assert_eq!(report["operations"], operations);
    let listed = answer(&["kernel", "list", shown(&out), "--json"]);
    assert_eq!(listed[0]["operations"], operations);
    assert_eq!(listed[0]["bytes"], report["bytes"]);
    let explained = answer(&["kernel", "explain", shown(&out), "--json"]);
    let bindings = explained["bindings"].as_array().expect("a list");
    assert!(bindings.iter().all(|binding| binding["name"] != "BIND_MAILBOX"), "{explained}");
    assert_eq!(explained["loops"], report["loops"]);
    let disassembled = text(&ringfence(&["kernel", "disasm", shown(&out)]).stdout);
    assert!(disassembled.contains("OpEntryPoint") && disassembled.contains("handler_gcd"), "{disassembled}");
}

#[test]
fn what_is_wrong_is_told_with_an_exit_code() {
    let cut = file("cut.spv", &support::handlers::code("gcd")[..1000]);
    let kernel = format!("{}/spirv/kernel.spv", env!("CARGO_MANIFEST_DIR"));
    let (gcd, same) = (handler("gcd"), handler("note") + "=8");
    let system = gcd.clone() + "=0xFFFE";
    let glsl = file("some.comp", b"#version 460\nvoid main() {}\n");
    let cases: [(&[&str], i32, &str); 8] = [
        (&["check", &gcd], 0, "lane handler_gcd"),
        (&["check", &gcd, &same], 1, "0x8"),
        (&["check", shown(&cut)], 1, "claims"),
        (&["check", &kernel], 1, "LANE_HANDLER"),
        (&["check", &system], 1, "0xfffe"),
        (&["check", "/nowhere/at/all.spv"], 2, "/nowhere/at/all.spv"),
        (&["link", &gcd, "--opcodes", "CORE", "-o", "/nowhere/at/all.spv"], 2, "'CORE'"),
        (&["explain", shown(&glsl)], 2, "instead of SPIR-V's"),
    ];
    for (arguments, code, wanted) in cases {
        let output = ringfence(&[&["kernel"], arguments].concat());
        let said = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(wanted), "{arguments:?}: {said}");
    }
}

#[test]
fn handlers_run_from_a_file_of_slots() {
    let slots = json!({"tables": [[1, 2, 3, 0xFFFF_FFFFu32]], "batches": [{"slots": [
        {"op": "handler_gcd", "args": [12, 18]},
        {"op": "handler_total", "args": [0, 0, 16, 3]},
        {"op": 9, "args": [1, 0, 16, 3]},
        {"op": "PACKED_SLOT", "ops": [{"op": 8, "args": [5, 10]}, {"op": "NOP"}]},
        {"op": 11, "args": []},
    ]}]});
    let slots = file("slots.json", slots.to_string().as_bytes());
    for mode in ["live", "epoch"] {
        let (gcd, total) = (handler("gcd"), handler("total"));
        let arguments =
            ["run", "--json", "--mode", mode, "--handler", &gcd, "--handler", &total, shown(&slots)];
        let report = answer(&arguments);
        let ended: Vec<_> = report["batches"][0]["slots"]
            .as_array()
            .expect("slots")
            .iter()
            .map(|slot| (slot["result"].as_u64(), slot["fault"].as_str().map(str::to_owned)))
            .collect();
        let fault = |name: &str| (None, Some(name.to_owned()));
        let wanted = [
            (Some(6), None),
            (Some(3 * (6 + 0xFFFF_FFFF)), None),
            fault("BAD_OPERAND"),
            (Some(2), None),
            fault("UNKNOWN_OPCODE"),
        ];
        assert_eq!(ended, wanted, "{mode}: {report}");
    }
    let unknown = file("unknown.json", br#"{"batches": [{"slots": [{"op": "handler_gcd"}]}]}"#);
    let output = ringfence(&["run", shown(&unknown)]);
    assert!(text(&output.stderr).contains("there is no opcode"), "{}", text(&output.stderr));
}

/// By the program, whose cache's folder the environment says.
#[test]
fn kernels_are_kept_on_disk_and_what_is_damaged_is_made_anew() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kernel_program.cache");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    let slots = file("kept.json", br#"{"batches": [{"slots": [{"op": "handler_gcd", "args": [12, 18]}]}]}"#);
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_ringfence"))
            .args(["run", "--json", "--mode", "epoch", shown(&slots)])
            .args(arguments)
            .env("XDG_CACHE_HOME", &folder)
            .output()
            .expect("it runs");
        let report: Value = serde_json::from_slice(&output.stdout).expect("one JSON value");
        assert_eq!(report["batches"][0]["slots"][0]["result"], 6, "{report}");
        let files = std::fs::read_dir(folder.join("ringfence")).expect("a folder");
        let files = files.map(|entry| entry.expect("an entry").path());
        let mut kept: Vec<_> =
            files.filter(|path| path.extension().is_some_and(|end| end == "kernel")).collect();
        kept.sort();
        kept
    };
    let gcd = handler("gcd");
    let kept = run(&["--handler", &gcd]);
    let [path] = &kept[..] else { panic!("{kept:?}") };
    let whole = std::fs::read(path).expect("it is there");
    let written = || std::fs::metadata(path).and_then(|data| data.modified()).expect("it is there");
    let before = written();
    assert_eq!(run(&["--handler", &gcd]), kept);
    assert_eq!(written(), before, "it was written again for nothing");
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    for damaged in [&whole[..whole.len() - 4], &[0; 100], b"", &flipped] {
        std::fs::write(path, damaged).expect("it is written");
        assert_eq!(run(&["--handler", &gcd]), kept);
        assert!(std::fs::read(path).expect("it is there") == whole, "it was not made anew");
    }
    // Another handler, another kernel.
    let more = handler("note");
    assert_eq!(run(&["--handler", &gcd, "--handler", &more]).len(), 2);
}
