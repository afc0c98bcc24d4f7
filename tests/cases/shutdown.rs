use super::{Case, OBS, case, done, one, op};
use ringfence::protocol::opcode::{ATOMIC_ADD, NOP, SHUTDOWN};

pub fn cases() -> Vec<Case> {
    let stop = || op(SHUTDOWN, &[]);
    vec![
        one("shutdown", stop(), done(0)),
        one("shutdown ignores its arguments", op(SHUTDOWN, &[u32::MAX; 12]), done(0)),
        case("what was published with it still runs")
            .slot(op(ATOMIC_ADD, &[5, OBS + 1]), done(0))
            .slot(stop(), done(0))
            .slot(op(ATOMIC_ADD, &[6, OBS + 2]), done(0))
            .after(&[(OBS + 1, 5), (OBS + 2, 6)]),
        case("twice").slot(stop(), done(0)).slot(stop(), done(0)),
        (0..100).fold(case("after many"), |case, _| case.slot(op(NOP, &[]), done(0))).slot(stop(), done(0)),
    ]
}
