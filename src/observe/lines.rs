//! The protocol of the Unix-domain socket: for each line `snapshot` one line with a [`Snapshot`] as JSON.
//!
//! Where there is none, or for any other line, the answer is `{"error": "..."}`, and after it the end.

use serde::Serialize;

use super::server::Answer;
use super::snapshot::Snapshot;
use super::source::Source;

/// The one request.
pub const REQUEST: &str = "snapshot";

/// More than any request has.
const LONGEST: usize = 64;

/// An answer that is no snapshot.
#[derive(Serialize)]
struct Refusal<'a> {
    error: &'a str,
}

/// Answers the first line of `input`, once there is one.
pub fn answer(input: &[u8], source: &mut Source) -> Answer {
    let Some(end) = input.iter().take(LONGEST).position(|byte| *byte == b'\n') else {
        return if input.len() < LONGEST { Answer::More } else { refuse("the line is too long") };
    };
    if input[..end].trim_ascii() != REQUEST.as_bytes() {
        return refuse("it takes lines of one word: snapshot");
    }
    match source.get() {
        Some(snapshot) => Answer::Reply { bytes: line(snapshot), used: end + 1 },
        None => refuse("the runtime has ended"),
    }
}

fn refuse(error: &str) -> Answer {
    Answer::Last(line(&Refusal { error }))
}

fn line(answer: &impl Serialize) -> Vec<u8> {
    // Neither of the two has anything that does not encode; an empty line would be an error to the client.
    let mut bytes = serde_json::to_vec(answer).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

/// What a line of an answer says.
///
/// # Errors
/// In words: what the other side refused, or why the line is no snapshot that this program can read.
pub fn read(line: &[u8]) -> Result<Snapshot, String> {
    #[derive(serde::Deserialize)]
    struct Head {
        version: Option<u32>,
        error: Option<String>,
    }
    let malformed =
        |error: serde_json::Error| format!("it answers with something else than a snapshot ({error})");
    let head: Head = serde_json::from_slice(line).map_err(malformed)?;
    match (head.version, head.error) {
        (Some(super::VERSION), _) => serde_json::from_slice(line).map_err(malformed),
        (Some(version), _) => Err(format!(
            "its snapshots are of version {version}, and this program reads version {}; use the program's own",
            super::VERSION
        )),
        (None, Some(error)) => Err(error),
        (None, None) => Err("it answers with something else than a snapshot".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_has_its_answer() {
        let mut source = Source::new(Box::new(|| Some(Snapshot { version: 1, ..Snapshot::default() })));
        // What was sent, and how much of it an answer takes, or what it refuses with.
        type Case = (&'static [u8], Result<usize, &'static str>);
        let cases: [Case; 10] = [
            (b"", Ok(0)),
            (b"snap", Ok(0)),
            (b"snapshot", Ok(0)),
            (b"snapshot\n", Ok(9)),
            (b" snapshot \r\nsnap", Ok(12)),
            (b"\n", Err("one word")),
            (b"snapshots\n", Err("one word")),
            (b"GET /metrics HTTP/1.1\r\n", Err("one word")),
            (&[b'x'; 64], Err("too long")),
            (&[0xFF; 4096], Err("too long")),
        ];
        for (input, wanted) in cases {
            let text = String::from_utf8_lossy(input);
            match (answer(input, &mut source), wanted) {
                (Answer::More, Ok(0)) => {}
                (Answer::Reply { bytes, used }, Ok(wanted)) => {
                    assert_eq!(used, wanted, "{text}");
                    assert_eq!(read(&bytes).expect("a snapshot"), *source.get().expect("the same"));
                }
                (Answer::Last(bytes), Err(wanted)) => {
                    let error = read(&bytes).expect_err("a refusal");
                    assert!(error.contains(wanted), "{text}: {error}");
                }
                _ => panic!("{text}"),
            }
        }
        let mut gone = Source::new(Box::new(|| None));
        let Answer::Last(bytes) = answer(b"snapshot\n", &mut gone) else { panic!("a snapshot of nothing") };
        assert!(read(&bytes).is_err_and(|error| error.contains("ended")));
    }

    #[test]
    fn answers_that_are_none_are_refused() {
        let cases = [
            ("", "something else"),
            ("[]", "something else"),
            ("{}", "something else"),
            ("{\"version\": 2}", "version 2"),
            ("{\"version\": 1}", "something else"),
            ("{\"version\": -1}", "something else"),
            ("{\"error\": \"no\"}", "no"),
        ];
        for (line, wanted) in cases {
            let error = read(line.as_bytes()).expect_err(line);
            assert!(error.contains(wanted), "{line}: {error}");
        }
    }
}
