//! Embeds the kernel's modules: from `spirv/` if its lock matches `glsl/`, or compiled here with the
//! feature `shaderc`. See docs/building.md.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[path = "src/protocol/abi.rs"]
#[allow(dead_code, missing_docs, reason = "only the tables are read here")]
mod abi;
#[cfg(feature = "shaderc")]
#[path = "src/kernel/build/compile.rs"]
mod compile;
#[path = "src/kernel/build/mod.rs"]
#[allow(dead_code, reason = "which functions are used depends on the feature")]
mod shaders;

use shaders::{Compiled, Result, abi_glsl, contract, emit, glslc, lock, manifest, reflect};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // Cargo shows these as errors of its own, above the script's output.
            message.lines().for_each(|line| println!("cargo::error={line}"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).ok_or(format!("{name} is not set"));
    let root = folder("CARGO_MANIFEST_DIR")?;
    let out = folder("OUT_DIR")?;
    for path in ["build.rs", "glsl", "spirv", "src/kernel", "src/protocol/abi.rs"] {
        println!("cargo::rerun-if-changed={path}");
    }
    for variable in ["RINGFENCE_RENDER_ABI", "RINGFENCE_GLSLC"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    // Set by tools/spirv: without a way to render abi.glsl first, a changed constant could not be built.
    if let Some(path) = std::env::var_os("RINGFENCE_RENDER_ABI") {
        emit::put(Path::new(&path), abi_glsl::render(abi::TABLES).as_bytes())?;
    }

    // Of kernels that are kept on disk it is told by this whether the same linker made them.
    println!("cargo::rustc-env=RINGFENCE_LINKER={}", lock::hash_folder(&root.join("src/kernel"))?);

    let glsl = root.join("glsl");
    abi_glsl::check(&glsl, abi::TABLES)?;
    let entries = manifest::parse(&shaders::read_text(&glsl.join("modules"))?)?;
    let mut modules = Vec::new();
    for compiled in obtain(&glsl, &root.join("spirv"), &entries, &out)? {
        let named = |problem: String| format!("module '{}': {problem}", compiled.name);
        let reflection = reflect::reflect(&compiled.code).map_err(named)?;
        contract::check(&compiled.name, &reflection, abi::TABLES)?;
        modules.push((compiled, reflection));
    }
    emit::write(&out, &modules)
}

/// The modules by whichever way this build was asked to get them.
fn obtain(glsl: &Path, spirv: &Path, entries: &[manifest::Entry], out: &Path) -> Result<Vec<Compiled>> {
    if let Ok(program) = std::env::var("RINGFENCE_GLSLC") {
        println!(
            "cargo::warning=embedding modules compiled by {program} (RINGFENCE_GLSLC), not those of spirv/"
        );
        return glslc::compile(&program, glsl, entries, out);
    }
    regular(glsl, spirv, entries, out)
}

#[cfg(feature = "shaderc")]
fn regular(glsl: &Path, _spirv: &Path, entries: &[manifest::Entry], out: &Path) -> Result<Vec<Compiled>> {
    let compiled = compile::compile(glsl, entries)?;
    // For tools/spirv, beside the modules themselves.
    emit::put(&out.join("lock"), lock::Lock::new(glsl, &compiled)?.to_string().as_bytes())?;
    Ok(compiled)
}

#[cfg(not(feature = "shaderc"))]
fn regular(glsl: &Path, spirv: &Path, entries: &[manifest::Entry], _out: &Path) -> Result<Vec<Compiled>> {
    lock::read_locked(glsl, spirv, entries)
}
