use super::{Case, LEN, OBS, OBSERVABLES, bad, case, done, one, op};
use ringfence::protocol::opcode::COMPARE_SWAP;

pub fn cases() -> Vec<Case> {
    let swap = |index, expected, new, a3| op(COMPARE_SWAP, &[index, expected, new, a3]);
    vec![
        one("swap when equal", swap(OBS + 1, 0, 9, 0), done(0)).after(&[(OBS + 1, 9)]),
        case("no swap when not equal")
            .given(&[(OBS + 1, 4)])
            .slot(swap(OBS + 1, 5, 9, 0), done(4))
            .after(&[(OBS + 1, 4)]),
        case("the value before goes to an observable, swapped")
            .given(&[(OBS + 1, 4)])
            .slot(swap(OBS + 1, 4, 9, 3), done(4))
            .after(&[(OBS + 1, 9), (OBS + 2, 4)]),
        case("and likewise when not")
            .given(&[(OBS + 1, 4)])
            .slot(swap(OBS + 1, 5, 9, 3), done(4))
            .after(&[(OBS + 1, 4), (OBS + 2, 4)]),
        case("the observable is the word itself: the value before stands")
            .given(&[(OBS + 1, 4)])
            .slot(swap(OBS + 1, 4, 9, 2), done(4))
            .after(&[(OBS + 1, 4)]),
        case("the last word, the last observable")
            .given(&[(LEN - 1, u32::MAX), (LEN - 2, 5)])
            .slot(swap(LEN - 2, 5, u32::MAX, OBSERVABLES), done(5))
            .after(&[(LEN - 2, u32::MAX), (LEN - 1, 5)]),
        one("past the end", swap(LEN, 0, 1, 0), bad(0)),
        one("far past the end", swap(u32::MAX, 0, 1, 0), bad(0)),
        one("past the last observable", swap(OBS + 1, 0, 1, OBSERVABLES + 1), bad(3)),
        one("an observable index that would wrap", swap(OBS + 1, 0, 1, u32::MAX), bad(3)),
        one("both bad: the first is named", swap(LEN, 0, 1, u32::MAX), bad(0)),
        one("no observables", swap(150, 0, 8, 0), done(0)).observables(0).after(&[(150, 8)]),
        one("no observables to leave it in", swap(150, 0, 8, 1), bad(3)).observables(0),
    ]
}
