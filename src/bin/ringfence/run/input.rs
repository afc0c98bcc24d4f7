//! The file that `run` takes.
//!
//! Everything is checked while it is read, so that every complaint has a line and a column: what this
//! module accepts can be published, if the device has the memory for its tables.

use std::fmt;

use ringfence::descriptor::{
    BuiltinOpcode, EncodeSlot, EncodedBatch, PackedOpDescriptor, SlotDescriptor, SlotOpcode,
};
use ringfence::protocol::abi::live::MAX_RESOURCES;
use ringfence::protocol::{
    ARGS_PER_SLOT, MAX_ENCODED_OBSERVABLE_SLOTS, MAX_ENCODED_RING_SLOTS, PRIORITY_NORMAL, SlotWords, opcode,
    slot,
};
use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected, Visitor};
use serde_json::value::RawValue;

use super::strict::{AtMost, Listed, Object};

/// Observables where the file does not say.
const OBSERVABLES: u32 = 64;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(from = "Object<ProgramFields>")]
pub struct Program {
    pub observables: u32,
    pub tables: Vec<Vec<u32>>,
    pub batches: Vec<Batch>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProgramFields {
    #[serde(default = "default_observables")]
    observables: Observables,
    #[serde(default)]
    tables: AtMost<{ MAX_RESOURCES as usize }, Vec<u32>>,
    batches: Vec<Batch>,
}

fn default_observables() -> Observables {
    Observables(OBSERVABLES)
}

impl From<Object<ProgramFields>> for Program {
    fn from(Object(fields): Object<ProgramFields>) -> Self {
        let ProgramFields { observables: Observables(observables), tables: AtMost(tables), batches } = fields;
        Self { observables, tables, batches }
    }
}

/// Where in a file that was read as a [`Program`] one of its tables begins: line and column, from 1.
pub fn table_place(file: &[u8], table: usize) -> Option<(usize, usize)> {
    #[derive(Deserialize)]
    struct Places<'a> {
        #[serde(borrow)]
        tables: Vec<&'a RawValue>,
    }
    let Places { tables } = serde_json::from_slice(file).ok()?;
    let before = &file[..tables.get(table)?.get().as_ptr().addr() - file.as_ptr().addr()];
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let lines = before.iter().filter(|byte| **byte == b'\n').count();
    Some((lines + 1, before.len() - line_start + 1))
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
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BatchFields {
    // One more is the fence.
    slots: AtMost<{ MAX_ENCODED_RING_SLOTS as usize - 1 }, Slot>,
}

impl From<Object<BatchFields>> for Batch {
    fn from(Object(BatchFields { slots: AtMost(slots) }): Object<BatchFields>) -> Self {
        Self { slots: slots.into_iter().map(|slot| slot.0).collect() }
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
struct Slot(SlotWords);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SlotFields {
    op: Op,
    args: Option<Words>,
    ops: Option<Vec<Object<InnerFields>>>,
    #[serde(default = "default_priority")]
    priority: u32,
}

fn default_priority() -> u32 {
    PRIORITY_NORMAL
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InnerFields {
    op: Op,
    #[serde(default)]
    args: Words,
}

impl TryFrom<Object<SlotFields>> for Slot {
    type Error = String;

    fn try_from(Object(fields): Object<SlotFields>) -> Result<Self, String> {
        let SlotFields { op: Op(op), args, ops, priority } = fields;
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
        words[ringfence::protocol::PRIORITY_WORD as usize] = priority;
        Ok(Self(words))
    }
}

fn packed(ops: &[Object<InnerFields>]) -> Result<SlotWords, String> {
    let inner = |Object(fields): &Object<InnerFields>| {
        let Op(value) = fields.op;
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
struct Op(u32);

impl<'de> Deserialize<'de> for Op {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OpVisitor)
    }
}

struct OpVisitor;

impl Visitor<'_> for OpVisitor {
    type Value = Op;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of an opcode, or its number below 2^32")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Op, E> {
        match BuiltinOpcode::from_name(name) {
            Some(opcode) => Ok(Op(opcode.value())),
            None => {
                let names: Vec<_> = BuiltinOpcode::ALL.iter().map(|opcode| opcode.name()).collect();
                Err(E::custom(format_args!(
                    "there is no opcode {name:?}; the names are {}, and any number will do",
                    names.join(", ")
                )))
            }
        }
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Op, E> {
        u32::try_from(value).map(Op).map_err(|_| E::invalid_value(Unexpected::Unsigned(value), &self))
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

#[cfg(test)]
mod tests {
    #[test]
    fn tables_have_a_place() {
        let file = b"{\"batches\": [],\n \"tables\": [[1, 2],\n\n  [3], []]}";
        let places = (0..4).map(|table| super::table_place(file, table));
        assert_eq!(places.collect::<Vec<_>>(), [Some((2, 13)), Some((4, 3)), Some((4, 8)), None]);
    }
}
