use super::{Case, LEN, OBS, bad, case, done, one, op};
use ringfence::protocol::opcode::ATOMIC_ADD;

pub fn cases() -> Vec<Case> {
    let add = |addend, index| op(ATOMIC_ADD, &[addend, index]);
    vec![
        one("add to zero", add(5, OBS + 1), done(0)).after(&[(OBS + 1, 5)]),
        case("add gives the value before")
            .given(&[(OBS + 1, 40)])
            .slot(add(2, OBS + 1), done(40))
            .after(&[(OBS + 1, 42)]),
        case("add wraps around")
            .given(&[(OBS + 1, u32::MAX)])
            .slot(add(2, OBS + 1), done(u32::MAX.into()))
            .after(&[(OBS + 1, 1)]),
        case("add of -1 subtracts")
            .given(&[(LEN - 1, 10)])
            .slot(add(u32::MAX, LEN - 1), done(10))
            .after(&[(LEN - 1, 9)]),
        case("a result just above 24 bits")
            .given(&[(OBS + 1, 0x0100_0000)])
            .slot(add(0, OBS + 1), done(0x0100_0000))
            .after(&[(OBS + 1, 0x0100_0000)]),
        case("a result just below 24 bits")
            .given(&[(OBS + 1, 0x00FF_FFFF)])
            .slot(add(0, OBS + 1), done(0x00FF_FFFF))
            .after(&[(OBS + 1, 0x00FF_FFFF)]),
        one("add past the end", add(1, LEN), bad(1)),
        one("add far past the end", add(1, u32::MAX), bad(1)),
        (1..32)
            .fold(case("adds to many words at once"), |case, i| case.slot(add(i, OBS + i), done(0)))
            .after(&(1..32).map(|i| (OBS + i, i)).collect::<Vec<_>>()),
    ]
}
