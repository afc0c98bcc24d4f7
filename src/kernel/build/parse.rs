//! SPIR-V bytes to instructions, without a panic on any input.

use rspirv::binary::{Consumer, ParseAction, parse_words};
use rspirv::dr::{Instruction, ModuleHeader};

use super::Result;

/// SPIR-V's first word (specification section 2.3).
pub const MAGIC: u32 = 0x0723_0203;
/// Words before the first instruction.
const HEADER_WORDS: usize = 5;

/// A module.
pub struct Parsed {
    /// As in the header: the major version from bit 16 on, the minor one from bit 8 on.
    pub version: u32,
    /// All ids are below.
    pub bound: u32,
    /// In order.
    pub instructions: Vec<Instruction>,
}

/// Reads a module.
///
/// # Errors
/// Says what is malformed.
pub fn parse(code: &[u8]) -> Result<Parsed> {
    let words = words(code)?;
    walk(&words)?;
    // Lengths are right now, but rspirv 0.13 panics on some operands as well.
    let instructions = std::panic::catch_unwind(|| {
        let mut list = List(Vec::new());
        parse_words(&words, &mut list).map(|()| list.0)
    })
    .map_err(|_| "rspirv panicked on an operand; the module is malformed".to_owned())?
    .map_err(|e| format!("not a valid module: {e}"))?;
    Ok(Parsed { version: words[1], bound: words[3], instructions })
}

/// Takes every instruction as it comes. rspirv's own loader refuses `OpExecutionModeId`.
struct List(Vec<Instruction>);

impl Consumer for List {
    fn initialize(&mut self) -> ParseAction {
        ParseAction::Continue
    }

    fn finalize(&mut self) -> ParseAction {
        ParseAction::Continue
    }

    fn consume_header(&mut self, _: ModuleHeader) -> ParseAction {
        ParseAction::Continue
    }

    fn consume_instruction(&mut self, instruction: Instruction) -> ParseAction {
        self.0.push(instruction);
        ParseAction::Continue
    }
}

fn words(code: &[u8]) -> Result<Vec<u32>> {
    let (words, rest) = code.as_chunks::<4>();
    match rest {
        [] => Ok(words.iter().map(|word| u32::from_le_bytes(*word)).collect()),
        _ => Err(format!("{} bytes are no whole number of words; the file is cut short", code.len())),
    }
}

/// Checks the header, and that the lengths of the instructions lead exactly to the end.
fn walk(words: &[u32]) -> Result<()> {
    let (&[magic, .., bound, _], mut rest) =
        words.split_first_chunk::<HEADER_WORDS>().ok_or("shorter than a SPIR-V header")?;
    if magic != MAGIC {
        return Err(format!("starts with {magic:#010x} instead of SPIR-V's {MAGIC:#010x}"));
    }
    // Universal limit on ids (specification section 2.17).
    if bound == 0 || bound > 4_194_303 {
        return Err(format!("id bound {bound} is outside 1..=4194303"));
    }
    while let [first, ..] = rest {
        let length = (first >> 16) as usize;
        let at = words.len() - rest.len();
        if length == 0 || length > rest.len() {
            return Err(format!("the instruction at word {at} claims {length} words of {}", rest.len()));
        }
        rest = &rest[length..];
    }
    Ok(())
}
