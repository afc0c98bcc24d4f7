use super::{Case, case, done, one, op};
use ringfence::protocol::opcode::PRINTF;

pub fn cases() -> Vec<Case> {
    let print = |i: u32| op(PRINTF, &[i, i + 1, i + 2, i + 3]);
    let record = |i: u32| [i, i + 1, i + 2, i + 3];
    let many = |name, count: u32| {
        (0..count).fold(case(name), |case, i| case.slot(print(i), done((i + 1).into())).then())
    };
    vec![
        one("a record", op(PRINTF, &[3, 10, 20, 30]), done(1)).log(&[[3, 10, 20, 30]], 0),
        one("a record of zeros", op(PRINTF, &[]), done(1)).log(&[[0; 4]], 0),
        one("a record of ones", op(PRINTF, &[u32::MAX; 12]), done(1)).log(&[[u32::MAX; 4]], 0),
        many("the log exactly full", 64).log(&(0..64).map(record).collect::<Vec<_>>(), 0),
        many("the log overwritten", 70).log(&(6..70).map(record).collect::<Vec<_>>(), 6),
        Case { log_capacity: 1, ..many("a log of one record", 3).log(&[record(2)], 2) },
    ]
}
