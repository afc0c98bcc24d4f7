//! Handlers in GLSL, compiled where the program runs (feature `shaderc`).

use std::path::{Path, PathBuf};

use shaderc::{
    CompileOptions, Compiler, EnvVersion, IncludeType, OptimizationLevel, ResolvedInclude, ShaderKind,
    SpirvVersion, TargetEnv,
};

use super::Result;
use super::link::with_signature;

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
    let artifact = compiler
        .compile_into_spirv(source, ShaderKind::Compute, file, "main", Some(&options))
        .map_err(|e| format!("does not compile:\n{e}"))?;
    with_signature(artifact.as_binary_u8(), source)
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
