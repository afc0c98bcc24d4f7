//! For build scripts: handlers compiled into a program, each with a Rust type of its own.
//!
//! In `Cargo.toml`, `ringfence` is among the dependencies, and among the build dependencies with the feature `shaderc`
//! if the handlers are in GLSL. In `build.rs`:
//!
//! ```no_run
//! fn main() -> Result<(), ringfence::build::BuildError> {
//!     ringfence::build::Kernel::new().opcode("glsl/twice.comp").compile()
//! }
//! ```
//!
//! and in the program:
//!
//! ```ignore
//! mod kernel {
//!     include!(concat!(env!("OUT_DIR"), "/kernel.rs"));
//! }
//!
//! // SAFETY: the handlers touch no memory but what handler.glsl gives them.
//! let runtime = unsafe { Runtime::builder().kernel(kernel::kernel()?) }.build()?;
//! let answer = runtime.submit(&kernel::Twice { x: 21 })?.wait()?;
//! ```
//!
//! `examples/own_opcodes` is a whole crate that does it.

use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::kernel::{ArgumentKind, Kernel as Handlers, KernelBuilder, LinkError, Operation, Width};
use crate::protocol::ARGS_PER_SLOT;

/// Why no kernel could be built, and what to do. `Debug` says the same as `Display`, since that is what the end of a
/// `main` shows.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BuildError(String);

impl fmt::Debug for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<LinkError> for BuildError {
    fn from(error: LinkError) -> Self {
        Self(error.to_string())
    }
}

/// Collects the handlers of a program.
#[derive(Clone, Debug, Default)]
pub struct Kernel {
    files: Vec<(PathBuf, Option<u32>)>,
}

impl Kernel {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a handler, by a path from the package's folder: GLSL, or SPIR-V if it ends in `.spv`. It has the opcode that
    /// it declares.
    pub fn opcode(mut self, file: impl Into<PathBuf>) -> Self {
        self.files.push((file.into(), None));
        self
    }

    /// The same with another opcode.
    pub fn opcode_as(mut self, file: impl Into<PathBuf>, opcode: u32) -> Self {
        self.files.push((file.into(), Some(opcode)));
        self
    }

    /// Compiles and checks them, and writes `kernel.rs` into the build script's `OUT_DIR`. It has a function `kernel()`,
    /// which gives what [`RuntimeBuilder::kernel`](crate::runtime::RuntimeBuilder::kernel) takes, and for each handler a
    /// type by the handler's name, with a field for each argument, that can be submitted.
    ///
    /// # Errors
    /// What is wrong with a handler, with file and line where the compiler tells them; files that cannot be read or
    /// written; where it is not called by a build script.
    pub fn compile(self) -> Result<(), BuildError> {
        let out = std::env::var_os("OUT_DIR").map(PathBuf::from);
        let out = out.ok_or_else(|| BuildError("OUT_DIR is not set: only build scripts call this".into()))?;
        for (file, _) in &self.files {
            println!("cargo::rerun-if-changed={}", file.display());
        }
        self.write(&out)
    }

    fn write(self, out: &Path) -> Result<(), BuildError> {
        let mut all = Handlers::builder();
        for (file, opcode) in &self.files {
            all = add(all, file)?;
            all = opcode.iter().fold(all, |all, opcode| all.opcode(*opcode));
        }
        let kernel = all.build()?;
        let mut text = String::from("// Made by ringfence::build.\n\n");
        let mut calls = String::new();
        for (index, ((file, code), operation)) in kernel.handlers().zip(kernel.given()).enumerate() {
            let name = format!("handler_{index}.spv");
            put(&out.join(&name), code)?;
            let _ = write!(
                calls,
                "\n        .spirv({file:?}, &include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}\"))[..])\
                 \n        .opcode({:#x})",
                operation.opcode
            );
            text += &wrapper(operation)?;
        }
        let _ = write!(
            text,
            "/// The handlers of this program, for `RuntimeBuilder::kernel`.\n///\n/// # Errors\n\
             /// None, if the program runs with the ringfence that it was built with.\n\
             pub fn kernel() -> Result<::ringfence::kernel::Kernel, ::ringfence::kernel::LinkError> {{\n    \
             ::ringfence::kernel::Kernel::builder(){calls}\n        .build()\n}}\n"
        );
        put(&out.join("kernel.rs"), text.as_bytes())
    }
}

fn add(kernel: KernelBuilder, file: &Path) -> Result<KernelBuilder, BuildError> {
    if file.extension().is_some_and(|ending| ending == "spv") {
        let code = std::fs::read(file).map_err(|e| BuildError(format!("{}: {e}", file.display())))?;
        return Ok(kernel.spirv(file.display().to_string(), code));
    }
    #[cfg(feature = "shaderc")]
    return Ok(kernel.glsl_file(file)?);
    #[cfg(not(feature = "shaderc"))]
    Err(BuildError(format!(
        "{} is no .spv: to compile GLSL, ringfence must have the feature shaderc among the build dependencies",
        file.display()
    )))
}

/// Written only if it differs, so that nothing is compiled for nothing.
fn put(path: &Path, content: &[u8]) -> Result<(), BuildError> {
    if std::fs::read(path).is_ok_and(|found| found == content) {
        return Ok(());
    }
    std::fs::write(path, content).map_err(|e| BuildError(format!("{}: {e}", path.display())))
}

/// Keywords that can stand as `r#name`, and such as cannot.
const KEYWORDS: &[&str] = &[
    "as", "async", "await", "break", "const", "continue", "dyn", "else", "enum", "extern", "false", "fn",
    "for", "gen", "if", "impl", "in", "let", "loop", "match", "mod", "move", "mut", "pub", "ref", "return",
    "static", "struct", "trait", "true", "type", "unsafe", "use", "where", "while", "abstract", "become",
    "box", "do", "final", "macro", "override", "priv", "try", "typeof", "unsized", "virtual", "yield",
];
const NO_NAMES: &[&str] = &["self", "super", "crate", "_"];

/// The Rust type of an operation.
fn wrapper(operation: &Operation) -> Result<String, BuildError> {
    let name = type_name(&operation.name)?;
    let Operation { opcode, width, .. } = operation;
    let mut fields = String::new();
    let mut words = Vec::new();
    match &operation.arguments {
        Some(arguments) => {
            for argument in arguments {
                let plain = &argument.name[..];
                if NO_NAMES.contains(&plain) {
                    return Err(BuildError(format!(
                        "'{}': an argument cannot be called '{plain}' in Rust; call it otherwise",
                        operation.name
                    )));
                }
                let field = if KEYWORDS.contains(&plain) { format!("r#{plain}") } else { plain.to_owned() };
                let (of, what, word) = match argument.kind {
                    ArgumentKind::U32 => ("u32", "A number", format!("of.{field}")),
                    ArgumentKind::F32 => ("f32", "A number", format!("of.{field}.to_bits()")),
                    ArgumentKind::File => ("u32", "The handle of a file", format!("of.{field}")),
                    ArgumentKind::Read => ("u32", "The handle of memory that is read", format!("of.{field}")),
                    ArgumentKind::Write => {
                        ("u32", "The handle of memory that is written", format!("of.{field}"))
                    }
                };
                let _ = write!(fields, "    /// {what}.\n    pub {field}: {of},\n");
                words.push(word);
            }
        }
        None => {
            let _ = write!(
                fields,
                "    /// Its arguments, which the handler does not name.\n    pub args: [u32; 12],\n"
            );
            words.extend((0..ARGS_PER_SLOT).map(|i| format!("of.args[{i}]")));
        }
    }
    let of = if words.is_empty() { "_" } else { "of" };
    let mut padded = words.clone();
    padded.resize(ARGS_PER_SLOT as usize, "0".into());
    let derives = "#[derive(Debug, Clone, Copy, PartialEq)]";
    let mut text = format!(
        "/// {operation}.\n{derives}\npub struct {name} {{\n{fields}}}\n\nimpl {name} {{\n    \
         /// What slots name it by.\n    pub const OPCODE: u32 = {opcode:#x};\n}}\n\n\
         impl From<{name}> for ::ringfence::descriptor::SlotDescriptor {{\n    fn from({of}: {name}) -> Self {{\n        \
         Self::Single {{\n            opcode: ::ringfence::descriptor::SlotOpcode::Custom({name}::OPCODE),\n            \
         tenant: 0,\n            priority: ::ringfence::protocol::PRIORITY_NORMAL,\n            args: [{}],\n        \
         }}\n    }}\n}}\n\n\
         impl ::ringfence::descriptor::EncodeSlot for {name} {{\n    \
         fn encode(&self) -> Result<::ringfence::protocol::SlotWords, ::ringfence::descriptor::DescriptorError> {{\n        \
         ::ringfence::descriptor::EncodeSlot::encode(&::ringfence::descriptor::SlotDescriptor::from(*self))\n    }}\n}}\n\n",
        padded.join(", ")
    );
    if *width == Width::Lane && *opcode <= 255 && words.len() <= 4 {
        let _ = write!(
            text,
            "impl From<{name}> for ::ringfence::descriptor::PackedOpDescriptor {{\n    \
             fn from({of}: {name}) -> Self {{\n        Self::new(::ringfence::descriptor::SlotOpcode::Custom({name}::OPCODE), \
             &[{}])\n    }}\n}}\n\n",
            words.join(", ")
        );
    }
    Ok(text)
}

/// `my_op` is `MyOp`.
fn type_name(name: &str) -> Result<String, BuildError> {
    let mut camel = String::new();
    for part in name.split(|c: char| !c.is_ascii_alphanumeric()) {
        let mut chars = part.chars();
        camel.extend(chars.next().map(|c| c.to_ascii_uppercase()));
        camel.extend(chars);
    }
    match camel.chars().next() {
        Some(first) if first.is_ascii_alphabetic() && camel != "Self" => Ok(camel),
        _ => Err(BuildError(format!(
            "'{name}' makes no name of a Rust type; name the handler by #pragma ringfence name(...)"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Argument;

    fn operation(name: &str, arguments: Option<&[(&str, ArgumentKind)]>) -> Operation {
        let arguments = arguments.map(|all| {
            let argument =
                |(name, kind): &(&str, ArgumentKind)| Argument { name: (*name).into(), kind: *kind };
            all.iter().map(argument).collect()
        });
        Operation {
            name: name.into(),
            opcode: 8,
            width: Width::Lane,
            arguments,
            asks: false,
            publishes: false,
        }
    }

    #[test]
    fn types_are_named_and_have_fields() {
        let kinds = [("type", ArgumentKind::F32), ("from", ArgumentKind::Read), ("n", ArgumentKind::U32)];
        let text = wrapper(&operation("my_op", Some(&kinds))).expect("names");
        for wanted in [
            "pub struct MyOp {",
            "pub r#type: f32,",
            "pub from: u32,",
            "args: [of.r#type.to_bits(), of.from, of.n, 0, 0, 0, 0, 0, 0, 0, 0, 0],",
            "for ::ringfence::descriptor::PackedOpDescriptor",
        ] {
            assert!(text.contains(wanted), "{wanted}: {text}");
        }
        let text = wrapper(&operation("file-name.x", None)).expect("names");
        assert!(text.contains("struct FileNameX") && text.contains("pub args: [u32; 12]"), "{text}");
        assert!(!text.contains("PackedOp"), "{text}");
    }

    #[test]
    fn what_is_no_name_in_rust_is_refused() {
        for name in ["8", "", "self", "-"] {
            wrapper(&operation(name, Some(&[]))).expect_err(name);
        }
        wrapper(&operation("fine", Some(&[("self", ArgumentKind::U32)]))).expect_err("self");
    }
}
