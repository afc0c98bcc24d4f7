use super::{Case, bad, case, done, op};
use ringfence::protocol::SlotWords;
use ringfence::protocol::opcode::{COPY_RANGE, RANGE_MAX_BYTES};
use ringfence::twin::Outcome;

/// Word `i` of the table is this.
const FIRST: u32 = 1000;

fn copy(source: (u32, u32), destination: (u32, u32), bytes: u32) -> SlotWords {
    op(COPY_RANGE, &[source.0, source.1, destination.0, destination.1, bytes])
}

/// `total` words, of which `count` from `at` on are the table's from `from` on.
fn holding(total: usize, at: usize, from: u32, count: usize) -> Vec<u32> {
    let mut words = vec![0; total];
    (FIRST + from..).zip(&mut words[at..at + count]).for_each(|(value, word)| *word = value);
    words
}

pub fn cases() -> Vec<Case> {
    let most = RANGE_MAX_BYTES;
    let big = most as usize / 4 + 1;
    // Handles 0 and 1 are tables, 2 to 4 outputs of which the first has something in it in the end.
    let of = |name: &str, after: &[u32], batches: &[&[_]]| {
        let tables = [(FIRST..FIRST + 300).collect(), vec![5; big]];
        let case = case(name).tables(&tables).output(after).output(&[0; 8]).output(&vec![0; big]);
        let batch = |case: Case, slots: &&[(SlotWords, Outcome)]| {
            slots.iter().fold(case.then(), |case, &(words, outcome)| case.slot(words, outcome))
        };
        batches.iter().fold(case, batch)
    };
    // Every length around those that lanes and turns divide evenly, each to a place of its own.
    let mut apart = Vec::new();
    let mut every = Vec::new();
    for n in (0..=36).chain([63, 64, 65, 127, 128, 129, 130]) {
        let at = apart.len() as u32 + 1;
        every.push((copy((0, 4 * (n % 7)), (2, 4 * at), 4 * n), done(u64::from(4 * n))));
        apart.extend(holding(n as usize + 1, 1, n % 7, n as usize));
    }
    apart.push(0);
    let fill = &[(copy((0, 0), (2, 0), 80), done(80))][..];
    let twice = |at: usize| [holding(at, 0, 0, 20), holding(280, 0, 0, 20)].concat();
    let zeros = &[0; 300];
    vec![
        of("every length", &apart, &[&every]),
        of(
            "up to both ends",
            &holding(300, 283, 283, 17),
            &[&[(copy((0, 4 * 283), (2, 4 * 283), 68), done(68))]],
        ),
        of("a whole resource", &holding(300, 0, 0, 300), &[&[(copy((0, 0), (2, 0), 1200), done(1200))]]),
        of(
            "the most bytes, and one word more",
            &[vec![0], vec![5; big - 1]].concat(),
            &[&[(copy((1, 0), (2, 4), most), done(most.into())), (copy((1, 0), (4, 0), most + 4), bad(4))]],
        ),
        of(
            "nothing",
            zeros,
            &[&[
                (copy((0, 8), (2, 8), 0), done(0)),
                (copy((0, 1200), (2, 1200), 0), done(0)),
                (copy((2, 8), (2, 8), 0), done(0)),
            ]],
        ),
        of("within one output", &twice(20), &[fill, &[(copy((2, 0), (2, 80), 80), done(80))]]),
        of(
            "within one output, downwards",
            &twice(20),
            &[&[(copy((0, 0), (2, 80), 80), done(80))], &[(copy((2, 80), (2, 0), 80), done(80))]],
        ),
        of(
            "an overlap",
            &holding(300, 0, 0, 20),
            &[
                fill,
                &[
                    (copy((2, 0), (2, 76), 80), bad(3)),
                    (copy((2, 76), (2, 0), 80), bad(3)),
                    (copy((2, 0), (2, 4), 80), bad(3)),
                    (copy((2, 4), (2, 0), 80), bad(3)),
                    (copy((2, 8), (2, 8), 4), bad(3)),
                    (copy((2, 0), (2, 0), 1204), bad(4)),
                ],
            ],
        ),
        of(
            "a bad source",
            zeros,
            &[&[
                (copy((5, 0), (2, 0), 4), bad(0)),
                (copy((0x1000, 0), (2, 0), 4), bad(0)),
                (copy((u32::MAX, 0), (2, 0), 4), bad(0)),
                (copy((9, 1), (9, 1), 1), bad(0)),
                (copy((0, 2), (2, 0), 4), bad(1)),
                (copy((0, 1204), (2, 0), 0), bad(1)),
                (copy((0, u32::MAX - 3), (2, 0), 8), bad(1)),
                (copy((0, 1), (9, 1), 1), bad(1)),
            ]],
        ),
        of(
            "a bad destination, or one that is only read",
            zeros,
            &[&[
                (copy((0, 0), (5, 0), 4), bad(2)),
                (copy((0, 0), (0x1002, 0), 4), bad(2)),
                (copy((0, 0), (u32::MAX, 0), 4), bad(2)),
                (copy((2, 0), (0, 0), 4), bad(2)),
                (copy((0, 0), (9, 1), 1), bad(2)),
                (copy((0, 0), (2, 3), 4), bad(3)),
                (copy((0, 0), (2, 1204), 0), bad(3)),
                (copy((0, 0), (2, u32::MAX - 3), 8), bad(3)),
            ]],
        ),
        of(
            "a bad length",
            zeros,
            &[&[
                (copy((0, 0), (2, 0), 5), bad(4)),
                (copy((0, 1200), (2, 0), 4), bad(4)),
                (copy((0, 0), (3, 0), 36), bad(4)),
                (copy((0, 8), (2, 8), u32::MAX - 7), bad(4)),
            ]],
        ),
    ]
}
