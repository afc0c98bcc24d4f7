use super::{Case, bad, case, done, op};
use ringfence::protocol::opcode::{CRC32C, NOP, RANGE_MAX_BYTES};

/// Bytes as words, zeros behind them.
fn words(bytes: &[u8]) -> Vec<u32> {
    let word = |c: &[u8]| c.iter().rev().fold(0, |w, b| w << 8 | u32::from(*b));
    bytes.chunks(4).map(word).collect()
}

/// `text` with `before` other bytes before it, and more behind.
fn within(text: &[u8], before: usize) -> Vec<u32> {
    words(&[&vec![0xA5; before], text, &[0x5A; 9]].concat())
}

/// CRCs that others have computed: the catalogue's check value, RFC 3720 (B.4), and Castagnoli's zeros.
const CHECK: u64 = 0xE306_9283;
const ZEROS: u64 = 0x8A91_36AA;
const ONES: u64 = 0x62A8_AB43;
const UP: u64 = 0x46DD_794E;
const DOWN: u64 = 0x113F_DB5C;
/// Of one zero byte.
const ZERO: u64 = 0x527D_5351;

pub fn cases() -> Vec<Case> {
    let crc = |handle, offset, bytes, crc| op(CRC32C, &[handle, offset, bytes, crc]);
    let up: Vec<u8> = (0..32).collect();
    let down: Vec<u8> = (0..32).rev().collect();
    let vectors: [(&str, &[u8], u64); 6] = [
        ("a zero byte", &[0], ZERO),
        ("the check value", b"123456789", CHECK),
        ("32 zeros", &[0; 32], ZEROS),
        ("32 ones", &[0xFF; 32], ONES),
        ("32 upwards", &up, UP),
        ("32 downwards", &down, DOWN),
    ];
    let mut cases = Vec::new();
    for (name, text, result) in vectors {
        // Behind so many other bytes, then cut in two slots wherever it can be cut.
        let before = [0, 1, 2, 3, 5, 16, 31];
        let mut case = case(name).tables(&before.map(|n| within(text, n)));
        for (handle, before) in (0..).zip(before) {
            case = case.slot(crc(handle, before as u32, text.len() as u32, 0), done(result));
        }
        for cut in 0..=text.len() {
            let (head, rest) = text.split_at(cut);
            let head = ringfence::twin::crc32c::crc32c(0, head.to_vec());
            case = case.slot(crc(2, 2, cut as u32, 0), done(head.into()));
            case = case.slot(crc(2, 2 + cut as u32, rest.len() as u32, head), done(result));
        }
        cases.push(case);
    }
    let of = |name: &str, slots: &[_]| {
        let tables = [vec![7; 3], vec![0; RANGE_MAX_BYTES as usize / 4 + 1]];
        let case = case(name).tables(&tables).output(&[0; 2]);
        slots.iter().fold(case, |case, &(words, outcome)| case.slot(words, outcome))
    };
    cases.extend([
        of(
            "of nothing, and of an output",
            &[
                (crc(0, 5, 0, 0), done(0)),
                (crc(0, 5, 0, 0x1234_5678), done(0x1234_5678)),
                (crc(0, 12, 0, 9), done(9)),
                (crc(2, 3, 1, 0), done(ZERO)),
            ],
        ),
        of(
            "no such resource",
            &[
                (crc(3, 0, 1, 0), bad(0)),
                (crc(4095, 0, 1, 0), bad(0)),
                (crc(4096, 0, 1, 0), bad(0)),
                (crc(u32::MAX, 0, 1, 0), bad(0)),
                (crc(9, u32::MAX, u32::MAX, 0), bad(0)),
            ],
        ),
        of(
            "behind the end",
            &[
                (crc(0, 13, 0, 0), bad(1)),
                (crc(0, 99, u32::MAX, 0), bad(1)),
                (crc(0, u32::MAX, 1, 0), bad(1)),
            ],
        ),
        of(
            "past the end, and too long for a slot",
            &[
                (crc(0, 0, 13, 0), bad(2)),
                (crc(0, 12, 1, 0), bad(2)),
                (crc(0, 5, u32::MAX - 4, 0), bad(2)),
                (crc(0, 1, u32::MAX, 0), bad(2)),
                (crc(1, 0, RANGE_MAX_BYTES + 1, 0), bad(2)),
            ],
        ),
        of(
            "among others",
            &[(op(NOP, &[]), done(0)), (crc(2, 3, 1, 0), done(ZERO)), (op(NOP, &[]), done(0))],
        ),
    ]);
    cases
}
