//! `spirv/lock`: what the modules beside it were compiled from, and with what.
//!
//! The lock lets a build without a C++ toolchain embed `spirv/` and still be certain that it belongs to
//! the `glsl/` at hand.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::manifest::Entry;
use super::{Compiled, Result, read_text};

/// The compiler that `spirv/` is made with; Cargo.toml pins the same version of the crate.
pub const COMPILER: &str = "shaderc 0.10.1";

/// Its options, as `compile` sets them.
pub const OPTIONS: &str = "-O --target-env=vulkan1.2 --target-spv=spv1.5";

/// The content of `spirv/lock`.
#[derive(Debug, PartialEq, Eq)]
pub struct Lock {
    glsl: String,
    compiler: String,
    options: String,
    modules: BTreeMap<String, String>,
}

impl Lock {
    /// The lock for modules that were just compiled from `glsl`.
    pub fn new(glsl: &Path, compiled: &[Compiled]) -> Result<Self> {
        Ok(Self {
            glsl: hash_folder(glsl)?,
            compiler: COMPILER.into(),
            options: OPTIONS.into(),
            modules: compiled.iter().map(|m| (m.name.clone(), hash(&m.code))).collect(),
        })
    }

    /// Parses the text of a lock.
    ///
    /// # Errors
    /// Names the line that is malformed, or the key that is missing.
    pub fn parse(text: &str) -> Result<Self> {
        let mut values = BTreeMap::new();
        let mut modules = BTreeMap::new();
        for (number, line) in text.lines().enumerate().filter(|(_, l)| !l.is_empty() && !l.starts_with('#')) {
            let malformed = || format!("spirv/lock line {} is malformed; run tools/spirv", number + 1);
            let (key, value) = line.split_once(' ').ok_or_else(malformed)?;
            let repeated = match key {
                "module" => {
                    let (name, hash) = value.split_once(' ').ok_or_else(malformed)?;
                    modules.insert(name.to_owned(), hash.to_owned())
                }
                "glsl" | "compiler" | "options" => values.insert(key, value.to_owned()),
                _ => return Err(malformed()),
            };
            if repeated.is_some() {
                return Err(malformed());
            }
        }
        let mut take = |key: &str| {
            values.remove(key).ok_or_else(|| format!("spirv/lock has no '{key}'; run tools/spirv"))
        };
        Ok(Self { glsl: take("glsl")?, compiler: take("compiler")?, options: take("options")?, modules })
    }
}

impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# Written by tools/spirv. SHA-256 of glsl/ and of each module.")?;
        writeln!(f, "glsl {}\ncompiler {}\noptions {}", self.glsl, self.compiler, self.options)?;
        self.modules.iter().try_for_each(|(name, hash)| writeln!(f, "module {name} {hash}"))
    }
}

/// Reads the modules of `spirv/` after checking that they are those of `glsl/`.
///
/// # Errors
/// When `glsl/` was edited since, the lock or a module is missing, or a module is not the locked one.
pub fn read_locked(glsl: &Path, spirv: &Path, entries: &[Entry]) -> Result<Vec<Compiled>> {
    let lock = Lock::parse(&read_text(&spirv.join("lock"))?)?;
    if lock.glsl != hash_folder(glsl)? {
        return Err("glsl/ was edited since spirv/ was compiled from it.\nWhile you work on the kernel, build \
                    with --features shaderc, which compiles glsl/ itself; before you commit, run tools/spirv, \
                    which rewrites spirv/."
            .into());
    }
    if (lock.compiler.as_str(), lock.options.as_str()) != (COMPILER, OPTIONS) {
        return Err(format!(
            "spirv/ was compiled by '{} {}', this build expects '{COMPILER} {OPTIONS}'; run tools/spirv.",
            lock.compiler, lock.options
        ));
    }
    if !lock.modules.keys().eq(entries.iter().map(|e| &e.name)) {
        return Err("spirv/lock and glsl/modules list different modules; run tools/spirv.".into());
    }
    entries
        .iter()
        .map(|entry| {
            let path = spirv.join(&entry.name).with_extension("spv");
            let code = std::fs::read(&path)
                .map_err(|e| format!("cannot read {}: {e}; run tools/spirv.", path.display()))?;
            match hash(&code) == lock.modules[&entry.name] {
                true => Ok(Compiled { name: entry.name.clone(), code }),
                false => Err(format!(
                    "spirv/{}.spv is not the file that spirv/lock names: it is damaged, or was replaced by hand. \
                     Restore it from version control, or run tools/spirv.",
                    entry.name
                )),
            }
        })
        .collect()
}

/// Files below `folder`, hidden ones left out, in the order of their names.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let cannot = |e: std::io::Error| format!("cannot list {}: {e}", folder.display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        match entry.file_name().to_str() {
            Some(name) if name.starts_with('.') => {}
            _ if entry.file_type().map_err(cannot)?.is_dir() => found.extend(files(&entry.path())?),
            _ => found.push(entry.path()),
        }
    }
    found.sort();
    Ok(found)
}

pub fn hash_folder(folder: &Path) -> Result<String> {
    // Sorted by the names that are hashed: the order of paths differs between systems.
    let mut texts = BTreeMap::new();
    for path in files(folder)? {
        let parts = path.strip_prefix(folder).unwrap_or(&path).components();
        let name: Vec<_> = parts.map(|part| part.as_os_str().to_string_lossy()).collect();
        texts.insert(name.join("/"), read_text(&path)?);
    }
    let mut digest = Sha256::new();
    for (name, text) in texts {
        // Lengths go in as well, so that no text can pass for the end of another.
        digest.update(format!("{} {name} {} {text}", name.len(), text.len()));
    }
    Ok(hex(&digest.finalize()))
}

fn hash(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
