//! Storage that is slow, short or broken.

use std::time::Duration;

use ringfence::io::transfer::faulty::{Failure, Faults};
use ringfence::runtime::Outcome;

use crate::rig::{All, each, faulty, file, io_error, noise, shape, sum, sum_slot};
use crate::support::PATIENCE;

#[test]
fn slow_and_disorderly_storage_brings_the_same() {
    let bytes = noise(300_000);
    let files: Vec<_> = [300_000, 4096, 0, 77_777].map(|size| (size, file(&bytes[..size]))).into();
    each(|runtime, engine, what| {
        let faults = Faults { seed: 5, delay: Duration::from_millis(1), ..Faults::default() };
        let mut stream = faulty(runtime, &shape(engine, 4096, 16, 9), faults);
        for round in 0..3 {
            for (tag, (_, file)) in (0..).zip(&files) {
                stream.push(file.clone(), .., 10 * round + tag);
            }
        }
        let mut all = All::default();
        all.rest(&mut stream);
        for round in 0..3 {
            for (tag, (size, _)) in (0..).zip(&files) {
                all.check(10 * round + tag, 0, &bytes[..*size], what);
            }
        }
    });
}

/// A range ends where the lowest read came back short or failed. What was read ahead behind it came too.
#[test]
fn reads_that_fail_or_come_back_short_end_their_range() {
    let bytes = noise(300_000);
    let source = file(&bytes);
    let failure = |at, errno| Faults { fail: vec![Failure::at(at, errno)], ..Faults::default() };
    let short = |seed| Faults { seed, short_one_in: 9, ..Faults::default() };
    // Faults, and where and how the range ends, if that is known.
    let cases = [
        (failure(100_000..100_001, 5), Some((100_000, io_error(5)))),
        (failure(0..1, 61), Some((0, io_error(61)))),
        (failure(299_999..400_000, 5), Some((299_999, io_error(5)))),
        (Faults { refuse: Some(24), ..Faults::default() }, Some((0, io_error(24)))),
        (Faults { delay: Duration::from_millis(1), ..failure(8192..8193, 5) }, Some((8192, io_error(5)))),
        (short(1), None),
        (short(2), None),
        (Faults { delay: Duration::from_micros(300), ..short(3) }, None),
    ];
    each(|runtime, engine, what| {
        for (faults, known) in &cases {
            let mut stream = faulty(runtime, &shape(engine, 4096, 12, 5), faults.clone());
            stream.push(source.clone(), .., 0);
            let mut all = All::default();
            all.rest(&mut stream);
            let mut came = all.0.remove(&0).expect("an end");
            let (end, outcome) = came.end.expect("it ends");
            assert_eq!((end, outcome), known.unwrap_or((end, Outcome::Done(0))), "{what}: {faults:?}");
            came.chunks.sort_unstable_by_key(|(offset, ..)| *offset);
            let mut at = 0;
            for (offset, len, outcome) in came.chunks {
                let data = &bytes[offset as usize..(offset + len) as usize];
                assert_eq!(outcome, Outcome::Done(sum(data)), "{what}: {len} bytes at {offset}");
                assert!(offset == at || at == end && offset > end, "{what}: {offset} behind {at}");
                at = if at == end { end } else { offset + len };
            }
            assert_eq!(at, end, "{what}: whole up to there, {faults:?}");
        }
    });
}

#[test]
fn an_engine_that_breaks_ends_the_stream() {
    let bytes = noise(300_000);
    let source = file(&bytes);
    each(|runtime, engine, what| {
        for transfers in [0, 1, 10] {
            let faults = Faults { breaks_after: Some(transfers), ..Faults::default() };
            let mut stream = faulty(runtime, &shape(engine, 4096, 8, 4), faults);
            stream.push(source.clone(), .., 0);
            let mut came = 0;
            let error = loop {
                match stream.next(PATIENCE, sum_slot) {
                    Ok(Some(ended)) => {
                        let data = &bytes[ended.offset as usize..][..ended.bytes as usize];
                        assert_eq!(ended.outcome, Outcome::Done(sum(data)), "{what}");
                        came += 1;
                    }
                    Ok(None) => panic!("{what}: there is more"),
                    Err(error) => break error,
                }
            };
            assert!(error.to_string().contains("broken on purpose"), "{what}: {error}");
            assert!(came <= transfers, "{what}: {came} of {transfers}");
            assert!(stream.next(PATIENCE, sum_slot).is_err(), "{what}: it stays broken");
        }
    });
}
