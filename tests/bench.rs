//! `ringfence bench`: that each bench ends, verified, with one object of the keys that scripts rely on. No figure
//! is judged here: what they are depends on what else the machine does.

use std::process::Command;

use serde_json::Value;

fn bench(arguments: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_ringfence"))
        .arg("bench")
        .args(arguments)
        .arg("--json")
        .output()
        .expect("the program starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {stderr}");
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

/// Each key holds a number above 0, or a name.
fn has(object: &Value, keys: &[&str]) {
    for key in keys {
        let there = match &object[key] {
            Value::Number(number) => number.as_f64().is_some_and(|number| number > 0.0),
            Value::String(name) => !name.is_empty(),
            _ => false,
        };
        assert!(there, "{key} in {object}");
    }
}

const HEAD: [&str; 3] = ["driver", "device", "mode"];

#[test]
fn latency() {
    for (mode, slots) in [("live", "256"), ("live", "65536"), ("epoch", "16")] {
        let got = bench(&["latency", "--mode", mode, "--slots-in-ring", slots, "--seconds", "0.1"]);
        has(&got, &HEAD);
        has(&got, &["samples", "p50_ns", "p99_ns", "p999_ns", "submit_p50_ns", "submit_ratio"]);
        has(&got, &["floor_p50_ns", "floor_ratio"]);
        has(&got["open_loop"], &["rate", "p50_ns", "p99_ns", "p999_ns"]);
        assert_eq!(got["mode"], mode);
        assert_eq!(got["slots_in_ring"].to_string(), slots);
    }
}

#[test]
fn throughput() {
    for (mode, in_flight) in [("live", "1"), ("live", "64"), ("live", "4096"), ("epoch", "64")] {
        let got = bench(&["throughput", "--mode", mode, "--in-flight", in_flight, "--seconds", "0.1"]);
        has(&got, &HEAD);
        has(&got, &["slots", "seconds", "slots_per_s", "dispatches", "floor_p50_ns"]);
        assert_eq!(got["mode"], mode);
        assert_eq!(got["in_flight"].to_string(), in_flight);
    }
}

#[test]
fn scan() {
    for mode in ["live", "epoch"] {
        let got = bench(&["scan", "--mode", mode, "--seconds", "0.1", "--chunks", "8"]);
        has(&got, &HEAD);
        let cases = got["cases"].as_array().expect("cases");
        for (case, patterns) in cases.iter().zip([96, 2500]) {
            has(case, &["bytes", "matches", "workers", "slots_gbps", "bare_gbps", "aho_corasick_gbps"]);
            assert_eq!(case["patterns"], patterns);
        }
        assert_eq!(cases.len(), 2);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn io() {
    let quick = ["--seconds", "0.1", "--file-mib", "16", "--folder", env!("CARGO_TARGET_TMPDIR")];
    for (mode, engine) in [("live", "io_uring"), ("live", "threads"), ("epoch", "io_uring")] {
        let got = bench(&[&["io", "--mode", mode, "--engine", engine], &quick[..]].concat());
        has(&got, &HEAD);
        assert_eq!(got["engine"], engine);
        let mut wanted = Vec::new();
        for source in ["page_cache", "direct"] {
            for bytes in [4096, 65536] {
                wanted.extend([1, 16, 64].map(|depth| (source, bytes, depth)));
            }
        }
        let cases = got["cases"].as_array().expect("cases");
        assert_eq!(cases.len(), wanted.len());
        for (case, (source, bytes, depth)) in cases.iter().zip(wanted) {
            has(case, &["gpu_iops", "raw_iops", "ratio", "gpu_p50_ns", "raw_p50_ns", "floor_p50_ns"]);
            assert_eq!(
                (&case["source"], &case["bytes"], &case["depth"]),
                (&source.into(), &bytes.into(), &depth.into())
            );
        }
        has(&got["stream"], &["chunk_bytes", "depth", "gbps", "raw_gbps", "read_gbps", "ratio"]);
        has(&got["stream"]["summed"], &["gbps", "raw_gbps", "read_gbps", "ratio"]);
        assert_eq!(got["cpu_copied_bytes"], 0, "the drivers here import");
    }
}

#[test]
fn handlers() {
    for mode in ["live", "epoch"] {
        let got = bench(&["handlers", "--mode", mode, "--seconds", "0.1"]);
        has(&got, &HEAD);
        has(&got, &["workers", "in_flight", "range_bytes"]);
        has(&got["xxh64"], &["gbps", "xxhash_rust_gbps", "ratio"]);
        has(&got["topk"], &["k", "gbps", "itertools_gbps", "ratio"]);
        has(&got["lookup"], &["entries", "per_s", "hashbrown_per_s", "ratio"]);
        has(&got["dispatch"], &["handler_per_s", "built_in_per_s", "without_handlers_per_s"]);
        has(&got["dispatch"], &["to_built_in", "to_without_handlers"]);
        assert_eq!(got["mode"], mode);
    }
}

#[test]
fn cut() {
    for mode in ["live", "epoch"] {
        let got = bench(&["cut", "--mode", mode, "--seconds", "0.1"]);
        has(&got, &HEAD);
        assert_eq!(got["mode"], mode);
        let kernels = got["kernels"].as_array().expect("kernels");
        let figure =
            |key: &str| kernels.iter().map(|kernel| kernel[key].as_f64().expect(key)).collect::<Vec<_>>();
        assert_eq!(kernels.len(), 3);
        kernels.iter().for_each(|kernel| has(kernel, &["p50_ns", "slots_per_s"]));
        for key in ["opcodes", "bytes", "loops"] {
            assert!(figure(key).is_sorted_by(|a, b| a < b), "{key}: {got}");
        }
    }
}

#[test]
fn sharing() {
    for mode in ["live", "epoch"] {
        let got = bench(&["sharing", "--mode", mode, "--seconds", "0.1"]);
        has(&got, &HEAD);
        assert_eq!(got["mode"], mode);
        for wait in ["alone", "beside"] {
            has(&got[wait], &["p50_ns", "p99_ns", "p999_ns", "samples"]);
        }
        has(&got["flood"], &["chunk_bytes", "in_flight"]);
        let list = |key: &str| got[key].as_array().unwrap_or_else(|| panic!("{key} in {got}")).clone();
        has(&got, &["share_window_slots", "floor_p50_ns"]);
        let shares = list("shares");
        shares.iter().for_each(|share| has(share, &["share"]));
        let weights: Vec<_> = shares.iter().filter_map(|share| share["weight"].as_u64()).collect();
        // There may be no moment at which all were seen waiting: other work of the machine's, or epoch mode, where a
        // dispatch mostly takes all that waits.
        let none = got["share_windows"] == 0;
        assert_eq!(weights, if none { vec![] } else { vec![1, 2, 4, 8] }, "{got}");
        let crowds = list("tenants");
        assert_eq!(crowds.iter().map(|crowd| crowd["n"].as_u64()).collect::<Vec<_>>(), [1, 8, 64].map(Some));
        crowds.iter().for_each(|crowd| has(crowd, &["slots_per_s", "slots", "seconds"]));
    }
}

#[test]
fn startup() {
    let got = bench(&["startup", "--mode", "live"]);
    has(&got, &HEAD);
    has(&got, &["cold_ms", "warm_ms", "stop_ms", "stop_worst_ms"]);
    let stop = |key: &str| got[key].as_f64().expect("a number");
    assert!(stop("stop_ms") <= stop("stop_worst_ms"), "{got}");
    // Nothing is what it should be.
    assert!(got["idle_cpu_ms_per_s"].as_f64().is_some_and(|idle| idle >= 0.0), "{got}");
}

#[test]
fn bad_options_are_refused() {
    for arguments in [
        &["latency", "--slots-in-ring", "15"][..],
        &["latency", "--slots-in-ring", "1048577"],
        &["throughput", "--in-flight", "0"],
        &["throughput", "--in-flight", "1048577"],
        &["latency", "--seconds", "nan"],
        &["latency", "--seconds", "-1"],
        &["nothing"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_ringfence")).arg("bench").args(arguments).output();
        let output = output.expect("the program starts");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!output.stderr.is_empty() && output.stdout.is_empty(), "{arguments:?}");
    }
}
