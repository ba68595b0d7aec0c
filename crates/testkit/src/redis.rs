//! A real Redis or Valkey of the test's own, on a Unix socket in a temporary directory, that can be killed, frozen and started again.
//!
//! `COUNTERSIGN_TEST_REDIS` names the program; without it there is nothing to test with, and a line says so.

#![expect(
    clippy::expect_used,
    reason = "a test without its server has nothing to test"
)]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long it may take to answer after a start.
const START: Duration = Duration::from_secs(20);

/// See the module. It ends with the value.
pub struct RedisServer {
    program: PathBuf,
    directory: TempDir,
    arguments: Vec<String>,
    process: Option<Child>,
}

impl RedisServer {
    /// Starts one that keeps nothing on disk; `arguments` are those of its command line. Absent where there is no program to start.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(arguments: &[&str]) -> Option<Self> {
        let Some(program) = std::env::var_os("COUNTERSIGN_TEST_REDIS") else {
            eprintln!("skipped: COUNTERSIGN_TEST_REDIS names no Redis to start");
            return None;
        };
        let mut server = Self {
            program: program.into(),
            directory: tempfile::tempdir().expect("a temporary directory"),
            arguments: arguments.iter().map(|&text| text.to_owned()).collect(),
            process: None,
        };
        server.restart();
        Some(server)
    }

    /// Where it listens.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("redis.sock")
    }

    /// Where its files are.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Kills it if it runs, starts it again, and waits until it answers.
    ///
    /// # Panics
    /// When it does not.
    pub fn restart(&mut self) {
        self.kill();
        let mut command = Command::new(&self.program);
        command
            .args(["--port", "0", "--save", "", "--appendonly", "no"])
            .arg("--unixsocket")
            .arg(self.socket())
            .arg("--dir")
            .arg(self.directory.path())
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        self.process = Some(command.spawn().expect("Redis starts"));
        let deadline = Instant::now() + START;
        while !self.answers() {
            assert!(Instant::now() < deadline, "Redis does not answer");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ends it at once (SIGKILL).
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It may have ended by itself.
            drop(process.kill());
            drop(process.wait());
        }
        drop(std::fs::remove_file(self.socket()));
    }

    /// Stops it without ending it (SIGSTOP): connections stay and nothing is answered.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on (SIGCONT).
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    /// Sends commands as they are written on its wire in line form, and returns what it answered first.
    #[must_use]
    pub fn say(&self, line: &str) -> Option<String> {
        String::from_utf8(self.said(line)?).ok()
    }

    fn said(&self, line: &str) -> Option<Vec<u8>> {
        let mut stream = UnixStream::connect(self.socket()).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        stream.write_all(format!("{line}\r\n").as_bytes()).ok()?;
        let mut answer = vec![0; 65_536];
        let read = stream.read(&mut answer).ok()?;
        answer.truncate(read);
        Some(answer)
    }

    /// Everything that it keeps under a name, as far as it is text: fields and values of a hash.
    #[must_use]
    pub fn dump(&self, name: &str) -> String {
        self.said(&format!("HGETALL {name}"))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// An answer of any kind: one that wants a password refuses, and is there.
    fn answers(&self) -> bool {
        self.say("PING")
            .is_some_and(|answer| answer.starts_with("+PONG") || answer.starts_with("-NOAUTH"))
    }

    fn signal(&self, signal: &str) {
        let process = self.process.as_ref().expect("a running Redis");
        let sent = Command::new("kill")
            .args([signal, &process.id().to_string()])
            .status();
        assert!(sent.is_ok_and(|status| status.success()), "kill {signal}");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}
