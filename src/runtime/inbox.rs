//! Completions that another thread read for a ring.
//!
//! Each ring has a queue from one thread to one other (the crate `rtrb`), which costs neither a lock nor an
//! atomic read-modify-write for each completion. Its one producer is whoever has the lock of the list.

use rtrb::{Consumer, Producer, RingBuffer};

use super::job::Outcome;

/// A slot of a ring's that has ended.
pub(crate) struct Ended {
    pub slot: u32,
    pub user_data: u64,
    pub outcome: Outcome,
}

/// The inboxes of the rings that live.
#[derive(Default)]
pub(crate) struct Inboxes {
    /// By the ring's number, which grows: sorted.
    list: Vec<(u32, Producer<Ended>)>,
    /// Number of the ring made last. None comes twice: slots of a dropped ring may still be on their
    /// way, and must not end in another's inbox.
    last: u32,
}

impl Inboxes {
    /// A number and an inbox for a ring that has at most `depth` slots in flight.
    pub fn open(&mut self, depth: usize) -> (u32, Consumer<Ended>) {
        let (filled, read) = RingBuffer::new(depth);
        // 0 stands for "no ring"; after 2^32 rings the first slots have long ended.
        self.last = self.last.checked_add(1).unwrap_or(1);
        // At the end, but for when the numbers have come round.
        let at = self.place(self.last).unwrap_or_else(|at| at);
        self.list.insert(at, (self.last, filled));
        (self.last, read)
    }

    /// The ring is dropped.
    pub fn close(&mut self, ring: u32) {
        if let Ok(at) = self.place(ring) {
            self.list.remove(at);
        }
    }

    /// Puts a slot into its ring's inbox; false if there is none any more.
    pub fn put(&mut self, ring: u32, ended: Ended) -> bool {
        match self.place(ring) {
            Ok(at) => {
                let slot = ended.slot;
                // It has room for all that the ring has in flight.
                if self.list[at].1.push(ended).is_err() {
                    tracing::error!("slot {slot} ended more than once");
                }
                true
            }
            Err(_) => false,
        }
    }

    fn place(&self, ring: u32) -> Result<usize, usize> {
        self.list.binary_search_by_key(&ring, |(number, _)| *number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(slot: u32) -> Ended {
        Ended { slot, user_data: u64::from(slot) << 32, outcome: Outcome::Done(slot.into()) }
    }

    #[test]
    fn each_ring_gets_its_own_in_order_and_one_that_is_gone_gets_none() {
        let mut inboxes = Inboxes::default();
        let (first, mut of_first) = inboxes.open(2);
        let (second, mut of_second) = inboxes.open(1);
        for (ring, slot) in [(first, 7), (second, 9), (first, 8)] {
            assert!(inboxes.put(ring, ended(slot)));
        }
        inboxes.close(first);
        assert!(!inboxes.put(first, ended(3)));
        let all = |inbox: &mut Consumer<Ended>| -> Vec<u32> {
            std::iter::from_fn(|| inbox.pop().ok()).map(|ended| ended.slot).collect()
        };
        assert_eq!((all(&mut of_first), all(&mut of_second)), (vec![7, 8], vec![9]));
        let (third, _) = inboxes.open(1);
        assert!(third > second, "no number comes twice");
        assert!(inboxes.put(second, ended(1)));
    }

    #[test]
    fn numbers_come_round_past_0() {
        let mut inboxes = Inboxes { last: u32::MAX - 1, ..Inboxes::default() };
        let rings = [(); 3].map(|()| inboxes.open(1));
        assert_eq!(rings.each_ref().map(|(ring, _)| *ring), [u32::MAX, 1, 2]);
        assert!(rings.iter().all(|(ring, _)| inboxes.put(*ring, ended(0))));
    }
}
