use super::{Case, LEN, OBS, bad, case, done, one, op};
use ringfence::protocol::opcode::STORE_U32;

pub fn cases() -> Vec<Case> {
    let store = |value, index| op(STORE_U32, &[value, index]);
    vec![
        one("store", store(7, OBS + 1), done(0)).after(&[(OBS + 1, 7)]),
        one("store the last u32 to the last word", store(u32::MAX, LEN - 1), done(0))
            .after(&[(LEN - 1, u32::MAX)]),
        one("store to a reserved word, as tenant 0 may", store(3, 159), done(0)).after(&[(159, 3)]),
        one("store past the end", store(7, LEN), bad(1)),
        one("store far past the end", store(7, u32::MAX), bad(1)),
        one("store where a byte index would wrap", store(7, 0x4000_0000 + OBS), bad(1)),
        one("the fence's tag comes last", store(7, OBS), done(0)),
        one("no observables: the end is word 160", store(7, OBS), bad(1)).observables(0),
        one("no observables: word 159 is there", store(7, 159), done(0)).observables(0).after(&[(159, 7)]),
        one("further arguments are ignored", op(STORE_U32, &[1, OBS + 2, 9, 9, 9, 9]), done(0))
            .after(&[(OBS + 2, 1)]),
        (1..32)
            .fold(case("one store for each observable"), |case, i| case.slot(store(i * 3, OBS + i), done(0)))
            .after(&(1..32).map(|i| (OBS + i, i * 3)).collect::<Vec<_>>()),
        case("a bad store between good ones")
            .slot(store(1, OBS + 1), done(0))
            .slot(store(2, LEN), bad(1))
            .slot(store(3, OBS + 3), done(0))
            .after(&[(OBS + 1, 1), (OBS + 3, 3)]),
    ]
}
