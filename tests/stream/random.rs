//! Chance.

use std::time::Duration;

use ringfence::io::transfer::faulty::Faults;

use crate::rig::{All, each, faulty, file, noise, shape};
use crate::support::Random;

/// Random files, ranges and shapes, each chunk's sum against the file. RINGFENCE_CHUNKS=N sets how many
/// chunks at least for each mode and engine.
#[test]
fn random_streams_bring_every_byte_once() {
    let wanted = std::env::var("RINGFENCE_CHUNKS").ok().and_then(|n| n.parse().ok()).unwrap_or(3_000u64);
    let bytes = noise(1 << 20);
    let sizes = [1 << 20, 999_999, 4096, 5, 0, 123_457];
    let files = sizes.map(|size| file(&bytes[..size]));
    each(|runtime, engine, what| {
        let mut random = Random(0x51_7CC1_B727_2202);
        let mut chunks = 0;
        while chunks < wanted {
            let chunk_bytes = 4096 << random.below(5);
            let mut options =
                shape(engine, chunk_bytes, 1 + random.below(24) as usize, 1 + random.below(24) as usize);
            options.transfer.direct = random.below(2) == 0;
            let mut stream = if random.below(3) == 0 {
                let seed = random.next().into();
                faulty(
                    runtime,
                    &options,
                    Faults { seed, delay: Duration::from_micros(200), ..Faults::default() },
                )
            } else {
                runtime.stream(&options).expect("a stream")
            };
            let ranges: Vec<_> = (0..1 + random.below(20))
                .map(|_| {
                    let which = random.below(sizes.len() as u32) as usize;
                    let start = u64::from(random.below(1 + sizes[which] as u32));
                    let end = (random.below(2) == 0).then(|| start + u64::from(random.below(1 << 19)));
                    (which, start, end)
                })
                .collect();
            for (tag, (which, start, end)) in (0..).zip(&ranges) {
                stream.push(files[*which].clone(), *start..end.unwrap_or(u64::MAX), tag);
            }
            let mut all = All::default();
            all.rest(&mut stream);
            chunks += all.0.values().map(|came| came.chunks.len() as u64).sum::<u64>();
            for (tag, (which, start, end)) in (0..).zip(&ranges) {
                let end = end.unwrap_or(u64::MAX).min(sizes[*which] as u64).max(*start);
                let data = &bytes[*start as usize..end as usize];
                all.check(tag, *start, data, &format!("{what}, {options:?}"));
            }
            assert!(all.0.is_empty(), "{what}");
        }
    });
}
