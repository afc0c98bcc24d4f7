//! `ringfence load`: the device's CRC32C of ranges of files, against the twin's and a published value.

use std::path::PathBuf;
use std::process::{Command, Output};

use ringfence::twin::crc32c::crc32c;

fn load(args: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_ringfence")).arg("load").args(args).output();
    output.expect("the program runs")
}

fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("load-{}-{name}", std::process::id()));
    std::fs::write(&path, bytes).expect("a file");
    path
}

#[test]
fn sums_are_those_of_the_file() {
    let bytes: Vec<u8> = (0..3_000_001u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let path = file("sums", &bytes);
    let name = path.to_str().expect("a plain name");
    let whole = bytes.len();
    let cases: [(&[&str], std::ops::Range<usize>); 10] = [
        (&[], 0..whole),
        (&["--offset", "1"], 1..whole),
        (&["--offset", "4097", "--bytes", "12345"], 4097..16_442),
        (&["--bytes", "524288"], 0..524_288),
        (&["--bytes", "0"], 0..0),
        (&["--offset", "3000000", "--bytes", "5000"], 3_000_000..whole),
        (&["--offset", "99999999999"], 0..0),
        (&["--direct", "--offset", "8192"], 8192..whole),
        (&["--placement", "copied", "--offset", "1"], 1..whole),
        (&["--placement", "in-place", "--bytes", "524289"], 0..524_289),
    ];
    for engine in ["io_uring", "threads"] {
        for mode in ["live", "epoch"] {
            for (options, range) in &cases {
                let more = [name, "--engine", engine, "--mode", mode];
                let output = load(&[&more[..], options].concat());
                assert!(output.status.success(), "{output:?}");
                let crc = crc32c(0, bytes[range.clone()].iter().copied());
                let wanted = format!("{crc:08x} {} {name}\n", range.len());
                assert_eq!(String::from_utf8_lossy(&output.stdout), wanted, "{engine} {mode} {options:?}");
            }
        }
    }
    let _ = std::fs::remove_file(path);
}

#[test]
fn the_check_value_is_the_published_one() {
    let path = file("check", b"123456789");
    let output = load(&[path.to_str().expect("a plain name"), "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("an object");
    assert_eq!((json["crc32c"].as_str(), json["bytes"].as_u64()), (Some("e3069283"), Some(9)), "{json}");
    for key in ["driver", "device", "mode", "engine", "placement", "seconds", "file"] {
        assert!(!json[key].is_null(), "{key}: {json}");
    }
    let _ = std::fs::remove_file(path);
}

#[test]
fn what_cannot_be_read_is_said() {
    for (name, what) in
        [("/nonexistent/file", "No such file"), ("/proc", "directory"), ("/proc/self/mem", "error")]
    {
        let output = load(&[name]);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{name}: {message}");
        assert!(message.starts_with(&format!("ringfence: {name}: ")) && message.contains(what), "{message}");
    }
}

#[test]
fn the_probe_says_how_storage_would_be_served() {
    let output = Command::new(env!("CARGO_BIN_EXE_ringfence")).args(["probe", "--json"]).output();
    let output = output.expect("the program runs");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("an object");
    let engine = json["storage"]["engine"].as_str().expect("an engine");
    assert!(["io_uring", "threads"].contains(&engine), "{json}");
    assert!(engine == "io_uring" || json["storage"]["notes"][0].is_string(), "else it says why: {json}");
    assert!(["imported", "copied"].contains(&json["storage"]["memory"].as_str().expect("memory")), "{json}");
    assert!(json["mode"].is_string(), "beside the device's report");
}

#[test]
fn the_probe_measures_where_data_is_read_best() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_ringfence")).args(["probe", "--json", "--placement"]).output();
    let output = output.expect("the program runs");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("an object");
    let placement = &json["placement"];
    for rate in ["bytes", "in_place", "copied", "again"] {
        assert!(placement[rate].as_u64().is_some_and(|rate| rate > 0), "{rate}: {json}");
    }
    let choice = placement["choice"].as_str().expect("a choice");
    assert_eq!(choice, if placement["pays_from"] == 1 { "copied" } else { "in_place" }, "{json}");
}
