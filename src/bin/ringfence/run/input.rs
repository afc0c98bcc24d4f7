//! The file that `run` takes.
//!
//! Everything is checked while it is read, so that every complaint has a line and a column: what this
//! module accepts can be published, if the device has the memory for its tables.

use std::sync::OnceLock;

use ringfence::descriptor::{
    BuiltinOpcode, EncodeSlot, EncodedBatch, PackedOpDescriptor, SlotDescriptor, SlotOpcode,
};
use ringfence::kernel::Operation;
use ringfence::observe::LEVEL_NAMES;
use ringfence::protocol::abi::live::MAX_RESOURCES;
use ringfence::protocol::{
    ARGS_PER_SLOT, MAX_ENCODED_OBSERVABLE_SLOTS, MAX_ENCODED_RING_SLOTS, PRIORITY_NORMAL, PRIORITY_WORD,
    SlotWords, opcode, slot,
};
use serde::Deserialize;

use super::place::place;
use super::strict::{AtMost, Listed, NameOrNumber, Named, Object};
use super::tenants::{self, Tenant, Tenants, Whose};

/// Observables where the file does not say.
const OBSERVABLES: u32 = 64;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(from = "Object<ProgramFields>")]
pub struct Program {
    pub observables: u32,
    pub tables: Vec<Vec<u32>>,
    pub tenants: Vec<Tenant>,
    pub batches: Vec<Batch>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProgramFields {
    #[serde(default = "default_observables")]
    observables: Observables,
    #[serde(default)]
    tables: AtMost<{ MAX_RESOURCES as usize }, Vec<u32>>,
    #[serde(default)]
    tenants: Tenants,
    batches: Vec<Batch>,
}

fn default_observables() -> Observables {
    Observables(OBSERVABLES)
}

impl From<Object<ProgramFields>> for Program {
    fn from(Object(fields): Object<ProgramFields>) -> Self {
        let Observables(observables) = fields.observables;
        let (AtMost(tables), AtMost(tenants)) = (fields.tables, fields.tenants);
        Self { observables, tables, tenants, batches: fields.batches }
    }
}

impl Program {
    /// The program that a file holds.
    ///
    /// # Errors
    /// What is wrong with it, with line and column.
    pub fn read(file: &[u8]) -> Result<Self, BadFile> {
        let mut program: Self = serde_json::from_slice(file)?;
        match tenants::settle(&mut program) {
            Ok(()) => Ok(program),
            Err((steps, message)) => {
                let (line, column) = place(file, &steps).unwrap_or_default();
                Err(BadFile::Placed { message, line, column })
            }
        }
    }
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum BadFile {
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// The parts are well, and do not fit together.
    #[error("{message} at line {line} column {column}")]
    Placed { message: String, line: usize, column: usize },
}

#[derive(Deserialize)]
#[serde(try_from = "u32")]
struct Observables(u32);

impl TryFrom<u32> for Observables {
    type Error = String;

    fn try_from(count: u32) -> Result<Self, String> {
        if count > MAX_ENCODED_OBSERVABLE_SLOTS {
            return Err(format!(
                "{count} observables are too many; at most {MAX_ENCODED_OBSERVABLE_SLOTS} fit"
            ));
        }
        Ok(Self(count))
    }
}

/// Slots that are published together; their fence is added here.
#[derive(Debug, Deserialize)]
#[serde(from = "Object<BatchFields>")]
pub struct Batch {
    pub slots: Vec<SlotWords>,
    /// The tenant that publishes it: 0 is the system's, 1 the first of the file's.
    pub tenant: u32,
    /// What the slots say of that.
    pub(super) whose: Vec<Option<Whose>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BatchFields {
    // One more is the fence.
    slots: AtMost<{ MAX_ENCODED_RING_SLOTS as usize - 1 }, Slot>,
}

impl From<Object<BatchFields>> for Batch {
    fn from(Object(BatchFields { slots: AtMost(slots) }): Object<BatchFields>) -> Self {
        let (slots, whose) = slots.into_iter().map(|slot| (slot.words, slot.whose)).unzip();
        Self { slots, tenant: 0, whose }
    }
}

impl Batch {
    /// As the runtime takes it. The fence's tag is 0.
    pub fn encode(&self) -> EncodedBatch {
        let mut fence: SlotWords = [0; 16];
        // `BatchFields` keeps the count far below 2^32.
        let head = [slot::PUBLISHED, opcode::BATCH_FENCE, 0, PRIORITY_NORMAL, self.slots.len() as u32];
        fence[..head.len()].copy_from_slice(&head);
        EncodedBatch { slots: self.slots.clone(), fence }
    }
}

/// One slot, encoded.
#[derive(Deserialize)]
#[serde(try_from = "Object<SlotFields>")]
struct Slot {
    words: SlotWords,
    whose: Option<Whose>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SlotFields {
    op: NameOrNumber<Op>,
    args: Option<Words>,
    ops: Option<Vec<Object<InnerFields>>>,
    priority: Option<NameOrNumber<Priority>>,
    tenant: Option<NameOrNumber<Whose>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InnerFields {
    op: NameOrNumber<Op>,
    #[serde(default)]
    args: Words,
}

impl TryFrom<Object<SlotFields>> for Slot {
    type Error = String;

    fn try_from(Object(fields): Object<SlotFields>) -> Result<Self, String> {
        let SlotFields { op: NameOrNumber(Op(op)), args, ops, priority, tenant } = fields;
        let priority = priority.map_or(PRIORITY_NORMAL, |NameOrNumber(Priority(priority))| priority);
        let words = match (args, ops) {
            (Some(_), Some(_)) => return Err(r#"a slot has "args" or "ops", not both"#.into()),
            (None, Some(_)) if op != opcode::PACKED_SLOT => {
                return Err(r#"only a PACKED_SLOT has "ops"; give "args""#.into());
            }
            (None, Some(ops)) => packed(&ops)?,
            // Words as they are, well formed or not: trying what the kernel refuses is what this is for.
            (args, None) => raw(op, &args.unwrap_or_default().0),
        };
        let mut words = words;
        words[PRIORITY_WORD as usize] = priority;
        Ok(Self { words, whose: tenant.map(|NameOrNumber(whose)| whose) })
    }
}

fn packed(ops: &[Object<InnerFields>]) -> Result<SlotWords, String> {
    let inner = |Object(fields): &Object<InnerFields>| {
        let NameOrNumber(Op(value)) = fields.op;
        let opcode = BuiltinOpcode::from_value(value).map_or(SlotOpcode::Custom(value), SlotOpcode::Builtin);
        PackedOpDescriptor::new(opcode, &fields.args.0)
    };
    SlotDescriptor::packed(ops.iter().map(inner).collect()).encode().map_err(|error| error.to_string())
}

fn raw(op: u32, args: &[u32]) -> SlotWords {
    let mut words: SlotWords = [0; 16];
    words[..4].copy_from_slice(&[slot::PUBLISHED, op, 0, PRIORITY_NORMAL]);
    // `Words` holds at most ARGS_PER_SLOT.
    words[4..4 + args.len()].copy_from_slice(args);
    words
}

/// An opcode: a name of the protocol, or any 32-bit number.
pub struct Op(pub u32);

/// The names of handlers, which reading a file cannot be given otherwise: serde makes each `Op` out of nothing.
static HANDLERS: OnceLock<Vec<(String, u32)>> = OnceLock::new();

/// Lets files name these operations, too. Of two calls the first counts.
pub fn know(operations: &[Operation]) {
    let names = operations.iter().map(|operation| (operation.name.clone(), operation.opcode));
    let _ = HANDLERS.set(names.collect());
}

impl Named for Op {
    const EXPECTED: &str = "the name of an opcode, or its number below 2^32";

    fn named(name: &str) -> Result<Self, String> {
        let handlers = HANDLERS.get().map_or(&[][..], Vec::as_slice);
        let handler = handlers.iter().find(|(known, _)| known == name).map(|(_, opcode)| *opcode);
        let opcode = BuiltinOpcode::from_name(name).map(BuiltinOpcode::value).or(handler);
        opcode.map(Self).ok_or_else(|| {
            let built_in = BuiltinOpcode::ALL.iter().map(|opcode| opcode.name());
            let names: Vec<_> = built_in.chain(handlers.iter().map(|(name, _)| &name[..])).collect();
            format!("there is no opcode {name:?}; the names are {}, and any number will do", names.join(", "))
        })
    }

    fn numbered(number: u32) -> Self {
        Self(number)
    }
}

/// A priority word: the name of a level, or any number, so that what the kernel says to it can be tried.
struct Priority(u32);

impl Named for Priority {
    const EXPECTED: &str = "the name of a priority level, or a number below 2^32";

    fn named(name: &str) -> Result<Self, String> {
        let level = LEVEL_NAMES.iter().position(|level| level.eq_ignore_ascii_case(name));
        level
            .map(|level| Self(level as u32))
            .ok_or_else(|| format!("there is no priority {name:?}; the names are {}", LEVEL_NAMES.join(", ")))
    }

    fn numbered(number: u32) -> Self {
        Self(number)
    }
}

/// Argument words, as many as a slot holds at most.
type Words = AtMost<{ ARGS_PER_SLOT as usize }, u32>;

impl Listed for u32 {
    const NAME: &str = "numbers below 2^32";
}

impl Listed for Vec<u32> {
    const NAME: &str = "tables";
}

impl Listed for Slot {
    const NAME: &str = "slots beside the fence (split the batch)";
}
