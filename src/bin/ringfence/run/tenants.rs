//! The tenants of a file, and whose each batch is.

use std::collections::HashMap;

use ringfence::protocol::MAX_ENCODED_OBSERVABLE_SLOTS;
use ringfence::runtime::{MAX_TENANTS, MAX_WEIGHT};
use serde::Deserialize;

use super::input::{Op, Program};
use super::place::Step;
use super::strict::{AtMost, Listed, NameOrNumber, Named, Object};

/// What the tenant is called whose slots name none.
pub const SYSTEM: &str = "system";
/// Slots of a batch that a tenant may publish, the fence among them.
const MOST_SLOTS: usize = 65_536;

/// A tenant, as the file has it.
#[derive(Debug, Deserialize)]
#[serde(from = "Object<Fields>")]
pub struct Tenant {
    pub name: String,
    /// Words.
    pub window: u32,
    pub credits: Option<u32>,
    pub weight: u32,
    pub opcodes: Option<Vec<u32>>,
}

/// All of them: ids count from 1, since 0 is the system's.
pub type Tenants = AtMost<{ MAX_TENANTS as usize - 1 }, Tenant>;

impl Listed for Tenant {
    const NAME: &str = "tenants";
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    name: String,
    #[serde(default)]
    window: u32,
    credits: Option<Credits>,
    #[serde(default)]
    weight: Weight,
    opcodes: Option<Vec<NameOrNumber<Op>>>,
}

impl From<Object<Fields>> for Tenant {
    fn from(Object(fields): Object<Fields>) -> Self {
        Self {
            name: fields.name,
            window: fields.window,
            credits: fields.credits.map(|Credits(credits)| credits),
            weight: fields.weight.0,
            opcodes: fields.opcodes.map(|list| list.into_iter().map(|NameOrNumber(Op(op))| op).collect()),
        }
    }
}

#[derive(Deserialize)]
#[serde(try_from = "u32")]
struct Credits(u32);

impl TryFrom<u32> for Credits {
    type Error = String;

    fn try_from(credits: u32) -> Result<Self, String> {
        match i32::try_from(credits) {
            Ok(_) => Ok(Self(credits)),
            Err(_) => Err(format!("{credits} credits are too many; leave them out for no limit")),
        }
    }
}

#[derive(Deserialize)]
#[serde(try_from = "u32")]
struct Weight(u32);

impl Default for Weight {
    fn default() -> Self {
        Self(1)
    }
}

impl TryFrom<u32> for Weight {
    type Error = String;

    fn try_from(weight: u32) -> Result<Self, String> {
        if (1..=MAX_WEIGHT).contains(&weight) {
            return Ok(Self(weight));
        }
        Err(format!("a weight is 1 to {MAX_WEIGHT}, not {weight}"))
    }
}

/// Whose a slot is, as the file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    Name(String),
    Id(u32),
}

impl Named for Whose {
    const EXPECTED: &str = "the name of a tenant, or its number: 0 is the system's, 1 the first of the list";

    fn named(name: &str) -> Result<Self, String> {
        Ok(Self::Name(name.to_owned()))
    }

    fn numbered(number: u32) -> Self {
        Self::Id(number)
    }
}

/// What is wrong, and where.
pub type Complaint = (Vec<Step>, String);

/// Finds out whose each batch is.
///
/// # Errors
/// Names that are there twice, windows too large together, slots of tenants that there are not, batches whose slots
/// are several tenants' or more than a tenant may have.
pub fn settle(program: &mut Program) -> Result<(), Complaint> {
    let ids = ids(&program.tenants)?;
    for (index, batch) in program.batches.iter_mut().enumerate() {
        let at_slot =
            |slot| vec![Step::Key("batches"), Step::Index(index), Step::Key("slots"), Step::Index(slot)];
        for (slot, whose) in batch.whose.iter().enumerate() {
            let id = match whose {
                None => Some(0),
                Some(Whose::Id(id)) => Some(*id).filter(|id| *id as usize <= program.tenants.len()),
                Some(Whose::Name(name)) => ids.get(name.as_str()).copied(),
            };
            let complaint = match (id, whose) {
                (Some(id), _) if slot == 0 || id == batch.tenant => {
                    batch.tenant = id;
                    continue;
                }
                (Some(_), _) => {
                    "the slots of a batch are one tenant's; this one is another's than the first".into()
                }
                (None, Some(Whose::Id(id))) => {
                    format!("there is no tenant {id}; \"tenants\" has {}", program.tenants.len())
                }
                (None, whose) => {
                    let name = if let Some(Whose::Name(name)) = whose { name } else { "" };
                    format!("there is no tenant {name:?} in \"tenants\"")
                }
            };
            let mut steps = at_slot(slot);
            steps.extend(whose.as_ref().map(|_| Step::Key("tenant")));
            return Err((steps, complaint));
        }
        if batch.tenant != 0 && batch.slots.len() >= MOST_SLOTS {
            let slots = format!("a tenant's batch has at most {} slots beside the fence", MOST_SLOTS - 1);
            return Err((at_slot(MOST_SLOTS - 1), slots));
        }
    }
    Ok(())
}

/// The tenants' ids by their names.
fn ids(tenants: &[Tenant]) -> Result<HashMap<&str, u32>, Complaint> {
    let mut ids = HashMap::from([(SYSTEM, 0)]);
    let mut words = 0_u32;
    for (index, tenant) in tenants.iter().enumerate() {
        let at = |key| vec![Step::Key("tenants"), Step::Index(index), Step::Key(key)];
        if ids.insert(&tenant.name, index as u32 + 1).is_some() {
            return Err((at("name"), format!("there is another tenant {:?}", tenant.name)));
        }
        words = words.saturating_add(tenant.window);
        if words > MAX_ENCODED_OBSERVABLE_SLOTS {
            let most = format!(
                "the windows up to this one have {words} words; at most {MAX_ENCODED_OBSERVABLE_SLOTS} fit"
            );
            return Err((at("window"), most));
        }
    }
    Ok(ids)
}
