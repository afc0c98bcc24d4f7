//! Handlers of the tests, compiled from `glsl/handlers/`.

/// In SPIR-V.
pub fn code(name: &str) -> Vec<u8> {
    let file = format!("{}/spirv/handler_{name}.spv", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&file).unwrap_or_else(|e| panic!("{file}: {e}"))
}
