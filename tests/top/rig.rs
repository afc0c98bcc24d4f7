//! What the tests share: processes that can be observed, in folders of their own.

use std::io::{BufRead as _, BufReader, Lines, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use ringfence::descriptor::SlotDescriptor;
use ringfence::observe::ObserveOptions;
use ringfence::runtime::{Mode, Runtime};

/// Longer than anything takes that is well.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Which slots a runtime of [`a_program`] has done: some in DONE, some in FAULT.
pub const DONE: u64 = 9;
pub const FAULTS: u64 = 3;

/// A folder for sockets, as XDG_RUNTIME_DIR names it; its drop removes it.
pub struct Place(pub PathBuf);

impl Place {
    pub fn new(name: &str) -> Self {
        // Short, since the path of a socket may not be long.
        let path = std::env::temp_dir().join(format!("rf-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).expect("a folder");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).expect("mine");
        Self(path)
    }

    /// The files in the folder of sockets.
    pub fn sockets(&self) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.0.join("ringfence")) else { return Vec::new() };
        let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
        paths.sort();
        paths
    }

    pub fn ringfence(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringfence"));
        command.args(arguments).env("XDG_RUNTIME_DIR", &self.0).stdin(Stdio::null());
        command
    }

    /// What `ringfence top` prints, and how it ends.
    pub fn top(&self, arguments: &[&str]) -> Printed {
        let output = self.ringfence(&["top", "--interval", "0.25"]).args(arguments).output();
        Printed::from(output.expect("it starts"))
    }

    /// A process with so many runtimes that can be observed.
    pub fn program(&self, runtimes: u32) -> Program {
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "rig::a_program", "--ignored", "--nocapture"])
            .env("XDG_RUNTIME_DIR", &self.0)
            .env("RINGFENCE_TEST_RUNTIMES", runtimes.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the test starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        while !lines.next().expect("it says when it is ready").expect("text").contains("ready") {}
        let stdin = child.stdin.take();
        Program { child, stdin, _stdout: lines }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Not a test: what [`Place::program`] starts. It has runtimes with known counters until its input ends.
#[test]
#[ignore = "other tests start it"]
fn a_program() {
    let count: u32 = std::env::var("RINGFENCE_TEST_RUNTIMES").map_or(1, |n| n.parse().expect("a number"));
    let held: Vec<_> = (0..count)
        .map(|_| {
            let runtime = Runtime::builder().mode(Mode::Epoch).build().expect("a runtime");
            for index in 0..DONE + FAULTS {
                let word = if index < DONE { 161 } else { u32::MAX };
                let job = runtime.submit(&SlotDescriptor::store_u32(7, word)).expect("taken");
                assert_eq!(job.wait().expect("ended").fault().is_some(), index >= DONE);
            }
            let options =
                ObserveOptions { socket: true, program: "a test".into(), ..ObserveOptions::default() };
            (runtime.observe(&options).expect("a socket"), runtime)
        })
        .collect();
    println!("\nready");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    drop(held);
}

/// A process that can be observed until its drop.
pub struct Program {
    pub child: Child,
    stdin: Option<ChildStdin>,
    /// It prints on.
    _stdout: Lines<BufReader<ChildStdout>>,
}

impl Program {
    pub fn pid(&self) -> String {
        self.child.id().to_string()
    }

    /// Ends it as it would end by itself.
    pub fn end(&mut self) {
        drop(self.stdin.take());
        assert!(self.child.wait().expect("a child").success());
    }

    /// Leaves it no time to clean up.
    pub fn kill(&mut self) {
        self.child.kill().expect("a child");
        self.child.wait().expect("a child");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}

/// What a program printed.
#[derive(Debug)]
pub struct Printed {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Printed {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }
}

impl Printed {
    pub fn json(&self) -> serde_json::Value {
        assert_eq!((self.code, self.err.as_str()), (Some(0), ""), "{self:?}");
        serde_json::from_str(&self.out).expect("one object")
    }
}

/// Waits until `there` gives something.
pub fn wait_for<T>(what: &str, mut there: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = there() {
            return found;
        }
        assert!(Instant::now() < until, "{what} did not come");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A connection whose reads end, if need be, with an error.
pub fn connect(socket: &Path) -> UnixStream {
    let stream = UnixStream::connect(socket).expect("somebody listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("an option");
    stream.set_write_timeout(Some(PATIENCE)).expect("an option");
    stream
}

/// Sends a request and reads one line.
pub fn ask(stream: &mut UnixStream, request: &[u8]) -> std::io::Result<String> {
    stream.write_all(request)?;
    let mut line = Vec::new();
    let mut byte = [0; 1];
    while stream.read(&mut byte)? == 1 {
        if byte[0] == b'\n' {
            break;
        }
        line.push(byte[0]);
    }
    Ok(String::from_utf8(line).expect("text"))
}
