use std::collections::BTreeMap;

use super::super::parse::parse;
use super::cut;
use module::{bytes, module, run, words};

mod module;

/// A function, and what is left of it with 6 true and 7 false.
const CASES: [(&str, &str, &str); 17] = [
    (
        "a condition",
        "20 = Label; SelectionMerge 23; BranchConditional 6 21 22; 21 = Label; Store 13 9; Branch 23; \
      22 = Label; Store 13 10; Branch 23; 23 = Label; Return",
        "Label Store Return",
    ),
    (
        "a value that follows",
        "20 = Label; 30 = LogicalNot 4 16; SelectionMerge 23; BranchConditional 30 21 23; \
      21 = Label; Store 13 17; Branch 23; 23 = Label; Return",
        "Label Store Return",
    ),
    (
        "a condition that is partly known",
        "20 = Label; 29 = Load 5 13; 30 = IEqual 4 29 9; 31 = LogicalAnd 4 6 30; \
      SelectionMerge 23; BranchConditional 31 21 23; 21 = Label; Store 13 9; Branch 23; 23 = Label; Return",
        "Label Load IEqual SelectionMerge BranchConditional Label Store Branch Label Return",
    ),
    (
        "through a phi",
        "20 = Label; SelectionMerge 23; BranchConditional 7 21 22; 21 = Label; Branch 23; 22 = Label; \
      Branch 23; 23 = Label; 30 = Phi 4 6 21 7 22; SelectionMerge 25; BranchConditional 30 24 25; \
      24 = Label; \
      Store 13 9; Branch 25; 25 = Label; Return",
        "Label Return",
    ),
    (
        "a loop that stays",
        "20 = Label; Branch 21; 21 = Label; 30 = Phi 5 9 20 31 23; 32 = Phi 4 6 20 33 23; \
      LoopMerge 24 23; Branch 22; 22 = Label; 34 = ULessThan 4 30 8; BranchConditional 34 23 24; 23 = Label; \
      31 = IAdd 5 30 10; 33 = LogicalOr 4 32 7; Branch 21; 24 = Label; 35 = Select 5 32 10 11; \
      Store 13 35; Return",
        "Label Branch Label Phi LoopMerge Branch Label ULessThan BranchConditional Label IAdd \
         Branch Label Store Return",
    ),
    (
        "a loop that never repeats",
        "20 = Label; Branch 21; 21 = Label; 30 = Phi 5 9 20 31 23; LoopMerge 24 23; \
      Branch 22; 22 = Label; Store 13 30; SelectionMerge 25; BranchConditional 6 24 25; 25 = Label; \
      Branch 23; \
      23 = Label; 31 = IAdd 5 30 10; 32 = ULessThan 4 31 11; BranchConditional 32 21 24; 24 = Label; Return",
        "Label Store Return",
    ),
    (
        "a way back that is never taken",
        "20 = Label; Branch 21; 21 = Label; LoopMerge 24 23; Branch 22; \
      22 = Label; Store 13 10; Branch 23; 23 = Label; BranchConditional 7 21 24; 24 = Label; Return",
        "Label Store Return",
    ),
    (
        "a switch",
        "20 = Label; SelectionMerge 24; Switch 17 23 #1 21 #2 22; 21 = Label; Store 13 10; Branch 22; \
      22 = Label; Store 13 11; Branch 24; 23 = Label; Branch 24; 24 = Label; Return",
        "Label Store Store Return",
    ),
    (
        "a switch that is broken out of",
        "20 = Label; 29 = Load 5 13; 30 = IEqual 4 29 9; SelectionMerge 24; \
      Switch 17 23 #1 21; 21 = Label; SelectionMerge 22; BranchConditional 30 25 22; 25 = Label; Store 13 9; \
      Branch 24; 22 = Label; Store 13 10; Branch 24; 23 = Label; Store 13 11; Branch 24; 24 = Label; Return",
        "Label Load IEqual SelectionMerge Switch Label SelectionMerge BranchConditional Label Store \
         Branch Label \
      Store Branch Label Return",
    ),
    (
        "a selection that is left early",
        "20 = Label; 29 = Load 5 13; 30 = IEqual 4 29 9; SelectionMerge 24; \
      BranchConditional 6 21 24; 21 = Label; BranchConditional 30 24 22; 22 = Label; Store 13 10; Branch 24; \
      24 = Label; Return",
        "Label Load IEqual SelectionMerge BranchConditional Label Store Branch Label Return",
    ),
    (
        "a switch made to be broken out of",
        "20 = Label; 29 = Load 5 13; 30 = IEqual 4 29 9; SelectionMerge 24; \
      Switch 9 21; 21 = Label; SelectionMerge 22; BranchConditional 30 24 22; 22 = Label; Store 13 10; \
      Branch 24; \
      24 = Label; Return",
        "Label Load IEqual SelectionMerge Switch Label SelectionMerge BranchConditional Label \
      Store Branch Label Return",
    ),
    (
        "a merge that nothing reaches",
        "20 = Label; 29 = Load 5 13; 30 = IEqual 4 29 9; SelectionMerge 24; \
      BranchConditional 30 21 22; 21 = Label; Store 13 10; Return; 22 = Label; SelectionMerge 23; \
      BranchConditional 6 25 23; 25 = Label; Return; 23 = Label; Branch 24; 24 = Label; Store 13 11; Return",
        "Label Load IEqual SelectionMerge BranchConditional Label Store Return Label Return Label \
         Unreachable",
    ),
    (
        "values that only use each other",
        "20 = Label; Branch 21; 21 = Label; 30 = Phi 5 9 20 31 23; \
      32 = Phi 5 9 20 33 23; LoopMerge 24 23; Branch 22; 22 = Label; 34 = ULessThan 4 30 11; \
      BranchConditional 34 23 24; 23 = Label; 31 = IAdd 5 30 10; 33 = IAdd 5 32 31; Branch 21; 24 = Label; \
      Store 13 10; Return",
        "Label Branch Label Phi LoopMerge Branch Label ULessThan BranchConditional Label IAdd \
      Branch Label Store Return",
    ),
    ("a store that nothing loads", "20 = Label; Store 15 10; Store 13 11; Return", "Label Store Return"),
    (
        "a store for a load that nothing uses",
        "20 = Label; 30 = Load 5 15; 31 = IAdd 5 30 10; Store 15 31; Return",
        "Label Return",
    ),
    (
        "a store that is loaded",
        "20 = Label; Store 15 10; 30 = Load 5 15; Store 13 30; Return",
        "Label Store Load Store Return",
    ),
    (
        "selections that become empty, one in the other",
        "20 = Label; 29 = Load 5 13; 30 = IEqual 4 29 9; \
      SelectionMerge 24; BranchConditional 30 21 24; 21 = Label; 31 = IEqual 4 29 10; SelectionMerge 23; \
      BranchConditional 31 22 23; 22 = Label; Store 15 10; Branch 23; 23 = Label; Branch 24; 24 = Label; \
      Return",
        "Label Return",
    ),
];

#[test]
fn cut_functions_have_what_is_needed() {
    for (name, body, left) in CASES {
        let result = cut(module(body), &BTreeMap::from([(16, 1), (17, 0)]), false).expect(name);
        let names: Vec<_> = result.instructions.iter().map(|i| i.class.opname).collect();
        let from = names.iter().position(|name| *name == "Function").expect("has a function");
        assert_eq!(names[from + 1..names.len() - 1].join(" "), left, "{name}");
        assert_eq!(words(&parse(&bytes(&words(&result))).expect("can be read")), words(&result), "{name}");
    }
}

#[test]
fn cut_functions_store_what_they_did() {
    for (name, body, _) in CASES {
        for values in 0..8_u32 {
            let given = BTreeMap::from([(16, values & 1), (17, values >> 1 & 1), (1, values >> 2)]);
            for frozen in 0..8_u32 {
                let some = given.iter().zip([1, 2, 4]).filter(|(_, bit)| frozen & bit != 0);
                let some = some.map(|((id, value), _)| (*id, *value)).collect();
                let result = cut(module(body), &some, false).expect(name);
                for seed in 0..3 {
                    let told = format!("{name}: {some:?} of {given:?}, seed {seed}");
                    assert_eq!(run(&result, &given, seed), run(&module(body), &given, seed), "{told}");
                }
            }
        }
    }
}

#[test]
fn what_nothing_uses_is_not_declared() {
    let result = cut(module("20 = Label; Return"), &BTreeMap::new(), false).expect("is cut");
    let names: Vec<_> = result.instructions.iter().map(|i| i.class.opname).collect();
    let left = "MemoryModel EntryPoint TypeVoid TypeFunction Function Label Return FunctionEnd";
    assert_eq!(names.join(" "), left);
    assert_eq!(result.bound, 5);
}

#[test]
fn malformed_functions_are_refused() {
    let cases = [
        ("20 = Label; Branch 99", "outside"),
        ("20 = Label; Branch 21", "no block"),
        ("20 = Label", "where none may be"),
        ("20 = Label; Return; Return", "where none may be"),
        ("20 = Label; SelectionMerge 20; Store 13 9; Return", "behind a merge"),
        ("20 = Label; 30 = Load 5 13; 30 = Load 5 13; Return", "twice"),
    ];
    for (body, problem) in cases {
        let error = cut(module(body), &BTreeMap::new(), false).err().unwrap_or_default();
        assert!(error.contains(problem), "{body}: {error}");
    }
}

#[test]
fn embedded_modules_shrink_the_same_each_time_and_only_once() {
    let all = |value| (0..34).map(|id| (id, value)).collect();
    for module in crate::kernel::modules() {
        for frozen in [BTreeMap::new(), all(0), all(1)] {
            let once = cut(parse(module.bytes()).expect("is read"), &frozen, false).expect(module.name);
            assert!(words(&once).len() <= module.words().len(), "{}", module.name);
            let other = cut(parse(module.bytes()).expect("is read"), &frozen, false).expect(module.name);
            assert_eq!(words(&once), words(&other), "{}", module.name);
            let again =
                cut(parse(&bytes(&words(&once))).expect("is read"), &frozen, false).expect(module.name);
            assert!(words(&again).len() <= words(&once).len(), "{}", module.name);
        }
    }
}

#[test]
fn no_input_panics() {
    let smallest = crate::kernel::modules().iter().min_by_key(|module| module.words().len());
    let whole = smallest.expect("there are modules").words();
    for at in 5..whole.len() {
        for word in [0, 1, whole[at] ^ 1, whole[at] + 1, whole[5 + at * 7 % (whole.len() - 5)], u32::MAX] {
            let mut other = whole.to_vec();
            other[at] = word;
            if let Ok(parsed) = parse(&bytes(&other)) {
                drop(cut(parsed, &BTreeMap::from([(1, 1)]), false));
            }
        }
    }
}
