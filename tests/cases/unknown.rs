use super::{Case, OBS, case, done, fault, one, op};
use ringfence::protocol::FaultCode::UnknownOpcode;
use ringfence::protocol::opcode::{NOP, STORE_U32};

/// Opcodes that nobody handles: users', reserved ones, and neighbours of the system's.
const UNKNOWN: [u32; 16] = [
    8,
    30,
    31,
    32,
    255,
    256,
    4660,
    0xFFEF,
    0xFFF0,
    0xFFFC,
    0xFFFF,
    0x0001_0000,
    0x7FFF_FFFF,
    0x8000_0000,
    0x8000_0002,
    0xFFFF_FFFE,
];

pub fn cases() -> Vec<Case> {
    let mut cases: Vec<_> = UNKNOWN
        .map(|opcode| one(&format!("opcode {opcode:#x}"), op(opcode, &[1, OBS + 1]), fault(UnknownOpcode, 0)))
        .into();
    cases.push(
        case("between known ones")
            .slot(op(STORE_U32, &[1, OBS + 1]), done(0))
            .slot(op(4660, &[2, OBS + 1]), fault(UnknownOpcode, 0))
            .slot(op(NOP, &[]), done(0))
            .after(&[(OBS + 1, 1)]),
    );
    cases
}
