//! `ringfence scan` against grep over what a system has on its disk: documentation, headers,
//! sources, binaries.

mod scan_common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use scan_common::{Folder, check, grep, scan, sorted};

/// Up to `most` regular, readable files below `root`, in the order of their names.
fn collect(root: &str, most: usize, into: &mut Vec<PathBuf>) {
    let limit = into.len() + most;
    let mut folders = vec![PathBuf::from(root)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        let mut entries: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        entries.sort();
        for path in entries.into_iter().rev() {
            let Ok(meta) = path.symlink_metadata() else { continue };
            if meta.is_dir() {
                folders.push(path);
            } else if meta.is_file() && meta.len() < 3 << 20 && std::fs::File::open(&path).is_ok() {
                into.push(path);
                if into.len() == limit {
                    return;
                }
            }
        }
    }
}

fn files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    collect(concat!(env!("CARGO_MANIFEST_DIR"), "/src"), 200, &mut files);
    for (root, most) in [
        ("/usr/share/doc", 900),
        ("/usr/include", 900),
        ("/usr/share/perl", 300),
        ("/usr/bin", 150),
        ("/usr/lib", 900),
    ] {
        collect(root, most, &mut files);
    }
    files
}

/// Words of the files themselves, spread over them, longest share first.
fn words(files: &[PathBuf], most: usize) -> Vec<String> {
    let mut words = BTreeSet::new();
    for file in files {
        let Ok(text) = std::fs::read_to_string(file) else { continue };
        let long =
            text.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| (5..16).contains(&word.len()));
        words.extend(long.take(400).map(str::to_owned));
    }
    // Each n-th, so that no letter is left out.
    let step = (words.len() / most).max(1);
    words.into_iter().step_by(step).take(most).collect()
}

/// The files in groups, as arguments; so that a failure names a few of them only.
fn compare(options: &[&str], files: &[PathBuf]) {
    for group in files.chunks(500) {
        let names: Vec<&str> = group.iter().filter_map(|path| path.to_str()).collect();
        check(Path::new("/"), &[options, &names].concat(), None);
    }
}

#[test]
fn a_few_words() {
    let files = files();
    assert!(files.len() > 500, "too little to search on this system: {}", files.len());
    compare(&["-F", "-n", "-e", "include", "-e", "license", "-e", "error"], &files);
    compare(&["-F", "-i", "-c", "-e", "copyright", "-e", "the"], &files);
}

#[test]
fn two_thousand_words() {
    let files = files();
    let folder = Folder::new("real-words");
    let words = words(&files, 2000);
    assert!(words.len() > 500, "too few words on this system: {}", words.len());
    folder.write("words", words.join("\n"));
    let list = folder.0.join("words");
    let list = list.to_str().unwrap();
    compare(&["-F", "-n", "-f", list], &files);
    compare(&["-F", "-w", "-b", "-f", list], &files[..files.len() / 3]);
    compare(&["-F", "-i", "-l", "-f", list], &files);
}

#[test]
fn expressions() {
    let files = files();
    compare(&["-E", "-n", "-e", "^#[[:space:]]*(if|define)", "-e", "[0-9]{4}-[0-9]{2}"], &files);
    compare(&["-E", "-o", "-b", "-e", "\\<[A-Z][a-z]+\\>"], &files[..files.len() / 2]);
    compare(&["-E", "-c", "-v", "-e", "."], &files);
    compare(&["-E", "-a", "-c", "-e", "[^[:print:][:space:]]{3}"], &files);
}

#[test]
fn a_whole_tree() {
    for (root, args) in
        [("/usr/include", ["-r", "-n", "-e", "struct"]), ("/usr/share/doc", ["-r", "-c", "-e", "GNU"])]
    {
        if !Path::new(root).is_dir() {
            continue;
        }
        let ours =
            sorted(scan(Path::new("/"), &[&["--hidden", "--no-ignore"], &args[..], &[root]].concat(), None));
        let theirs = sorted(grep(Path::new("/"), &[&args[..], &[root]].concat(), None));
        assert!(ours == theirs, "{root}\nringfence: {ours:?}\ngrep: {theirs:?}");
    }
}
