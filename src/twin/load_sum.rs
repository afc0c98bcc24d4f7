//! LOAD_SUM: which blocks it draws. Twin of `glsl/op/load_sum.glsl`; what arrives is the host's to know.

use crate::protocol::abi::range::{LOAD_SUM_FACTOR, LOAD_SUM_SUMMAND};

/// The offsets at which LOAD_SUM asks after the first, each the place of one of `blocks` blocks of `bytes` bytes, for
/// a slot with the seed `seed` (a9).
pub fn offsets(seed: u32, blocks: u32, bytes: u32) -> impl Iterator<Item = u64> {
    let draw = |drawn: &u32| Some(drawn.wrapping_mul(LOAD_SUM_FACTOR).wrapping_add(LOAD_SUM_SUMMAND));
    std::iter::successors(draw(&seed), draw)
        .map(move |drawn| ((u64::from(drawn) * u64::from(blocks)) >> 32) * u64::from(bytes))
}
