use super::{Case, OBS, OBSERVABLES, bad, case, done, one, op};
use ringfence::protocol::opcode::DFA_STEP;

/// A table of `states` rows where each step goes to `state * 1000 + byte`.
fn table(states: u32) -> Vec<u32> {
    (0..states * 256).map(|i| i / 256 * 1000 + i % 256).collect()
}

pub fn cases() -> Vec<Case> {
    let step = |state, byte, handle, a3| op(DFA_STEP, &[state, byte, handle, a3]);
    let two = || case("").tables(&[table(3), table(1)]);
    let named = |name: &str, words, outcome| Case { name: name.to_owned(), ..two().slot(words, outcome) };
    vec![
        named("the first entry", step(0, 0, 0, 0), done(0)),
        named("a step", step(2, 97, 0, 0), done(2097)),
        named("the last entry", step(2, 255, 0, 0), done(2255)),
        named("the second table", step(0, 255, 1, 0), done(255)),
        named("into an observable", step(1, 10, 0, 2), done(1010)).after(&[(OBS + 1, 1010)]),
        named("into the last observable", step(1, 10, 0, OBSERVABLES), done(1010)).after(&[(OBS + 31, 1010)]),
        named("a state that does not exist", step(3, 0, 0, 0), bad(0)),
        named("a state of another table", step(1, 0, 1, 0), bad(0)),
        named("a state whose row would wrap to the first", step(0x0100_0000, 1, 0, 0), bad(0)),
        named("the last u32 as state", step(u32::MAX, 1, 0, 0), bad(0)),
        named("256 is not a byte", step(0, 256, 0, 0), bad(1)),
        named("the last u32 is not a byte", step(0, u32::MAX, 0, 0), bad(1)),
        named("a table that does not exist", step(0, 0, 2, 0), bad(2)),
        named("a later generation of the first handle", step(0, 0, 0x1000, 0), bad(2)),
        named("the last generation of it", step(0, 0, 0xFFFF_F000, 0), bad(2)),
        named("the last u32 as handle", step(0, 0, u32::MAX, 0), bad(2)),
        named("past the last observable", step(0, 0, 0, OBSERVABLES + 1), bad(3)),
        named("an observable index that would wrap", step(0, 0, 0, u32::MAX), bad(3)),
        named("state, byte and observable bad: the state is named", step(3, 256, 0, u32::MAX), bad(0)),
        named("everything bad: the handle is named", step(3, 256, 7, u32::MAX), bad(2)),
        one("no table at all", step(0, 0, 0, 0), bad(2)),
        one("a table below one row has no state", step(0, 0, 0, 0), bad(2)).tables(&[vec![1; 255]]),
        case("words behind the last whole row are no state")
            .tables(&[vec![9; 511]])
            .slot(step(0, 255, 0, 0), done(9))
            .slot(step(1, 0, 0, 0), bad(0)),
        one("an entry is any word", step(0, 1, 0, 0), done(u32::MAX.into())).tables(&[vec![u32::MAX; 256]]),
        two()
            .then()
            .slot(step(0, 2, 0, 0), done(2))
            .then()
            .slot(step(2, 2, 0, 0), done(2002))
            .renamed("a walk"),
        (0..100)
            .fold(two(), |case, i| case.slot(step(i % 3, i, 0, 0), done((i % 3 * 1000 + i).into())))
            .renamed("many steps side by side"),
    ]
}

impl Case {
    fn renamed(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
    }
}
