use super::{Case, LEN, OBS, case, done, fault, one, op};
use ringfence::protocol::FaultCode::{BadOperand, BadPacked, UnknownOpcode};
use ringfence::protocol::SlotWords;
use ringfence::protocol::fault::DETAIL_PACKED_HEADER;
use ringfence::protocol::opcode::{
    ATOMIC_ADD, BATCH_FENCE, COMPARE_SWAP, DFA_STEP, LOAD_U32, MEMCPY, NOP, PACKED_SLOT, STORE_U32,
};

/// A packed slot with exactly these header bytes, and arguments behind the header's last word.
fn forged(n: u8, total: u8, ops: &[(u32, u8)], args: &[u32]) -> SlotWords {
    let mut bytes = [0u8; 48];
    let header = [n, total].into_iter().chain(ops.iter().flat_map(|&(opcode, start)| [opcode as u8, start]));
    for (byte, value) in bytes.iter_mut().zip(header) {
        *byte = value;
    }
    let mut words = op(PACKED_SLOT, &[]);
    for (word, chunk) in words[4..].iter_mut().zip(bytes.as_chunks().0) {
        *word = u32::from_le_bytes(*chunk);
    }
    let area = 4 + (2 + 2 * ops.len()).div_ceil(4);
    for (word, value) in words.iter_mut().skip(area).zip(args) {
        *word = *value;
    }
    words
}

/// A well-formed packed slot.
fn packed(ops: &[(u32, &[u32])]) -> SlotWords {
    let mut args = Vec::new();
    let mut header = Vec::new();
    for (opcode, given) in ops {
        header.push((*opcode, args.len() as u8));
        args.extend_from_slice(given);
    }
    forged(ops.len() as u8, args.len() as u8, &header, &args)
}

pub fn cases() -> Vec<Case> {
    [good(), faulting(), malformed(), vec![staggered_copies()]].concat()
}

fn good() -> Vec<Case> {
    let shared = [(NOP, 0), (NOP, 0), (ATOMIC_ADD, 0)];
    vec![
        one("no inner op", packed(&[]), done(0)),
        one("a slot of zeros is one of no inner op", op(PACKED_SLOT, &[]), done(0)),
        one("one op", packed(&[(STORE_U32, &[7, OBS + 1])]), done(1))
            .after(&[(OBS + 1, 7)])
            .inner_metrics(&[(STORE_U32, 1)]),
        one(
            "in order",
            packed(&[(STORE_U32, &[40, OBS + 1]), (ATOMIC_ADD, &[2, OBS + 1]), (LOAD_U32, &[OBS + 1, 2])]),
            done(3),
        )
        .after(&[(OBS + 1, 42), (OBS + 2, 42)])
        .inner_metrics(&[(STORE_U32, 1), (ATOMIC_ADD, 1), (LOAD_U32, 1)]),
        one("23 nops, the most", forged(23, 0, &[(NOP, 0); 23], &[]), done(23)).inner_metrics(&[(NOP, 23)]),
        one("ten arguments behind two ops", packed(&[(NOP, &[0; 9]), (NOP, &[0; 1])]), done(2))
            .inner_metrics(&[(NOP, 2)]),
        one(
            "eleven arguments behind one op",
            packed(&[(STORE_U32, &[5, OBS + 1, 9, 9, 9, 9, 9, 9, 9, 9, 9])]),
            done(1),
        )
        .after(&[(OBS + 1, 5)])
        .inner_metrics(&[(STORE_U32, 1)]),
        one(
            "ops that start together: only the last has the arguments",
            forged(3, 2, &shared, &[3, OBS + 1]),
            done(3),
        )
        .after(&[(OBS + 1, 3)])
        .inner_metrics(&[(NOP, 2), (ATOMIC_ADD, 1)]),
        case("an op with fewer arguments sees zeros, not its neighbour's")
            .given(&[(OBS + 1, 6)])
            .slot(packed(&[(COMPARE_SWAP, &[OBS + 1, 6]), (ATOMIC_ADD, &[1, OBS + 2])]), done(2))
            .after(&[(OBS + 2, 1)])
            .inner_metrics(&[(COMPARE_SWAP, 1), (ATOMIC_ADD, 1)]),
        one(
            "the last op with fewer sees zeros",
            packed(&[(STORE_U32, &[8, OBS + 1]), (MEMCPY, &[])]),
            done(2),
        )
        .after(&[(OBS + 1, 8)])
        .inner_metrics(&[(STORE_U32, 1), (MEMCPY, 1)]),
        one(
            "words before the first start are skipped",
            forged(1, 3, &[(STORE_U32, 1)], &[99, 5, OBS + 3]),
            done(1),
        )
        .after(&[(OBS + 3, 5)])
        .inner_metrics(&[(STORE_U32, 1)]),
        one("words behind T are not read", forged(1, 3, &[(COMPARE_SWAP, 0)], &[OBS + 1, 0, 5, 3]), done(1))
            .after(&[(OBS + 1, 5)])
            .inner_metrics(&[(COMPARE_SWAP, 1)]),
        one(
            "a table step inside",
            packed(&[(STORE_U32, &[0, OBS + 1]), (DFA_STEP, &[0, 65, 0, 3])]),
            done(2),
        )
        .tables(&[(0..256).collect()])
        .after(&[(OBS + 2, 65)])
        .inner_metrics(&[(STORE_U32, 1), (DFA_STEP, 1)]),
        case("a copy inside")
            .given(&[(OBS + 1, 1), (OBS + 2, 2)])
            .slot(packed(&[(MEMCPY, &[OBS + 1, OBS + 2, 2]), (NOP, &[])]), done(2))
            .after(&[(OBS + 1, 1), (OBS + 2, 1), (OBS + 3, 2)])
            .inner_metrics(&[(MEMCPY, 1), (NOP, 1)]),
        (1..32)
            .fold(case("packed slots of different lengths side by side"), |case, i| {
                let ops = vec![(ATOMIC_ADD, [i, OBS + i]); 1 + i as usize % 4];
                let ops: Vec<(u32, &[u32])> =
                    ops.iter().map(|(opcode, args)| (*opcode, args.as_slice())).collect();
                case.slot(packed(&ops), done(ops.len() as u64))
            })
            .after(&(1..32).map(|i| (OBS + i, i * (1 + i % 4))).collect::<Vec<_>>())
            .inner_metrics(&[(ATOMIC_ADD, (1..32).map(|i| 1 + i % 4).sum())]),
    ]
}

/// Fourteen copies of the greatest length in eight slots, each at a turn of its own: where lanes take
/// turns together, their loops add up to more than any one slot's.
fn staggered_copies() -> Case {
    let first = OBS + 1;
    let last = |copy: u32| first + 4096 * (copy + 1);
    // (how many NOPs come before, how many copies): as many as their header and arguments allow.
    let slots = [(0, 3), (3, 2), (5, 2), (7, 2), (9, 2), (11, 1), (12, 1), (13, 1)];
    let mut case = case("long copies at different turns").observables(15 * 4096 + 1);
    case = case.given(&[(first, 11), (first + 4095, 77)]);
    let mut copies = 0;
    for (nops, count) in slots {
        let args: Vec<_> = (copies..copies + count).map(|copy| [first, last(copy), 4096]).collect();
        let mut ops: Vec<(u32, &[u32])> = vec![(NOP, &[]); nops as usize];
        ops.extend(args.iter().map(|args| (MEMCPY, args.as_slice())));
        case = case.slot(packed(&ops), done(ops.len() as u64));
        copies += count;
    }
    let mut after = vec![(first, 11), (first + 4095, 77)];
    after.extend((0..copies).flat_map(|copy| [(last(copy), 11), (last(copy) + 4095, 77)]));
    let nops = slots.iter().map(|(nops, _)| nops).sum();
    case.after(&after).inner_metrics(&[(NOP, nops), (MEMCPY, copies)])
}

/// Shapes that are fine around an op that is not.
fn faulting() -> Vec<Case> {
    vec![
        one(
            "what runs before a fault stays, what comes after does not run",
            packed(&[(STORE_U32, &[7, OBS + 1]), (STORE_U32, &[8, LEN]), (STORE_U32, &[9, OBS + 2])]),
            fault(BadOperand, 1),
        )
        .after(&[(OBS + 1, 7)])
        .inner_metrics(&[(STORE_U32, 1)]),
        one("the first op faults", packed(&[(STORE_U32, &[7, u32::MAX]), (NOP, &[])]), fault(BadOperand, 0)),
        one(
            "the last of 23 faults",
            forged(23, 0, &[vec![(NOP, 0); 22], vec![(8, 0)]].concat(), &[]),
            fault(UnknownOpcode, 22),
        )
        .inner_metrics(&[(NOP, 22)]),
        one(
            "no handler for a user's lane op",
            packed(&[(NOP, &[]), (8, &[]), (NOP, &[])]),
            fault(UnknownOpcode, 1),
        )
        .inner_metrics(&[(NOP, 1)]),
        one("nor for the last", packed(&[(255, &[])]), fault(UnknownOpcode, 0)),
        one("a missing table", packed(&[(NOP, &[]), (DFA_STEP, &[])]), fault(BadOperand, 1))
            .inner_metrics(&[(NOP, 1)]),
    ]
}

/// Bytes that no encoder writes. Nothing of them runs.
fn malformed() -> Vec<Case> {
    let header = || fault(BadPacked, DETAIL_PACKED_HEADER);
    let store = (STORE_U32, 0);
    let args = [7, OBS + 1];
    vec![
        one("24 ops", forged(24, 0, &[], &[]), header()),
        one("255 ops", forged(255, 0, &[], &[]), header()),
        one("every bit set", op(PACKED_SLOT, &[u32::MAX; 12]), header()),
        one("an argument more than there is room for", forged(1, 12, &[store], &args), header()),
        one("and than behind 23 ops", forged(23, 1, &[(NOP, 0); 23], &[]), header()),
        one("255 arguments", forged(1, 255, &[store], &args), header()),
        one("arguments of no op", forged(0, 11, &[], &[1; 11]), done(0)),
        one("too many arguments of no op", forged(0, 12, &[], &[]), header()),
        one("a start past the end", forged(1, 2, &[(STORE_U32, 3)], &args), fault(BadPacked, 0)),
        one("a start far past the end", forged(1, 2, &[(STORE_U32, 255)], &args), fault(BadPacked, 0)),
        one("the second start past the end", forged(2, 2, &[store, (NOP, 3)], &args), fault(BadPacked, 1)),
        one("starts that go back", forged(3, 4, &[store, (NOP, 2), (NOP, 1)], &args), fault(BadPacked, 2)),
        one("a fence inside", forged(2, 2, &[store, (BATCH_FENCE, 2)], &args), fault(BadPacked, 1)),
        one(
            "two wrong ops: the first is named",
            forged(3, 2, &[store, (BATCH_FENCE, 2), (NOP, 9)], &args),
            fault(BadPacked, 1),
        ),
        one(
            "a wrong header and a wrong op: the header is named",
            forged(1, 12, &[(BATCH_FENCE, 99)], &args),
            header(),
        ),
        one(
            "a missing handler before a wrong op does not run",
            forged(2, 2, &[(8, 0), (BATCH_FENCE, 0)], &args),
            fault(BadPacked, 1),
        ),
        case("among good ones")
            .slot(packed(&[(STORE_U32, &[1, OBS + 1])]), done(1))
            .slot(forged(24, 0, &[], &[]), header())
            .slot(packed(&[(STORE_U32, &[3, OBS + 3]), (NOP, &[])]), done(2))
            .after(&[(OBS + 1, 1), (OBS + 3, 3)])
            .inner_metrics(&[(STORE_U32, 2), (NOP, 1)]),
    ]
}
