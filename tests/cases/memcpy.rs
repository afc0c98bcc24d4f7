use super::{Case, LEN, OBS, bad, case, done, one, op};
use ringfence::protocol::opcode::MEMCPY;

/// Eight words 1 to 8 from `at` on.
fn ramp(at: u32) -> Vec<(u32, u32)> {
    (0..8).map(|i| (at + i, i + 1)).collect()
}

pub fn cases() -> Vec<Case> {
    let copy = |source, destination, words| op(MEMCPY, &[source, destination, words]);
    vec![
        case("copy apart")
            .given(&ramp(OBS + 1))
            .slot(copy(OBS + 1, OBS + 20, 8), done(8))
            .after(&[ramp(OBS + 1), ramp(OBS + 20)].concat()),
        case("overlap, upwards")
            .given(&ramp(OBS + 1))
            .slot(copy(OBS + 1, OBS + 4, 8), done(8))
            .after(&[vec![(OBS + 1, 1), (OBS + 2, 2), (OBS + 3, 3)], ramp(OBS + 4)].concat()),
        case("overlap, downwards")
            .given(&ramp(OBS + 4))
            .slot(copy(OBS + 4, OBS + 1, 8), done(8))
            .after(&[ramp(OBS + 1), vec![(OBS + 9, 6), (OBS + 10, 7), (OBS + 11, 8)]].concat()),
        case("overlap by one word, upwards")
            .given(&ramp(OBS + 1))
            .slot(copy(OBS + 1, OBS + 2, 8), done(8))
            .after(&[vec![(OBS + 1, 1)], ramp(OBS + 2)].concat()),
        case("onto itself")
            .given(&ramp(OBS + 1))
            .slot(copy(OBS + 1, OBS + 1, 8), done(8))
            .after(&ramp(OBS + 1)),
        case("up to the exact end")
            .given(&ramp(OBS + 1))
            .slot(copy(OBS + 1, LEN - 8, 8), done(8))
            .after(&[ramp(OBS + 1), ramp(LEN - 8)].concat()),
        case("from the exact end")
            .given(&ramp(LEN - 8))
            .slot(copy(LEN - 8, OBS + 1, 8), done(8))
            .after(&[ramp(OBS + 1), ramp(LEN - 8)].concat()),
        one("one word too many at the source", copy(LEN - 7, OBS + 1, 8), bad(0)),
        one("one word too many at the destination", copy(OBS + 1, LEN - 7, 8), bad(1)),
        one("nothing, from end to end", copy(LEN, LEN, 0), done(0)),
        one("nothing, from past the end", copy(LEN + 1, LEN, 0), bad(0)),
        one("nothing, to past the end", copy(LEN, LEN + 1, 0), bad(1)),
        one("a sum that would wrap at the source", copy(u32::MAX, OBS, 2), bad(0)),
        one("a sum that would wrap at the destination", copy(OBS, u32::MAX - 1, 4), bad(1)),
        one("a count that would wrap", copy(OBS, OBS + 1, u32::MAX), bad(0)),
        one("everything bad: the first is named", copy(u32::MAX, u32::MAX, u32::MAX), bad(0)),
        one("the most words there are", copy(OBS, OBS + 4096, 4096), done(4096)).observables(8192).after(&[]),
        case("the most words, overlapping upwards")
            .observables(8192)
            .given(&[(OBS + 1, 11), (OBS + 4095, 22), (OBS + 4096, 33)])
            .slot(copy(OBS + 1, OBS + 2, 4096), done(4096))
            .after(&[(OBS + 1, 11), (OBS + 2, 11), (OBS + 4096, 22), (OBS + 4097, 33)]),
        one("one word more than one copy moves", copy(OBS, OBS + 1, 4097), bad(2)).observables(8192),
        one("too many, and out of bounds: the bounds are named", copy(OBS, LEN, 4097), bad(0)),
        (0..3)
            .fold(case("several copies of different lengths").given(&ramp(OBS + 1)), |case, i| {
                case.slot(copy(OBS + 1, OBS + 10 + 7 * i, 2 * i + 1), done((2 * i + 1).into()))
            })
            .after(
                &[
                    ramp(OBS + 1),
                    (0..3).flat_map(|i| (0..=2 * i).map(move |k| (OBS + 10 + 7 * i + k, k + 1))).collect(),
                ]
                .concat(),
            ),
        (0..12)
            .fold(case("long copies side by side").observables(8192).given(&[(OBS + 1, 5)]), |case, i| {
                case.slot(copy(OBS + 1, OBS + 400 + 200 * i, 100 + i), done((100 + i).into()))
            })
            .after(&[vec![(OBS + 1, 5)], (0..12).map(|i| (OBS + 400 + 200 * i, 5)).collect()].concat()),
    ]
}
