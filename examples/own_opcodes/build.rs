fn main() -> Result<(), ringfence::build::BuildError> {
    ringfence::build::Kernel::new().opcode("glsl/collatz.comp").opcode("glsl/saxpy.comp").compile()
}
