//! Little-endian words in byte buffers: the one place where an index becomes a byte offset.

use super::ProtocolError;

/// Bytes of a protocol word.
pub(crate) const WORD_BYTES: usize = size_of::<u32>();

/// The word at `word_idx` of a buffer of whole words.
///
/// The length is checked first, so that a buffer cut in the middle of a word is never read at all.
pub(crate) fn read_word(buffer: &'static str, bytes: &[u8], word_idx: usize) -> Result<u32, ProtocolError> {
    check_aligned(buffer, bytes)?;
    word_at(bytes, word_idx).ok_or(ProtocolError::MissingWord {
        buffer,
        word_idx,
        byte_len: bytes.len(),
        fix: "pass the whole buffer, as the matching encoder sized it",
    })
}

/// The word at `word_idx`, if the buffer reaches that far.
pub(crate) fn word_at(bytes: &[u8], word_idx: usize) -> Option<u32> {
    let (words, _) = bytes.as_chunks::<WORD_BYTES>();
    words.get(word_idx).map(|word| u32::from_le_bytes(*word))
}

/// Stores a word, or says by `false` that the buffer does not reach that far.
#[must_use]
pub(crate) fn set_word(bytes: &mut [u8], word_idx: usize, value: u32) -> bool {
    let (words, _) = bytes.as_chunks_mut::<WORD_BYTES>();
    words.get_mut(word_idx).map(|word| *word = value.to_le_bytes()).is_some()
}

/// Refuses a buffer that ends within a word.
pub(crate) fn check_aligned(buffer: &'static str, bytes: &[u8]) -> Result<(), ProtocolError> {
    if bytes.len().is_multiple_of(WORD_BYTES) {
        return Ok(());
    }
    Err(ProtocolError::MisalignedByteLength {
        buffer,
        byte_len: bytes.len(),
        unit: WORD_BYTES,
        fix: "pass whole little-endian u32 words",
    })
}

/// Makes `dst` exactly `byte_len` zero bytes, keeping its allocation where it is large enough.
///
/// An allocation that the host refuses is an error as well: a size may come from a file.
pub(crate) fn zeroed_into(
    buffer: &'static str,
    byte_len: usize,
    dst: &mut Vec<u8>,
) -> Result<(), ProtocolError> {
    dst.clear();
    dst.try_reserve_exact(byte_len).map_err(|_| ProtocolError::ByteLengthOverflow {
        buffer,
        requested: byte_len as u64,
        limit: isize::MAX as u64,
        fix: "this host could not allocate so many bytes; ask for a smaller buffer",
    })?;
    dst.resize(byte_len, 0);
    Ok(())
}
