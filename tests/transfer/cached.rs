//! Short reads, of what the page cache has and of what it has not.

use std::num::NonZeroU64;
use std::time::Duration;

use ringfence::io::transfer::Direction::Read;
use ringfence::io::transfer::{TransferOptions, open_transfer};
use rustix::fs::{Advice, fadvise};
use rustix::io::{ReadWriteFlags, preadv2};

use crate::rig::{Random, Rig, Scratch, setups};

const PAGE: usize = 4096;
const PAGES: usize = 256;

/// Whether the file system under the tests tells what the page cache has, by its own word.
fn tells(scratch: &Scratch) -> bool {
    let mut byte = [0];
    let bytes = &mut [std::io::IoSliceMut::new(&mut byte)];
    preadv2(&scratch.file, bytes, 0, ReadWriteFlags::NOWAIT) == Ok(1)
}

/// Nobody has to be woken for them.
#[test]
fn what_is_there_comes_with_the_next_poll() {
    let content = Random(3).bytes(PAGES * PAGE);
    let scratch = Scratch::new(&content);
    if !tells(&scratch) {
        eprintln!("{:?} is on a file system that does not tell what it has: any poll will do", scratch.path);
    }
    for options in setups().into_iter().filter(|options| !options.direct) {
        let mut rig = Rig::new(options, PAGES * PAGE);
        let file = rig.register(&scratch.file);
        for together in [1, 2, 40, 1] {
            rig.fill(0, &[0; PAGES * PAGE]);
            for n in 0..together {
                rig.submit(n as u64, Read, file, (n * PAGE) as u64, n * PAGE, PAGE);
            }
            let mut done = Vec::new();
            rig.engine.poll(&mut done).unwrap();
            if tells(&scratch) {
                assert_eq!((done.len(), rig.engine.in_flight()), (together, 0), "{rig}");
            }
            rig.finish();
            assert!(rig.bytes(0, together * PAGE) == content[..together * PAGE], "{rig}: {together}");
        }
    }
}

/// One at a time and some together, with pages that come and go.
#[test]
fn what_is_not_there_comes_from_storage() {
    let content = Random(4).bytes(PAGES * PAGE);
    let scratch = Scratch::new(&content);
    scratch.file.sync_all().unwrap();
    Rig::each(1 << 20, |rig| {
        let file = rig.register(&scratch.file);
        let mut random = Random(7);
        for round in 0..200 {
            for _ in 0..8 {
                let (page, pages) = (random.below(PAGES), 1 + random.below(16));
                let len = NonZeroU64::new((pages * PAGE) as u64);
                fadvise(&scratch.file, (page * PAGE) as u64, len, Advice::DontNeed).unwrap();
            }
            let reads: Vec<_> = (0..[1, 1, 3][round % 3])
                .map(|_| {
                    let offset = random.place(content.len());
                    (offset, 1 + random.place(80_000).min(content.len() - offset - 1))
                })
                .collect();
            for (n, &(offset, len)) in reads.iter().enumerate() {
                rig.submit(n as u64, Read, file, offset as u64, n << 17, len);
            }
            let done = rig.finish();
            for (n, &(offset, len)) in reads.iter().enumerate() {
                let done = &done[&(n as u64)];
                assert!(done.error.is_none() && done.bytes == len, "{rig}: {len} at {offset}: {done:?}");
                assert!(rig.bytes(n << 17, len) == content[offset..][..len], "{rig}: {len} at {offset}");
            }
        }
    });
}

/// Neither does an engine that goes wait for what it has not begun, nor is anything read after that.
#[test]
fn dropping_forgets_what_was_not_begun() {
    let scratch = Scratch::new(&[7; PAGE]);
    for options in setups() {
        let mut rig = Rig::new(options, PAGE);
        let file = rig.register(&scratch.file);
        rig.submit(1, Read, file, 0, 0, PAGE);
        assert_eq!(rig.engine.in_flight(), 1, "{rig}");
        rig.engine = open_transfer(&TransferOptions::default(), &[]).unwrap();
        rig.fill(0, &[2; PAGE]);
        std::thread::sleep(Duration::from_millis(5));
        assert!(rig.bytes(0, PAGE).iter().all(|byte| *byte == 2), "{options:?}");
    }
}
