use super::{Case, LEN, OBS, OBSERVABLES, bad, case, done, one, op};
use ringfence::protocol::opcode::LOAD_U32;
use ringfence::protocol::{EPOCH, TENANT_BASE};

pub fn cases() -> Vec<Case> {
    let load = |index, observable| op(LOAD_U32, &[index, observable]);
    vec![
        case("load into an observable")
            .given(&[(OBS + 3, 77)])
            .slot(load(OBS + 3, 1), done(77))
            .after(&[(OBS + 3, 77), (OBS + 1, 77)]),
        case("load onto itself")
            .given(&[(OBS + 3, 77)])
            .slot(load(OBS + 3, 3), done(77))
            .after(&[(OBS + 3, 77)]),
        one("load a word of the runtime", load(TENANT_BASE, 2), done(3)).after(&[(OBS + 2, 3)]),
        case("load the epoch").then().slot(load(EPOCH, 2), done(1)).after(&[(OBS + 2, 1)]),
        case("from the last word to the last observable")
            .given(&[(LEN - 1, u32::MAX)])
            .slot(load(LEN - 1, OBSERVABLES - 1), done(u32::MAX.into()))
            .after(&[(LEN - 1, u32::MAX)]),
        one("load from past the end", load(LEN, 1), bad(0)),
        one("load to past the last observable", load(OBS, OBSERVABLES), bad(1)),
        one("an absolute index is not an observable's", load(OBS, OBS + 1), bad(1)),
        one("an observable index that would wrap", load(OBS, u32::MAX - OBS + 1), bad(1)),
        one("both bad: the first is named", load(u32::MAX, u32::MAX), bad(0)),
        one("no observables: nowhere to load to", load(0, 0), bad(1)).observables(0),
    ]
}
