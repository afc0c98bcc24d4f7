//! Which opcodes a tenant may use, as the bits of its record.

use super::abi::live::OPCODES_OTHER;
use super::abi::opcode::*;

/// Opcodes beyond 0 to 7 that have a bit of their own, from bit 8 on; the kernel has the same in `may_use`.
const OWN_BITS: [u32; 11] = [
    OP_LOAD_MISS,
    OP_PRINTF,
    OP_PACKED_SLOT,
    OP_SCAN,
    OP_CRC32C,
    OP_SUM_WORDS,
    OP_COPY_RANGE,
    OP_STORE_RANGE,
    OP_IO_FENCE,
    OP_LOAD_SUM,
    OP_UNFOLD,
];

/// All opcodes.
pub const ALL_OPCODES: u32 = u32::MAX;

/// The bit of an opcode: its own, or the one that all others share.
#[must_use]
pub fn opcode_bit(opcode: u32) -> u32 {
    let own = OWN_BITS.iter().position(|own| *own == opcode).map(|index| 8 + index as u32);
    if opcode < 8 { opcode } else { own.unwrap_or(OPCODES_OTHER) }
}

/// The bits of a set of opcodes.
#[must_use]
pub fn opcode_bits(opcodes: impl IntoIterator<Item = u32>) -> u32 {
    opcodes.into_iter().fold(0, |bits, opcode| bits | 1 << opcode_bit(opcode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_opcode_has_its_bit_and_those_without_share_one() {
        assert_eq!(opcode_bits([OP_NOP, OP_BATCH_FENCE, OP_LOAD_MISS, OP_LOAD_SUM]), 0x0002_0181);
        assert_eq!(opcode_bits([8, 4660, 0x8000_0014, OP_SHUTDOWN]), 1 << 31);
        assert_eq!(opcode_bits([]), 0);
    }
}
