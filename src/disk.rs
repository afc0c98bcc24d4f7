//! What is kept on disk from run to run: files with a checksum in the user's cache folder. What is missing, damaged or
//! another's is as if it were not there, and what cannot be written is left.

use std::fs;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh64::xxh64;

/// The user's cache folder for this program: XDG_CACHE_HOME or ~/.cache, with `ringfence` below it.
/// None where neither is known.
pub(crate) fn cache_dir() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .map(|base| base.join("ringfence"))
}

/// Writes a file whole or not at all: readers see the old one or the new one.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    fs::write(&temporary, bytes)?;
    fs::rename(&temporary, path).inspect_err(|_| {
        let _ = fs::remove_file(&temporary);
    })
}

/// Writes data behind their checksum. Failures are logged only.
pub(crate) fn put(path: &Path, data: &[u8]) {
    let mut file = xxh64(data, 0).to_le_bytes().to_vec();
    file.extend_from_slice(data);
    if let Err(error) = write(path, &file) {
        tracing::debug!(path = %path.display(), %error, "not cached");
    }
}

/// The data of a file whose checksum is right: against damage, not against malice.
pub(crate) fn get(path: &Path) -> Option<Vec<u8>> {
    let file = fs::read(path).ok()?;
    let (sum, data) = file.split_first_chunk::<8>()?;
    (u64::from_le_bytes(*sum) == xxh64(data, 0)).then(|| data.to_vec())
}

/// Removes files with this ending from a folder until there are `most`, those that were written longest ago first.
pub(crate) fn keep_newest(folder: &Path, ending: &str, most: usize) {
    let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .map(|path| (fs::metadata(&path).and_then(|data| data.modified()).ok(), path))
        .collect();
    files.sort();
    let more = files.len().saturating_sub(most);
    for (_, path) in files.into_iter().take(more) {
        let _ = fs::remove_file(path);
    }
}

/// A name for what is made from `parts`, 128 bits of hash: who has the same parts finds it.
pub(crate) fn name_of(parts: &[&[u8]]) -> String {
    let half = |seed| {
        let mut hash = xxhash_rust::xxh64::Xxh64::new(seed);
        for part in parts {
            hash.update(&(part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.digest()
    };
    format!("{:016x}{:016x}", half(0), half(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go() {
        let folder = std::env::temp_dir().join(format!("ringfence-newest-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        for (age, name) in ["a.kept", "b.kept", "c.other", "d.kept"].iter().enumerate() {
            let path = folder.join(name);
            fs::write(&path, "").expect("it is written");
            let time = std::time::SystemTime::now() - std::time::Duration::from_secs(60 * age as u64);
            fs::File::open(&path).and_then(|file| file.set_modified(time)).expect("a time");
        }
        keep_newest(&folder, "kept", 2);
        let mut left: Vec<_> = fs::read_dir(&folder)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
            .collect();
        left.sort();
        assert_eq!(left, ["a.kept", "b.kept", "c.other"]);
        fs::remove_dir_all(&folder).expect("it is there");
    }

    #[test]
    fn damage_is_as_if_nothing_were_there() {
        let path = std::env::temp_dir().join(format!("ringfence-disk-{}", std::process::id()));
        assert_eq!(get(&path), None);
        put(&path, b"some data");
        assert_eq!(get(&path).as_deref(), Some(&b"some data"[..]));
        let whole = fs::read(&path).expect("it was written");
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            fs::write(&path, damaged).expect("it is written");
            assert_eq!(get(&path), None, "byte {at}");
            fs::write(&path, &whole[..at]).expect("it is written");
            assert_eq!(get(&path), None, "cut at {at}");
        }
        fs::remove_file(&path).expect("it is there");
    }
}
