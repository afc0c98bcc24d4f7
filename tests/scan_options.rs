//! The options of `ringfence scan` against those of grep, on awkward files.

mod scan_common;

use scan_common::{Folder, Numbers, check, grep, scan, sorted};

const BLOCK: usize = 192 << 10;

fn text(numbers: &mut Numbers, bytes: usize) -> Vec<u8> {
    let words =
        ["foo", "bar", "foobar", "a", "the quick", "x_y", "Foo", "", "FOO bar", "naïve", "end.", "\t"];
    let mut out = Vec::new();
    while out.len() < bytes {
        for _ in 0..numbers.below(9) {
            out.extend_from_slice(numbers.pick(&words).as_bytes());
            out.push(b' ');
        }
        out.push(b'\n');
    }
    out
}

fn files(folder: &Folder) -> Vec<&'static str> {
    let mut numbers = Numbers(1);
    let small = b"foo\nbar\nfoobar foo\n\nFoo\nx foo y\nfoo_bar\n foo \nbarfoo\nfoofoo\n";
    folder.write("small", small);
    folder.write("empty", "");
    folder.write("newline", "\n");
    folder.write(
        "newlines",
        "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n",
    );
    folder.write("bare", "foo\nbar\nfoo");
    folder.write("bare-none", "foo\nbar");
    folder.write("single", "foo");
    folder.write("crlf", "foo\r\nbar\r\nfoo bar\r\n\r\n");
    folder.write("invalid", b"foo \xff\xfe\nbar\x80foo\n\xc3\xa9 foo\n\xc3\n");
    folder.write("nul-first", b"\0foo\nbar\nfoo\n");
    folder.write("nul-in-line", b"bar\nfoo\0bar\nbar\0foo\n");
    folder.write("nul-none", b"bar\0\n");
    folder.write("nul-end", b"foo\nbar\n\0");
    folder.write("words", text(&mut numbers, 30_000));
    folder.write("medium", text(&mut numbers, 150_000));
    folder.write("large", text(&mut numbers, 1_300_000));
    // NUL bytes before, at and behind the boundaries that matter.
    for (name, at, size) in [
        ("nul-late", 120_000, 150_000),
        ("nul-96k", 96 << 10, 500_000),
        ("nul-96k-1", (96 << 10) - 1, 500_000),
        ("nul-block", BLOCK, 500_000),
        ("nul-block-1", BLOCK - 1, 500_000),
        ("nul-third", 300_000, 500_000),
    ] {
        let mut bytes = text(&mut numbers, size);
        bytes[at] = 0;
        folder.write(name, bytes);
    }
    // A line feed at, before and behind the end of a block.
    for (name, at) in [("edge-1", BLOCK - 1), ("edge", BLOCK), ("edge+1", BLOCK + 1)] {
        let mut bytes = vec![b'.'; at];
        bytes.extend_from_slice(b"\nfoo\nbar");
        bytes[at - 50] = b'\n';
        bytes[at - 45..at - 42].copy_from_slice(b"foo");
        folder.write(name, bytes);
    }
    folder.write("exact", [vec![b'.'; BLOCK - 4], b"foo\n".to_vec()].concat());
    folder.write("exact-bare", [vec![b'.'; BLOCK - 3], b"foo".to_vec()].concat());
    folder.write("exact-2", [vec![b'.'; 2 * BLOCK - 8], b"\nxfoobar".to_vec()].concat());
    // Long lines, with the match before, across and behind block ends, or nowhere.
    for (name, at, end) in [
        ("long-head", 5, "\nbar\nfoo\n"),
        ("long-block", BLOCK - 2, "\nbar\nfoo\n"),
        ("long-third", 2 * BLOCK + 777, ""),
        ("long-tail", 899_990, "\n"),
        ("long-bare", 899_997, ""),
    ] {
        let mut bytes = vec![b'-'; 900_000];
        bytes[at..at + 3].copy_from_slice(b"foo");
        bytes.extend_from_slice(end.as_bytes());
        folder.write(name, bytes);
    }
    folder.write("long-none", [vec![b'-'; 700_000], b"\n".to_vec()].concat());
    folder.write(
        "long-mixed",
        [
            b"foo\n".to_vec(),
            vec![b'-'; 70_000],
            b"foo\nbar\n".to_vec(),
            vec![b'+'; 500_000],
            b"\nfoo\n".to_vec(),
        ]
        .concat(),
    );
    vec![
        "small",
        "empty",
        "newline",
        "newlines",
        "bare",
        "bare-none",
        "single",
        "crlf",
        "invalid",
        "nul-first",
        "nul-in-line",
        "nul-none",
        "nul-end",
        "words",
        "medium",
        "large",
        "nul-late",
        "nul-96k",
        "nul-96k-1",
        "nul-block",
        "nul-block-1",
        "nul-third",
        "edge-1",
        "edge",
        "edge+1",
        "exact",
        "exact-bare",
        "exact-2",
        "long-head",
        "long-block",
        "long-third",
        "long-tail",
        "long-bare",
        "long-none",
        "long-mixed",
    ]
}

const PATTERNS: &[&[&str]] = &[
    &["-e", "foo"],
    &["-F", "-e", "foo"],
    &["-E", "-e", "fo+|b.r$"],
    &["-e", "^foo"],
    &["-e", "foo$"],
    &["-e", ""],
    &["-e", "^$"],
    &["-E", "-e", "[^-.]"],
    &["-F", "-e", "nothing"],
    &["-E", "-e", "\\<foo\\>"],
    &["-F", "-e", "foo", "-e", "bar", "-e", "quick"],
    &["-E", "-e", "o.*b"],
    &["-e", "."],
];

const OPTIONS: &[&[&str]] = &[
    &["-c"],
    &["-l"],
    &["-L"],
    &["-n"],
    &["-b"],
    &["-o"],
    &["-v"],
    &["-w"],
    &["-x"],
    &["-i"],
    &["-m", "1"],
    &["-m", "3"],
    &["-m", "0"],
    &["-m", "-1"],
    &["-h"],
    &["-H"],
    &["-s"],
    &["-q"],
    &["-a"],
    &["--color=always"],
];

/// A negative -m is no limit, by grep's manual too; with -v GNU grep 3.8 then selects nothing at all.
fn grep_loses_all(args: &[&str]) -> bool {
    let negative = |number: &str| number.starts_with('-') && number != "-0";
    args.contains(&"-v") && args.windows(2).any(|pair| pair[0] == "-m" && negative(pair[1]))
}

#[test]
fn every_option_on_every_file() {
    let folder = Folder::new("options");
    let files = files(&folder);
    for options in OPTIONS.iter().copied().chain([&[][..]]) {
        for pattern in [PATTERNS[0], PATTERNS[2], PATTERNS[6]] {
            // -E is our default and not grep's.
            let extended: &[&str] = if pattern[0] == "-F" { &[] } else { &["-E"] };
            let args = [extended, pattern, options].concat();
            check(&folder.0, &[&args[..], &files[..]].concat(), None);
        }
    }
}

#[test]
fn combinations_on_single_files() {
    let folder = Folder::new("combinations");
    let files = files(&folder);
    let mut numbers = Numbers(7);
    for _ in 0..700 {
        let mut args: Vec<&str> = numbers.pick(PATTERNS).to_vec();
        if !args.contains(&"-F") && !args.contains(&"-E") {
            args.push("-E");
        }
        for _ in 0..numbers.below(5) {
            args.extend(numbers.pick(OPTIONS).iter());
        }
        // grep finds fewer empty words than the letter of its manual, and -o -v prints nothing.
        if args.contains(&"-w") && ["", "^$", "[^-.]"].iter().any(|p| args.contains(p)) {
            continue;
        }
        if grep_loses_all(&args) {
            continue;
        }
        let file = *numbers.pick(&files);
        if numbers.below(3) == 0 {
            let input = std::fs::read(folder.0.join(file)).unwrap();
            // What a pipe brings in one read decides where grep takes it for binary.
            if input.len() < 4096 || !file.starts_with("nul") {
                check(&folder.0, &args, Some(&input));
            }
        } else {
            args.push(file);
            check(&folder.0, &args, None);
        }
    }
}

#[test]
fn trouble_and_exit_codes() {
    let folder = Folder::new("trouble");
    files(&folder);
    for args in [
        &["-e", "foo", "missing"][..],
        &["-e", "foo", "missing", "small"],
        &["-e", "foo", "-s", "missing", "small"],
        &["-e", "foo", "-s", "missing"],
        &["-q", "-e", "foo", "missing", "small"],
        &["-q", "-e", "foo", "small", "missing"],
        &["-q", "-e", "nothing", "small", "missing"],
        &["-q", "-s", "-e", "nothing", "small", "missing"],
        &["-l", "-e", "foo", "missing", "small", "empty"],
        &["-L", "-e", "foo", "small"],
        &["-L", "-e", "foo", "empty"],
        &["-c", "-e", "foo", "small", "missing", "empty", "single"],
        &["-m", "0", "-e", "foo", "small"],
        &["-v", "-c", "-e", "foo", "nul-first"],
        &["-e", "foo", "small", "-", "single"],
        &["-H", "-e", "foo", "-"],
        &["foo", "small", "bare"],
        &["-e", "foo\nbar", "small"],
        &["-F", "-f", "small", "words"],
        &["-f", "empty", "small"],
        &["-f", "empty", "-e", "foo", "small"],
        &["-c", "-f", "newline", "small"],
        &["-f", "missing", "small"],
        &["-c", "-f", "-", "small"],
        &["-e", "foo", "-f", "single", "small"],
    ] {
        check(&folder.0, args, Some(b"foo stdin\nbar stdin\n"));
    }
    let refused = scan(&folder.0, &["-e", "(a)\\1", "small"], None);
    assert_eq!(refused.code, Some(2));
    assert!(String::from_utf8_lossy(&refused.err).contains("back-reference"), "{refused:?}");
}

#[test]
fn every_number_of_max_count() {
    let folder = Folder::new("max-count");
    files(&folder);
    for number in [
        "0",
        "-0",
        "1",
        "2",
        "+2",
        " 2",
        "\t2",
        "007",
        "-1",
        "-5",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "99999999999999999999999",
        "-99999999999999999999999",
    ] {
        for options in [
            &[][..],
            &["-L"],
            &["-l"],
            &["-c"],
            &["-q"],
            &["-v"],
            &["-v", "-c"],
            &["-L", "-q"],
            &["-L", "-v"],
        ] {
            let files = ["-e", "foo", "small", "missing", "bare-none", "empty", "medium"];
            let args = [&["-m", number], options, &files].concat();
            let unlimited = if grep_loses_all(&args) { &args[2..] } else { &args };
            let (ours, theirs) = (scan(&folder.0, &args, None), grep(&folder.0, unlimited, None));
            assert!(ours == theirs, "{args:?}\nringfence: {ours:?}\ngrep: {theirs:?}");
        }
        check(&folder.0, &[&format!("-m{number}"), "-e", "foo", "bare", "crlf"], None);
        check(&folder.0, &[&format!("--max-count={number}"), "-c", "-e", "foo", "medium"], None);
    }
    for args in [
        &["-m", "0", "-l", "-L", "-e", "foo", "small"][..],
        &["-m", "0", "-L", "-l", "-e", "foo", "small"],
        &["-m", "0", "-L", "-c", "-e", "foo", "small"],
        &["-m", "0", "-L", "-e", "foo", "-"],
        &["-m", "0", "-L", "-s", "-e", "foo", "missing", "nul-first", "long-none"],
        &["-m", "0", "-f", "missing", "small"],
        &["-m", "0", "-E", "-e", "(", "small"],
        &["-m", "0", "-m", "2", "-e", "foo", "small"],
        &["-m", "-1", "-m", "1", "-e", "foo", "small"],
    ] {
        check(&folder.0, args, Some(b"foo\n"));
    }
    for number in ["", "-", "+", "--1", "1k", "0x2", "1 ", "1.5", "-x", "foo"] {
        let args = ["-m", number, "-e", "foo", "small"];
        let (ours, theirs) = (scan(&folder.0, &args, None), grep(&folder.0, &args, None));
        assert_eq!((ours.code, &ours.out), (Some(2), &theirs.out), "{args:?}: {ours:?}");
        assert_eq!(theirs.code, Some(2), "{args:?}: {theirs:?}");
        let said = String::from_utf8_lossy(&ours.err).into_owned();
        assert!(said.contains("--max-count"), "{args:?}: {said}");
    }
}

#[test]
fn json_refuses_what_it_cannot_show() {
    let folder = Folder::new("json-refused");
    files(&folder);
    for (args, option) in [
        (&["--json", "-c"][..], "-c (--count)"),
        (&["--count", "--json"], "-c (--count)"),
        (&["--json", "-l"], "-l (--files-with-matches)"),
        (&["-l", "-L", "--json"], "-L (--files-without-match)"),
        (&["--json", "-o", "-n"], "-o (--only-matching)"),
        (&["--json", "-q", "-c"], "-c (--count)"),
        (&["--json", "-m", "0", "-L"], "-L (--files-without-match)"),
    ] {
        let said = scan(&folder.0, &[args, &["-e", "foo", "small"]].concat(), None);
        assert_eq!((said.code, said.out.len()), (Some(2), 0), "{args:?}: {said:?}");
        let wanted = format!("ringfence: --json cannot be used with {option}\n");
        assert_eq!(String::from_utf8_lossy(&said.err), wanted, "{args:?}");
    }
}

#[test]
fn directories_as_grep_r() {
    let folder = Folder::new("directories");
    for n in 0..300 {
        folder.write(&format!("tree/d{}/f{n}", n % 17), format!("file {n}\nfoo {}\n", n % 5));
    }
    folder.write("tree/big", vec![b'f'; 400_000]);
    folder.write("tree/empty", "");
    folder.write("tree/bin", b"foo\0");
    std::os::unix::fs::symlink("big", folder.0.join("tree/link")).unwrap();
    for args in [
        &["-r", "-e", "foo", "tree"][..],
        &["-r", "-c", "-e", "foo [12]", "tree/"],
        &["-r", "-l", "-e", "foo 3", "tree", "tree/d1"],
        &["-r", "-L", "-e", "foo", "tree"],
        &["-r", "-h", "-n", "-e", "file", "tree"],
        &["-r", "-e", "ff", "-c", "tree/link"],
        &["-r", "-e", "foo", "tree/d1/f1"],
    ] {
        let (ours, theirs) = (sorted(scan(&folder.0, args, None)), sorted(grep(&folder.0, args, None)));
        assert!(ours == theirs, "{args:?}\nringfence: {ours:?}\ngrep: {theirs:?}");
    }
}

#[test]
fn hidden_and_ignored_files_as_ripgrep() {
    let folder = Folder::new("ignored");
    for (name, bytes) in [
        (".hidden", "foo\n"),
        ("seen", "foo\n"),
        ("skipped.log", "foo\n"),
        (".git/config", "foo\n"),
        (".gitignore", "*.log\n"),
        ("sub/.x/y", "foo\n"),
    ] {
        folder.write(name, bytes);
    }
    let names = |args: &[&str]| {
        let said = scan(&folder.0, &[&["-l", "-e", "foo"], args].concat(), Some(b""));
        String::from_utf8(sorted(said).out).unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(&["."]), "./seen");
    assert_eq!(names(&["--no-ignore", "."]), "./seen ./skipped.log");
    assert_eq!(names(&["--hidden", "."]), "./.git/config ./.hidden ./seen ./sub/.x/y");
    // Named outright, a file is searched whatever its name.
    assert_eq!(names(&["skipped.log", ".hidden"]), ".hidden skipped.log");
}

#[test]
fn random_texts() {
    let folder = Folder::new("random");
    let mut numbers = Numbers(99);
    let alphabets: [&[u8]; 4] = [b"ab\n", b"aaaaaaaaaaaaaaaaaaaaaaaab\n", b"ab\n\0", b"abAB _.\n\n"];
    let patterns = ["ab", "a+b", "^a", "b$", "^$", "(a|b)b*a", "aab|bba", "[ab]{3}", "\\bab", "b.a", "a"];
    for round in 0..150 {
        let alphabet = *numbers.pick(&alphabets);
        let size = numbers.below(if round % 10 == 0 { 450_000 } else { 3000 });
        let mut bytes: Vec<u8> = (0..size).map(|_| *numbers.pick(alphabet)).collect();
        if numbers.below(4) == 0 {
            bytes.retain(|b| *b != b'\n');
        }
        folder.write("text", &bytes);
        let mut args = vec!["-E", "-e", *numbers.pick(&patterns)];
        for _ in 0..numbers.below(3) {
            args.extend(numbers.pick(OPTIONS).iter());
        }
        args.push("text");
        if !(args.contains(&"-w") && args.contains(&"^$") || grep_loses_all(&args)) {
            check(&folder.0, &args, None);
        }
    }
}
