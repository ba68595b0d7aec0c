//! What the soak stands on: the program with its configuration, three upstream processes, and what can be done to them.

use crate::Failed;
use crate::clients::{AUDIENCE, Credential, SCOPE, TokenClient, new_key};
use crate::load::{Destination, exchange};
use crate::server::Server;
use bytes::Bytes;
use countersign_crypto::random::Random;
use countersign_crypto::signing::{ClientAssertion, SigningKey};
use http::{Request, StatusCode, header};
use http_body_util::Full;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};

/// Addresses of the one upstream.
pub(super) const UPSTREAMS: u64 = 3;
/// Clients, each with a token of its own.
pub(super) const CLIENTS: usize = 8;

pub(super) struct Ground {
    server: Server,
    upstreams: Vec<Upstream>,
    home: tempfile::TempDir,
    generation: u32,
    pub(super) clients: Vec<TokenClient>,
}

/// One process.
struct Upstream {
    address: SocketAddr,
    process: Option<(Child, ChildStdin)>,
}

impl Upstream {
    async fn start(address: SocketAddr) -> Result<Self, Failed> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["soak-upstream", &address.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdin = child.stdin.take().ok_or("no standard input")?;
        let stdout = child.stdout.take().ok_or("no standard output")?;
        let mut lines = BufReader::new(stdout).lines();
        let first = tokio::time::timeout(Duration::from_secs(20), lines.next_line()).await??;
        let address = first
            .ok_or("an upstream ended before it listened")?
            .parse()?;
        Ok(Self {
            address,
            process: Some((child, stdin)),
        })
    }
}

impl Ground {
    pub(super) async fn start(program: &Path) -> Result<Self, Failed> {
        let mut upstreams = Vec::new();
        for _ in 0..UPSTREAMS {
            upstreams.push(Upstream::start(([127, 0, 0, 1], 0).into()).await?);
        }
        std::fs::create_dir_all("target")?;
        let home = tempfile::tempdir_in("target")?;
        write(home.path(), &upstreams, 0)?;
        let config = home.path().join("config");
        let data = home.path().join("data");
        let server = Server::start(program, &data, Some(&config), &["--ephemeral"]).await?;
        let mut ground = Self {
            server,
            upstreams,
            home,
            generation: 0,
            clients: Vec::new(),
        };
        for number in 0..CLIENTS {
            let client = ground.client(&format!("soak-{number}")).await?;
            ground.clients.push(client);
        }
        Ok(ground)
    }

    /// Registers a client with a key.
    async fn client(&self, id: &str) -> Result<TokenClient, Failed> {
        let key: SigningKey<ClientAssertion> = new_key("soak-1")?;
        let set = serde_json::json!({"keys": [key.public_jwk().to_published_json(key.kid(), key.algorithm())]});
        let path = self.home.path().join(format!("{id}.jwks"));
        std::fs::write(&path, set.to_string())?;
        let path = path.to_string_lossy();
        let words = [
            "client",
            "add",
            id,
            "--jwks",
            &path,
            "--grant",
            "client_credentials",
            "--scope",
            SCOPE,
            "--audience",
            AUDIENCE,
        ];
        self.server.administer(&words, "").await?;
        Ok(TokenClient {
            id: id.to_owned(),
            credential: Credential::Key(key),
            issuer: self.server.addresses.identity.clone(),
            proof: None,
            random: Random::system(),
        })
    }

    pub(super) fn pid(&self) -> Result<u32, Failed> {
        self.server.pid()
    }

    pub(super) fn gateway(&self) -> Result<Destination, Failed> {
        Destination::new(&self.server.addresses.gateway, &self.server.roots()?)
    }

    pub(super) fn identity(&self) -> Result<Destination, Failed> {
        Destination::new(&self.server.addresses.identity, &self.server.roots()?)
    }

    /// New signing keys.
    pub(super) async fn rotate(&self) -> Result<(), Failed> {
        self.server
            .administer(&["key", "rotate"], "")
            .await
            .map(drop)
    }

    /// `kill -9` of one upstream.
    pub(super) async fn kill(&mut self, upstream: usize) -> Result<(), Failed> {
        let upstream = self.upstreams.get_mut(upstream).ok_or("no such upstream")?;
        match upstream.process.take() {
            Some((mut process, _)) => Ok(process.kill().await?),
            None => Err("it was killed already".into()),
        }
    }

    /// Starts one again where it was.
    pub(super) async fn restart(&mut self, upstream: usize) -> Result<(), Failed> {
        let upstream = self.upstreams.get_mut(upstream).ok_or("no such upstream")?;
        *upstream = Upstream::start(upstream.address).await?;
        Ok(())
    }

    /// Another route, policy and limit; returns when they are in effect: the route of this generation is forbidden by its policy and not unknown any more.
    pub(super) async fn reload(&mut self, within: Duration) -> Result<(), Failed> {
        self.generation += 1;
        write(self.home.path(), &self.upstreams, self.generation)?;
        let pid = self.server.pid()?.to_string();
        Command::new("kill").args(["-HUP", &pid]).status().await?;
        let deadline = Instant::now() + within;
        let gateway = self.gateway()?;
        let mut sender = gateway.connect().await?;
        loop {
            let request = Request::builder()
                .uri(format!("/soak-{}", self.generation))
                .header(header::HOST, gateway.host())
                .body(Full::<Bytes>::default())?;
            let (parts, _) = exchange(&mut sender, request).await?;
            match parts.status {
                StatusCode::FORBIDDEN => return Ok(()),
                StatusCode::NOT_FOUND if Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                other => return Err(format!("the new route answers {other}").into()),
            }
        }
    }

    /// Ends everything.
    pub(super) async fn stop(self) -> Result<(), Failed> {
        self.server.stop().await
    }
}

/// Files first written beside and then moved, so that a reload never reads half of one.
fn write(home: &Path, upstreams: &[Upstream], generation: u32) -> Result<(), Failed> {
    let config = home.join("config");
    let policies = config.join("policies");
    std::fs::create_dir_all(&policies)?;
    let put = |path: PathBuf, text: String| -> Result<(), Failed> {
        let beside = home.join("beside");
        std::fs::write(&beside, text)?;
        Ok(std::fs::rename(beside, path)?)
    };
    let policy = format!(
        "@id(\"soak-{generation}\")\nforbid (principal, action, resource == Route::\"soak-{generation}\");\n"
    );
    put(policies.join("soak.cedar"), policy)?;
    put(
        config.join("countersign.toml"),
        configuration(upstreams, generation)?,
    )
}

fn configuration(upstreams: &[Upstream], generation: u32) -> Result<String, Failed> {
    let mut addresses = upstreams.iter().map(|upstream| upstream.address);
    let first = addresses.next().ok_or("no upstream")?;
    let also: Vec<String> = addresses
        .map(|address| format!("\"http://{address}\""))
        .collect();
    let also = also.join(", ");
    let requests = 4_000_000 + generation;
    Ok(format!(
        r#"[keys]
publish_ahead = "2s"

[policies]
directory = "policies"

[[upstreams]]
name = "orders"
url = "http://{first}"
also = [{also}]
plain_http_because = "the soak's upstreams are on loopback"
retries = {{ attempts = 3, budget_percent = 100 }}
breaker = {{ failures = 2, ejection = "1s" }}

[[limits]]
name = "minute"
requests = {requests}
per = "1m"
by = ["client"]

[[routes]]
name = "orders"
path = "/orders"
upstream = "orders"
audience = "{AUDIENCE}"
proof = "any"
record = "queued"
limits = ["minute"]
actions.GET = {{ action = "request", scopes = ["{SCOPE}"] }}

[[routes]]
name = "soak-{generation}"
path = "/soak-{generation}"
upstream = "orders"
audience = "{AUDIENCE}"
anonymous = "allowed"
record = "queued"
actions.GET = {{ action = "request" }}
"#
    ))
}
