//! What callers may do, and what else goes on in their runtime.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringfence::descriptor::{EncodeSlot as _, SlotDescriptor};
use ringfence::io::transfer::EngineChoice;
use ringfence::io::transfer::faulty::Faults;
use ringfence::protocol::FaultCode;
use ringfence::protocol::opcode::{CRC32C, SUM_WORDS};
use ringfence::runtime::{Arrival, Ended, Mode, Outcome, RuntimeError};
use ringfence::twin::crc32c;

use crate::rig::{All, ENGINES, each, faulty, file, noise, runtime, shape, sum, sum_slot};
use crate::support::{MODES, PATIENCE, assert_silent, builder};

/// Whatever a slot does, its chunk comes back.
#[test]
fn any_slot_may_consume_a_chunk() {
    const UNKNOWN: u32 = 0x1234;
    let bytes = noise(100_003);
    let source = file(&bytes);
    each(|runtime, engine, what| {
        let mut stream = runtime.stream(&shape(engine, 8192, 3, 2)).expect("a stream");
        stream.push(source.clone(), 1.., 0);
        stream.push(source.clone(), .., 1);
        stream.push(source.clone(), .., 2);
        let (mut ends, mut covered) = (0, [0; 3]);
        let slot = |arrival: &Arrival<'_>| {
            assert!(arrival.data == &bytes[arrival.offset as usize..][..arrival.bytes as usize], "{what}");
            match arrival.tag {
                0 => arrival.slot(CRC32C, arrival.bytes),
                1 => arrival.slot(UNKNOWN, arrival.bytes),
                // Too far.
                _ => arrival.slot(SUM_WORDS, !3),
            }
        };
        while let Some(Ended { tag, offset, bytes: len, outcome, last }) =
            stream.next(PATIENCE, slot).expect("well")
        {
            covered[tag as usize] += u64::from(len);
            let data = &bytes[offset as usize..][..len as usize];
            let fault = |code: FaultCode, detail| Outcome::Fault { code: code.code(), detail };
            let wanted = match tag {
                _ if last => Outcome::Done(0),
                0 => Outcome::Done(crc32c::crc32c(0, data.iter().copied()).into()),
                1 => fault(FaultCode::UnknownOpcode, 0),
                _ => fault(FaultCode::BadOperand, 2),
            };
            assert_eq!(outcome, wanted, "{what}: {tag}");
            ends += u32::from(last);
        }
        assert_eq!((ends, covered), (3, [100_002, 100_003, 100_003]), "{what}");
    });
}

/// Nothing is lost or comes twice when the caller's closure panics.
#[test]
fn a_panic_of_the_caller_costs_nothing() {
    let bytes = noise(100_000);
    let source = file(&bytes);
    each(|runtime, engine, what| {
        let mut stream = runtime.stream(&shape(engine, 4096, 5, 5)).expect("a stream");
        stream.push(source.clone(), .., 0);
        let (mut all, mut calls, mut panics) = (All::default(), 0, 0);
        loop {
            let next = catch_unwind(AssertUnwindSafe(|| {
                stream.next(PATIENCE, |arrival| {
                    calls += 1;
                    // Without the message of a panic.
                    if calls % 3 == 0 { std::panic::resume_unwind(Box::new(())) } else { sum_slot(arrival) }
                })
            }));
            match next {
                Ok(Ok(Some(ended))) => all.take(ended),
                Ok(Ok(None)) => break,
                Ok(Err(error)) => panic!("{what}: {error}"),
                Err(_) => panics += 1,
            }
        }
        assert!(panics > 5, "{what}: {panics}");
        all.check(0, 0, &bytes, what);
    });
}

#[test]
fn a_timeout_ends_a_wait() {
    let source = file(&noise(100_000));
    each(|runtime, engine, what| {
        let slow = Faults { seed: 9, delay: Duration::from_secs(2), ..Faults::default() };
        let mut stream = faulty(runtime, &shape(engine, 4096, 2, 2), slow);
        stream.push(source.clone(), 0..4096, 0);
        let begin = Instant::now();
        for timeout in [Duration::ZERO, Duration::from_millis(20)] {
            let came = stream.next(timeout, sum_slot).expect("well");
            assert!(came.is_none() || begin.elapsed() >= Duration::from_millis(20), "{what}: {came:?}");
        }
        assert!(begin.elapsed() < Duration::from_secs(10), "{what}: {:?}", begin.elapsed());
    });
}

/// Streams that go while reads and slots are on their way, or before anything is.
#[test]
fn a_stream_may_be_dropped_at_any_time() {
    let bytes = noise(400_000);
    let source = file(&bytes);
    each(|runtime, engine, what| {
        for steps in [0, 0, 1, 2, 5, 20, 60, 97] {
            let options = shape(engine, 4096, 16, 8);
            let mut stream = if steps % 2 == 0 {
                runtime.stream(&options).expect("a stream")
            } else {
                let faults = Faults { seed: steps, delay: Duration::from_millis(3), ..Faults::default() };
                faulty(runtime, &options, faults)
            };
            stream.push(source.clone(), .., 0);
            for _ in 0..steps {
                let ended = stream.next(PATIENCE, sum_slot).expect("well").expect("more");
                let data = &bytes[ended.offset as usize..][..ended.bytes as usize];
                assert_eq!(ended.outcome, Outcome::Done(sum(data)), "{what}");
            }
        }
        assert_eq!(Arc::strong_count(&source), 1, "{what}: the files are closed");
    });
}

#[test]
fn streams_run_side_by_side() {
    let bytes = noise(500_000);
    let source = file(&bytes);
    each(|runtime, engine, what| {
        let mut pair = [(4096, 4), (16_384, 7)].map(|(chunk, chunks)| {
            let mut stream = runtime.stream(&shape(engine, chunk, chunks, 3)).expect("a stream");
            stream.push(source.clone(), 3.., 0);
            (stream, All::default())
        });
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut stream = runtime.stream(&shape(engine, 8192, 5, 5)).expect("a stream");
                    stream.push(source.clone(), .., 0);
                    let mut all = All::default();
                    all.rest(&mut stream);
                    all.check(0, 0, &bytes, what);
                });
            }
            // And two on one thread, in turn.
            while pair.iter().any(|(stream, _)| stream.pending() > 0) {
                for (stream, all) in &mut pair {
                    if let Some(ended) = stream.next(PATIENCE, sum_slot).expect("well") {
                        all.take(ended);
                    }
                }
            }
        });
        for (stream, all) in &mut pair {
            all.rest(stream);
            all.check(0, 3, &bytes[3..], what);
        }
    });
}

/// Slots that others hold delay a stream, and a few slots are enough.
#[test]
fn few_slots_are_enough() {
    let bytes = noise(200_000);
    let source = file(&bytes);
    for mode in MODES {
        let runtime =
            builder(mode).opcodes(&[SUM_WORDS]).level_slots([0, 0, 16, 0, 0]).build().expect("a runtime");
        for engine in ENGINES {
            let mut stream = runtime.stream(&shape(engine, 4096, 40, 20)).expect("a stream");
            stream.push(source.clone(), .., 0);
            let mut all = All::default();
            all.rest(&mut stream);
            all.check(0, 0, &bytes, &format!("{mode}, {engine:?}"));
        }
    }
    assert_silent();
}

#[test]
fn slots_that_others_hold_delay_a_stream() {
    let bytes = noise(100_000);
    let source = file(&bytes);
    for mode in MODES {
        for held in [14, 16] {
            let runtime =
                builder(mode).opcodes(&[SUM_WORDS]).level_slots([0, 0, 16, 0, 0]).build().expect("a runtime");
            // With its first slot a ring takes all that it may ever need.
            let mut ring = runtime.ring(held).expect("a ring");
            ring.push(&SlotDescriptor::nop().encode().expect("a slot"), 0).expect("room");
            let mut stream = runtime.stream(&shape(EngineChoice::Auto, 4096, 8, 4)).expect("a stream");
            stream.push(source.clone(), .., 0);
            let mut all = All::default();
            if held == 16 {
                let came = stream.next(Duration::from_millis(50), sum_slot).expect("well");
                assert_eq!((came, stream.pending()), (None, 1), "{mode}");
                drop(ring);
            }
            all.rest(&mut stream);
            all.check(0, 0, &bytes, &format!("{mode}, {held} held"));
        }
    }
    assert_silent();
}

/// The last handle of the runtime goes first: every slot ends, and then the stream says why.
#[test]
fn a_stream_outlives_its_runtime() {
    let source = file(&noise(400_000));
    for mode in MODES {
        for engine in ENGINES {
            let runtime = runtime(mode);
            let mut stream = runtime.stream(&shape(engine, 4096, 16, 8)).expect("a stream");
            stream.push(source.clone(), .., 0);
            let _ = stream.next(PATIENCE, sum_slot).expect("well").expect("a chunk");
            drop(runtime);
            let mut came = 0;
            let error = loop {
                match stream.next(PATIENCE, sum_slot) {
                    Ok(Some(_)) => came += 1,
                    Ok(None) => panic!("{mode}: there is more"),
                    Err(error) => break error,
                }
                assert!(came < 97, "{mode}");
            };
            assert!(matches!(error, RuntimeError::ShutDown), "{mode}: {error}");
            assert!(matches!(stream.next(PATIENCE, sum_slot), Err(RuntimeError::ShutDown)), "{mode}");
        }
    }
    assert_silent();
}

#[test]
fn shapes_that_cannot_be_are_refused() {
    let runtime = runtime(Mode::Epoch);
    let shape = |chunk, chunks, depth| shape(EngineChoice::Auto, chunk, chunks, depth);
    let cases = [
        (shape(0, 4, 4), "chunk_bytes"),
        (shape(4095, 4, 4), "chunk_bytes"),
        (shape(6000, 4, 4), "chunk_bytes"),
        (shape(4096, 0, 4), "chunks"),
        (shape(4096, 32_769, 4), "chunks"),
        (shape(1 << 40, usize::MAX, 4), "chunks"),
        (shape(4096, 4, 0), "depth"),
    ];
    for (options, wrong) in cases {
        match runtime.stream(&options) {
            Err(RuntimeError::BadOption { option, .. }) => assert_eq!(option, wrong),
            other => panic!("{options:?}: {:?}", other.err()),
        }
    }
    assert_silent();
}
