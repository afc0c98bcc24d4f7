//! A dictionary and a text of it, the same on every machine.
//!
//! The words are made up of syllables, since not every machine has a dictionary; their lengths and letters are
//! about those of English. How often the text has a word goes by Zipf's law, as in natural texts: the n-th of them
//! 1/n times as often as the first. The patterns are words that it has seldom, as is usual where many are looked
//! for.

use std::collections::HashSet;

use crate::bench::random::Random;

/// Words of the dictionary.
const WORDS: usize = 24_000;
/// Of that many words of the text one is a pattern.
const SELDOM: u32 = 1_000;
/// Lines are of at least that many bytes, and of a word more at most.
const LINE: usize = 60;

/// A rank below `n`, the lower the likelier: the inverse of the distribution function ln(1 + rank) / ln(n).
fn zipf(random: &mut Random, n: usize) -> usize {
    let share = random.below(1 << 24) as f64 / f64::from(1 << 24);
    ((n as f64).powf(share) as usize).saturating_sub(1)
}

/// The dictionary. Its first words are the patterns, the rest make up most of the text.
pub struct Corpus {
    words: Vec<String>,
    patterns: usize,
    random: Random,
}

impl Corpus {
    pub fn new(patterns: usize) -> Self {
        let mut random = Random::new();
        let mut known = HashSet::new();
        let mut words = Vec::with_capacity(WORDS);
        while words.len() < WORDS {
            let word = word(&mut random);
            if word.len() >= 5 && known.insert(word.clone()) {
                words.push(word);
            }
        }
        Self { words, patterns: patterns.min(WORDS / 2), random }
    }

    /// The words to look for.
    pub fn patterns(&self) -> &[String] {
        &self.words[..self.patterns]
    }

    /// Lines, as many as fit into `bytes`.
    pub fn text(&mut self, bytes: usize) -> Vec<u8> {
        let mut text = Vec::with_capacity(bytes);
        let mut line = Vec::new();
        loop {
            line.clear();
            while line.len() < LINE {
                let index = if self.random.below(SELDOM as usize) == 0 {
                    self.random.below(self.patterns)
                } else {
                    self.patterns + zipf(&mut self.random, WORDS - self.patterns)
                };
                line.extend_from_slice(self.words[index].as_bytes());
                line.push(b' ');
            }
            line.pop();
            line.push(b'\n');
            if text.len() + line.len() > bytes {
                return text;
            }
            text.extend_from_slice(&line);
        }
    }
}

fn word(random: &mut Random) -> String {
    const BEFORE: [&str; 24] = [
        "b", "c", "d", "f", "g", "h", "l", "m", "n", "p", "r", "s", "t", "v", "st", "tr", "pl", "ch", "sh",
        "gr", "cr", "br", "w", "",
    ];
    const VOWELS: [&str; 10] = ["a", "e", "i", "o", "u", "e", "a", "i", "ea", "ou"];
    const BEHIND: [&str; 14] = ["", "", "", "", "n", "r", "s", "t", "l", "nd", "st", "ng", "ck", "m"];
    let syllables = 2 + random.below(2);
    let mut word = String::new();
    for _ in 0..syllables {
        for part in [BEFORE.as_slice(), &VOWELS, &BEHIND] {
            word.push_str(part[random.below(part.len())]);
        }
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_whole_lines_with_few_patterns() {
        let mut corpus = Corpus::new(96);
        let text = corpus.text(100_000);
        assert!(text.ends_with(b"\n") && text.len() > 99_000 && text.len() <= 100_000);
        let text = String::from_utf8(text).expect("letters");
        let matching = |line: &&str| corpus.patterns().iter().any(|p| line.contains(p.as_str()));
        let found = text.lines().filter(matching).count();
        let lines = text.lines().count();
        assert!(found > 0 && found * 10 < lines, "{found} of {lines}");
        assert_eq!(corpus.patterns().len(), 96);
    }
}
