//! The thread behind an offer, and its life.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use super::server::{Listener, Port, serve};
use super::snapshot::Snapshot;
use super::source::Source;
use super::{folder, http, lines};

/// What an [`Observer`] offers.
#[derive(Clone, Debug, Default)]
pub struct ObserveOptions {
    /// A Unix-domain socket for programs of this user, such as `ringfence top`.
    pub socket: bool,
    /// OpenMetrics text by HTTP, at `/metrics` of this address; port 0 is any that is free. Whoever can reach the
    /// address can read it.
    pub metrics: Option<SocketAddr>,
    /// What the process calls itself. Empty: the program's file name.
    pub program: String,
}

/// Why something cannot be offered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObserveError {
    /// No socket.
    #[error("no socket for observers can be made in {}: {error}", folder.display())]
    Socket {
        /// Where it was to be.
        folder: PathBuf,
        /// The system's answer.
        error: io::Error,
    },
    /// The address cannot be had.
    #[error("metrics cannot be served at {address}: {error}; choose another port, or 0 for any that is free")]
    Metrics {
        /// What was asked for.
        address: SocketAddr,
        /// The system's answer.
        error: io::Error,
    },
    /// No thread.
    #[error("the thread for observers could not be started: {0}")]
    Thread(io::Error),
}

/// Serves snapshots until it is dropped; the drop closes sockets and ends the thread.
pub struct Observer {
    /// Its close ends the thread.
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
    socket: Option<PathBuf>,
    metrics: Option<SocketAddr>,
}

impl Observer {
    /// Serves what `take` gives, on a thread of its own. It is called at most four times a second, for all clients
    /// together, and at least once in 30 s; none is for a runtime that has gone.
    ///
    /// # Errors
    /// [`ObserveError`].
    pub fn new(
        options: &ObserveOptions,
        mut take: impl FnMut() -> Option<Snapshot> + Send + 'static,
    ) -> Result<Self, ObserveError> {
        let mut ports = Vec::new();
        let mut observer = Self { stop: None, thread: None, socket: None, metrics: None };
        if options.socket {
            let folder = folder::path();
            let offer = folder::offer(&folder).map_err(|error| ObserveError::Socket { folder, error })?;
            observer.socket = Some(offer.path.clone());
            ports.push(Port::new(Listener::Unix(offer), lines::answer));
        }
        if let Some(address) = options.metrics {
            let (listener, address) =
                listen(address).map_err(|error| ObserveError::Metrics { address, error })?;
            observer.metrics = Some(address);
            ports.push(Port::new(Listener::Tcp(listener), http::answer));
        }
        let program = options.program.clone();
        let source = Source::new(Box::new(move || {
            let mut snapshot = take()?;
            if !program.is_empty() {
                snapshot.program.clone_from(&program);
            }
            Some(snapshot)
        }));
        let (stop, stopped) = UnixStream::pair().map_err(ObserveError::Thread)?;
        let thread = std::thread::Builder::new()
            .name("ringfence-watch".into())
            .spawn(move || serve(&stopped, ports, source))
            .map_err(ObserveError::Thread)?;
        observer.stop = Some(stop);
        observer.thread = Some(thread);
        Ok(observer)
    }

    /// The Unix-domain socket, if there is one.
    #[must_use]
    pub fn socket(&self) -> Option<&Path> {
        self.socket.as_deref()
    }

    /// Where metrics are served, with the port that it came to.
    #[must_use]
    pub fn metrics(&self) -> Option<SocketAddr> {
        self.metrics
    }
}

fn listen(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

impl Drop for Observer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread for observers panicked");
        }
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observer").field("socket", &self.socket).field("metrics", &self.metrics).finish()
    }
}
