//! Alternations with their common beginnings taken out: `abc|abd|x` becomes `ab(?:c|d)|x`.
//!
//! A plain alternation of thousands of expressions makes every state of the automaton try the
//! first byte of each of them, and building it takes minutes. Factored, a state sees as many
//! branches as there are different first bytes. Order among alternatives is lost, which is of no
//! matter where any of them will do, or the longest.

use regex_syntax::hir::{Hir, HirKind};

/// Branch points one within the other; keeps recursion over the expression shallow. Below, what
/// remains is a plain alternation.
const MAX_DEPTH: u32 = 64;

/// The alternatives as one expression.
pub(super) fn alternation(alternatives: &[Hir]) -> Hir {
    let sequences: Vec<Vec<Element>> = alternatives.iter().map(elements).collect();
    join(sequences.iter().map(Vec::as_slice).collect(), MAX_DEPTH)
}

/// Part of a sequence.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Element<'a> {
    Byte(u8),
    Other(&'a Hir),
}

/// An expression as a sequence, literals cut into bytes.
fn elements(hir: &Hir) -> Vec<Element<'_>> {
    match hir.kind() {
        HirKind::Empty => Vec::new(),
        HirKind::Literal(literal) => literal.0.iter().map(|byte| Element::Byte(*byte)).collect(),
        // Concatenations do not nest, so this goes no deeper.
        HirKind::Concat(parts) => parts.iter().flat_map(elements).collect(),
        _ => vec![Element::Other(hir)],
    }
}

fn sequence(elements: &[Element<'_>]) -> Hir {
    let hir = |element: &Element<'_>| match element {
        Element::Byte(byte) => Hir::literal([*byte]),
        Element::Other(hir) => (*hir).clone(),
    };
    Hir::concat(elements.iter().map(hir).collect())
}

/// Alternatives as sequences, those with the same first element grouped.
fn join(sequences: Vec<&[Element<'_>]>, depth: u32) -> Hir {
    if depth == 0 {
        return Hir::alternation(sequences.into_iter().map(sequence).collect());
    }
    let mut groups: Vec<Vec<&[Element<'_>]>> = Vec::new();
    for sequence in sequences {
        // There are few groups, mostly: as many as different first bytes.
        match groups.iter_mut().find(|group| group[0].first() == sequence.first()) {
            Some(group) => group.push(sequence),
            None => groups.push(vec![sequence]),
        }
    }
    Hir::alternation(groups.into_iter().map(|group| factored(&group, depth)).collect())
}

/// Alternatives that begin alike, or are all empty.
fn factored(group: &[&[Element<'_>]], depth: u32) -> Hir {
    let Some((first, rest)) = group.split_first() else { return Hir::fail() };
    let alike = |n: usize| rest.iter().all(|other| other.get(n) == first.get(n));
    let common = (0..first.len()).take_while(|n| alike(*n)).count();
    let head = sequence(&first[..common]);
    if group.iter().all(|sequence| sequence.len() == common) {
        return head;
    }
    let tails = group.iter().map(|sequence| &sequence[common..]).collect();
    Hir::concat(vec![head, join(tails, depth - 1)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use regex_automata::meta::Regex;

    #[test]
    fn the_language_stays_the_same() {
        let cases: &[&[&str]] = &[
            &["abc", "abd", "x"],
            &["abc", "ab", "a", ""],
            &["a[0-9]?", "a[0-9]?b", "ab+", "ab+c", "b"],
            &["(?:ab|ac)d", "(?:ab|ac)e", "^a$", "^b$"],
            &["a", "a", "a"],
            &["a*", "a*b", "a*c"],
        ];
        let texts = [
            "", "a", "ab", "abc", "abd", "abe", "x", "a5", "a5b", "abbb", "abbc", "b", "aaab", "aac", "acd",
            "ace", "acf",
        ];
        for patterns in cases {
            let hirs: Vec<Hir> = patterns.iter().map(|p| regex_syntax::parse(p).unwrap()).collect();
            let whole = |hir: Hir| {
                use regex_syntax::hir::Look;
                let anchored = Hir::concat(vec![Hir::look(Look::Start), hir, Hir::look(Look::End)]);
                Regex::builder().build_from_hir(&anchored).unwrap()
            };
            let (plain, factored) = (whole(Hir::alternation(hirs.clone())), whole(alternation(&hirs)));
            for text in texts {
                assert_eq!(plain.is_match(text), factored.is_match(text), "{patterns:?} on {text:?}");
            }
        }
    }

    #[test]
    fn long_and_nested_alternatives_do_not_overflow() {
        let nested: Vec<Hir> = (1..3000).map(|n| Hir::literal(vec![b'a'; n])).collect();
        assert!(Regex::builder().build_from_hir(&alternation(&nested)).unwrap().is_match("a"));
    }
}
