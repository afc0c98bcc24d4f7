//! Files that go, change or cannot be read while `ringfence scan` is at them, beside GNU grep on what
//! is there in the end.

mod scan_common;

use std::fs::{File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set};
use scan_common::{Folder, Said, check, grep, scan, scan_command, sorted};

const ENGINES: [&str; 2] = ["auto", "threads"];

/// More than a search reads ahead: its whole arena is 32 MiB.
const LARGE: usize = 34 << 20;

/// What stands on standard input, the first file of a [`held_up`] search: more than a pipe holds.
fn gate() -> Vec<u8> {
    b"foo at the gate\n".repeat(20_000)
}

/// `-H -e foo` with `options`, over standard input and then `paths`.
fn args<'a>(options: &[&'a str], paths: &[&'a str]) -> Vec<&'a str> {
    [&["-H", "-e", "foo"], options, &["-"], paths].concat()
}

/// Searches with [`args`]. When the program reads its standard input, the first of the directories that
/// `paths` name is listed, and at most 63 reads of what follows are under way or done. Then `meddle` runs,
/// and then the search may go on.
fn held_up(dir: &Path, options: &[&str], paths: &[&str], meddle: impl FnOnce()) -> Said {
    let mut command = scan_command(dir, &args(options, paths));
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let ended = std::thread::spawn(move || child.wait_with_output().unwrap());
    pipe.write_all(&gate()).unwrap();
    meddle();
    drop(pipe);
    let ended = ended.join().unwrap();
    Said { out: ended.stdout, err: ended.stderr, code: ended.status.code() }
}

/// Lines of which some match; the last one has no end.
fn text(bytes: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes + 100);
    for n in 0.. {
        if text.len() >= bytes {
            break;
        }
        let word = if n % 97 == 0 { "foo" } else { "bar" };
        writeln!(text, "{word} in line {n} of a file that somebody else is writing to").unwrap();
    }
    text.truncate(bytes);
    text
}

#[test]
fn files_that_vanish_between_listing_and_open() {
    for options in [&[][..], &["-s"], &["-c"]] {
        let folder = Folder::new("vanish");
        let names: Vec<String> = (0..200).map(|n| format!("tree/f{n:03}")).collect();
        for name in &names {
            folder.write(name, format!("foo in {name}\nbar\n"));
        }
        folder.write("tree/gone/f", "foo\n");
        folder.write("tree/kept/f", "foo\n");
        let ours = held_up(&folder.0, options, &["tree"], || {
            for name in &names[150..160] {
                std::fs::remove_file(folder.0.join(name)).unwrap();
            }
            std::fs::remove_dir_all(folder.0.join("tree/gone")).unwrap();
            folder.write(&names[170], "");
            folder.write(&names[171], "foo\n".repeat(20_000));
        });
        let names: Vec<&str> = names.iter().map(String::as_str).chain(["tree/gone", "tree/kept/f"]).collect();
        let theirs = grep(&folder.0, &args(options, &names), Some(&gate()));
        assert!(ours == theirs, "{options:?}\nringfence: {ours:?}\ngrep: {theirs:?}");
        assert_eq!(theirs.code, Some(2), "grep misses them too");
    }
}

#[test]
fn large_files_that_change_behind_what_is_read() {
    let before = text(LARGE);
    let shrunk = LARGE - (1 << 20) - 5;
    type Change<'a> = (&'a str, &'a dyn Fn(&File));
    let changes: [Change<'_>; 3] = [
        ("shrinks", &|file| file.set_len(shrunk as u64).unwrap()),
        ("grows", &|mut file| file.write_all(&text(3 << 20)).unwrap()),
        ("grows by a byte", &|mut file| file.write_all(b"\n").unwrap()),
    ];
    for engine in ENGINES {
        for (what, change) in changes {
            for options in [&[][..], &["-n", "-b"], &["-c", "-v"]] {
                let folder = Folder::new("changing");
                folder.write("large", &before);
                folder.write("next", "foo\n");
                let options = [&["--engine", engine], options].concat();
                let ours = held_up(&folder.0, &options, &["large", "next"], || {
                    change(&File::options().append(true).open(folder.0.join("large")).unwrap());
                });
                let theirs = grep(&folder.0, &args(&options[2..], &["large", "next"]), Some(&gate()));
                assert!(ours == theirs, "{what} {options:?}\nringfence: {ours:?}\ngrep: {theirs:?}");
            }
        }
    }
}

/// What was read stands; how much that is, chance decides.
#[test]
fn a_file_that_shrinks_below_what_is_read() {
    for engine in ENGINES {
        let folder = Folder::new("shrinking");
        folder.write("large", text(LARGE));
        folder.write("next", "foo\n");
        let paths = ["large", "next"];
        let whole = grep(&folder.0, &args(&[], &paths), Some(&gate()));
        let ours = held_up(&folder.0, &["--engine", engine], &paths, || {
            File::options().write(true).open(folder.0.join("large")).unwrap().set_len(100_005).unwrap();
        });
        // The system zeroes what it cuts off of a page, which a read that is under way may see.
        let told = ours.err.is_empty() || ours.err == b"ringfence: large: binary file matches\n";
        assert!(ours.code == Some(0) && told, "{engine}: {ours:?}");
        let lines = ours.out.strip_suffix(b"\nnext:foo\n").expect("the next file comes behind it");
        assert!(whole.out.starts_with(lines), "{engine}: lines are those that were there");
        let least = grep(&folder.0, &args(&[], &["large"]), Some(&gate()));
        assert!(lines.len() + 1 >= least.out.len(), "{engine}: what is left of it is searched");
    }
}

#[test]
fn a_file_that_is_removed_after_it_was_opened() {
    for engine in ENGINES {
        let folder = Folder::new("removed");
        folder.write("large", text(LARGE));
        let theirs = grep(&folder.0, &args(&[], &["large"]), Some(&gate()));
        let ours = held_up(&folder.0, &["--engine", engine], &["large"], || {
            std::fs::remove_file(folder.0.join("large")).unwrap();
        });
        assert!(ours == theirs, "{engine}\nringfence: {ours:?}\ngrep: {theirs:?}");
    }
}

/// Runs `test` on a thread whose programs may not read what permissions forbid, even for root.
fn without_rights(test: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for right in [CapabilitySet::DAC_OVERRIDE, CapabilitySet::DAC_READ_SEARCH] {
                // Refused to whoever is not root, and has no such rights.
                let _ = remove_capability_from_bounding_set(right);
            }
            test();
        });
    });
}

#[test]
fn files_and_directories_without_permission() {
    let folder = Folder::new("locked");
    for name in ["open/f", "locked/f", "list-only/f", "search-only/f", "secret", "z"] {
        folder.write(&format!("tree/{name}"), "foo\n");
    }
    let modes = [("locked", 0), ("list-only", 0o444), ("search-only", 0o111), ("secret", 0)];
    let set = |path: &str, mode| {
        let path = folder.0.join("tree").join(path);
        std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    };
    modes.iter().for_each(|(path, mode)| set(path, *mode));
    without_rights(|| {
        for options in [&[][..], &["-s"], &["-c"], &["-l"], &["-L"], &["-s", "-q"]] {
            let args = [&["-r", "-e", "foo"], options, &["tree"]].concat();
            let (ours, theirs) = (sorted(scan(&folder.0, &args, None)), sorted(grep(&folder.0, &args, None)));
            assert!(ours == theirs, "{args:?}\nringfence: {ours:?}\ngrep: {theirs:?}");
            assert!(theirs.code == Some(2) || options.contains(&"-q"), "grep may not read them: {theirs:?}");
            let files = ["tree/secret", "tree/z", "tree/locked/f", "tree/list-only/f", "tree/search-only/f"];
            check(&folder.0, &[&["-e", "foo"], options, &files].concat(), None);
        }
    });
    // So that they can be removed.
    modes.iter().for_each(|(path, _)| set(path, 0o777));
}

#[test]
fn files_whose_reads_fail() {
    let folder = Folder::new("failing");
    folder.write("small", "foo\n");
    for options in [&[][..], &["-s"], &["-c"], &["-l"], &["-L"], &["-v"], &["-a"], &["-q"]] {
        // It opens, and has nothing at its first address.
        let failing = ["/proc/self/mem", "small"];
        check(&folder.0, &[&["-e", "foo"], options, &failing].concat(), None);
        // Standard input is a directory.
        let said = |mut command: Command| {
            let directory = File::open(&folder.0).unwrap();
            command.args(options).args(["-e", "foo", "-", "small"]).current_dir(&folder.0);
            let output = command.env("LC_ALL", "C").stdin(directory).output().unwrap();
            let err = String::from_utf8(output.stderr).unwrap().replace("grep: ", "ringfence: ");
            (output.status.code(), String::from_utf8(output.stdout).unwrap(), err)
        };
        assert_eq!(said(scan_command::<&str>(&folder.0, &[])), said(Command::new("grep")), "{options:?}");
    }
}
