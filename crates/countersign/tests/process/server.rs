//! The program itself, started as a user starts it, with everything it prints kept.

use bytes::Bytes;
use countersign_net::client::ClientOptions;
use countersign_net::tls::Alpn;
use countersign_net::{ClientResponse, EgressPolicy, HttpClient, TlsClient, TrustRoots};
use http::{HeaderMap, Method};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use url::Url;

/// A running `countersign up --ephemeral` with a configuration and a data directory of its own.
pub(crate) struct Server {
    child: Child,
    printed: Vec<JoinHandle<Vec<u8>>>,
    /// What it said when it was ready.
    pub(crate) addresses: Value,
    /// The first line, which is part of what it printed.
    first: String,
    directory: tempfile::TempDir,
}

/// What a server left behind.
pub(crate) struct Ended {
    /// All that it printed, on both streams.
    pub(crate) printed: Vec<u8>,
    /// The directory with `config` and `data`.
    pub(crate) directory: tempfile::TempDir,
}

impl Server {
    /// Starts it with this configuration and these files beside it.
    pub(crate) fn start(configuration: &str, files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("config");
        for (name, text) in files.iter().chain([&("countersign.toml", configuration)]) {
            let path = config.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Self::started(directory)
    }

    /// Ends it as a power cut does, and starts it again where it was.
    pub(crate) fn killed_and_started(mut self) -> Self {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let empty = tempfile::tempdir().unwrap();
        Self::started(std::mem::replace(&mut self.directory, empty))
    }

    fn started(directory: tempfile::TempDir) -> Self {
        let config = directory.path().join("config");
        let data = directory.path().join("data");
        let mut child = Command::new(env!("CARGO_BIN_EXE_countersign"))
            .args(["up", "--ephemeral", "--json", "--config"])
            .arg(&config)
            .arg("--data")
            .arg(&data)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let stderr = child.stderr.take().unwrap();
        let mut printed = vec![std::thread::spawn(|| all(stderr))];
        let mut first = String::new();
        stdout.read_line(&mut first).unwrap();
        printed.push(std::thread::spawn(|| all(stdout)));
        let Ok(addresses) = serde_json::from_str(&first) else {
            let _ = child.kill();
            let said: Vec<u8> = printed
                .into_iter()
                .flat_map(|reader| reader.join().unwrap())
                .collect();
            panic!("it did not start: {}", String::from_utf8_lossy(&said));
        };
        Self {
            child,
            printed,
            addresses,
            first,
            directory,
        }
    }

    /// Its data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// An address of one of its surfaces.
    pub(crate) fn url(&self, surface: &str, path: &str) -> Url {
        let base = self.addresses[surface].as_str().unwrap();
        format!("{base}{path}").parse().unwrap()
    }

    /// Runs an administrative verb against it.
    pub(crate) fn administer(&self, arguments: &[&str]) -> Output {
        self.administer_with(arguments, "")
    }

    /// The same, with something on standard input.
    pub(crate) fn administer_with(&self, arguments: &[&str], input: &str) -> Output {
        let data = self.data();
        let mut all = arguments.to_vec();
        all.extend(["--data", data.to_str().unwrap()]);
        countersign(&all, input)
    }

    /// Connections that trust it.
    pub(crate) fn tls(&self) -> TlsClient {
        let pem = std::fs::read(self.data().join("ca.pem")).unwrap();
        TlsClient::new(&TrustRoots::from_pem(&pem).unwrap(), None, Alpn::Http1).unwrap()
    }

    /// An HTTP client that trusts it.
    pub(crate) fn client(&self) -> HttpClient {
        let tls = self.tls();
        let egress = EgressPolicy::public_only()
            .allowing("localhost")
            .allowing("127.0.0.1");
        HttpClient::new(tls, egress, ClientOptions::default())
    }

    /// Ends it as an operator does, and gives back everything that it left.
    pub(crate) fn stop(mut self) -> Ended {
        let pid = self.child.id().to_string();
        let signalled = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(signalled.unwrap().success());
        let status = self.child.wait().unwrap();
        let mut printed = std::mem::take(&mut self.first).into_bytes();
        for reader in self.printed.drain(..) {
            printed.extend(reader.join().unwrap());
        }
        assert!(
            status.success(),
            "it ended with {status}: {}",
            String::from_utf8_lossy(&printed)
        );
        let empty = tempfile::tempdir().unwrap();
        Ended {
            printed,
            directory: std::mem::replace(&mut self.directory, empty),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A test that failed leaves no server behind; one that stopped has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn all(mut from: impl Read) -> Vec<u8> {
    let mut read = Vec::new();
    let _ = from.read_to_end(&mut read);
    read
}

/// Runs the program with `arguments` and something on standard input.
pub(crate) fn countersign(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_countersign"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // A verb that reads no input may have ended before.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// Runs one exchange to its end.
pub(crate) fn send(
    client: &HttpClient,
    method: Method,
    url: &Url,
    headers: HeaderMap,
    body: &str,
) -> ClientResponse {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(client.send(method, url, headers, Bytes::from(body.to_owned())))
        .unwrap_or_else(|error| panic!("{url}: {error:?}"))
}

/// Calls `look` until it finds something, for half a minute at most.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(30) {
        if let Some(found) = look() {
            return found;
        }
        std::thread::yield_now();
    }
    panic!("{what} did not happen");
}

/// Every file below `directory`, with its content.
pub(crate) fn files_below(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                let content = std::fs::read(&path).unwrap();
                files.push((path, content));
            }
        }
    }
    files
}
