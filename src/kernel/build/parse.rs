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
    let mut list = List(Vec::new());
    parse_words(&words, &mut list).map_err(|e| format!("not a valid module: {e}"))?;
    Ok(Parsed { version: words[1], bound: words[3], instructions: list.0 })
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

/// Opcode of OpSpecConstantOp, and those that it may not name, by the specification, and on which rspirv 0.13 panics there:
/// OpConstant, OpSpecConstant, itself, and OpSwitch, whose operands have kinds of their own.
const SPEC_CONSTANT_OP: u32 = 52;
const NO_SPEC_CONSTANT_OP: [u32; 4] = [43, 50, 52, 251];

/// Checks the header, that the lengths of the instructions lead exactly to the end, and what rspirv does not.
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
        if first & 0xFFFF == SPEC_CONSTANT_OP
            && length > 3
            && let Some(named) = NO_SPEC_CONSTANT_OP.iter().find(|op| rest[3] == **op)
        {
            return Err(format!("the OpSpecConstantOp at word {at} names opcode {named}, which it may not"));
        }
        rest = &rest[length..];
    }
    Ok(())
}
