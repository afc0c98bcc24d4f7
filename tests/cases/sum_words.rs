use super::{Case, bad, case, done, op};
use ringfence::protocol::opcode::{RANGE_MAX_BYTES, SUM_WORDS};

pub fn cases() -> Vec<Case> {
    let sum = |handle, offset, bytes| op(SUM_WORDS, &[handle, offset, bytes]);
    let most = RANGE_MAX_BYTES;
    // Words 1, 2, ..., 300.
    let ramp: Vec<u32> = (1..=300).collect();
    let ramped = |first: u32, words: u32| done((first + 1..=first + words).map(u64::from).sum());
    let of = |name: &str, slots: &[_]| {
        let tables = [ramp.clone(), vec![u32::MAX; 9], vec![3; most as usize / 4 + 1]];
        let case = case(name).tables(&tables).output(&[0; 2]);
        slots.iter().fold(case, |case, &(words, outcome)| case.slot(words, outcome))
    };
    // Every length around those that lanes and turns divide evenly.
    let lengths = (0..=70).chain([127, 128, 129, 255, 256, 257, 290]);
    let every: Vec<_> = lengths.flat_map(|n| (0..5).map(move |first| (first, n))).collect();
    let every: Vec<_> =
        every.into_iter().map(|(first, n)| (sum(0, 4 * first, 4 * n), ramped(first, n))).collect();
    vec![
        of("every length", &every),
        of(
            "ends, and what is modulo 2^32",
            &[
                (sum(0, 0, 1200), ramped(0, 300)),
                (sum(0, 1200, 0), done(0)),
                (sum(1, 0, 36), done(u64::from(u32::MAX - 8))),
                (sum(2, 4, most), done(u64::from(most / 4 * 3))),
                (sum(3, 0, 8), done(0)),
            ],
        ),
        of(
            "no such resource",
            &[
                (sum(4, 0, 4), bad(0)),
                (sum(0x1000, 0, 4), bad(0)),
                (sum(u32::MAX, 0, 4), bad(0)),
                (sum(9, 1, 1), bad(0)),
            ],
        ),
        of(
            "within a word, and behind the end",
            &[
                (sum(0, 1, 4), bad(1)),
                (sum(0, 2, 4), bad(1)),
                (sum(0, 1, 1), bad(1)),
                (sum(0, 1204, 0), bad(1)),
                (sum(0, u32::MAX - 3, 8), bad(1)),
            ],
        ),
        of(
            "a length within a word, past the end, too long for a slot",
            &[
                (sum(0, 4, 3), bad(2)),
                (sum(0, 4, 6), bad(2)),
                (sum(0, 0, 1204), bad(2)),
                (sum(0, 1200, 4), bad(2)),
                (sum(0, 8, u32::MAX - 7), bad(2)),
                (sum(2, 0, most + 4), bad(2)),
            ],
        ),
    ]
}
