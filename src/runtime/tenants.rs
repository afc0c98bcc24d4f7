//! Who may use a capability.

use super::error::RuntimeError;

pub use crate::protocol::abi::live::MAX_TENANTS;

/// A set of tenants, by their ids. The default is the system's own, 0, alone: a capability is given to
/// the others one by one. An id is lent anew when its tenant is gone: take capabilities away before that.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tenants([u64; (MAX_TENANTS / 64) as usize]);

impl Tenants {
    /// All that there can be.
    pub const ALL: Self = Self([u64::MAX; (MAX_TENANTS / 64) as usize]);

    /// The system tenant, whose id is 0.
    pub const SYSTEM: Self = {
        let mut words = [0; (MAX_TENANTS / 64) as usize];
        words[0] = 1;
        Self(words)
    };

    /// These and no others, not even the system tenant unless it is named; none is a set too.
    ///
    /// # Errors
    /// [`RuntimeError::BadOption`] for an id that no tenant can have.
    pub fn of(ids: impl IntoIterator<Item = u32>) -> Result<Self, RuntimeError> {
        let mut words = [0; (MAX_TENANTS / 64) as usize];
        for id in ids {
            let bad =
                RuntimeError::BadOption { option: "tenants", value: id.into(), takes: "ids of 0 to 1023" };
            *words.get_mut((id / 64) as usize).ok_or(bad)? |= 1 << (id % 64);
        }
        Ok(Self(words))
    }

    /// A bit for each id, from the lowest on.
    pub(crate) fn words(&self) -> impl Iterator<Item = u32> {
        self.0.into_iter().flat_map(|word| [word as u32, (word >> 32) as u32])
    }

    /// Whether it is one of them.
    #[must_use]
    pub const fn contains(&self, id: u32) -> bool {
        id < MAX_TENANTS && self.0[(id / 64) as usize] >> (id % 64) & 1 != 0
    }
}

impl Default for Tenants {
    fn default() -> Self {
        Self::SYSTEM
    }
}

impl std::fmt::Debug for Tenants {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if *self == Self::ALL {
            return f.write_str("all tenants");
        }
        f.debug_set().entries((0..MAX_TENANTS).filter(|id| self.contains(*id))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_who_was_named_and_nobody_else() {
        let set = Tenants::of([3, 64, 1023]).expect("ids that can be");
        let members: Vec<u32> = (0..2000).filter(|id| set.contains(*id)).collect();
        assert_eq!(members, [3, 64, 1023]);
        assert!(!set.contains(u32::MAX));
        assert_eq!(format!("{set:?}"), "{3, 64, 1023}");
        assert_eq!(Tenants::of(0..1024).expect("all of them"), Tenants::ALL);
        assert_eq!(Tenants::of([0]).expect("the system"), Tenants::default());
        assert!((0..1024).all(|id| !Tenants::of([]).expect("nobody").contains(id)));
        for id in [1024, u32::MAX] {
            assert!(Tenants::of([0, id]).is_err(), "{id}");
        }
    }
}
