//! The program as a process: what it prints first, what signals do, how it ends.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests, outside of test functions too"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

struct Up {
    child: Child,
    ready: serde_json::Value,
    errors: BufReader<std::process::ChildStderr>,
}

impl Up {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command
            .args(["up", "--ephemeral", "--json"])
            .args(arguments);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let errors = BufReader::new(child.stderr.take().unwrap());
        let ready = serde_json::from_str(&line)
            .unwrap_or_else(|_| panic!("the first line is one JSON object: {line}"));
        Self {
            child,
            ready,
            errors,
        }
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.child.id().to_string())
            .status()
            .unwrap();
        assert!(status.success());
    }

    /// Reads standard error until a line holds `text`.
    fn wait_for(&mut self, text: &str) {
        let mut line = String::new();
        while self.errors.read_line(&mut line).unwrap() > 0 {
            if line.contains(text) {
                return;
            }
            line.clear();
        }
        panic!("`{text}` was never said");
    }

    fn get(&self, path: &str) -> String {
        let address = self.ready["telemetry"]
            .as_str()
            .unwrap()
            .strip_prefix("http://")
            .unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn end(mut self) -> i32 {
        self.signal("TERM");
        let mut rest = String::new();
        self.errors.read_to_string(&mut rest).unwrap();
        self.child.wait().unwrap().code().unwrap()
    }
}

fn write(dir: &Path, text: &str) {
    std::fs::write(dir.join("countersign.toml"), text).unwrap();
}

#[test]
fn up_says_where_it_is_answers_and_drains() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path().join("data");
    let up = Up::start(&["--data", data.to_str().unwrap()]);
    for name in ["identity", "identity_mtls", "gateway", "control"] {
        assert!(
            up.ready[name]
                .as_str()
                .unwrap()
                .starts_with("https://localhost:"),
            "{name}"
        );
    }
    assert!(
        std::fs::read_to_string(up.ready["ca"].as_str().unwrap())
            .unwrap()
            .contains("BEGIN CERTIFICATE")
    );
    assert!(up.get("/healthz").starts_with("HTTP/1.1 200"));
    assert!(up.get("/readyz").starts_with("HTTP/1.1 200"));
    assert!(up.get("/metrics").contains("countersign_signing_keys"));
    assert_eq!(up.end(), 0);

    // What the first start made, the second takes up.
    let key = std::fs::read(data.join("keys/root.key")).unwrap();
    let again = Up::start(&["--data", data.to_str().unwrap()]);
    assert!(again.get("/readyz").starts_with("HTTP/1.1 200"));
    assert_eq!(again.end(), 0);
    assert_eq!(std::fs::read(data.join("keys/root.key")).unwrap(), key);
}

#[test]
fn a_reload_that_does_not_check_is_refused_whole_and_a_good_one_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    write(dir.path(), "[[tenants]]\nname = \"demo\"\n");
    let mut up = Up::start(&[
        "--config",
        dir.path().to_str().unwrap(),
        "--data",
        data.to_str().unwrap(),
    ]);
    write(
        dir.path(),
        "[[tenants]]\nname = \"demo\"\n[[clints]]\nid = \"x\"\n",
    );
    up.signal("HUP");
    up.wait_for("countersign.toml:3: unknown key `clints`");
    up.wait_for("the reload is refused");
    assert!(
        up.get("/readyz").starts_with("HTTP/1.1 200"),
        "the old configuration still serves"
    );
    write(
        dir.path(),
        "[[tenants]]\nname = \"demo\"\n[[clients]]\ntenant = \"demo\"\nid = \"x\"\n",
    );
    up.signal("HUP");
    up.wait_for("reloaded: 1 changes");
    assert_eq!(up.end(), 0);
}

#[test]
fn a_wrong_configuration_ends_with_two_and_says_where() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "[listeners]\ngatway = \"127.0.0.1:0\"\n");
    let data = dir.path().join("data");
    let output = Command::new(env!("CARGO_BIN_EXE_countersign"))
        .args([
            "up",
            "--ephemeral",
            "--config",
            dir.path().to_str().unwrap(),
            "--data",
            data.to_str().unwrap(),
        ])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("countersign.toml:2: unknown key `gatway`") && said.contains("`gateway`"),
        "{said}"
    );
    assert!(!data.exists(), "nothing was made");
}

#[test]
fn demo_prints_one_object_and_ends_with_zero() {
    let output = Command::new(env!("CARGO_BIN_EXE_countersign"))
        .args(["demo", "--exit", "--json"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let list: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    for check in list["checks"].as_array().unwrap() {
        assert!(
            ["held", "not_yet"].contains(&check["status"].as_str().unwrap()),
            "{check}"
        );
        assert!(
            check["id"].is_string() && check["name"].is_string() && check["evidence"].is_array()
        );
    }
}
