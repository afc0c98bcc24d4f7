//! Compiling `glsl/` with shaderc (feature `shaderc`). Only `build.rs` includes this file: the tests are
//! built without the compiler.

use std::path::Path;

use shaderc::{
    CompileOptions, Compiler, EnvVersion, IncludeType, OptimizationLevel, ResolvedInclude, ShaderKind,
    SpirvVersion, TargetEnv,
};

use crate::shaders::manifest::Entry;
use crate::shaders::{Compiled, Result, read_text};

/// Compiles every module of the manifest.
///
/// No debug information, so that the same text gives the same bytes in any folder.
///
/// # Errors
/// The compiler's messages, each with file and line.
pub fn compile(glsl: &Path, entries: &[Entry]) -> Result<Vec<Compiled>> {
    let compiler = Compiler::new().map_err(|e| format!("shaderc does not start: {e}"))?;
    entries.iter().map(|entry| compile_one(&compiler, glsl, entry)).collect()
}

fn compile_one(compiler: &Compiler, glsl: &Path, entry: &Entry) -> Result<Compiled> {
    let mut options = CompileOptions::new().map_err(|e| format!("shaderc does not start: {e}"))?;
    // As `lock::OPTIONS` says.
    options.set_optimization_level(OptimizationLevel::Performance);
    options.set_target_env(TargetEnv::Vulkan, EnvVersion::Vulkan1_2 as u32);
    options.set_target_spirv(SpirvVersion::V1_5);
    options.set_warnings_as_errors();
    for (name, value) in &entry.defines {
        options.add_macro_definition(name, value.as_deref());
    }
    options.set_include_callback(|requested, kind, from, _depth| include(glsl, requested, kind, from));
    let text = read_text(&glsl.join(&entry.source))?;
    // Errors name the file as one opens it from the repository's root.
    let shown = format!("glsl/{}", entry.source);
    let artifact = compiler
        .compile_into_spirv(&text, ShaderKind::Compute, &shown, "main", Some(&options))
        .map_err(|e| format!("module '{}' does not compile:\n{e}", entry.name))?;
    Ok(Compiled { name: entry.name.clone(), code: artifact.as_binary_u8().to_vec() })
}

/// `#include "x"` is looked up beside the including file, then, like `<x>`, from the root of `glsl/`.
fn include(
    glsl: &Path,
    requested: &str,
    kind: IncludeType,
    from: &str,
) -> std::result::Result<ResolvedInclude, String> {
    let from = from.strip_prefix("glsl/").unwrap_or(from);
    let beside = Path::new(from).parent().unwrap_or(Path::new("")).join(requested);
    let root = Path::new(requested).to_path_buf();
    let candidates = match kind {
        IncludeType::Relative => vec![beside, root],
        IncludeType::Standard => vec![root],
    };
    for candidate in candidates {
        // A `..` could leave glsl/, whose hash would then not cover what was compiled.
        let inside = candidate.components().all(|part| matches!(part, std::path::Component::Normal(_)));
        let path = glsl.join(&candidate);
        if inside && path.is_file() {
            return Ok(ResolvedInclude {
                resolved_name: format!("glsl/{}", candidate.display()),
                content: read_text(&path)?,
            });
        }
    }
    Err(format!("'{requested}' is not in glsl/; includes name files below it, without '.' or '..'"))
}
