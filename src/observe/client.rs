//! The other end of the socket: who can be observed, and what they look like.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::folder::{self, Found};
use super::lines;
use super::snapshot::Snapshot;

/// Longer than any answer: 1,024 tenants have some 350 KB.
const LONGEST: usize = 16 << 20;

/// Between two attempts to connect where many others do.
const CROWDED: Duration = Duration::from_millis(5);

/// A runtime that can be observed. One process may have several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// The process.
    pub pid: u32,
    /// Tells the runtimes of one process apart.
    pub number: u32,
    path: PathBuf,
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.pid, self.number)
    }
}

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// Nobody is there any more.
    #[error("process {0} has ended, or observes no longer")]
    Gone(u32),
    /// It does not answer.
    #[error("process {pid} has not answered for {time:?}")]
    Silent {
        /// The process.
        pid: u32,
        /// How long it was waited for.
        time: Duration,
    },
    /// It answered something else.
    #[error("process {pid}: {what}")]
    Refused {
        /// The process.
        pid: u32,
        /// What it said, or what is wrong with that.
        what: String,
    },
    /// The connection failed.
    #[error("process {pid} cannot be asked: {error}")]
    Io {
        /// The process.
        pid: u32,
        /// The system's answer.
        error: io::Error,
    },
}

/// The runtimes of this user's processes that can be observed, by their process ids. What dead processes left
/// behind is removed.
///
/// # Errors
/// A folder of sockets that cannot be read, or that others may enter.
pub fn processes() -> io::Result<Vec<Process>> {
    let path = folder::path();
    let found = folder::list(&path)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    Ok(found.into_iter().map(|Found { pid, number, path }| Process { pid, number, path }).collect())
}

impl Process {
    /// A snapshot of it; may be up to 250 ms old. Waits for at most `time`.
    ///
    /// # Errors
    /// [`FetchError`].
    pub fn fetch(&self, time: Duration) -> Result<Snapshot, FetchError> {
        let line = self.ask(time)?;
        lines::read(&line).map_err(|what| FetchError::Refused { pid: self.pid, what })
    }

    fn ask(&self, time: Duration) -> Result<Vec<u8>, FetchError> {
        let pid = self.pid;
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => FetchError::Silent { pid, time },
            io::ErrorKind::NotFound
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe => FetchError::Gone(pid),
            _ => FetchError::Io { pid, error },
        };
        let until = Instant::now() + time;
        let mut stream = loop {
            match folder::connect(&self.path) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && Instant::now() < until => {
                    std::thread::sleep(CROWDED);
                }
                connected => break connected.map_err(failed)?,
            }
        };
        if !folder::is_ours(&stream) {
            return Err(FetchError::Refused { pid, what: "the socket is another user's".to_owned() });
        }
        stream.set_write_timeout(Some(time.max(Duration::from_millis(1)))).map_err(failed)?;
        stream.write_all(format!("{}\n", lines::REQUEST).as_bytes()).map_err(failed)?;
        let mut line = Vec::new();
        let mut bytes = vec![0; 64 << 10];
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(FetchError::Silent { pid, time });
            }
            stream.set_read_timeout(Some(left)).map_err(failed)?;
            let got = match stream.read(&mut bytes) {
                Ok(0) => return Err(FetchError::Gone(pid)),
                Ok(got) => got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(failed(error)),
            };
            if let Some(end) = bytes[..got].iter().position(|byte| *byte == b'\n') {
                line.extend_from_slice(&bytes[..end]);
                return Ok(line);
            }
            line.extend_from_slice(&bytes[..got]);
            if line.len() > LONGEST {
                return Err(FetchError::Refused { pid, what: "its answer does not end".to_owned() });
            }
        }
    }
}
