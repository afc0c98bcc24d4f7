//! The build script itself, run by cargo on a copy of the package with one constant changed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if !from.is_dir() {
        return fs::copy(from, to).map(drop);
    }
    fs::create_dir_all(to)?;
    fs::read_dir(from)?.try_for_each(|entry| {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))
    })
}

#[test]
fn a_changed_constant_fails_the_build() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let package: PathBuf = temporary.join("changed-constant");
    let _ = fs::remove_dir_all(&package);
    fs::create_dir_all(&package).unwrap();
    for part in ["Cargo.toml", "Cargo.lock", "build.rs", "src", "glsl", "spirv"] {
        copy(&root.join(part), &package.join(part)).unwrap();
    }
    // The manifest names a test.
    fs::create_dir_all(package.join("tests")).unwrap();
    fs::write(package.join("tests/kernel_glsl.rs"), "").unwrap();
    let abi = package.join("src/protocol/abi.rs");
    let text = fs::read_to_string(&abi).unwrap();
    let changed = text.replace("DONE_COUNT = 1;", "DONE_COUNT = 2;");
    assert_ne!(text, changed, "the constant to change is gone; take another");
    fs::write(abi, changed).unwrap();

    // In the target folder of this very build, whose dependencies are there already.
    let target = temporary.parent().unwrap();
    let output = Command::new(env!("CARGO"))
        .args(["build", "--lib", "--offline", "--manifest-path"])
        .arg(package.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(target)
        .env_remove("RINGFENCE_RENDER_ABI")
        .env_remove("RINGFENCE_GLSLC")
        .output()
        .unwrap();
    let messages = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "the build passed:\n{messages}");
    for line in
        ["abi.glsl: const uint DONE_COUNT = 1u;", "abi.rs:   const uint DONE_COUNT = 2u;", "Run tools/spirv"]
    {
        assert!(messages.contains(line), "no '{line}' in:\n{messages}");
    }
    let _ = fs::remove_dir_all(&package);
}
