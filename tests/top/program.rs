//! The program: which process it takes, and what it prints of it.

use std::io::{BufRead as _, BufReader};
use std::os::unix::net::UnixListener;
use std::process::Stdio;

use serde_json::Value;

use super::rig::{DONE, FAULTS, Place, wait_for};

#[test]
fn one_object_has_the_counters_of_the_running_process() {
    let place = Place::new("once");
    let program = place.program(1);
    let pid = program.pid();
    for arguments in
        [&["--once", "--json"][..], &["--once", "--json", &pid], &["--once", "--json", &(pid.clone() + ".0")]]
    {
        let json = place.top(arguments).json();
        assert_eq!(json["pid"].to_string(), pid);
        assert_eq!((&json["program"], &json["mode"]), (&Value::from("a test"), &Value::from("epoch")));
        let counters =
            ["published", "ended", "done", "faults", "outstanding", "throttled", "cpu_copied_bytes"];
        let wanted = [DONE + FAULTS, DONE + FAULTS, DONE, FAULTS, 0, 0, 0];
        for (counter, wanted) in counters.into_iter().zip(wanted) {
            assert_eq!(json[counter], wanted, "{counter}: {json}");
            let tenants = json["tenants"].as_array().expect("a list").iter();
            let sum: u64 = tenants.map(|tenant| tenant[counter].as_u64().expect("a number")).sum();
            assert_eq!(sum, wanted, "{counter} of the tenants: {json}");
        }
        let levels = json["levels"].as_array().expect("a list");
        assert_eq!(levels.iter().map(|level| level["claims"].as_u64().expect("a number")).sum::<u64>(), 12);
        assert_eq!(levels.iter().map(|level| level["slots"].as_u64().expect("a number")).sum::<u64>(), 256);
        assert_eq!(json["rates"]["ended_per_s"], 0.0, "nothing happens: {json}");
        assert!(json["rates"]["seconds"].as_f64().is_some_and(|seconds| seconds > 0.0), "{json}");
    }
    let text = place.top(&["--once"]);
    assert_eq!((text.code, text.err.as_str()), (Some(0), ""));
    for phrase in
        ["a test (process ", "published 12 (0/s)   ended 12 (0/s)   faults 3 (0/s)", "system", "normal"]
    {
        assert!(text.out.contains(phrase), "{phrase}: {}", text.out);
    }
}

#[test]
fn only_one_process_needs_no_name() {
    let place = Place::new("pick");
    let none = place.top(&["--once"]);
    assert!(none.code == Some(2) && none.err.contains("--observe") && none.out.is_empty(), "{none:?}");
    let none = place.top(&["--once", "1"]);
    assert!(none.code == Some(2) && none.err.contains("process 1 cannot be observed"), "{none:?}");

    let mut first = place.program(1);
    let second = place.program(2);
    let (one, two) = (first.pid(), second.pid());
    let several = place.top(&["--once", "--json"]);
    assert_eq!((several.code, several.out.as_str()), (Some(2), ""), "{several:?}");
    for runtime in [format!("{one}.0  a test"), format!("{two}.0  a test"), format!("{two}.1  a test")] {
        assert!(several.err.contains(&runtime), "{runtime}: {several:?}");
    }
    let of_one = place.top(&["--once", &two]);
    assert!(of_one.code == Some(2) && of_one.err.contains("several"), "{of_one:?}");
    assert!(of_one.err.contains(&format!("{two}.1")) && !of_one.err.contains(&one), "{of_one:?}");
    for name in [&one, &format!("{two}.0"), &format!("{two}.1")] {
        let json = place.top(&["--once", "--json", name]).json();
        assert_eq!(json["pid"].to_string(), name.split('.').next().expect("a number"));
    }
    let other = place.top(&["--once", &format!("{two}.2")]);
    assert!(other.code == Some(2) && other.err.contains("these can"), "{other:?}");
    first.end();
    assert_eq!(place.sockets().len(), 2, "who ends cleans up");
}

#[test]
fn what_a_killed_process_left_is_swept() {
    let place = Place::new("stale");
    let mut program = place.program(2);
    program.kill();
    assert_eq!(place.sockets().len(), 2, "it had no time to clean up");
    let none = place.top(&["--once", "--json"]);
    assert!(none.code == Some(2) && none.err.contains("no process"), "{none:?}");
    assert_eq!(place.sockets().len(), 0);
}

#[test]
fn lines_come_until_the_process_ends() {
    let place = Place::new("stream");
    let mut program = place.program(1);
    let mut top = place
        .ringfence(&["top", "--json", "--interval", "0.25"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(top.stdout.take().expect("piped")).lines();
    let mut next = || -> Value {
        let line = lines.next().and_then(Result::ok);
        line.map_or(Value::Null, |line| serde_json::from_str(&line).expect("an object"))
    };
    let (first, second) = (next(), next());
    assert_eq!((&first["rates"], &first["done"]), (&Value::Null, &Value::from(DONE)), "{first}");
    assert_eq!(second["rates"]["ended_per_s"], 0.0, "{second}");
    assert!(second["uptime_ns"].as_u64() > first["uptime_ns"].as_u64());
    program.end();
    while !next().is_null() {}
    let output = top.wait_with_output().expect("it ends");
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && err.contains("has ended"), "{err}");
}

#[test]
fn a_process_that_does_not_answer_is_told() {
    let place = Place::new("mute");
    let folder = place.0.join("ringfence");
    drop(place.program(1));
    // It listens, and lets nobody in.
    let socket = folder.join(format!("{}.0.sock", std::process::id()));
    let _mute = UnixListener::bind(&socket).expect("a socket");
    let silent = place.top(&["--once"]);
    assert!(silent.code == Some(2) && silent.err.contains("has not answered for 5s"), "{silent:?}");
}

#[test]
fn subcommands_can_be_observed() {
    let place = Place::new("flags");
    // It waits for text.
    let mut scan = place
        .ringfence(&["scan", "--observe", "--metrics", "0", "-e", "x", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    wait_for("the socket", || (place.sockets().len() == 1).then_some(()));
    let json = place.top(&["--once", "--json"]).json();
    assert_eq!(
        (&json["program"], json["pid"].to_string()),
        (&Value::from("ringfence scan"), scan.id().to_string())
    );
    let notice =
        BufReader::new(scan.stderr.take().expect("piped")).lines().next().expect("a line").expect("text");
    assert!(notice.starts_with("ringfence: metrics are at http://127.0.0.1:"), "{notice}");
    drop(scan.stdin.take());
    assert_eq!(scan.wait().expect("it ends").code(), Some(1), "no line matched");

    let file = place.0.join("slots.json");
    std::fs::write(&file, r#"{"batches": [{"slots": [{"op": "NOP", "args": []}]}]}"#).expect("a file");
    let file = file.to_str().expect("a plain name");
    for arguments in [
        &["run", file, "--observe", "--metrics", "0"][..],
        &["bench", "latency", "--seconds", "0.1", "--observe", "--metrics", "127.0.0.1:0"],
        &["bench", "--observe", "--metrics", "0", "throughput", "--seconds", "0.1"],
    ] {
        let output = place.ringfence(arguments).output().expect("it starts");
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && err.contains("http://127.0.0.1:"), "{arguments:?}: {err}");
    }
    assert_eq!(place.sockets().len(), 0);
}

#[test]
fn what_cannot_be_offered_is_said() {
    let place = Place::new("refused");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let port = address.rsplit(':').next().expect("a port").to_owned();
    let file = place.0.join("slots.json");
    std::fs::write(&file, r#"{"batches": []}"#).expect("a file");
    let file = file.to_str().expect("a plain name");
    let long = "x".repeat(120);
    // The options, XDG_RUNTIME_DIR below the place, and what the message has.
    let cases: [(&[&str], &str, &[&str]); 6] = [
        (&["--metrics", &port], "", &[&address, "another port"]),
        (&["--metrics", &address], "", &[&address, "another port"]),
        (&["--metrics", "localhost:80"], "", &["localhost:80", "a port"]),
        (&["--metrics", "80000"], "", &["80000", "a port"]),
        (&["--observe"], "not/there", &["not/there/ringfence", "No such file"]),
        (&["--observe"], &long, &["no socket", "xxx"]),
    ];
    std::fs::create_dir(place.0.join(&long)).expect("a folder");
    for (options, folder, phrases) in cases {
        let mut command = place.ringfence(&["run", file]);
        let output =
            command.args(options).env("XDG_RUNTIME_DIR", place.0.join(folder)).output().expect("it starts");
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{options:?}: {err}");
        for phrase in phrases {
            assert!(err.contains(phrase), "{options:?}: {phrase}: {err}");
        }
    }
}

#[test]
fn a_live_view_needs_a_terminal() {
    let place = Place::new("pipe");
    let _program = place.program(1);
    let refused = place.top(&[]);
    assert!(refused.code == Some(2) && refused.err.contains("--once"), "{refused:?}");
    for arguments in [&["--interval", "0"][..], &["--interval", "nan"], &["0"], &["x"], &["1", "2"]] {
        let refused = place.ringfence(&["top", "--once"]).args(arguments).output().expect("it starts");
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}");
    }
}
