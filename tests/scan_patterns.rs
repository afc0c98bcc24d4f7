//! Patterns against GNU grep: the lines that the table accepts and the spans that the finder gives.

use std::io::Write as _;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use ringfence::protocol::abi::scan::SCAN_START;
use ringfence::scan::pattern::{Options, Patterns};

/// What grep prints, or `None` where it refuses the pattern.
fn grep(flags: &[&str], pattern: &[u8], text: &[u8]) -> Option<Vec<u8>> {
    use std::os::unix::ffi::OsStrExt as _;
    let mut child = Command::new("grep")
        .env("LC_ALL", "C")
        .args(["-a", "-e"])
        .arg(std::ffi::OsStr::from_bytes(pattern))
        .args(flags)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("GNU grep is installed");
    // grep may refuse the pattern before it reads.
    let _ = child.stdin.take().unwrap().write_all(text);
    let out = child.wait_with_output().unwrap();
    (out.status.code() != Some(2)).then_some(out.stdout)
}

/// The same from the library.
fn ours(flags: &[&str], pattern: &[u8], text: &[u8]) -> Option<Vec<u8>> {
    let has = |flag| flags.contains(&flag);
    let options = Options {
        fixed: has("-F"),
        ignore_case: has("-i"),
        word: has("-w"),
        line: has("-x"),
        ..Options::default()
    };
    let patterns = Patterns::compile(&[pattern], &options).ok()?;
    let finder = patterns.finder().unwrap();
    let mut out = Vec::new();
    for line in text.split_inclusive(|b| *b == b'\n') {
        let body = line.strip_suffix(b"\n").unwrap_or(line);
        let (mut state, mut hit) = (SCAN_START, false);
        for byte in body.iter().chain(b"\n") {
            let (next, report) = patterns.table().step(state, *byte);
            assert!(!(hit && report), "a line reports once");
            hit |= report;
            state = next;
        }
        assert_eq!(state, SCAN_START);
        assert_eq!(
            hit,
            finder.is_match(body),
            "table and finder agree on {:?}",
            String::from_utf8_lossy(body)
        );
        if has("-o") && hit {
            finder.spans(body).for_each(|span| out.extend([&body[span], b"\n"].concat()));
        } else if hit {
            out.extend([body, b"\n"].concat());
        }
    }
    Some(out)
}

fn check(flags: &[&str], pattern: &[u8], text: &[u8]) {
    let (want, got) = (grep(flags, pattern, text), ours(flags, pattern, text));
    let show = |out: &Option<Vec<u8>>| out.as_ref().map(|out| String::from_utf8_lossy(out).into_owned());
    assert_eq!(show(&got), show(&want), "grep {flags:?} -e {:?}", String::from_utf8_lossy(pattern));
}

const TEXT: &[u8] = b"a\nab\nabc\naab\nb\n\nA\nAb b\n a-b \n*a\n+a\n{1}a\na{1\na{2,1}\na{x\na)b\n(\n)\n]\n[a]\n]a\n-\na-b\n\
    d\n5\n\\\n\\d\nfoo_bar\nfoo bar\nfoo.bar barfoo\nword-word\n_x_\nx\ty\nx y\r\na\0b\n\xff\xfe\ncaf\xc3\xa9\n.\n^a\na$\n\
    a^b\na$b\nab ab abab\naaaa\nAbCabc\n1\nab\xc3\na{}\na{,}\na{1a}\n|\na|b\n{\n}\n`b\nb'\nspace space\n0x1F\n  \n";

#[test]
fn corners_of_the_syntax() {
    let patterns: &[&[u8]] = &[
        b"a",
        b"",
        b"^",
        b"$",
        b"^$",
        b".",
        b"a.b",
        b"^a",
        b"a$",
        b"a^b",
        b"a$b",
        b"x^*y",
        b"(^a|b$)*c",
        b"()",
        b"(|a)b",
        b"a||b",
        b"|",
        b"a|",
        b"*a",
        b"+a",
        b"?a",
        b"(*a)",
        b"x|*a",
        b"a|*",
        b"{1}a",
        b"a{1",
        b"a{,2}b",
        b"a{1,2}{2}$",
        b"a{2,1}",
        b"a{x",
        b"a{}",
        b"a{,}",
        b"a{1a}",
        b"a{1,x}",
        b"{",
        b"a{2}",
        b"a{2,}",
        b"(ab){2}",
        b"^a{0}b",
        b"a**",
        b"a+*",
        b"a*+?",
        b"a?+b",
        b"a+?b",
        b"a)",
        b")",
        b"(a",
        b"((a)",
        b"a\\",
        b"\\(",
        b"\\{",
        b"a\\{1",
        b"\\d",
        b"\\n",
        b"\\.",
        b"\\\\",
        b"\\<b",
        b"b\\>",
        b"\\<ab\\>",
        b"\\bb",
        b"b\\b",
        b"\\Bb",
        b"b\\B",
        b"a\\`b",
        b"\\`b",
        b"b\\'",
        b"b\\'a",
        b"\\w\\W\\w",
        b"\\s\\S",
        b"^\\S+$",
        b"^\\W+$",
        b"[]]",
        b"[^]]",
        b"[]a]",
        b"[^]a]",
        b"[a-]",
        b"[-a]",
        b"[--/]",
        b"[a-c-e]",
        b"[z-a]",
        b"[\\d]",
        b"[\\]",
        b"[.]",
        b"[$]",
        b"[\\.]",
        b"[[.-.]]",
        b"[[=a=]]b",
        b"[[.space.]]",
        b"[[:alpha:]]+_",
        b"[[:alpha:]-z]",
        b"[[:foo:]]",
        b"[:alpha:]",
        b"[[:alpha:]",
        b"[[.",
        b"[[=",
        b"[a[.",
        b"[",
        b"[]",
        b"a[",
        b"[^",
        b"[[:digit:][:upper:]]",
        b"[^[:space:]]",
        b"[[:punct:]]",
        b"[[:cntrl:]]",
        b"[[:blank:]]$",
        b"[^[:print:]]",
        b"[[:xdigit:]]{2}",
        b"[a\\]b]",
        b"[\xff]",
        b"\xff",
        b"[\x80-\xff]",
        b"[^\x80-\xff]$",
        b"[a-\xff]",
        b"[\xc3]\xa9",
        b"caf.$",
        b"caf..$",
        b"a\x00",
        b"(a|ab)(c|bcd)?",
        b"ab|abc",
        b"b|ab|aab",
        b"(a*)(ab)*",
        b"a\nb",
        b"foo\n^$",
        b"\n",
        b"(a)\\1x",
        b"\\1",
        b"a{40000}",
        b"[[:alpha:][:digit:]]*\\>",
        b"(b|^)a",
        b"a(b|$)",
        b"[a-z]*",
        b"x*",
        b"[^a]*a",
        b"\\w+",
        b"\\.[a-z]",
        b"a{1,2}{1,2}{1,2}",
        b"(()a)",
        b"a{0,}",
        b"$^",
        b"^*",
        b"a(?:b)",
        b"a??",
        b"[[:alpha:]&&[b]]",
        b"[a--b]",
        b"[a~~b]",
        b"#",
        b" a # b",
        b"\\pL",
        b"\\x41",
        b"(?i)a",
        b"[[a]]",
        b"[[]",
    ];
    // A back-reference is refused by design, where grep follows it; a NUL cannot be an argument;
    // of a brace at the start grep's two engines have two opinions, which -o shows.
    let skip = |p: &[u8]| p == b"(a)\\1x" || p.starts_with(b"{") || p.contains(&0);
    check(&["-E"], b"{", TEXT);
    check(&["-E"], b"{1}a", TEXT);
    for pattern in patterns.iter().filter(|p| !skip(p)) {
        for flags in [
            &["-E"][..],
            &["-E", "-i"],
            &["-E", "-x"],
            &["-E", "-o"],
            &["-E", "-o", "-i"],
            &["-F"],
            &["-F", "-i"],
            &["-F", "-w"],
            &["-F", "-x"],
            &["-F", "-i", "-x"],
            &["-F", "-w", "-o"],
            &["-F", "-o"],
        ] {
            // Two slips of grep 3.8: -o -i finds no '\\d', and '[' in '[a-\\xff]'.
            let slip = flags.contains(&"-o")
                && flags.contains(&"-i")
                && [&b"\\d"[..], b"[a-\xff]"].contains(pattern);
            if !slip {
                check(flags, pattern, TEXT);
            }
        }
    }
    for pattern in
        [&b"a"[..], b"b", b"ab|abc", b"[a-z]+", b"foo", b"a.b", b"ab*", b"word", b"x", b"\\w+b", b"a(b|bc)"]
    {
        for flags in [&["-E", "-w"][..], &["-E", "-w", "-i"], &["-E", "-w", "-o"], &["-E", "-w", "-x"]] {
            check(flags, pattern, TEXT);
        }
    }
}

#[test]
fn refusals_say_what_to_do() {
    for (pattern, says) in [
        (&b"(a)\\1"[..], "back-reference \\1"),
        (b"(a", "unmatched '('"),
        (b"[a", "unmatched '['"),
        (b"[:alpha:]", "[[:alpha:]]"),
        (b"a{2,1}", "invalid interval '{2,1}'"),
        (b"a{99999}", "counts above"),
        (b"((a{1000}){1000}){1000}", "--dfa-size-limit"),
        (b"[ab].{40}c[ab].{40}d", "--dfa-size-limit"),
    ] {
        let options = Options { size_limit: 1 << 20, ..Options::default() };
        let error = Patterns::compile(&[pattern], &options).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        4 => proptest::sample::select(vec!["a", "b", "c", "A", "_", " "]).prop_map(str::to_owned),
        1 => proptest::sample::select(vec![".", "[ab]", "[^a]", "[[:alpha:]]", "\\w", "\\W", "\\<", "\\>", "\\b", "\\B", "^", "$", "()"])
            .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            3 => (inner.clone(), inner.clone()).prop_map(|(a, b)| a + &b),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}|{b})")),
            1 => (inner, proptest::sample::select(vec!["*", "+", "?", "{2}", "{1,3}", "{,2}", "{0}"]))
                .prop_map(|(a, op)| format!("({a}){op}")),
        ]
    })
}

/// The same cases in every run: GNU grep 3.8 loses matches of repeated groups that begin with `\<`
/// (`grep -oE '(\<.a){1,3}'` prints nothing of the line "aaaa" that it selects), and a run that meets one
/// proves nothing. PROPTEST_RNG_SEED=N explores others.
fn fixed() -> ProptestConfig {
    let seeded = std::env::var_os("PROPTEST_RNG_SEED").is_some();
    let usual = ProptestConfig::with_cases(400);
    if seeded { usual } else { ProptestConfig { rng_seed: RngSeed::Fixed(1), ..usual } }
}

proptest! {
    #![proptest_config(fixed())]
    #[test]
    fn random_expressions(
        pattern in expression(),
        text in proptest::collection::vec(proptest::sample::select(b"aabbccA_ \n".to_vec()), 0..120),
        flags in proptest::sample::select(vec![
            vec!["-E"], vec!["-E", "-i"], vec!["-E", "-x"], vec!["-E", "-o"], vec!["-F", "-o"], vec!["-F", "-w"], vec!["-F", "-i"],
        ]),
    ) {
        check(&flags, pattern.as_bytes(), &text);
    }

    #[test]
    fn random_words(
        words in proptest::collection::vec("[abA]{1,4}", 1..6),
        text in proptest::collection::vec(proptest::sample::select(b"aabbA_ \n".to_vec()), 0..200),
        flags in proptest::collection::vec(proptest::sample::select(vec!["-i", "-w", "-x", "-o"]), 0..3),
        fixed in any::<bool>(),
    ) {
        let mut flags = flags;
        flags.push(if fixed { "-F" } else { "-E" });
        check(&flags, words.join("\n").as_bytes(), &text);
    }
}
