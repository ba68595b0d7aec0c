//! The store's tests against PostgreSQL, the vault's statements on it, sealed columns and idempotency keys in it, the practice exercise's cards in it, and two processes of the whole server that share a database: the system's PostgreSQL, in a temporary directory, as an
//! unprivileged user, on loopback.
//!
//! The server's files and its process end with the suite.

use super::rust::Selection;
use super::{Count, Report, Suite, races, rust};
use crate::verb::Problem;
use crate::{install, process};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The suite.
pub(crate) const SUITE: Suite = Suite {
    name: "postgres",
    about: "the store, two server processes, sealed columns, idempotency keys, and the exercise's cards, on PostgreSQL",
    run,
};

const LIMIT: Duration = Duration::from_secs(120);
const PARENT: &str = "/usr/lib/postgresql";

fn run() -> Result<Report, Problem> {
    install::system(Path::new(PARENT), &["postgresql", "postgresql-client"])?;
    let server = Server::start(&newest()?, "trust")?;
    let with_server = |command: &mut Command| {
        command.env("COUNTERSIGN_TEST_POSTGRES", server.url_of("postgres"));
    };
    let store = rust::tests(Selection::Package("countersign-store"), with_server)?;
    let nodes = Selection::Binary("countersign", "two_nodes");
    let webhooks = Selection::Binary("countersign", "webhooks");
    let vault = Selection::Binary("countersign-control", "vault_sql");
    let sealed = Selection::Binary("countersign-guard", "postgres");
    let keys = Selection::Binary("countersign-guard", "idempotency_postgres");
    let gateways = Selection::Filter("binary(gateway) & test(durable_keys)");
    let count = store
        .and(rust::tests(nodes, with_server)?)
        .and(rust::tests(webhooks, with_server)?)
        .and(rust::tests(sealed, with_server)?)
        .and(rust::tests(keys, with_server)?)
        .and(rust::tests(gateways, with_server)?)
        .and(rust::tests(vault, with_server)?);
    let count = count.and(exercise()?);
    server.database("races")?;
    Ok(match races::run(Some(&server.url_of("races")))? {
        Report::Absent(reason) => {
            println!("two server processes on one database: skipped: {reason}");
            Report::Ran(count.and(Count {
                skipped: 1,
                ..Count::default()
            }))
        }
        Report::Ran(more) => Report::Ran(count.and(more)),
    })
}

/// The practice exercise's check 10 and its database's tests, on a server that asks for passwords: what is refused there is a password.
fn exercise() -> Result<Count, Problem> {
    let server = with_passwords()?;
    rust::tests(
        Selection::Filter("package(countersign) & test(on_postgresql)"),
        |command| {
            command.env(
                "COUNTERSIGN_TEST_POSTGRES_PASSWORDS",
                server.url_of("postgres"),
            );
        },
    )
}

/// The password of the superuser of [`with_passwords`].
const PASSWORD: &str = "of-the-tests-alone";

/// A server that asks for passwords, for suites that make people in it.
pub(crate) fn with_passwords() -> Result<Server, Problem> {
    install::system(Path::new(PARENT), &["postgresql", "postgresql-client"])?;
    Server::start(&newest()?, "scram-sha-256")
}

/// The `bin` of the newest installed major version.
fn newest() -> Result<PathBuf, Problem> {
    let mut versions: Vec<(u32, PathBuf)> = Vec::new();
    for entry in std::fs::read_dir(PARENT)? {
        let path = entry?.path();
        let number = path
            .file_name()
            .and_then(|name| name.to_string_lossy().parse().ok());
        if let Some(number) = number.filter(|_| path.join("bin/initdb").is_file()) {
            versions.push((number, path.join("bin")));
        }
    }
    versions.sort();
    versions
        .pop()
        .map(|(_, bin)| bin)
        .ok_or_else(|| Problem::new(format!("no server below {PARENT}")))
}

/// A running server; dropping it stops it and removes its files.
pub(crate) struct Server {
    bin: PathBuf,
    data: PathBuf,
    origin: String,
}

impl Server {
    /// Starts one that asks people to prove who they are by `method`, as `pg_hba.conf` calls it.
    fn start(bin: &Path, method: &str) -> Result<Self, Problem> {
        let home = PathBuf::from(format!(
            "/tmp/countersign-postgres-{}-{method}",
            std::process::id()
        ));
        let data = home.join("data");
        std::fs::create_dir_all(&home)?;
        let password = home.join("password");
        std::fs::write(&password, PASSWORD)?;
        if install::is_root() {
            process::must(
                Command::new("chown").args(["-R", "postgres"]).arg(&home),
                LIMIT,
            )?;
        }
        let port = free_port()?;
        process::must(
            as_user(bin, "initdb")
                .arg("-D")
                .arg(&data)
                .args(["-U", "countersign", "-A", method, "-E", "UTF8", "--no-sync"])
                .arg("--pwfile")
                .arg(&password),
            LIMIT,
        )?;
        let options = format!(
            "-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={} -c max_connections=200",
            home.display()
        );
        let log = home.join("log");
        let server = Self {
            bin: bin.to_path_buf(),
            data,
            origin: format!("postgres://countersign:{PASSWORD}@127.0.0.1:{port}"),
        };
        // `-w` returns when connections are answered.
        process::must(
            as_user(bin, "pg_ctl")
                .arg("-D")
                .arg(&server.data)
                .arg("-l")
                .arg(&log)
                .args(["-w", "-o", &options, "start"]),
            LIMIT,
        )?;
        Ok(server)
    }

    /// The URL of one of its databases.
    pub(crate) fn url_of(&self, database: &str) -> String {
        format!("{}/{database}", self.origin)
    }

    /// One of the server's programs.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// Makes an empty database.
    fn database(&self, name: &str) -> Result<(), Problem> {
        let create = format!("CREATE DATABASE {name}");
        let mut command = as_user(&self.bin, "psql");
        command.args(["-q", "-d", &self.url_of("postgres"), "-c", &create]);
        process::must(&mut command, LIMIT).map(drop)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let stopped = process::run(
            as_user(&self.bin, "pg_ctl")
                .arg("-D")
                .arg(&self.data)
                .args(["-m", "immediate", "-w", "stop"]),
            LIMIT,
        );
        if let Err(problem) = stopped {
            eprintln!("PostgreSQL: {problem}");
        }
        let home = self.data.parent().unwrap_or(&self.data);
        if let Err(error) = std::fs::remove_dir_all(home) {
            eprintln!("{}: {error}", home.display());
        }
    }
}

/// A program of the server's, run by its own user when this process is the superuser: the server refuses to run as that.
fn as_user(bin: &Path, program: &str) -> Command {
    let path = bin.join(program);
    if !install::is_root() {
        return Command::new(path);
    }
    let mut command = Command::new("runuser");
    command
        .args(["-u", "postgres", "--"])
        .arg(path)
        .current_dir("/tmp");
    command
}

fn free_port() -> Result<u16, Problem> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
