//! Which process is looked at.

use std::fmt::Write as _;
use std::str::FromStr;
use std::time::Duration;

use ringfence::observe::{Process, processes};

use crate::common::Trouble;

/// How long a list waits for each process to tell its name.
const GLANCE: Duration = Duration::from_millis(500);

/// A process that was asked for: its id, and where it has several runtimes the number of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pid: u32,
    number: Option<u32>,
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (pid, number) = match text.split_once('.') {
            Some((pid, number)) => (pid, Some(number)),
            None => (text, None),
        };
        match (pid.parse(), number.map(str::parse).transpose()) {
            (Ok(pid @ 1..), Ok(number)) => Ok(Self { pid, number }),
            _ => Err("it takes a process id, such as 1234, or 1234.1 for a further runtime of it".into()),
        }
    }
}

impl Wanted {
    fn is(&self, process: &Process) -> bool {
        process.pid == self.pid && self.number.is_none_or(|number| process.number == number)
    }
}

/// The process that was asked for, or the only one that there is.
///
/// # Errors
/// There is none, or more than one; the message lists those.
pub fn choose(wanted: Option<&Wanted>) -> Result<Process, Trouble> {
    let mut found = processes().map_err(Trouble::Observable)?;
    let all = found.clone();
    found.retain(|process| wanted.is_none_or(|wanted| wanted.is(process)));
    match (found.pop(), found.is_empty(), wanted) {
        (Some(only), true, _) => Ok(only),
        (None, _, _) if all.is_empty() => Err(Trouble::Usage(match wanted {
            Some(wanted) => format!("process {} cannot be observed, nor any other: {HOW}", wanted.pid),
            None => format!("no process of this user's can be observed: {HOW}"),
        })),
        (None, _, wanted) => {
            let pid = wanted.map_or(0, |wanted| wanted.pid);
            Err(Trouble::Usage(format!("process {pid} cannot be observed; these can:{}", list(&all))))
        }
        (Some(last), false, _) => {
            found.push(last);
            Err(Trouble::Usage(format!("several can be observed; name one of them:{}", list(&found))))
        }
    }
}

const HOW: &str = "start one with --observe, such as 'ringfence bench throughput --observe'";

fn list(processes: &[Process]) -> String {
    let mut text = String::new();
    for process in processes {
        let name = match process.fetch(GLANCE) {
            Ok(snapshot) => super::view::plain(&snapshot.program),
            Err(error) => format!("({error})"),
        };
        let _ = write!(text, "\n  {process}  {name}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_named_by_numbers() {
        let cases = [
            ("12", Some((12, None))),
            ("12.0", Some((12, Some(0)))),
            ("4294967295.7", Some((u32::MAX, Some(7)))),
            ("0", None),
            ("", None),
            ("-1", None),
            ("12.", None),
            (".1", None),
            ("12.x", None),
            ("4294967296", None),
            ("ringfence", None),
        ];
        for (text, wanted) in cases {
            let wanted = wanted.map(|(pid, number)| Wanted { pid, number });
            assert_eq!(text.parse().ok(), wanted, "{text}");
        }
    }
}
