//! The scripts in `tools/`: what they refuse, and what the performance page says of results.

use std::path::Path;
use std::process::{Command, Output};

fn tool(name: &str) -> Command {
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tools").join(name));
    // Nothing is there, so nothing that this machine has fetched can help.
    command.env("RINGFENCE_CACHE", Path::new(env!("CARGO_TARGET_TMPDIR")).join("no-such-cache"));
    command
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// Runs a program that finds the modules of tools/.
fn python(program: &str) -> Output {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools");
    Command::new("python3").args(["-B", "-c", program]).env("PYTHONPATH", tools).output().unwrap()
}

fn is_matrix_host() -> bool {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    release.lines().any(|l| l == "ID=debian") && release.lines().any(|l| l == "VERSION_ID=\"12\"")
}

#[test]
fn wrong_arguments_are_refused() {
    for (name, arguments, phrase) in [
        ("setup", &["--nonsense"][..], "--nonsense"),
        ("spirv", &["--nonsense"], "--nonsense"),
        ("matrix", &[], "no command"),
        ("matrix", &["--only", "nonsense", "true"], "nonsense"),
        ("bench", &["--nonsense"], "--nonsense"),
    ] {
        let output = tool(name).args(arguments).output().unwrap();
        assert!(!output.status.success(), "{name} {arguments:?}");
        let (_, messages) = texts(&output);
        assert!(messages.contains(phrase), "{name} {arguments:?}: {messages}");
    }
}

#[test]
fn a_missing_driver_fails_the_matrix() {
    let output = tool("matrix").arg("true").output().unwrap();
    let (_, messages) = texts(&output);
    if is_matrix_host() {
        assert_eq!(output.status.code(), Some(3), "{messages}");
        assert!(messages.contains("is missing") && messages.contains("tools/setup --matrix"), "{messages}");
    } else {
        assert!(output.status.success() && messages.contains("installed driver only"), "{messages}");
    }
}

#[test]
fn the_matrix_goes_on_after_a_failure() {
    if !is_matrix_host() {
        return;
    }
    // Manifests that name no library will do: nothing loads them here.
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hollow-cache");
    for name in ["lavapipe-25.0", "swiftshader"] {
        let folder = cache.join("drivers").join(name);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("icd.json"), "{}").unwrap();
    }
    let script = r#"echo "$RINGFENCE_DRIVER $VK_DRIVER_FILES"; [ "$RINGFENCE_DRIVER" != lavapipe-25.0 ]"#;
    let output = tool("matrix").env("RINGFENCE_CACHE", &cache).args(["sh", "-c", script]).output().unwrap();
    let (printed, messages) = texts(&output);
    assert_eq!(output.status.code(), Some(1), "{messages}");
    assert!(messages.contains("failed on lavapipe-25.0"), "{messages}");
    for name in ["lavapipe-25.0", "swiftshader"] {
        let line = format!("{name} {}", cache.join("drivers").join(name).join("icd.json").display());
        assert!(printed.lines().any(|l| l == line), "no '{line}' in {printed}");
    }
}

#[test]
fn of_several_runs_each_figure_is_the_middle_one() {
    let program = r#"
import performance
run = lambda a, b: {"device": "x", "ok": True, "none": None, "cases": [{"a": a}, {"b": b}]}
print(performance.middle([run(1, 0.5), run(9, 0.25), run(2, 4)]) == run(2, 0.5), performance.middle([run(7, 7)]) == run(7, 7))
"#;
    let (printed, messages) = texts(&python(program));
    assert_eq!(printed.trim(), "True True", "{messages}");
}

#[test]
fn the_performance_page_tells_where_it_loses() {
    // A p50 of 1 us over a floor of 0.1 us misses 0.25 us + 1.5 floors by a factor of 2.5.
    let program = r#"
import performance
def record(bench, result, problem=None):
    return {"driver": "lavapipe-25.0", "bench": bench, "command": "c", "machine": "m", "commit": "0", "rustc": "r",
            "date": "d", "runs": 1, "problem": problem, "result": result}
print(performance.page([
    record("latency-256", {"p50_ns": 1000, "p99_ns": 600, "floor_p50_ns": 100, "submit_ratio": 130, "device": "x"}),
    record("scan", {"cases": [{"patterns": 2500, "slots_gbps": 0.1, "bare_gbps": 1, "aho_corasick_gbps": 0.3}]}),
    record("startup", None, "exit status 1: broken"),
]))
"#;
    let output = python(program);
    let (page, messages) = texts(&output);
    assert!(output.status.success(), "{messages}");
    let (before, losses) = page.split_once("## Where it loses").unwrap();
    assert!(before.contains("| <= 0.4 us | 1 us (missed) |"), "{page}");
    for phrase in [
        "ring of 256 (0.25 us + 1.5 floors): 1 us, wanted <= 0.4 us; short by a factor of 2.50.",
        "2500 patterns is slower than the aho-corasick crate on one thread: 0.1 against 0.3 GB/s",
        "startup did not finish: exit status 1: broken",
        "not measured: open loop",
    ] {
        assert!(losses.contains(phrase), "no '{phrase}' in {losses}");
    }
    assert!(!losses.contains("seen, p99, ring of 256"), "a goal that was met is listed: {losses}");
}
