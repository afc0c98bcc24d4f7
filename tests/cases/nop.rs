use super::{Case, bad, case, done, one, op};
use ringfence::protocol::fault::DETAIL_PRIORITY;
use ringfence::protocol::opcode::NOP;
use ringfence::protocol::{PRIORITY_WORD, TENANT_WORD};

pub fn cases() -> Vec<Case> {
    let at = |level| {
        let mut words = op(NOP, &[]);
        words[PRIORITY_WORD as usize] = level;
        words
    };
    let mut other_tenant = op(NOP, &[]);
    other_tenant[TENANT_WORD as usize] = u32::MAX;
    vec![
        one("nop", op(NOP, &[]), done(0)),
        one("nop ignores its arguments", op(NOP, &[u32::MAX; 12]), done(0)),
        one("the tenant word is advisory", other_tenant, done(0)),
        (0..200)
            .fold(case("more nops than a subgroup has lanes"), |case, _| case.slot(op(NOP, &[]), done(0))),
        case("an empty batch"),
        (0..5).fold(case("every priority level"), |case, level| case.slot(at(level), done(0))),
        one("level 5 does not exist", at(5), bad(DETAIL_PRIORITY)),
        one("nor does the last u32", at(u32::MAX), bad(DETAIL_PRIORITY)),
        case("a bad level among good ones")
            .slot(at(0), done(0))
            .slot(at(7), bad(DETAIL_PRIORITY))
            .slot(at(4), done(0)),
    ]
}
