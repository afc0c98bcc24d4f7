//! The debug log's reader, against writers that are interrupted anywhere.

use proptest::prelude::*;
use ringfence::protocol::{
    DebugLogReader, DebugRecord, debug_stamp, try_encode_empty_debug_log, try_read_debug_log,
};

/// A log as its writers see it, one store at a time.
struct Log {
    words: Vec<u32>,
    capacity: u32,
}

/// A record under way: its number, and how many of its five stores are done.
struct Writer {
    number: u32,
    stored: usize,
}

impl Log {
    fn new(capacity: u32, first: u32) -> Self {
        let mut words = vec![0; 1 + 5 * capacity as usize];
        words[0] = first.wrapping_mul(4);
        Self { words, capacity }
    }

    fn reserve(&mut self) -> Writer {
        let number = self.words[0] / 4;
        self.words[0] = self.words[0].wrapping_add(4);
        Writer { number, stored: 0 }
    }

    fn record(number: u32) -> [u32; 4] {
        [number, number ^ 0xABCD, number.wrapping_mul(3), 7]
    }

    /// One more store of a writer; false when it was its last.
    fn step(&mut self, writer: &mut Writer) -> bool {
        let index = writer.number % self.capacity;
        let words = Self::record(writer.number);
        match words.get(writer.stored) {
            Some(word) => self.words[1 + 4 * index as usize + writer.stored] = *word,
            None => self.words[(1 + 4 * self.capacity + index) as usize] = debug_stamp(writer.number, words),
        }
        writer.stored += 1;
        writer.stored < 5
    }

    fn print(&mut self) {
        let mut writer = self.reserve();
        while self.step(&mut writer) {}
    }

    fn bytes(&self) -> Vec<u8> {
        self.words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }
}

fn poll(reader: &mut DebugLogReader, log: &Log, settled: bool) -> Vec<DebugRecord> {
    let mut records = Vec::new();
    let (load, sink) = (|word: usize| log.words[word], |record| records.push(record));
    if settled {
        reader.drain(load, sink)
    } else {
        reader.poll(load, sink)
    }
    records
}

fn numbers(records: &[DebugRecord]) -> Vec<u32> {
    records
        .iter()
        .map(|record| {
            let [fmt_id, args @ ..] = Log::record(record.fmt_id);
            assert_eq!(*record, DebugRecord { fmt_id, args });
            fmt_id
        })
        .collect()
}

#[test]
fn an_empty_log_holds_nothing() {
    let log = try_read_debug_log(&try_encode_empty_debug_log(64).unwrap()).unwrap();
    assert!(log.records.is_empty() && log.lost == 0);
}

#[test]
fn a_reader_takes_each_record_once() {
    let mut log = Log::new(8, 0);
    let mut reader = DebugLogReader::new(8).unwrap();
    for number in 0..40 {
        log.print();
        assert_eq!(numbers(&poll(&mut reader, &log, false)), [number]);
        assert_eq!(poll(&mut reader, &log, false), []);
    }
    assert_eq!(reader.lost(), 0);
}

#[test]
fn a_late_reader_gets_what_is_there_and_the_number_lost() {
    let mut log = Log::new(8, 0);
    let mut reader = DebugLogReader::new(8).unwrap();
    (0..21).for_each(|_| log.print());
    assert_eq!(numbers(&poll(&mut reader, &log, false)), (13..21).collect::<Vec<_>>());
    assert_eq!(reader.lost(), 13);
    let snapshot = try_read_debug_log(&log.bytes()).unwrap();
    assert_eq!((numbers(&snapshot.records), snapshot.lost), ((13..21).collect(), 13));
}

#[test]
fn a_record_that_is_being_written_is_waited_for() {
    let mut log = Log::new(8, 0);
    let mut reader = DebugLogReader::new(8).unwrap();
    log.print();
    let mut slow = log.reserve();
    log.print();
    for _ in 0..4 {
        assert!(log.step(&mut slow));
    }
    assert_eq!(numbers(&poll(&mut reader, &log, false)), [0], "in order: 2 is not taken before 1");
    log.step(&mut slow);
    assert_eq!(numbers(&poll(&mut reader, &log, false)), [1, 2]);
}

#[test]
fn records_that_are_overwritten_during_a_poll_are_skipped_in_it() {
    let mut log = Log::new(8, 0);
    let mut reader = DebugLogReader::new(8).unwrap();
    (0..5).for_each(|_| log.print());
    let log = std::cell::RefCell::new(log);
    let mut records = Vec::new();
    let load = |word: usize| {
        let mut log = log.borrow_mut();
        let value = log.words[word];
        if word == 0 && value == 5 * 4 {
            // Right after the reader looked at the cursor.
            (5..20).for_each(|_| log.print());
        }
        value
    };
    reader.poll(load, |record| records.push(record));
    assert_eq!(numbers(&records), (12..20).collect::<Vec<_>>());
    assert_eq!(reader.lost(), 12);
}

#[test]
fn a_record_that_was_never_finished_is_lost_in_the_end() {
    let mut log = Log::new(8, 0);
    let mut reader = DebugLogReader::new(8).unwrap();
    log.print();
    log.reserve();
    log.print();
    assert_eq!(numbers(&poll(&mut reader, &log, true)), [0, 2]);
    assert_eq!(reader.lost(), 1);
}

#[test]
fn numbers_go_on_where_the_cursor_wraps() {
    let first = (1 << 30) - 5;
    let mut log = Log::new(8, first);
    let mut reader = DebugLogReader::resume(8, first.into()).unwrap();
    let mut taken = Vec::new();
    for _ in 0..10 {
        log.print();
        taken.extend(numbers(&poll(&mut reader, &log, false)));
    }
    let expected: Vec<u32> = (0..10).map(|i| (first + i) % (1 << 30)).collect();
    assert_eq!(taken, expected);
    assert_eq!((reader.next_record(), reader.lost()), (u64::from(first) + 10, 0));
}

#[test]
fn stamps_differ_with_number_and_words_and_are_never_zero() {
    let base = debug_stamp(5, [1, 2, 3, 4]);
    assert_ne!(base, debug_stamp(5 + 8, [1, 2, 3, 4]));
    for word in 0..4 {
        let mut words = [1, 2, 3, 4];
        words[word] ^= 1 << 20;
        assert_ne!(base, debug_stamp(5, words));
    }
    assert_eq!(base & 1, 1);
    // Fixed values: the kernel has the same function, and logs may outlive both.
    assert_eq!(debug_stamp(0, [0; 4]), STAMP_OF_ZEROS);
    assert_eq!(debug_stamp(1, [3, 10, 20, 30]), STAMP_OF_ONE);
}

const STAMP_OF_ZEROS: u32 = 0x96E1_2561;
const STAMP_OF_ONE: u32 = 0xB135_3B1F;

proptest! {
    /// Writers that stop anywhere, a reader that polls at any moment: what it takes is whole, in
    /// order, and with what it lost it is everything.
    #[test]
    fn whatever_the_interleaving(steps in prop::collection::vec((0u8..4, 0usize..4), 0..400), shift in 0u32..4) {
        let mut log = Log::new(1 << shift, 0);
        let mut reader = DebugLogReader::new(1 << shift).unwrap();
        let mut writers: Vec<Writer> = Vec::new();
        let mut taken = Vec::new();
        let mut reserved = 0;
        for (action, which) in steps {
            match action {
                0 if writers.len() < 4 => {
                    writers.push(log.reserve());
                    reserved += 1;
                }
                0..=2 => {
                    if let Some(writer) = writers.get_mut(which) && !log.step(writer) {
                        writers.remove(which);
                    }
                }
                _ => taken.extend(numbers(&poll(&mut reader, &log, false))),
            }
        }
        taken.extend(numbers(&poll(&mut reader, &log, true)));
        prop_assert!(taken.is_sorted_by(|a, b| a < b));
        prop_assert_eq!(taken.len() as u64 + reader.lost(), reserved);
        prop_assert_eq!(reader.next_record(), reserved);
    }

    #[test]
    fn arbitrary_words_are_read_without_panic(words in prop::collection::vec(any::<u32>(), 41)) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let log = try_read_debug_log(&bytes).unwrap();
        prop_assert_eq!(log.records.len() as u64 + log.lost, u64::from(words[0] / 4));
    }
}
