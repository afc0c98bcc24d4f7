//! Whether others serve storage, seen by the thread that steps in when nobody does.
//!
//! Each look of its own takes a processor from the worker or the waiter for some 30 us on a virtual machine, where a
//! timer is a trap. So it looks less and less often; and the launcher, which looks after the kernel anyway, wakes it
//! when nobody has served since its last look, or only in passing
//! ([`Storage::look_after`](super::Storage::look_after)).

use std::time::Duration;

/// How long the service is left to a thread that was seen to serve.
const LEAST: Duration = Duration::from_micros(200);
/// The same if it is seen again and again.
const MOST: Duration = Duration::from_millis(16);

/// Turns between two looks of the launcher's, some milliseconds, that whoever stays with the service makes at least; who
/// looks in now and then makes fewer.
pub(super) const LEAST_TURNS: u64 = 4;

/// What was seen at the last look.
pub(super) struct Attended {
    turns: u64,
    leave: Duration,
}

impl Attended {
    pub fn new() -> Self {
        Self { turns: 0, leave: LEAST }
    }

    /// How long to leave the service alone: turns were made since the last look, `turns` by now. That look
    /// was before the sleep that this asked for: one turn takes as long as its reads, so whoever compares
    /// two numbers that it reads one behind the other sees no turn, though there is one after the other.
    pub fn look(&mut self, turns: u64) -> Option<Duration> {
        if std::mem::replace(&mut self.turns, turns) == turns {
            self.leave = LEAST;
            return None;
        }
        let leave = self.leave;
        self.leave = MOST.min(2 * leave);
        Some(leave)
    }

    /// The looking thread has served itself, and so has made some of the `turns`.
    pub fn served(&mut self, turns: u64) {
        self.turns = turns;
    }

    /// For some time there was nothing to serve: who did before may have gone.
    pub fn rested(&mut self) {
        self.leave = LEAST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_left_alone_while_others_serve() {
        // Turns made by now, whether the last of them by the thread itself; for how many us it leaves.
        let looks: &[(u64, bool, Option<u128>)] = &[
            (0, false, None),
            (1, false, Some(200)),
            (5, false, Some(400)),
            (6, false, Some(800)),
            (90, false, Some(1_600)),
            (91, false, Some(3_200)),
            (92, false, Some(6_400)),
            (93, false, Some(12_800)),
            (94, false, Some(16_000)),
            (95, false, Some(16_000)),
            (95, false, None),
            (95, true, None),
            (96, true, None),
            (98, false, Some(200)),
            (99, false, Some(400)),
        ];
        let mut attended = Attended::new();
        for (i, &(turns, own, leave)) in looks.iter().enumerate() {
            if own {
                attended.served(turns);
            }
            assert_eq!(attended.look(turns).map(|leave| leave.as_micros()), leave, "look {i}");
        }
        attended.rested();
        assert_eq!(attended.look(100), Some(LEAST), "after a rest");
    }
}
