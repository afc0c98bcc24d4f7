//! CRC32C: of a2 bytes from byte a1 of resource a0 on, continuing the CRC a3. Twin of
//! `glsl/op/crc32c.glsl`.
//!
//! The twin goes from bit to bit through one register, where the kernel takes words on all lanes and
//! puts their registers together.

use super::range::{bytes_of, exceeds};
use super::{Machine, Outcome, bad_operand};
use crate::protocol::SlotArgs;
use crate::protocol::abi::range::CRC32C_POLYNOMIAL;

/// Result: the CRC. Faults: no such resource (a0), an offset behind the end (a1), more bytes than one slot
/// takes or than there are (a2). Of nothing it is a3, even at the very end.
pub fn execute(m: &mut Machine, args: &SlotArgs) -> Outcome {
    let [handle, offset, count, crc, ..] = *args;
    let source = m.resource(handle);
    if source.is_empty() {
        return Err(bad_operand(0));
    }
    if offset > bytes_of(source) {
        return Err(bad_operand(1));
    }
    if exceeds(source, offset, count) {
        return Err(bad_operand(2));
    }
    let byte = |at: u32| (source[(at / 4) as usize] >> (8 * (at % 4))) as u8;
    Ok(crc32c(crc, (offset..offset + count).map(byte)).into())
}

/// The CRC32C (Castagnoli, as in iSCSI and SSE 4.2) of `bytes`, continuing `crc`: 0, or the CRC32C of what
/// came before.
pub fn crc32c(crc: u32, bytes: impl IntoIterator<Item = u8>) -> u32 {
    let mut register = !crc;
    for byte in bytes {
        register ^= u32::from(byte);
        for _ in 0..8 {
            let carry = register & 1;
            register = (register >> 1) ^ (carry * CRC32C_POLYNOMIAL);
        }
    }
    !register
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3720, appendix B.4, and the check value of the catalogue of CRCs.
    #[test]
    fn known_values() {
        let cases: [(Vec<u8>, u32); 6] = [
            (vec![], 0),
            (b"123456789".to_vec(), 0xE306_9283),
            (vec![0; 32], 0x8A91_36AA),
            (vec![0xFF; 32], 0x62A8_AB43),
            ((0..32).collect(), 0x46DD_794E),
            ((0..32).rev().collect(), 0x113F_DB5C),
        ];
        for (bytes, crc) in cases {
            assert_eq!(crc32c(0, bytes.iter().copied()), crc, "{bytes:x?}");
            for split in 0..bytes.len() {
                let (first, second) = bytes.split_at(split);
                assert_eq!(crc32c(crc32c(0, first.to_vec()), second.to_vec()), crc, "{bytes:x?} at {split}");
            }
        }
    }
}
