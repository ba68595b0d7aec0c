//! Servers by others that are measured beside ours, in the same run and over the same TLS.
//!
//! One file a peer under `bench/peers/`; `cargo xtask bench` installs them by name and version and says where they are, or why they are not there.

mod cerbos;
mod envoy;
mod glewlwyd;
mod haproxy;
mod keys;
mod nginx;
mod process;
mod rusty_vault;
mod trusted;

pub use cerbos::{CERBOS, CerbosRule};
pub use envoy::{ENVOY, Remembers};
pub use glewlwyd::{CLIENT as GLEWLWYD_CLIENT, GLEWLWYD, Glewlwyd};
pub use haproxy::HAPROXY;
pub use nginx::{ANSWER_BYTES, MODSECURITY, NGINX, Upstream, answer, rule_set};
pub use process::Foreign;
pub use rusty_vault::RUSTY_VAULT;
pub use trusted::Trusted;

use crate::Failed;
use crate::browser::Person;
use crate::clients::Credential;
use crate::load::Destination;
use crate::running::Running;
use countersign_base::{Duration as Lifetime, UnixTime};
use countersign_crypto::random::Random;
use countersign_crypto::signing::{ClientAssertion, SigningKey};
use countersign_crypto::x509::{CertificateAuthority, CertificateRequest, CertificateUsage};
use countersign_net::tls::TrustRoots;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Where the peers are, by name: the directory they were installed in, or why they were not.
pub type Installed = BTreeMap<String, Result<PathBuf, String>>;

/// The longest that a peer's start may take.
const READY_MAX: Duration = Duration::from_secs(60);

/// oidc-provider (npm): one Node process, its store in memory.
pub const OIDC_PROVIDER: &str = "oidc-provider";
/// The secret of its clients, as `bench/peers/oidc-provider/server.mjs` registers it.
const OIDC_PROVIDER_SECRET: &str = "a-secret-of-the-benchmark-with-enough-length";

/// A running peer. Dropping it kills it.
pub struct Peer {
    child: Child,
    roots: TrustRoots,
    said: Said,
    key: SigningKey<ClientAssertion>,
    _home: tempfile::TempDir,
}

/// What a peer prints once it listens.
#[derive(Debug, Deserialize)]
struct Said {
    issuer: String,
    version: String,
}

impl Peer {
    /// Starts oidc-provider with a certificate of its own.
    ///
    /// # Errors
    /// When it is not installed, or is not ready in time.
    pub async fn oidc_provider(installed: &Installed, now: u64) -> Result<Self, Failed> {
        let directory = self::installed(installed, OIDC_PROVIDER)?;
        let (home, random) = (tempfile::tempdir_in("target")?, Random::system());
        let roots = certificate(home.path(), &random, now)?;
        let key: SigningKey<ClientAssertion> = crate::clients::new_key("bench-1")?;
        let set = serde_json::json!({"keys": [key.public_jwk().to_published_json(key.kid(), key.algorithm())]});
        std::fs::write(home.path().join("client-jwks.json"), set.to_string())?;
        let mut child = Command::new("node")
            .current_dir(directory)
            .env("NODE_ENV", "production")
            .arg("server.mjs")
            .arg(std::fs::canonicalize(home.path())?)
            .arg(free_port(0)?.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let said = ready(&mut child).await?;
        Ok(Self {
            child,
            roots,
            said,
            key,
            _home: home,
        })
    }

    /// Its clients, by their names.
    #[must_use]
    pub fn credentials(&self) -> BTreeMap<String, Credential> {
        let mut credentials: BTreeMap<_, _> = ["machines", "orders", "portal", "with-secret"]
            .into_iter()
            .map(|id| {
                let secret = OIDC_PROVIDER_SECRET.to_owned();
                (id.to_owned(), Credential::Secret(secret))
            })
            .collect();
        credentials.insert("with-key".to_owned(), Credential::Key(self.key.clone()));
        credentials
    }

    /// Who signs in: it asks for no password.
    #[must_use]
    pub fn person(&self) -> Person {
        Person {
            username: "alice".to_owned(),
            password: String::new(),
        }
    }
}

impl Running for Peer {
    fn pid(&self) -> Result<u32, Failed> {
        self.child.id().ok_or_else(|| "the peer has ended".into())
    }

    fn destination(&self) -> Result<Destination, Failed> {
        Destination::new(&self.said.issuer, &self.roots)
    }

    fn subject(&self) -> String {
        format!("{OIDC_PROVIDER} {}", self.said.version)
    }

    fn issuer(&self) -> String {
        self.said.issuer.clone()
    }
}

/// Where a peer is.
fn installed<'a>(peers: &'a Installed, name: &str) -> Result<&'a Path, Failed> {
    match peers.get(name) {
        Some(Ok(directory)) => Ok(directory),
        Some(Err(reason)) => Err(format!("not run: {reason}").into()),
        None => Err("not run: `cargo xtask bench` installs it".into()),
    }
}

async fn ready(child: &mut Child) -> Result<Said, Failed> {
    let stdout = child.stdout.take().ok_or("no standard output")?;
    let mut lines = BufReader::new(stdout).lines();
    let said = async {
        while let Some(line) = lines.next_line().await? {
            if let Ok(said) = serde_json::from_str::<Said>(&line) {
                return Ok::<_, Failed>(said);
            }
        }
        Err("the peer ended before it was ready".into())
    };
    let said = tokio::time::timeout(READY_MAX, said).await??;
    // Whatever else it prints must not fill the pipe and stop it.
    tokio::spawn(async move { while matches!(lines.next_line().await, Ok(Some(_))) {} });
    Ok(said)
}

/// Writes `key.pem` and `certificate.pem` for `localhost`, and gives the authority behind them.
fn certificate(home: &Path, random: &Random, now: u64) -> Result<TrustRoots, Failed> {
    let now = UnixTime(i64::try_from(now)?);
    let authority = CertificateAuthority::generate("benchmark", random, now)?;
    let issued = authority.issue(
        &CertificateRequest {
            dns: vec!["localhost".to_owned()],
            ips: vec![Ipv4Addr::LOCALHOST.into()],
            uris: Vec::new(),
            usage: CertificateUsage::Server,
            lifetime: Lifetime::from_secs(24 * 3600),
        },
        now,
    )?;
    let chain: String = issued
        .chain_der
        .iter()
        .map(|der| keys::pem("CERTIFICATE", der))
        .collect();
    std::fs::write(home.join("certificate.pem"), chain)?;
    std::fs::write(
        home.join("key.pem"),
        keys::pem("PRIVATE KEY", issued.key_der.expose()),
    )?;
    Ok(TrustRoots::from_pem(
        authority.certificate_pem().as_bytes(),
    )?)
}

/// A port after this one and below the ephemeral range, so that the connections of a load do not take it before the server does.
pub(crate) fn free_port(after: u16) -> Result<u16, Failed> {
    (20_000.max(after.saturating_add(1))..30_000)
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .ok_or_else(|| "no port is free".into())
}
