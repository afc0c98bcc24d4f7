//! What `ringfence scan` does that grep does not: JSON, Unicode, read engines, statistics; and what
//! is too large or too slow for the tables of options.

mod scan_common;

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use scan_common::{Folder, check, scan};
use serde_json::Value;

fn messages(folder: &Folder, args: &[&str]) -> (Vec<Value>, Option<i32>) {
    let said = scan(&folder.0, &[&["--json"], args].concat(), None);
    let lines = said.out.split(|b| *b == b'\n').filter(|line| !line.is_empty());
    (lines.map(|line| serde_json::from_slice(line).unwrap()).collect(), said.code)
}

#[test]
fn json_has_the_shape_of_ripgreps() {
    let folder = Folder::new("json");
    folder.write("a", b"one foo foo\nbar\nend foo");
    folder.write("none", b"bar\n");
    folder.write("raw", b"\xff foo\n");
    folder.write("nul", b"foo\nbar\0\n");
    let (messages, code) = messages(&folder, &["-e", "fo+", "a", "none", "raw", "nul"]);
    assert_eq!(code, Some(0));
    let kinds: Vec<&str> = messages.iter().map(|m| m["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["begin", "match", "match", "end", "begin", "match", "end", "summary"]);
    assert_eq!(messages[0]["data"]["path"]["text"], "a");
    let first = &messages[1]["data"];
    assert_eq!(first["lines"]["text"], "one foo foo\n");
    assert_eq!((&first["line_number"], &first["absolute_offset"]), (&1.into(), &0.into()));
    let spans = serde_json::json!([
        {"match": {"text": "foo"}, "start": 4, "end": 7}, {"match": {"text": "foo"}, "start": 8, "end": 11}]);
    assert_eq!(first["submatches"], spans);
    let last = &messages[2]["data"];
    assert_eq!(
        (&last["lines"]["text"], &last["line_number"], &last["absolute_offset"]),
        (&"end foo".into(), &3.into(), &16.into())
    );
    let end = &messages[3]["data"];
    assert_eq!(
        (&end["binary_offset"], &end["stats"]["matches"], &end["stats"]["matched_lines"]),
        (&Value::Null, &3.into(), &2.into())
    );
    assert_eq!(end["stats"]["bytes_searched"], 23);
    assert_eq!(messages[5]["data"]["lines"]["bytes"], "/yBmb28K");
    let total = &messages[7]["data"]["stats"];
    assert_eq!(
        (&total["searches"], &total["searches_with_match"], &total["matched_lines"]),
        (&4.into(), &3.into(), &3.into())
    );
}

#[test]
fn json_inverted_counted_and_quiet() {
    let folder = Folder::new("json-more");
    folder.write("a", b"foo\nbar\nbaz\n");
    let (inverted, _) = messages(&folder, &["-v", "-m", "1", "-e", "foo", "a"]);
    assert_eq!(inverted[1]["data"]["lines"]["text"], "bar\n");
    assert_eq!(inverted[1]["data"]["submatches"], serde_json::json!([]));
    assert_eq!(inverted.len(), 4);
    let (quiet, code) = messages(&folder, &["-q", "-e", "foo", "a"]);
    assert_eq!((quiet.len(), code), (1, Some(0)));
    let (nothing, code) = messages(&folder, &["-e", "nothing", "a"]);
    assert_eq!((nothing.len(), code), (1, Some(1)));
}

#[test]
fn unicode_is_opted_into() {
    let folder = Folder::new("unicode");
    folder.write(
        "a",
        "caf\u{e9}\nCAF\u{c9}\nstra\u{df}e\n\u{3b1}\u{3b2}\u{3b3}\nna\u{ef}ve x\n\u{fc}ber\nover\n",
    );
    let found =
        |args: &[&str]| String::from_utf8(scan(&folder.0, &[args, &["a"]].concat(), None).out).unwrap();
    assert_eq!(found(&["-e", "^caf.$"]), "");
    assert_eq!(found(&["-e", "^caf..$"]), "caf\u{e9}\n");
    assert_eq!(found(&["--unicode", "-e", "^caf.$"]), "caf\u{e9}\n");
    assert_eq!(found(&["--unicode", "-i", "-e", "CAF\u{c9}"]), "caf\u{e9}\nCAF\u{c9}\n");
    assert_eq!(found(&["--unicode", "-i", "-F", "-e", "caf\u{e9}"]), "caf\u{e9}\nCAF\u{c9}\n");
    assert_eq!(found(&["--unicode", "-x", "-e", "[[:alpha:]]{3}"]), "\u{3b1}\u{3b2}\u{3b3}\n");
    assert_eq!(found(&["--unicode", "-x", "-e", "[\u{3b1}-\u{3c9}]+"]), "\u{3b1}\u{3b2}\u{3b3}\n");
    // Word boundaries between letters beyond ASCII: the table accepts more, the finder confirms.
    assert_eq!(found(&["--unicode", "-w", "-e", "ve"]), "");
    assert_eq!(found(&["-w", "-e", "ve"]), "na\u{ef}ve x\n");
    assert_eq!(found(&["--unicode", "-e", "\\bber"]), "");
    assert_eq!(found(&["--unicode", "-c", "-e", "\\<ber\\>"]), "0\n");
    assert_eq!(found(&["--unicode", "-v", "-c", "-e", "ve\\>"]), "6\n");
    assert_eq!(found(&["--unicode", "-o", "-e", "\\w+ve\\b"]), "na\u{ef}ve\n");
    // The longest of those that begin first, here too.
    assert_eq!(found(&["--unicode", "-o", "-e", "\\bn\u{e4}?|\\bna\u{ef}"]), "na\u{ef}\n");
}

#[test]
fn both_read_engines_read_the_same() {
    let folder = Folder::new("engines");
    let text: Vec<u8> =
        (0..400_000u64).map(|n| if n % 61 == 0 { b'\n' } else { b'a' + (n * n % 23) as u8 }).collect();
    for n in 0..40 {
        folder.write(&format!("f{n}"), &text[..n * n * 250]);
    }
    let said =
        |engine| scan(&folder.0, &["--engine", engine, "--stats", "-r", "-n", "-e", "ab|q[a-k]", "."], None);
    let (threads, auto) = (said("threads"), said("auto"));
    assert!(threads.out == auto.out && !auto.out.is_empty());
    let stats = String::from_utf8_lossy(&threads.err).into_owned();
    assert!(stats.contains("GB/s") && stats.contains("read by threads"), "{stats}");
}

#[test]
fn a_line_of_many_megabytes() {
    let folder = Folder::new("long");
    let mut line = vec![b'x'; 40 << 20];
    let at = line.len() - 1000;
    line[at..at + 6].copy_from_slice(b"needle");
    folder.write("long", [b"first needle\n", &line[..], b"\nlast\n"].concat());
    check(&folder.0, &["-o", "-b", "-e", "needle", "long"], None);
    check(&folder.0, &["-c", "-v", "-e", "needle", "long"], None);
    check(&folder.0, &["-n", "-e", "last|needle", "-E", "long"], None);
    let text = std::fs::read(folder.0.join("long")).unwrap();
    check(&folder.0, &["-b", "-n", "-e", "needle$", "-e", "x$", "-E", "-"], Some(&text));
}

#[test]
fn sparse_files_are_binary() {
    let folder = Folder::new("sparse");
    folder.write("sparse", b"foo\n".repeat(50_000));
    std::fs::File::options().write(true).open(folder.0.join("sparse")).unwrap().set_len(900_000).unwrap();
    for args in
        [&["-e", "foo", "sparse"][..], &["-c", "-e", "foo", "sparse"], &["-c", "-a", "-e", "foo", "sparse"]]
    {
        check(&folder.0, args, None);
    }
}

#[test]
fn the_output_is_not_searched() {
    let folder = Folder::new("circle");
    folder.write("in", b"foo\n");
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringfence"));
    command.env("RINGFENCE_SCAN_ENGINE", "twin").args(["scan", "-e", "foo", "."]).current_dir(&folder.0);
    let out = command.stdout(std::fs::File::create(folder.0.join("out")).unwrap()).output().unwrap();
    assert_eq!(out.status.code(), Some(2));
    assert_eq!(std::fs::read(folder.0.join("out")).unwrap(), b"./in:foo\n");
    assert!(String::from_utf8_lossy(&out.stderr).contains("input file is also the output"));
}

/// Neither a writer that pauses nor a reader that goes may hold the program up.
#[test]
fn pipes_that_stay_open() {
    let start = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringfence"));
        command.env("RINGFENCE_SCAN_ENGINE", "twin").arg("scan").args(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
    };
    for (args, code) in
        [(&["-q", "-e", "foo"][..], 0), (&["-m", "1", "-e", "foo"], 0), (&["-l", "-e", "foo"], 0)]
    {
        let mut child = start(args);
        let mut pipe = child.stdin.take().unwrap();
        pipe.write_all(b"bar\nfoo\nfoo\n").unwrap();
        let since = Instant::now();
        assert_eq!(child.wait().unwrap().code(), Some(code), "{args:?} ends with the pipe still open");
        assert!(since.elapsed() < Duration::from_secs(20));
        drop(pipe);
    }
    let mut child = start(&["-e", "foo"]);
    let mut output = child.stdout.take().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || while pipe.write_all(&b"foo foo foo\n".repeat(1000)).is_ok() {});
    output.read_exact(&mut [0; 100]).unwrap();
    drop(output);
    assert_eq!(child.wait().unwrap().code(), Some(0), "it ends when nobody reads its output");
    writer.join().unwrap();
}
