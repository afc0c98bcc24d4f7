//! One thread that serves a few clients at a time and waits for none of them.
//!
//! What a client may cost is bounded: so many connections to a listener, so many bytes of a request (the protocol
//! says), one answer at a time, and so much time for each request and its answer. Connections beyond wait in the
//! listener's queue; while some do, those that have done nothing for [`PRESSED`] go first.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::folder::{Offer, is_ours};
use super::source::Source;

/// Connections to one listener.
const CLIENTS: usize = 32;
/// For a request, from the last answer on, and for its answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same while others wait for a place.
const PRESSED: Duration = Duration::from_millis(250);
/// After the last answer, for the client to go.
const LINGER: Duration = Duration::from_secs(1);
/// How long a listener rests that could not accept, mostly for want of descriptors.
const REST: Duration = Duration::from_millis(100);

/// What a protocol makes of the bytes that a client has sent so far.
pub enum Answer {
    /// The request is not whole yet. A protocol says so only of a bounded number of bytes.
    More,
    /// An answer to the first `used` bytes; further requests may follow.
    Reply { bytes: Vec<u8>, used: usize },
    /// The last answer.
    Last(Vec<u8>),
}

/// A protocol: see [`Answer`].
pub type Protocol = fn(&[u8], &mut Source) -> Answer;

/// What clients connect to.
pub enum Listener {
    Unix(Offer),
    Tcp(TcpListener),
}

impl Listener {
    fn accept(&self) -> std::io::Result<Stream> {
        let stream = match self {
            Self::Unix(offer) => Stream::Unix(offer.listener.accept()?.0),
            Self::Tcp(listener) => Stream::Tcp(listener.accept()?.0),
        };
        match &stream {
            Stream::Unix(stream) => stream.set_nonblocking(true)?,
            Stream::Tcp(stream) => stream.set_nonblocking(true)?,
        }
        Ok(stream)
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Unix(offer) => offer.listener.as_fd(),
            Self::Tcp(listener) => listener.as_fd(),
        }
    }
}

enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Stream {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.read(bytes),
            Self::Tcp(stream) => stream.read(bytes),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.write(bytes),
            Self::Tcp(stream) => stream.write(bytes),
        }
    }

    fn shutdown(&self) {
        // It fails where the client has gone already.
        let _ = match self {
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
        };
    }

    fn is_welcome(&self) -> bool {
        match self {
            Self::Unix(stream) => is_ours(stream),
            Self::Tcp(_) => true,
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Unix(stream) => stream.as_fd(),
            Self::Tcp(stream) => stream.as_fd(),
        }
    }
}

/// What a client is doing.
enum State {
    /// It sends a request.
    Asking,
    /// It takes an answer, after which it may ask again or not.
    Answered { bytes: Vec<u8>, sent: usize, last: bool },
    /// It has had its last answer. What it still sends is read, since to close over unread bytes may take the
    /// answer from it.
    Leaving,
}

struct Client {
    stream: Stream,
    input: Vec<u8>,
    state: State,
    /// When the state began.
    since: Instant,
}

/// The client is to be dropped.
struct Gone;

impl Client {
    fn new(stream: Stream) -> Self {
        Self { stream, input: Vec::new(), state: State::Asking, since: Instant::now() }
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.since = Instant::now();
    }

    fn patience(&self) -> Duration {
        if matches!(self.state, State::Leaving) { LINGER } else { PATIENCE }
    }

    fn waits_for(&self) -> PollFlags {
        if matches!(self.state, State::Answered { .. }) { PollFlags::OUT } else { PollFlags::IN }
    }

    /// Goes on as far as it can without waiting, and reads once at most: one who sends without end leaves the
    /// others their turn.
    fn step(&mut self, protocol: Protocol, source: &mut Source) -> Result<(), Gone> {
        let mut bytes = [0; 1024];
        let mut has_read = false;
        loop {
            match &mut self.state {
                State::Asking => match protocol(&self.input, source) {
                    Answer::More => {
                        if std::mem::replace(&mut has_read, true) {
                            return Ok(());
                        }
                        let Some(got) = progress(self.stream.read(&mut bytes))? else { return Ok(()) };
                        self.input.extend_from_slice(&bytes[..got]);
                    }
                    Answer::Reply { bytes, used } => {
                        self.input.drain(..used);
                        self.enter(State::Answered { bytes, sent: 0, last: false });
                    }
                    Answer::Last(bytes) => self.enter(State::Answered { bytes, sent: 0, last: true }),
                },
                State::Answered { bytes, sent, last } => {
                    if *sent < bytes.len() {
                        let Some(got) = progress(self.stream.write(&bytes[*sent..]))? else { return Ok(()) };
                        *sent += got;
                    } else if *last {
                        self.stream.shutdown();
                        self.enter(State::Leaving);
                    } else {
                        self.enter(State::Asking);
                    }
                }
                State::Leaving => {
                    if !std::mem::replace(&mut has_read, true) {
                        progress(self.stream.read(&mut bytes))?;
                    }
                    return Ok(());
                }
            }
        }
    }
}

/// How many bytes went through; none for now.
fn progress(result: std::io::Result<usize>) -> Result<Option<usize>, Gone> {
    match result {
        Ok(0) => Err(Gone),
        Ok(count) => Ok(Some(count)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(None),
        Err(_) => Err(Gone),
    }
}

/// A listener, its protocol and its clients.
pub struct Port {
    listener: Listener,
    protocol: Protocol,
    clients: Vec<Client>,
    /// It accepts nothing before.
    rests: Option<Instant>,
}

impl Port {
    /// The listener does not block.
    pub fn new(listener: Listener, protocol: Protocol) -> Self {
        Self { listener, protocol, clients: Vec::new(), rests: None }
    }

    fn accepts(&self, now: Instant) -> bool {
        self.clients.len() < CLIENTS && self.rests.is_none_or(|until| until <= now)
    }

    /// Drops who has had his time, and tells when the next one will have.
    fn expire(&mut self, now: Instant) -> Option<Instant> {
        let full = self.clients.len() >= CLIENTS;
        let until = |client: &Client| {
            client.since + if full { client.patience().min(PRESSED) } else { client.patience() }
        };
        self.clients.retain(|client| until(client) > now);
        self.clients.iter().map(until).chain(self.rests.filter(|rests| *rests > now)).min()
    }

    /// Lets in who waits, as far as there is room.
    fn admit(&mut self, source: &mut Source) {
        while self.accepts(Instant::now()) {
            match self.listener.accept() {
                Ok(stream) if stream.is_welcome() => {
                    let mut client = Client::new(stream);
                    if client.step(self.protocol, source).is_ok() {
                        self.clients.push(client);
                    }
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // The client has gone before it was let in.
                Err(error)
                    if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => {}
                Err(error) => {
                    tracing::warn!("no client can be accepted for now: {error}");
                    self.rests = Some(Instant::now() + REST);
                }
            }
        }
    }
}

/// Serves until the other end of `stop` is closed.
pub fn serve(stop: &UnixStream, mut ports: Vec<Port>, mut source: Source) {
    loop {
        let now = Instant::now();
        let mut until = source.keep();
        for port in &mut ports {
            until = port.expire(now).into_iter().fold(until, Instant::min);
        }
        let Some(ready) = wait(stop, &ports, until.saturating_duration_since(now)) else { return };
        for (port, ready) in ports.iter_mut().zip(ready) {
            let mut ready = ready.into_iter();
            port.clients.retain_mut(|client| {
                !ready.next().unwrap_or(false) || client.step(port.protocol, &mut source).is_ok()
            });
            port.admit(&mut source);
        }
    }
}

/// Waits until something can be done: for each port and client, whether it is for it. None: it is to stop.
fn wait(stop: &UnixStream, ports: &[Port], time: Duration) -> Option<Vec<Vec<bool>>> {
    let now = Instant::now();
    let mut fds = vec![PollFd::new(stop, PollFlags::IN)];
    for port in ports {
        let clients = port.clients.iter().map(|client| PollFd::new(&client.stream, client.waits_for()));
        fds.extend(clients);
        if port.accepts(now) {
            fds.push(PollFd::new(&port.listener, PollFlags::IN));
        }
    }
    // Rounded up, or the last millisecond would be spent turning.
    let time = time + Duration::from_millis(1);
    let time = Timespec { tv_sec: time.as_secs() as _, tv_nsec: time.subsec_nanos() as _ };
    if let Err(error) = poll(&mut fds, Some(&time))
        && error != rustix::io::Errno::INTR
    {
        tracing::error!("an observer ends, since it cannot wait: {error}");
        return None;
    }
    if !fds[0].revents().is_empty() {
        return None;
    }
    let mut events = fds[1..].iter().map(|fd| !fd.revents().is_empty());
    let mut ready = Vec::with_capacity(ports.len());
    for port in ports {
        ready.push(events.by_ref().take(port.clients.len()).collect());
        if port.accepts(now) {
            events.next();
        }
    }
    Some(ready)
}
