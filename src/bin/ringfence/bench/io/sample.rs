//! The file that is read, and the sum of each of its blocks.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use crate::bench::random::Random;
use crate::common::Trouble;

/// Bytes of a block: the smallest read.
pub const BLOCK_BYTES: usize = 4096;
/// Bytes of a block's head: a cache line.
pub const HEAD_BYTES: usize = 64;

/// What of a read is summed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    All,
    /// Its first [`HEAD_BYTES`] bytes: it was seen, and no more.
    Head,
}

impl Part {
    /// How many of `bytes` bytes.
    pub fn of(self, bytes: usize) -> usize {
        match self {
            Self::All => bytes,
            Self::Head => HEAD_BYTES,
        }
    }
}

/// A file of random bytes without a name, so that nothing of it outlives the process.
pub struct Sample {
    /// Where the system shows it, for those that open it anew.
    path: PathBuf,
    _file: File,
    sums: Vec<u32>,
    heads: Vec<u32>,
}

impl Sample {
    /// Writes one of `mib` MiB into `folder`, and to its storage.
    pub fn new(folder: &Path, mib: u32) -> Result<Self, Trouble> {
        let blocks = (mib as usize) * ((1 << 20) / BLOCK_BYTES);
        let name = folder.join(format!("ringfence-bench-io-{}", std::process::id()));
        let trouble = |error| Trouble::File { name: name.display().to_string(), error };
        let mut file = OpenOptions::new().write(true).create_new(true).open(&name).map_err(trouble)?;
        fs::remove_file(&name).map_err(trouble)?;
        let (mut sums, mut heads) = (Vec::with_capacity(blocks), Vec::with_capacity(blocks));
        let mut random = Random::new();
        let mut bytes = Vec::with_capacity(BLOCK_BYTES);
        for _ in 0..blocks {
            bytes.clear();
            let mut sum = 0u32;
            while bytes.len() < BLOCK_BYTES {
                let word = random.next();
                sum = sum.wrapping_add(word as u32).wrapping_add((word >> 32) as u32);
                bytes.extend_from_slice(&word.to_le_bytes());
                if bytes.len() == HEAD_BYTES {
                    heads.push(sum);
                }
            }
            sums.push(sum);
            file.write_all(&bytes).map_err(trouble)?;
        }
        // Direct reads of what is not on the storage yet would wait for it.
        file.sync_all().map_err(trouble)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        Ok(Self { path, _file: file, sums, heads })
    }

    pub fn open(&self) -> Result<File, Trouble> {
        let trouble = |error| Trouble::File { name: self.path.display().to_string(), error };
        File::open(&self.path).map_err(trouble)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn bytes(&self) -> u64 {
        (self.sums.len() * BLOCK_BYTES) as u64
    }

    /// The sum of the words of that part of the `bytes` bytes from `offset` on, both whole blocks.
    #[inline]
    pub fn sum(&self, offset: u64, bytes: usize, part: Part) -> u32 {
        let first = offset as usize / BLOCK_BYTES;
        if part == Part::Head {
            return self.heads[first];
        }
        self.sums[first..first + bytes / BLOCK_BYTES].iter().fold(0, |sum, block| sum.wrapping_add(*block))
    }
}
