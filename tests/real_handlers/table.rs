//! Tables of LOOKUP, as `glsl/handlers/lookup.comp` describes them: the tests and `ringfence bench handlers` make
//! theirs here.

/// What a table is not made with: a key that would lie further from its hash's place.
pub const LOOKUP_PROBES: u32 = 32;

pub const HEADER_WORDS: usize = 4;
pub const PLACE_WORDS: usize = 4;
/// Seeds that are tried before the table gets larger.
const SEEDS: u32 = 4;
/// By how much it may get larger than twice its entries, as a power of two.
const GROWTH: u32 = 3;
/// Places that a table may have: its words are to be within what an offset of 32 bits reaches.
const MOST_PLACES: usize = 1 << 27;

/// Why there is no table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The key comes twice.
    Twice(u64),
    /// A key lies too far from its hash's place with each seed, although no more than one in 16 places is taken.
    Crowded,
    /// More entries than a table may have.
    TooMany,
}

/// MurmurHash3's last mix, of both words.
pub fn hash_of(key: u64, seed: u32) -> u32 {
    let (low, high) = (key as u32, (key >> 32) as u32);
    let mut h = low.wrapping_mul(0xCC9E_2D51) ^ high.wrapping_add(seed).wrapping_mul(0x1B87_3593);
    h = (h ^ h >> 16).wrapping_mul(0x85EB_CA6B);
    h = (h ^ h >> 13).wrapping_mul(0xC2B2_AE35);
    h ^ h >> 16
}

fn words_of(value: u64) -> [u32; 2] {
    [value as u32, (value >> 32) as u32]
}

/// Two words as one number, the low one first.
pub fn joined(words: &[u32]) -> u64 {
    u64::from(words[1]) << 32 | u64::from(words[0])
}

/// A table of these keys and values, at most half full.
pub fn build(entries: &[(u64, u64)]) -> Result<Vec<u32>, Refused> {
    build_within(LOOKUP_PROBES, entries)
}

/// The same, with each key in one of the first `probes` places from its hash's on.
pub fn build_within(probes: u32, entries: &[(u64, u64)]) -> Result<Vec<u32>, Refused> {
    let mut keys: Vec<u64> = entries.iter().map(|entry| entry.0).collect();
    keys.sort_unstable();
    if let Some(pair) = keys.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(Refused::Twice(pair[0]));
    }
    // Entries leave some key over.
    let free = (0..).zip(&keys).find(|(n, key)| n != *key).map_or(keys.len() as u64, |(n, _)| n);
    for growth in 0..=GROWTH {
        let places = (2 * entries.len()).next_power_of_two() << growth;
        if places > MOST_PLACES {
            return Err(if growth == 0 { Refused::TooMany } else { Refused::Crowded });
        }
        for seed in 0..SEEDS {
            if let Some(words) = with_seed(probes, entries, places, seed, free) {
                return Ok(words);
            }
        }
    }
    Err(Refused::Crowded)
}

fn with_seed(probes: u32, entries: &[(u64, u64)], places: usize, seed: u32, free: u64) -> Option<Vec<u32>> {
    let [free_low, free_high] = words_of(free);
    let last = places as u32 - 1;
    let mut words = vec![last, seed, free_low, free_high];
    words.extend([free_low, free_high, 0, 0].repeat(places));
    for (key, value) in entries {
        let from = hash_of(*key, seed) & last;
        let at = (0..probes)
            .map(|probe| HEADER_WORDS + PLACE_WORDS * (from.wrapping_add(probe) & last) as usize)
            .find(|at| joined(&words[*at..]) == free)?;
        words[at..at + 2].copy_from_slice(&words_of(*key));
        words[at + 2..at + 4].copy_from_slice(&words_of(*value));
    }
    Some(words)
}
