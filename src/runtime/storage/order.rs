//! What the host remembers of slots that ask for something: whose they are, and what a fence stands behind.
//!
//! Slots ask in an order of their own, since workers race, and one that finds the request ring full asks
//! later, behind others. So slots that ask are numbered as they are published, and a fence has its turn
//! when no lower number is left that has not asked, or was not answered.
//!
//! Whose they are is remembered here too, since a slot may be another tenant's by the time that the host
//! takes what it asked.

use std::collections::VecDeque;

/// The numbers of the slots that ask.
pub(crate) struct Order {
    /// The lowest number that has not asked.
    first: u64,
    /// From there on: which numbers have asked, though a lower one has not.
    asked: VecDeque<bool>,
    slots: Box<[Published]>,
    /// Slots that were published anew before the host had taken what they asked, the oldest first: a
    /// prefetch ends as soon as it has asked.
    earlier: VecDeque<(u32, Published)>,
}

/// How a slot was published last.
#[derive(Clone, Copy, Default)]
struct Published {
    /// The slot's number, until it has asked.
    number: Option<u64>,
    tenant: u32,
}

impl Order {
    pub fn new(slots: u32) -> Self {
        let slots = vec![Published::default(); slots as usize].into();
        Self { first: 0, asked: VecDeque::new(), slots, earlier: VecDeque::new() }
    }

    fn next(&mut self, asked: bool) -> u64 {
        self.asked.push_back(asked);
        self.first + self.asked.len() as u64 - 1
    }

    /// A slot of `tenant`'s that will ask is published.
    pub fn publish(&mut self, slot: u32, tenant: u32) {
        let number = Some(self.next(false));
        let Some(place) = self.slots.get_mut(slot as usize) else { return };
        let earlier = std::mem::replace(place, Published { number, tenant });
        if earlier.number.is_some() {
            self.earlier.push_back((slot, earlier));
        }
    }

    /// A slot's request was taken; the request's number, and the slot's tenant. A slot that asks for more
    /// than it was published with stands behind all that is published by then.
    pub fn ask(&mut self, slot: u32) -> (u64, u32) {
        let earlier = self.earlier.iter().position(|(of, _)| *of == slot);
        let Published { number, tenant } = match earlier.and_then(|at| self.earlier.remove(at)) {
            Some((_, earlier)) => earlier,
            None => self.slots.get_mut(slot as usize).map_or_else(Published::default, |place| Published {
                number: place.number.take(),
                tenant: place.tenant,
            }),
        };
        match number {
            Some(number) => {
                self.has_asked(number);
                (number, tenant)
            }
            None => {
                let number = self.next(true);
                self.advance();
                (number, tenant)
            }
        }
    }

    /// A slot that was to ask has ended without.
    pub fn ends(&mut self, slot: u32) {
        if let Some(number) = self.slots.get_mut(slot as usize).and_then(|place| place.number.take()) {
            self.has_asked(number);
        }
    }

    /// Whether all of lower number have asked.
    pub fn reached(&self, number: u64) -> bool {
        number <= self.first
    }

    fn has_asked(&mut self, number: u64) {
        if let Some(asked) = self.asked.get_mut(number.wrapping_sub(self.first) as usize) {
            *asked = true;
        }
        self.advance();
    }

    fn advance(&mut self) {
        while self.asked.front() == Some(&true) {
            self.asked.pop_front();
            self.first += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_waits_for_those_published_before_it() {
        let mut order = Order::new(8);
        [3, 1, 2, 4].into_iter().for_each(|slot| order.publish(slot, 0));
        let (fence, _) = order.ask(2);
        assert!(!order.reached(fence), "neither has asked");
        order.ask(4);
        order.ask(1);
        assert!(!order.reached(fence), "slot 3 has not asked");
        order.ask(3);
        assert!(order.reached(fence));
        assert_eq!((order.first, order.asked.len()), (4, 0), "nothing is left behind");
    }

    #[test]
    fn a_slot_may_be_published_anew_before_its_request_is_taken() {
        let mut order = Order::new(8);
        order.publish(5, 7);
        order.publish(5, 8);
        order.publish(6, 9);
        let (fence, tenant) = order.ask(6);
        assert_eq!((fence, tenant), (2, 9));
        assert_eq!(order.ask(5), (0, 7), "the tenant whose slot it was then");
        assert!(!order.reached(fence));
        assert_eq!(order.ask(5), (1, 8));
        assert!(order.reached(fence));
    }

    #[test]
    fn slots_may_end_without_asking_or_ask_more_than_once() {
        let mut order = Order::new(8);
        order.publish(1, 0);
        order.publish(2, 4);
        let (fence, _) = order.ask(2);
        order.ends(1);
        order.ends(1);
        order.ends(99);
        assert!(order.reached(fence));
        let (more, tenant) = order.ask(2);
        assert!(more > fence && order.reached(more) && tenant == 4);
        assert!(order.ask(99).0 > more);
    }
}
