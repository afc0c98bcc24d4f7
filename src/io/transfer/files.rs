//! The files that an engine knows, and their second descriptors for direct transfers.

use std::fs::File;
use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;

use super::{Description, Direction, FileId, cached};

/// A registered file.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) file: Arc<File>,
    /// The same file with `O_DIRECT`; `None`: not asked for, or not to be had.
    pub(super) direct: Option<Direct>,
    /// The errno of every transfer of it: it has no offsets. io_uring would read a pipe all the
    /// same, and might wait for ever.
    pub(super) refused: Option<Errno>,
    /// Opened with `O_APPEND`; asked for with the first write.
    pub(super) appends: OnceLock<bool>,
    /// Takes reads that do not wait (`RWF_NOWAIT`), as far as is known: until one was refused.
    pub(super) nowait: AtomicBool,
}

/// A descriptor past the page cache.
#[derive(Debug)]
pub(super) struct Direct {
    pub(super) file: File,
    /// What offset and length are multiples of; a power of two, in bytes.
    pub(super) offset_align: u64,
    /// What addresses are multiples of; a power of two, in bytes.
    pub(super) memory_align: usize,
}

/// Where the system does not tell: enough for every file system there is.
const SAFE_ALIGN: u32 = 4096;

impl Opened {
    pub(super) fn new(file: Arc<File>, direct: bool, description: &mut Description) -> Self {
        let kind = rustix::fs::fstat(&file).map(|stat| FileType::from_raw_mode(stat.st_mode));
        // Event counters, timers and the like have no type. Some kernels say where they stand, though
        // they have no offsets either.
        let streams = matches!(kind, Ok(FileType::Unknown)).then_some(Errno::SPIPE);
        let refused = rustix::fs::tell(&file).err().or(streams);
        let storage = matches!(kind, Ok(FileType::RegularFile | FileType::BlockDevice));
        let direct = if direct && storage && refused.is_none() {
            Direct::new(&file)
                .inspect_err(|error| description.note(format!("no O_DIRECT on a file: {error}; buffered")))
                .ok()
        } else {
            None
        };
        let nowait = AtomicBool::new(cached::may_read(&file));
        Self { file, direct, refused, appends: OnceLock::new(), nowait }
    }

    /// What a piece goes to.
    pub(super) fn of(&self, direct: bool) -> &File {
        match &self.direct {
            Some(twin) if direct => &twin.file,
            _ => &self.file,
        }
    }

    /// The errno of every transfer that way; of writes because `O_APPEND` makes the system ignore the
    /// offset.
    pub(super) fn refuses(&self, direction: Direction) -> Option<Errno> {
        let appends = || *self.appends.get_or_init(|| flags(&self.file).contains(OFlags::APPEND));
        let refused = || (direction == Direction::Write && appends()).then_some(Errno::INVAL);
        self.refused.or_else(refused)
    }
}

fn flags(file: &File) -> OFlags {
    rustix::fs::fcntl_getfl(file).unwrap_or(OFlags::empty())
}

impl Direct {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn new(file: &File) -> io::Result<Self> {
        use rustix::fs::{AtFlags, Mode, StatxFlags, open, statx};
        use std::os::fd::AsRawFd as _;

        let aligns = match statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::DIOALIGN) {
            Ok(stat) if stat.stx_mask & StatxFlags::DIOALIGN.bits() != 0 => {
                (stat.stx_dio_offset_align, stat.stx_dio_mem_align)
            }
            _ => (SAFE_ALIGN, SAFE_ALIGN),
        };
        if !(aligns.0.is_power_of_two() && aligns.1.is_power_of_two()) {
            return Err(Errno::OPNOTSUPP.into());
        }
        // The same inode, whatever its name is by now, and a file description of its own: flags
        // that are set on the caller's would hold for everyone who shares it.
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let access = flags(file) & OFlags::ACCMODE;
        let twin = open(path, access | OFlags::DIRECT | OFlags::CLOEXEC | OFlags::NOCTTY, Mode::empty())?;
        Ok(Self { file: twin.into(), offset_align: aligns.0.into(), memory_align: aligns.1 as usize })
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn new(_: &File) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// The files of one engine, by their [`FileId`].
#[derive(Debug, Default)]
pub(super) struct Files {
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Entry {
    opened: Arc<Opened>,
    flights: usize,
    /// To go once nothing of it is in flight.
    leaving: bool,
}

impl Files {
    pub(super) fn add(&mut self, opened: Opened) -> FileId {
        let entry = Some(Entry { opened: Arc::new(opened), flights: 0, leaving: false });
        match self.free.pop() {
            Some(id) => {
                self.entries[id as usize] = entry;
                FileId(id)
            }
            None => {
                self.entries.push(entry);
                FileId((self.entries.len() - 1) as u32)
            }
        }
    }

    /// Notes that a transfer of it begins. `None`: unknown, or on its way out.
    pub(super) fn begin(&mut self, file: FileId) -> Option<&Arc<Opened>> {
        let entry = self.entries.get_mut(file.0 as usize)?.as_mut()?;
        if entry.leaving {
            return None;
        }
        entry.flights += 1;
        Some(&entry.opened)
    }

    /// A file with transfers on their way.
    pub(super) fn opened(&self, file: FileId) -> Option<&Opened> {
        Some(&self.entries.get(file.0 as usize)?.as_ref()?.opened)
    }

    /// Notes that a transfer has ended. True: the file has gone with it.
    pub(super) fn end(&mut self, file: FileId) -> bool {
        if let Some(Some(entry)) = self.entries.get_mut(file.0 as usize) {
            entry.flights -= 1;
        }
        self.sweep(file)
    }

    /// Asks it to go. True: it has gone.
    pub(super) fn leave(&mut self, file: FileId) -> bool {
        if let Some(Some(entry)) = self.entries.get_mut(file.0 as usize) {
            entry.leaving = true;
        }
        self.sweep(file)
    }

    fn sweep(&mut self, file: FileId) -> bool {
        let Some(place) = self.entries.get_mut(file.0 as usize) else { return false };
        let gone = place.as_ref().is_some_and(|entry| entry.leaving && entry.flights == 0);
        if gone {
            *place = None;
            self.free.push(file.0);
        }
        gone
    }
}
