//! The free slots, each of the level that its place in the slab belongs to (PROTOCOL section 2): bulk work
//! can never take the last slot from critical work.

use crate::protocol::abi::slot::PRIORITY_LEVELS;
use crate::protocol::priority_offsets;

/// Priority levels, CRITICAL first.
pub(crate) const LEVELS: usize = PRIORITY_LEVELS as usize;

/// A number for each level.
pub(crate) type PerLevel = [u32; LEVELS];

/// The free slots that publishers may use at once.
pub(crate) struct Slab {
    /// Where each level's slots begin, and where the last one's end.
    offsets: [u32; LEVELS + 1],
    free: [Vec<u32>; LEVELS],
}

impl Slab {
    /// All free: `sizes` slots for each level, or the share that it has by default.
    pub fn new(slots: u32, sizes: Option<PerLevel>) -> Self {
        let mut offsets = priority_offsets(slots).unwrap_or([slots; LEVELS + 1]);
        if let Some(sizes) = sizes {
            offsets = partition(&sizes);
        }
        let free = std::array::from_fn(|level| (offsets[level]..offsets[level + 1]).rev().collect());
        Self { offsets, free }
    }

    /// Slots that a level may hold.
    pub fn size(&self, level: usize) -> u32 {
        self.offsets[level + 1] - self.offsets[level]
    }

    /// What stands in the control buffer.
    pub fn offsets(&self) -> &[u32; LEVELS + 1] {
        &self.offsets
    }

    /// Shares the slab out anew. Slots on their way stay at their level until they end.
    pub fn resize(&mut self, sizes: &PerLevel) {
        self.offsets = partition(sizes);
        let free: Vec<u32> = self.free.iter_mut().flat_map(std::mem::take).collect();
        self.put(free);
    }

    /// Slots that have ended are free again, at the level that they belong to now.
    pub fn put(&mut self, slots: impl IntoIterator<Item = u32>) {
        for slot in slots {
            // A level without slots ends where it begins, and so is passed over.
            let level = self.offsets[1..LEVELS].iter().filter(|begin| **begin <= slot).count();
            self.free[level].push(slot);
        }
    }

    /// Whether each level has that many free.
    pub fn has(&self, counts: &PerLevel) -> bool {
        counts.iter().enumerate().all(|(level, count)| self.has_of(level, *count))
    }

    /// Whether a level has that many free.
    pub fn has_of(&self, level: usize, count: u32) -> bool {
        self.free[level].len() >= count as usize
    }

    /// Free slots of a level.
    pub fn of(&mut self, level: usize) -> &mut Vec<u32> {
        &mut self.free[level]
    }
}

fn partition(sizes: &PerLevel) -> [u32; LEVELS + 1] {
    let mut offsets = [0; LEVELS + 1];
    for (level, size) in sizes.iter().enumerate() {
        offsets[level + 1] = offsets[level] + size;
    }
    offsets
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(slab: &Slab) -> [usize; LEVELS] {
        std::array::from_fn(|level| slab.free[level].len())
    }

    #[test]
    fn each_level_has_its_share_by_default() {
        assert_eq!(sizes(&Slab::new(16, None)), [1, 1, 12, 1, 1]);
        assert_eq!(sizes(&Slab::new(256, None)), [16, 16, 192, 16, 16]);
        assert_eq!(sizes(&Slab::new(100, None)), [6, 6, 76, 6, 6]);
    }

    #[test]
    fn slots_go_to_the_level_that_their_place_belongs_to() {
        let mut slab = Slab::new(20, Some([0, 4, 16, 0, 0]));
        assert_eq!((sizes(&slab), slab.size(0), slab.size(1)), ([0, 4, 16, 0, 0], 0, 4));
        let busy = slab.of(2).pop().expect("16 are free");
        slab.resize(&[4, 0, 0, 0, 16]);
        assert_eq!(sizes(&slab), [4, 0, 0, 0, 15], "the one on its way is of no level yet");
        slab.put([busy]);
        assert_eq!(sizes(&slab), [4, 0, 0, 0, 16]);
        assert!(slab.has(&[4, 0, 0, 0, 16]) && !slab.has(&[0, 1, 0, 0, 0]));
    }
}
