//! Handlers in GLSL, compiled where the program runs (feature `shaderc`).

use std::path::{Path, PathBuf};

use shaderc::{
    CompileOptions, Compiler, EnvVersion, IncludeType, OptimizationLevel, ResolvedInclude, ShaderKind,
    SpirvVersion, TargetEnv,
};

use super::Result;
use super::link::with_signature;
use crate::disk::{cache_dir, get, name_of, put};

/// What it is compiled by, as Cargo.toml pins it.
const COMPILER: &[u8] = b"shaderc 0.10.1, -O, Vulkan 1.2, SPIR-V 1.5";

/// What handlers include: the contract and what it rests on.
const CONTRACT: &[(&str, &str)] = &[
    ("abi.glsl", include_str!("../../glsl/abi.glsl")),
    ("handler.glsl", include_str!("../../glsl/handler.glsl")),
    ("mailbox.glsl", include_str!("../../glsl/mailbox.glsl")),
    ("memory.glsl", include_str!("../../glsl/memory.glsl")),
    ("range.glsl", include_str!("../../glsl/range.glsl")),
];

/// Compiles a handler. `file` is what messages call it; its own includes are looked up beside it, if `folder` says where
/// that is, and those of the contract in this library.
///
/// # Errors
/// The compiler's messages, with file and line.
pub(super) fn compile(file: &str, source: &str, folder: Option<&Path>) -> Result<Vec<u8>> {
    let compiler = Compiler::new().map_err(|e| format!("the compiler does not start: {e}"))?;
    let mut options = CompileOptions::new().map_err(|e| format!("the compiler does not start: {e}"))?;
    // The same as of the kernel's modules.
    options.set_optimization_level(OptimizationLevel::Performance);
    options.set_target_env(TargetEnv::Vulkan, EnvVersion::Vulkan1_2 as u32);
    options.set_target_spirv(SpirvVersion::V1_5);
    options.set_include_callback(|requested, kind, from, _| include(requested, kind, from, file, folder));
    let told = |e: shaderc::Error| format!("does not compile:\n{e}");
    // With all that it includes: what is the same here compiles to the same.
    let whole = compiler.preprocess(source, file, "main", Some(&options)).map_err(told)?;
    let name = name_of(&[env!("CARGO_PKG_VERSION").as_bytes(), COMPILER, whole.as_text().as_bytes()]);
    let path = cache_dir().map(|dir| dir.join(format!("handler-{name}.spv")));
    let code = match path.as_deref().and_then(get) {
        Some(code) => code,
        None => {
            let artifact = compiler
                .compile_into_spirv(source, ShaderKind::Compute, file, "main", Some(&options))
                .map_err(told)?;
            let code = artifact.as_binary_u8().to_vec();
            path.iter().for_each(|path| put(path, &code));
            code
        }
    };
    with_signature(&code, source)
}

fn include(
    requested: &str,
    kind: IncludeType,
    from: &str,
    file: &str,
    folder: Option<&Path>,
) -> Result<ResolvedInclude> {
    // Beside the file that includes it.
    if let (IncludeType::Relative, Some(folder)) = (kind, folder) {
        let beside = if from == file { Some(folder) } else { Path::new(from).parent() };
        let path: PathBuf = beside.unwrap_or(folder).join(requested);
        if path.is_file() {
            let content = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
            return Ok(ResolvedInclude { resolved_name: path.display().to_string(), content });
        }
    }
    let own = CONTRACT.iter().find(|(name, _)| *name == requested);
    own.map(|(name, content)| ResolvedInclude { resolved_name: (*name).into(), content: (*content).into() })
        .ok_or_else(|| format!("'{requested}' is neither beside the handler nor one of the contract's files"))
}
