//! Where the sockets of a user's programs lie: `ringfence` in $XDG_RUNTIME_DIR, else `ringfence-UID` in the folder
//! of temporary files; a folder that nobody else can enter. A socket is called `PID.N.sock`.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, socket};
use rustix::process::{Pid, geteuid, test_kill_process};

/// Runtimes that a process may offer at the same time.
const MOST: u32 = 1024;

/// The folder's path.
pub fn path() -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute()) {
        Some(path) => path.join("ringfence"),
        None => std::env::temp_dir().join(format!("ringfence-{}", geteuid().as_raw())),
    }
}

/// A socket that is listened at; its drop takes it away.
pub struct Offer {
    pub listener: UnixListener,
    pub path: PathBuf,
}

impl Drop for Offer {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Listens in `folder` under a name of this process's, and sweeps what dead ones left behind.
pub fn offer(folder: &Path) -> io::Result<Offer> {
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => check(folder)?,
    }
    list(folder)?;
    let pid = std::process::id();
    for number in 0..MOST {
        let path = folder.join(format!("{pid}.{number}.sock"));
        match UnixListener::bind(&path) {
            Ok(listener) => {
                let offer = Offer { listener, path };
                offer.listener.set_nonblocking(true)?;
                fs::set_permissions(&offer.path, fs::Permissions::from_mode(0o600))?;
                return Ok(offer);
            }
            // Another runtime of this process's, or of one in another namespace of processes.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other(format!("this process offers {MOST} runtimes already")))
}

/// The folder must be this user's, and nobody else may enter it: in a shared folder of temporary files anybody
/// could have made it.
fn check(folder: &Path) -> io::Result<()> {
    let found = fs::symlink_metadata(folder)?;
    if !found.is_dir() || found.uid() != geteuid().as_raw() || found.mode() & 0o077 != 0 {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!(
                "it is not a folder of this user's alone (owner {}, mode {:o}); remove it, or set XDG_RUNTIME_DIR",
                found.uid(),
                found.mode() & 0o7777
            ),
        ));
    }
    Ok(())
}

/// A socket that somebody listens at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    pub pid: u32,
    pub number: u32,
    pub path: PathBuf,
}

/// The sockets of live processes; what dead ones left is removed. No folder: no sockets.
pub fn list(folder: &Path) -> io::Result<Vec<Found>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    check(folder)?;
    let mut found = Vec::new();
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let name = path.file_name().and_then(|name| name.to_str());
        let Some((pid, number)) = name.and_then(parse) else { continue };
        match connect(&path) {
            // Between its making and its listening a socket refuses too: only the dead are swept.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                if pid != std::process::id() && !is_alive(pid) {
                    let _ = fs::remove_file(&path);
                }
            }
            // Gone meanwhile, or not to be reached: whoever picks it will learn why.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            _ => found.push(Found { pid, number, path }),
        }
    }
    found.sort();
    Ok(found)
}

/// Connects at once or not at all: `WouldBlock` where too many others wait to be let in.
pub fn connect(path: &Path) -> io::Result<UnixStream> {
    let stream = UnixStream::from(socket(AddressFamily::UNIX, SocketType::STREAM, None)?);
    fcntl_setfd(&stream, FdFlags::CLOEXEC)?;
    stream.set_nonblocking(true)?;
    rustix::net::connect(&stream, &SocketAddrUnix::new(path)?)?;
    stream.set_nonblocking(false)?;
    Ok(stream)
}

fn parse(name: &str) -> Option<(u32, u32)> {
    let (pid, number) = name.strip_suffix(".sock")?.split_once('.')?;
    Some((pid.parse().ok()?, number.parse().ok()?))
}

fn is_alive(pid: u32) -> bool {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return false };
    // Others' processes are alive as well, though they may not be sent anything.
    test_kill_process(pid) != Err(rustix::io::Errno::SRCH)
}

/// Whether the other end of a connection is a process of this user's, or of the system's.
pub fn is_ours(stream: &UnixStream) -> bool {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        rustix::net::sockopt::socket_peercred(stream)
            .is_ok_and(|peer| peer.uid == geteuid() || peer.uid.is_root())
    }
    // Elsewhere the folder alone keeps others out.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        let _ = stream;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// An empty folder; its drop removes it.
    struct Empty(PathBuf);

    impl Empty {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("ringfence-test-{}-{name}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir(&path).expect("a folder");
            Self(path)
        }
    }

    impl Drop for Empty {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// A process id that no process has.
    const DEAD: u32 = i32::MAX as u32;

    #[test]
    fn offers_are_found_while_they_stand() {
        let empty = Empty::new("offers");
        let folder = empty.0.join("inner");
        assert_eq!(list(&folder).expect("none"), []);
        let (first, second) = (offer(&folder).expect("one"), offer(&folder).expect("two"));
        assert_eq!(fs::metadata(&folder).expect("there").mode() & 0o7777, 0o700);
        let numbers = || -> Vec<_> {
            let found = list(&folder).expect("a list");
            assert!(found.iter().all(|found| found.pid == std::process::id()));
            found.iter().map(|found| found.number).collect()
        };
        assert_eq!(numbers(), [0, 1]);
        drop(first);
        assert_eq!(numbers(), [1]);
        drop(offer(&folder).expect("the first number again"));
        drop(second);
        assert_eq!(fs::read_dir(&folder).expect("there").count(), 0, "they clean up");
    }

    #[test]
    fn what_the_dead_left_is_swept_and_nothing_else() {
        let Empty(folder) = &Empty::new("sweep");
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).expect("mine");
        let dead = format!("{DEAD}.0.sock");
        let starting = format!("{}.7.sock", std::os::unix::process::parent_id());
        for name in [&dead, &starting] {
            drop(UnixListener::bind(folder.join(name)).expect("a socket"));
        }
        for name in ["1.sock", "x.0.sock", "1.-1.sock", "README"] {
            fs::write(folder.join(name), "").expect("a file");
        }
        assert_eq!(list(folder).expect("none"), []);
        assert!(!folder.join(dead).exists());
        assert!(folder.join(starting).exists(), "its process lives: it may be about to listen");
        assert_eq!(fs::read_dir(folder).expect("there").count(), 5);
    }

    #[test]
    fn folders_that_others_may_enter_are_refused() {
        let Empty(folder) = &Empty::new("open");
        let (open, file, link) = (folder.join("open"), folder.join("file"), folder.join("link"));
        fs::create_dir(&open).expect("a folder");
        fs::write(&file, "").expect("a file");
        symlink(folder.join("elsewhere"), &link).expect("a link");
        drop(offer(&folder.join("elsewhere")).expect("one of our own"));
        for mode in [0o755, 0o770, 0o701] {
            fs::set_permissions(&open, fs::Permissions::from_mode(mode)).expect("mine");
            let error = offer(&open).err().expect("too open");
            assert!(error.to_string().contains(&format!("{mode:o}")), "{error}");
            assert!(list(&open).is_err());
        }
        for path in [&file, &link, &folder.join("not/there")] {
            assert!(offer(path).is_err(), "{}", path.display());
        }
    }
}
