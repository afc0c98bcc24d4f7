//! A live IO request: what a running slot asks of the host (PROTOCOL section 7).
//!
//! Eight words, written by the device alone into a ring of [`IO_SLOT_COUNT`](super::abi::io::IO_SLOT_COUNT)
//! entries and taken by the host in the order of their positions. The last word is a check over the others
//! and the position, so that an entry read in part, or one of an earlier lap, is not there. The answer
//! travels with the slot's next entry in the submission queue.

use super::abi::io::{
    IO_FENCE, IO_READ, IO_REQUEST_SLOT_SHIFT, IO_SLOT_WORDS, IO_TAG, IO_UNATTENDED, IO_WRITE,
};
use super::debug::stamp;

/// The words of an entry.
pub type RequestWords = [u32; IO_SLOT_WORDS as usize];

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RequestKind {
    /// File to memory, and a slot waits for it.
    Read,
    /// File to memory, and nobody waits.
    Prefetch,
    /// Memory to file.
    Write,
    /// All that was asked before.
    Fence,
}

/// A request, read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    /// What is asked for.
    pub kind: RequestKind,
    /// The slot that asked.
    pub slot: u32,
    /// Handle of a file.
    pub file: u32,
    /// Handle of memory.
    pub memory: u32,
    /// Where to begin in the file, in bytes.
    pub offset: u64,
    /// How many bytes; 0 in a read for all of the file.
    pub bytes: u32,
    /// Where to begin in the memory, in bytes.
    pub memory_at: u32,
}

/// The entry of a request at `position`, as the kernel writes it.
pub fn encode_request(position: u32, request: &Request) -> RequestWords {
    let kind = match request.kind {
        RequestKind::Read => IO_READ,
        RequestKind::Prefetch => IO_READ | IO_UNATTENDED,
        RequestKind::Write => IO_WRITE,
        RequestKind::Fence => IO_FENCE,
    };
    let mut words = [
        kind | request.slot << IO_REQUEST_SLOT_SHIFT,
        request.file,
        request.memory,
        request.offset as u32,
        (request.offset >> 32) as u32,
        request.bytes,
        request.memory_at,
        0,
    ];
    words[IO_TAG as usize] = stamp(position, &words[..IO_TAG as usize]);
    words
}

/// Reads the entry of `position`; `None` while it is not, or not wholly, there.
pub fn decode_request(position: u32, words: &RequestWords) -> Option<Request> {
    if words[IO_TAG as usize] != stamp(position, &words[..IO_TAG as usize]) {
        return None;
    }
    let kind = match words[0] & ((1 << IO_REQUEST_SLOT_SHIFT) - 1) {
        IO_READ => RequestKind::Read,
        IO_WRITE => RequestKind::Write,
        IO_FENCE => RequestKind::Fence,
        kind if kind == IO_READ | IO_UNATTENDED => RequestKind::Prefetch,
        _ => return None,
    };
    Some(Request {
        kind,
        slot: words[0] >> IO_REQUEST_SLOT_SHIFT,
        file: words[1],
        memory: words[2],
        offset: u64::from(words[3]) | u64::from(words[4]) << 32,
        bytes: words[5],
        memory_at: words[6],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn request() -> impl Strategy<Value = Request> {
        let kind = prop_oneof![
            Just(RequestKind::Read),
            Just(RequestKind::Prefetch),
            Just(RequestKind::Write),
            Just(RequestKind::Fence)
        ];
        (kind, 0u32..1 << 20, any::<u32>(), any::<u32>(), any::<u64>(), any::<u32>(), any::<u32>()).prop_map(
            |(kind, slot, file, memory, offset, bytes, memory_at)| Request {
                kind,
                slot,
                file,
                memory,
                offset,
                bytes,
                memory_at,
            },
        )
    }

    proptest! {
        #[test]
        fn requests_come_back(position: u32, request in request()) {
            prop_assert_eq!(decode_request(position, &encode_request(position, &request)), Some(request));
        }

        /// Any mixture of an entry and the one of the lap before counts only once it is whole.
        #[test]
        fn torn_requests_are_absent(position: u32, old in request(), new in request(), stale in 1u32..256) {
            let before = encode_request(position, &old);
            let after = encode_request(position.wrapping_add(64), &new);
            let torn: RequestWords =
                std::array::from_fn(|i| if stale & (1 << i) != 0 { before[i] } else { after[i] });
            // Words that are the same in both tear to the same entry.
            let whole = torn == after;
            prop_assert_eq!(decode_request(position.wrapping_add(64), &torn).is_some(), whole);
        }

        #[test]
        fn anything_else_is_no_request(position: u32, words: RequestWords) {
            let _ = decode_request(position, &words);
        }
    }
}
