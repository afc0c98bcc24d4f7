//! What a handler is called for, and by which names.

use std::fmt;

use rspirv::dr::{Instruction, Operand};
use rspirv::spirv::Op;

use super::mailbox::Declared;
use super::{Handler, Result};
use crate::protocol::abi::slot::ARGS_PER_SLOT;
use crate::protocol::validate_user_opcode;

/// Before what a module says of its operations, in `OpModuleProcessed`.
const MARK: &str = "ringfence ";

/// How many lanes work on a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Width {
    /// One; the others have slots of their own.
    Lane,
    /// All of a subgroup.
    Wide,
}

impl fmt::Display for Width {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Lane => "lane",
            Self::Wide => "wide",
        })
    }
}

/// What an argument stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ArgumentKind {
    /// A number of 32 bits.
    U32,
    /// The bits of a number of single precision.
    F32,
    /// A handle of a file.
    File,
    /// A handle of memory that the operation reads.
    Read,
    /// A handle of memory that it writes, and may read.
    Write,
}

impl ArgumentKind {
    const ALL: [(&'static str, Self); 5] = [
        ("u32", Self::U32),
        ("f32", Self::F32),
        ("file", Self::File),
        ("read", Self::Read),
        ("write", Self::Write),
    ];
}

impl fmt::Display for ArgumentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::ALL.iter().find(|(_, kind)| kind == self).map_or("", |(name, _)| name);
        f.pad(name)
    }
}

/// An argument of an operation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Argument {
    /// As the handler names it.
    pub name: String,
    /// What it stands for.
    pub kind: ArgumentKind,
}

/// An operation of a user's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Operation {
    /// As the handler names it; else as whoever added it does.
    pub name: String,
    /// What slots name it by.
    pub opcode: u32,
    /// How many lanes work on a slot.
    pub width: Width,
    /// Its arguments, a0 first, where the handler names them.
    pub arguments: Option<Vec<Argument>>,
    /// Its slots may ask for storage, and wait for it.
    pub asks: bool,
    /// Its slots may publish others, and end when those have.
    pub publishes: bool,
}

impl Operation {
    pub(super) fn new(handler: &Handler<'_>, outside: &[Instruction], declared: Declared) -> Result<Self> {
        let opcode = handler.opcode.unwrap_or(declared.opcode);
        validate_user_opcode(opcode).map_err(|e| e.to_string())?;
        let mut said = outside.iter().filter_map(|instruction| match &instruction.operands[..] {
            [Operand::LiteralString(text)] if instruction.class.opcode == Op::ModuleProcessed => {
                text.strip_prefix(MARK)
            }
            _ => None,
        });
        let (name, arguments) = match said.next() {
            Some(text) => signature(text).map(|(name, arguments)| (name, Some(arguments)))?,
            None => (stem(handler.name), None),
        };
        let Declared { width, asks, publishes, .. } = declared;
        Ok(Self { name, opcode, width, arguments, asks, publishes })
    }

    /// What tells of it in a module: see [`linked_operations`].
    pub(super) fn processed(&self) -> Instruction {
        let asks = if self.asks { ASKS } else { "" };
        let publishes = if self.publishes { PUBLISHES } else { "" };
        let text = format!("{MARK}{:#x} {}{asks}{publishes} {}", self.opcode, self.width, self.signature());
        Instruction::new(Op::ModuleProcessed, None, None, vec![Operand::LiteralString(text)])
    }
}

/// Behind the width, in what a module says.
const ASKS: &str = "+asks";
const PUBLISHES: &str = "+publishes";

impl Operation {
    /// `name(argument: kind, ...)`, or the name alone.
    fn signature(&self) -> String {
        let Some(arguments) = &self.arguments else { return self.name.clone() };
        let shown: Vec<_> =
            arguments.iter().map(|Argument { name, kind }| format!("{name}: {kind}")).collect();
        format!("{}({})", self.name, shown.join(", "))
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.width, self.signature())
    }
}

/// The operations that a linked module says that it has.
pub(crate) fn linked_operations(instructions: &[Instruction]) -> Vec<Operation> {
    let said = |instruction: &Instruction| match &instruction.operands[..] {
        [Operand::LiteralString(text)] if instruction.class.opcode == Op::ModuleProcessed => {
            let mut parts = text.strip_prefix(MARK)?.splitn(3, ' ');
            let opcode = u32::from_str_radix(parts.next()?.strip_prefix("0x")?, 16).ok()?;
            let told = parts.next()?;
            let (asks, publishes) = (told.contains(ASKS), told.contains(PUBLISHES));
            let width = match told.split('+').next()? {
                "lane" => Width::Lane,
                "wide" => Width::Wide,
                _ => return None,
            };
            let text = parts.next()?;
            let (name, arguments) = match signature(text) {
                Ok((name, arguments)) => (name, Some(arguments)),
                Err(_) => (text.to_owned(), None),
            };
            Some(Operation { name, opcode, width, arguments, asks, publishes })
        }
        _ => None,
    };
    instructions.iter().filter_map(said).collect()
}

/// `name(argument: kind, ...)`, as after `#pragma ringfence`.
///
/// # Errors
/// Says what is wrong with it.
pub(crate) fn signature(text: &str) -> Result<(String, Vec<Argument>)> {
    let whole =
        |problem: String| format!("'{text}': {problem}; write #pragma ringfence name(argument: u32, ...)");
    let (name, rest) =
        text.trim().split_once('(').ok_or_else(|| whole("no arguments in parentheses".into()))?;
    let inside = rest.trim_end().strip_suffix(')').ok_or_else(|| whole("no ) at its end".into()))?;
    let name = name.trim();
    if !is_name(name) {
        return Err(whole(format!("'{name}' is no name")));
    }
    let mut arguments: Vec<Argument> = Vec::new();
    for part in inside.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (name, kind) = part.split_once(':').ok_or_else(|| whole(format!("'{part}' has no kind")))?;
        let (name, kind) = (name.trim(), kind.trim());
        if !is_name(name) || arguments.iter().any(|argument| argument.name == name) {
            return Err(whole(format!("'{name}' is no name, or there twice")));
        }
        let kind = ArgumentKind::ALL
            .iter()
            .find(|(known, _)| *known == kind)
            .map(|(_, kind)| *kind)
            .ok_or_else(|| {
                whole(format!("'{kind}' is no kind of argument; there are u32, f32, file, read and write"))
            })?;
        arguments.push(Argument { name: name.to_owned(), kind });
    }
    if arguments.len() > ARGS_PER_SLOT as usize {
        return Err(whole(format!("{} arguments; a slot has {ARGS_PER_SLOT}", arguments.len())));
    }
    Ok((name.to_owned(), arguments))
}

/// A handler's module with what its source says of it after `#pragma ringfence`, which compilers leave out.
///
/// # Errors
/// Says what is wrong with the pragma.
#[cfg(feature = "shaderc")]
pub(crate) fn with_signature(code: &[u8], source: &str) -> Result<Vec<u8>> {
    use rspirv::binary::Assemble as _;

    let pragmas = source.lines().filter_map(|line| {
        let rest = line.trim_start().strip_prefix('#')?.trim_start().strip_prefix("pragma")?;
        rest.trim_start().strip_prefix(MARK.trim_end()).filter(|rest| rest.starts_with([' ', '\t']))
    });
    let said: Vec<_> = pragmas.collect();
    let [said] = said[..] else {
        return match said[..] {
            [] => Ok(code.to_vec()),
            _ => Err("has #pragma ringfence twice; a shader has one handler".into()),
        };
    };
    signature(said)?;
    let text = vec![Operand::LiteralString(format!("{MARK}{}", said.trim()))];
    let mut words: Vec<u32> = code.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
    // Behind the names, before the annotations (SPIR-V specification section 2.4).
    let mut at = 5;
    while let Some(first) = words.get(at).filter(|first| is_head(**first & 0xFFFF)) {
        at += (*first >> 16) as usize;
    }
    let said = Instruction::new(Op::ModuleProcessed, None, None, text).assemble();
    words.splice(at..at, said);
    Ok(words.iter().flat_map(|word| word.to_le_bytes()).collect())
}

/// Whether an instruction stands before where a module says what was done to it.
#[cfg(feature = "shaderc")]
fn is_head(opcode: u32) -> bool {
    const HEAD: &[Op] = &[
        Op::Capability,
        Op::Extension,
        Op::ExtInstImport,
        Op::MemoryModel,
        Op::EntryPoint,
        Op::ExecutionMode,
        Op::ExecutionModeId,
        Op::String,
        Op::Source,
        Op::SourceContinued,
        Op::SourceExtension,
        Op::Name,
        Op::MemberName,
    ];
    HEAD.iter().any(|op| *op as u32 == opcode)
}

/// What a handler is called that does not say so itself: of a file's path its last part, without an ending.
fn stem(name: &str) -> String {
    let stem = std::path::Path::new(name).file_stem();
    stem.map_or_else(|| name.to_owned(), |stem| stem.to_string_lossy().into_owned())
}

/// A name in GLSL and in Rust alike, in lower case.
fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && text.len() <= 64
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}
