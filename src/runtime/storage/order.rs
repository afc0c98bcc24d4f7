//! What the host remembers of slots that ask for something: whose they are, and what a fence stands behind.
//!
//! Slots ask in an order of their own, since workers race, and one that finds the request ring full asks
//! later, behind others. So slots that ask are numbered as they are published, each tenant's by themselves, and a
//! fence has its turn when no lower number of its tenant's is left that has not asked, or was not answered.
//!
//! Whose they are is remembered here too, since a slot may be another tenant's by the time that the host
//! takes what it asked.

use std::collections::VecDeque;

/// The numbers of a tenant's slots that ask.
#[derive(Clone, Default)]
struct Numbers {
    /// The lowest that has not asked.
    first: u64,
    /// From there on: which have asked, though a lower one has not.
    asked: VecDeque<bool>,
}

pub(crate) struct Order {
    /// By tenant, as far as some have asked.
    numbers: Vec<Numbers>,
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

impl Numbers {
    fn next(&mut self, asked: bool) -> u64 {
        self.asked.push_back(asked);
        self.first + self.asked.len() as u64 - 1
    }

    /// One that asks at once. Most find none before them that has not.
    fn next_asked(&mut self) -> u64 {
        if !self.asked.is_empty() {
            return self.next(true);
        }
        self.first += 1;
        self.first - 1
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

impl Order {
    pub fn new(slots: u32) -> Self {
        let slots = vec![Published::default(); slots as usize].into();
        Self { numbers: Vec::new(), slots, earlier: VecDeque::new() }
    }

    fn of(&mut self, tenant: u32) -> &mut Numbers {
        let tenant = tenant as usize;
        if self.numbers.len() <= tenant {
            self.numbers.resize(tenant + 1, Numbers::default());
        }
        &mut self.numbers[tenant]
    }

    /// A slot of `tenant`'s that will ask is published.
    pub fn publish(&mut self, slot: u32, tenant: u32) {
        let number = Some(self.of(tenant).next(false));
        let Some(place) = self.slots.get_mut(slot as usize) else { return };
        let earlier = std::mem::replace(place, Published { number, tenant });
        if earlier.number.is_some() {
            self.earlier.push_back((slot, earlier));
        }
    }

    /// A slot's request was taken; the slot's tenant, and the request's number among those of the tenant's. A slot
    /// that asks for more than it was published with stands behind all that its tenant has published by then.
    pub fn ask(&mut self, slot: u32) -> (u32, u64) {
        let earlier = self.earlier.iter().position(|(of, _)| *of == slot);
        let Published { number, tenant } = match earlier.and_then(|at| self.earlier.remove(at)) {
            Some((_, earlier)) => earlier,
            None => self.slots.get_mut(slot as usize).map_or_else(Published::default, |place| Published {
                number: place.number.take(),
                tenant: place.tenant,
            }),
        };
        let numbers = self.of(tenant);
        match number {
            Some(number) => {
                numbers.has_asked(number);
                (tenant, number)
            }
            None => (tenant, numbers.next_asked()),
        }
    }

    /// A slot that was to ask has ended without.
    pub fn ends(&mut self, slot: u32) {
        let Some(place) = self.slots.get_mut(slot as usize) else { return };
        let tenant = place.tenant;
        if let Some(number) = place.number.take() {
            self.of(tenant).has_asked(number);
        }
    }

    /// Whether all of a tenant's of lower number have asked.
    pub fn reached(&self, tenant: u32, number: u64) -> bool {
        number <= self.numbers.get(tenant as usize).map_or(0, |numbers| numbers.first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_waits_for_those_published_before_it() {
        let mut order = Order::new(8);
        [3, 1, 2, 4].into_iter().for_each(|slot| order.publish(slot, 0));
        let (_, fence) = order.ask(2);
        assert!(!order.reached(0, fence), "neither has asked");
        order.ask(4);
        order.ask(1);
        assert!(!order.reached(0, fence), "slot 3 has not asked");
        order.ask(3);
        assert!(order.reached(0, fence));
        let numbers = &order.numbers[0];
        assert_eq!((numbers.first, numbers.asked.len()), (4, 0), "nothing is left behind");
    }

    #[test]
    fn a_fence_waits_for_no_other_tenant() {
        let mut order = Order::new(8);
        order.publish(1, 3);
        order.publish(2, 5);
        order.publish(3, 5);
        let (tenant, fence) = order.ask(3);
        assert_eq!((tenant, fence), (5, 1));
        assert!(!order.reached(tenant, fence), "slot 2 is its own tenant's");
        order.ask(2);
        assert!(order.reached(tenant, fence), "slot 1 is not");
    }

    #[test]
    fn a_slot_may_be_published_anew_before_its_request_is_taken() {
        let mut order = Order::new(8);
        order.publish(5, 7);
        order.publish(5, 8);
        order.publish(6, 8);
        assert_eq!(order.ask(5), (7, 0), "the tenant whose slot it was then");
        let (tenant, fence) = order.ask(6);
        assert_eq!((tenant, fence), (8, 1));
        assert!(!order.reached(8, fence));
        assert_eq!(order.ask(5), (8, 0));
        assert!(order.reached(8, fence));
    }

    #[test]
    fn slots_may_end_without_asking_or_ask_more_than_once() {
        let mut order = Order::new(8);
        order.publish(1, 4);
        order.publish(2, 4);
        let (_, fence) = order.ask(2);
        order.ends(1);
        order.ends(1);
        order.ends(99);
        assert!(order.reached(4, fence));
        let (tenant, more) = order.ask(2);
        assert!(more > fence && order.reached(4, more) && tenant == 4);
        let (nobody, number) = order.ask(99);
        assert!(order.reached(nobody, number));
    }

    #[test]
    fn a_further_ask_stands_behind_all_that_were_published() {
        let mut order = Order::new(8);
        order.publish(1, 4);
        order.publish(2, 4);
        let (_, first) = order.ask(2);
        let (_, more) = order.ask(2);
        let (_, again) = order.ask(2);
        assert!(first < more && more < again, "{first}, {more}, {again}");
        assert!(!order.reached(4, more), "slot 1 has not asked");
        order.ask(1);
        assert!(order.reached(4, again));
        let numbers = &order.numbers[4];
        assert_eq!((numbers.first, numbers.asked.len()), (4, 0), "nothing is left behind");
        let (_, alone) = order.ask(2);
        assert_eq!((alone, order.ask(1)), (4, (4, 5)), "each has a number of its own");
    }
}
