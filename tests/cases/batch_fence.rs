use super::{Case, OBS, bad, case, done, one, op};
use ringfence::protocol::fault::DETAIL_PRIORITY;
use ringfence::protocol::opcode::{BATCH_FENCE, NOP, STORE_U32};
use ringfence::protocol::{ARG0_WORD, Fault, FaultCode, PRIORITY_WORD};

pub fn cases() -> Vec<Case> {
    let nops = |name, count| (0..count).fold(case(name), |case, _| case.slot(op(NOP, &[]), done(0)));
    let count = ARG0_WORD as usize;
    let broken = Fault::new(FaultCode::BadOperand, 0);
    vec![
        case("three fences of nothing").then().then(),
        nops("a fence of many", 300),
        case("a fence counts faults as ended")
            .slot(op(NOP, &[]), done(0))
            .slot(op(STORE_U32, &[1, u32::MAX]), bad(1))
            .slot(op(NOP, &[]), done(0)),
        nops("one more than the batch has", 3).bad_fence(|fence| fence[count] = 4, broken),
        nops("one less than the batch has", 3).bad_fence(|fence| fence[count] = 2, broken),
        nops("none of three", 3).bad_fence(|fence| fence[count] = 0, broken),
        nops("the last u32", 3).bad_fence(|fence| fence[count] = u32::MAX, broken),
        case("one of nothing").bad_fence(|fence| fence[count] = 1, broken),
        nops("a bad fence leaves epoch and tag, a good one follows", 2)
            .then()
            .bad_fence(|fence| fence[count] = 9, broken)
            .then(),
        nops("a fence at a level that does not exist", 2).bad_fence(
            |fence| fence[PRIORITY_WORD as usize] = 5,
            Fault::new(FaultCode::BadOperand, DETAIL_PRIORITY),
        ),
        one("a fence among the slots that is a batch of something", op(BATCH_FENCE, &[1, 5]), bad(0)),
        case("no observable for the tag").observables(0).then(),
        case("the tag's word before").slot(op(STORE_U32, &[1, OBS + 1]), done(0)).after(&[(OBS + 1, 1)]),
    ]
}
