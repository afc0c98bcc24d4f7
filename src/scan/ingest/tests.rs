use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::*;
use crate::io::transfer::{
    Description, Done, EngineChoice, FileId, Span, Transfer, TransferEngine, TransferOptions, open_transfer,
};
use crate::scan::chunk::GREP_BUFFER_BYTES;

/// Answers the newest read first, and meddles with the file in between.
struct Contrary {
    inner: Box<dyn TransferEngine>,
    waiting: Vec<Done>,
    reads: usize,
    meddle: Box<dyn FnMut(usize) + Send>,
    /// The read of this file at this offset breaks off after 10 bytes.
    fail: Option<(Arc<File>, u64)>,
    fail_id: Option<FileId>,
}

impl Contrary {
    fn new(meddle: impl FnMut(usize) + Send + 'static) -> Self {
        let options = TransferOptions { engine: EngineChoice::Threads, ..TransferOptions::default() };
        let inner = open_transfer(&options, &[]).unwrap();
        let meddle = Box::new(meddle);
        Self { inner, waiting: Vec::new(), reads: 0, meddle, fail: None, fail_id: None }
    }
}

impl TransferEngine for Contrary {
    fn register(&mut self, file: Arc<File>) -> io::Result<FileId> {
        let fails = self.fail.as_ref().is_some_and(|(other, _)| Arc::ptr_eq(&file, other));
        let id = self.inner.register(file)?;
        if fails {
            self.fail_id = Some(id);
        }
        Ok(id)
    }

    fn unregister(&mut self, file: FileId) {
        self.inner.unregister(file);
    }

    fn submit(&mut self, mut read: Transfer) -> io::Result<()> {
        (self.meddle)(self.reads);
        self.reads += 1;
        let at = self.fail.as_ref().map(|(_, at)| *at);
        let fails = self.fail_id == Some(read.file) && at == Some(read.offset);
        if fails {
            let start = read.span.range().start;
            read.span = Span::new(read.span.arena().clone(), start..start + 10).unwrap();
        }
        self.inner.submit(read)?;
        let before = self.waiting.len();
        while self.waiting.len() == before {
            self.inner.wait(Duration::from_secs(1), &mut self.waiting)?;
        }
        if fails {
            self.waiting[before].error = Some(io::Error::from_raw_os_error(5));
        }
        Ok(())
    }

    fn poll(&mut self, done: &mut Vec<Done>) -> io::Result<()> {
        done.extend(self.waiting.pop());
        Ok(())
    }

    fn wait(&mut self, _: Duration, done: &mut Vec<Done>) -> io::Result<()> {
        self.poll(done)
    }

    fn in_flight(&self) -> usize {
        self.waiting.len()
    }

    fn describe(&self) -> &Description {
        self.inner.describe()
    }
}

fn temporary(bytes: &[u8]) -> File {
    static NAMES: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NAMES.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("ringfence-ingest-{}-{number}", std::process::id()));
    let mut file = File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
    file.write_all(bytes).unwrap();
    rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0)).unwrap();
    std::fs::remove_file(path).unwrap();
    file
}

/// What came of each file, put together again; checks what every chunk promises.
fn gather(engine: Contrary, files: &[Arc<File>], blocks: usize) -> Vec<(Vec<u8>, Option<String>)> {
    let mut window = Window::new(Box::new(engine), 128);
    let arena = Arena::new(blocks * STRIDE_BYTES).unwrap();
    let inputs =
        files.iter().enumerate().map(|(n, file)| Input::Open(Source::new(n.to_string()), file.clone()));
    let mut out = vec![(Vec::new(), None); files.len()];
    let mut ended = vec![false; files.len()];
    let mut newest = 0;
    let mut open = false;
    let sink = |item| {
        let number = |source: &Source| String::from_utf8_lossy(&source.name).parse::<usize>().unwrap();
        match item {
            Item::Chunk(chunk) => {
                assert!(chunk.text().is_empty() || chunk.arena_offset().is_multiple_of(4));
                assert!(chunk.open() || chunk.text().is_empty() || chunk.text().ends_with(b"\n"));
                assert_eq!(chunk.continues(), open, "an open line goes on in the next chunk");
                open = chunk.open();
                for segment in &chunk.segments {
                    let n = number(&segment.source);
                    assert!(n >= newest && !ended[n], "files come in order");
                    newest = n;
                    assert_eq!(segment.offset, out[n].0.len() as u64);
                    out[n].0.extend_from_slice(&chunk.text()[segment.range.clone()]);
                    ended[n] = segment.last;
                }
            }
            Item::Failed(source, error) => {
                out[number(&source)].1 = Some(error.to_string());
                ended[number(&source)] = true;
            }
            Item::Trouble(message) => panic!("{message}"),
        }
        Ok(())
    };
    ingest(inputs, &mut window, &arena, false, &AtomicBool::new(false), sink).unwrap();
    assert!(ended.iter().all(|ended| *ended), "every file ends");
    out
}

fn lines(bytes: usize, every: usize) -> Vec<u8> {
    (0..bytes).map(|n| if n % every == every - 1 { b'\n' } else { b'a' + (n % 23) as u8 }).collect()
}

#[test]
fn files_come_whole_and_in_order() {
    let sizes = [
        0,
        1,
        5,
        100,
        32 << 10,
        (32 << 10) + 1,
        BLOCK_BYTES - 1,
        BLOCK_BYTES,
        BLOCK_BYTES + 1,
        3 * BLOCK_BYTES,
        7,
        0,
        5 * BLOCK_BYTES + 12_345,
        20_000,
        30_000,
        30_000,
        30_000,
        30_000,
        30_000,
        30_000,
        30_000,
        30_000,
        3,
    ];
    for every in [1, 7, 80, 50_000, 70_000, 1 << 30] {
        let texts: Vec<Vec<u8>> = sizes.iter().map(|size| lines(*size, every)).collect();
        let files: Vec<_> = texts.iter().map(|text| Arc::new(temporary(text))).collect();
        for blocks in [5, 8, 40] {
            for (n, (got, error)) in gather(Contrary::new(|_| {}), &files, blocks).into_iter().enumerate() {
                assert!(
                    got == texts[n] && error.is_none(),
                    "file {n}, a line feed every {every}, {blocks} blocks"
                );
            }
        }
    }
}

#[test]
fn a_file_that_grows_is_read_to_its_new_end() {
    for (size, more) in
        [(0, 10), (0, 500_000), (100, 50), (100, 700_000), (BLOCK_BYTES, 10), (300_000, 900_000)]
    {
        let file = Arc::new(temporary(&lines(size, 50)));
        let whole = lines(size + more, 50);
        let (growing, text) = (file.clone(), whole.clone());
        let meddle = move |reads| {
            if reads == 0 {
                growing.write_all_at(&text[size..], size as u64).unwrap();
            }
        };
        let got = gather(Contrary::new(meddle), &[file, Arc::new(temporary(b"next"))], 8);
        assert!(got[0].0 == whole, "{size} and {more} more: {}", got[0].0.len());
        assert_eq!(got[1].0, b"next");
    }
}

#[test]
fn a_file_that_shrinks_ends_where_it_ends() {
    for (size, left) in [(100, 0), (100, 50), (900_000, 10), (900_000, BLOCK_BYTES), (900_000, 500_000)] {
        let whole = lines(size, 50);
        let file = Arc::new(temporary(&whole));
        let shrinking = file.clone();
        let meddle = move |reads| {
            if reads == 0 {
                shrinking.set_len(left as u64).unwrap();
            }
        };
        let got = gather(Contrary::new(meddle), &[file, Arc::new(temporary(b"next\n"))], 8);
        assert!(got[0].0 == whole[..left], "{size} to {left}: {}", got[0].0.len());
        assert_eq!(got[1].0, b"next\n");
    }
}

#[test]
fn what_came_before_an_error_counts() {
    for (size, fail_at) in [(4 * BLOCK_BYTES, 2 * BLOCK_BYTES), (4 * BLOCK_BYTES, 0), (300, 0)] {
        let whole = lines(size, 50);
        let files = [&b"before\n"[..], &whole, b"next\n"].map(|text| Arc::new(temporary(text)));
        let mut engine = Contrary::new(|_| {});
        engine.fail = Some((files[1].clone(), fail_at as u64));
        let got = gather(engine, &files, 8);
        assert!(got[1].0 == whole[..fail_at + 10], "{size}, {fail_at}: {}", got[1].0.len());
        assert!(got[1].1.is_some());
        assert_eq!((&got[0].0[..], &got[2]), (&b"before\n"[..], &(b"next\n".to_vec(), None)));
    }
}

#[test]
fn nul_bytes_make_lines_end() {
    let mut whole = lines(500_000, 60);
    whole[250_000] = 0;
    let got = gather(Contrary::new(|_| {}), &[Arc::new(temporary(&whole))], 8);
    whole[250_000] = b'\n';
    assert!(got[0].0 == whole);
    let mut buffer = [b'a', 0, 0, b'b', 0];
    assert_eq!((cutter::zap(&mut buffer), &buffer), (Some(1), b"a\n\nb\n"));
    assert!(BLOCK_BYTES.is_multiple_of(GREP_BUFFER_BYTES));
}

#[test]
fn a_pipe_is_read_as_it_comes() {
    let (reader, mut writer) = io::pipe().unwrap();
    let file = Arc::new(File::from(std::os::fd::OwnedFd::from(reader)));
    let whole = lines(600_000, 70);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut writer = std::mem::replace(&mut writer, io::pipe().unwrap().1);
            whole.chunks(777).for_each(|part| writer.write_all(part).unwrap());
        });
        let got = gather(Contrary::new(|_| {}), std::slice::from_ref(&file), 8);
        assert!(got[0].0 == whole);
    });
}
