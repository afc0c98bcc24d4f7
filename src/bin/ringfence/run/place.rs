//! Where in a file something stands, for complaints that come once it was read.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::value::RawValue;

/// A step from a value into one that it holds.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    Key(&'static str),
    Index(usize),
}

/// Line and column, from 1, of the value that the steps lead to from the whole of a file that was read as JSON.
pub fn place(file: &[u8], steps: &[Step]) -> Option<(usize, usize)> {
    let whole: &RawValue = serde_json::from_slice(file).ok()?;
    let value = steps.iter().try_fold(whole, |value, step| match *step {
        Step::Key(key) => {
            let object: HashMap<Cow<'_, str>, &RawValue> = serde_json::from_str(value.get()).ok()?;
            object.get(key).copied()
        }
        Step::Index(index) => serde_json::from_str::<Vec<&RawValue>>(value.get()).ok()?.get(index).copied(),
    })?;
    let before = &file[..value.get().as_ptr().addr() - file.as_ptr().addr()];
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let lines = before.iter().filter(|byte| **byte == b'\n').count();
    Some((lines + 1, before.len() - line_start + 1))
}

#[cfg(test)]
mod tests {
    use super::{Step::*, place};

    #[test]
    fn values_have_a_place() {
        let file = b"{\"batches\": [{\"a\": 1}],\n \"tables\": [[1, 2],\n\n  [3], []]}";
        let cases: [(&[super::Step], _); 8] = [
            (&[], Some((1, 1))),
            (&[Key("batches"), Index(0), Key("a")], Some((1, 20))),
            (&[Key("tables"), Index(0)], Some((2, 13))),
            (&[Key("tables"), Index(1)], Some((4, 3))),
            (&[Key("tables"), Index(1), Index(0)], Some((4, 4))),
            (&[Key("tables"), Index(3)], None),
            (&[Key("tables"), Key("a")], None),
            (&[Key("none")], None),
        ];
        for (steps, wanted) in cases {
            assert_eq!(place(file, steps), wanted, "{steps:?}");
        }
    }
}
