//! A server with event types and endpoints, on a directory of its own, and the receiver that they lead to.

use crate::admin::Admin;
use crate::load::Destination;
use crate::server::Server;
use crate::suites::Subjects;
use crate::tls_receiver::{self, Receive, Reply};
use crate::{Failed, cpu};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::request::Parts;
use http::{Method, StatusCode};
use serde_json::json;
use sqlx::{Connection, Executor, PgConnection};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use url::Url;

/// Event types, each with its own endpoints.
pub(super) const TYPES: usize = 10;
/// Connections to the admin API while endpoints are made.
const AT_ONCE: usize = 8;

/// Where the store is.
pub(super) enum Database {
    /// SQLite in the data directory.
    Embedded,
    /// A database of its own in a PostgreSQL.
    Postgres(String),
}

impl Database {
    /// A fresh one in the PostgreSQL of this measurement.
    pub(super) async fn of(subjects: &Subjects, number: usize) -> Result<Self, Failed> {
        let url = subjects.postgres.as_ref().map_err(Clone::clone)?;
        let name = format!("webhooks_{}_{number}", std::process::id());
        let mut connection = PgConnection::connect(url).await?;
        let create = format!("CREATE DATABASE {name}");
        connection.execute(sqlx::AssertSqlSafe(create)).await?;
        connection.close().await?;
        let mut url: Url = url.parse()?;
        url.set_path(&name);
        Ok(Self::Postgres(url.into()))
    }
}

/// Counts what arrives, and answers all of it.
#[derive(Clone, Default)]
pub(super) struct Counter(Arc<AtomicU64>);

impl Counter {
    /// How many arrived so far.
    pub(super) fn arrived(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Receive for Counter {
    async fn receive(&self, head: &Parts, _body: Bytes) -> Reply {
        // One that is not signed is none of ours.
        if !head.headers.contains_key("webhook-signature") {
            return Reply::Status(StatusCode::UNAUTHORIZED);
        }
        self.0.fetch_add(1, Ordering::Relaxed);
        Reply::Status(StatusCode::OK)
    }
}

/// A directory, and what listens beside it.
pub(super) struct Place {
    program: PathBuf,
    home: tempfile::TempDir,
    store: Option<String>,
    pub(super) secret: String,
    pub(super) receiver: SocketAddr,
}

impl Place {
    /// A new one, with a source of webhooks whose service is the receiver.
    pub(super) async fn new(
        program: &Path,
        database: &Database,
        receiver: impl Receive,
    ) -> Result<Self, Failed> {
        std::fs::create_dir_all("target")?;
        let home = tempfile::tempdir_in("target")?;
        let authority = tls_receiver::certified(home.path())?;
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let receiver = tls_receiver::start(listen, home.path(), receiver).await?;
        let secret: [u8; 32] = countersign_crypto::random::Random::system().bytes();
        let secret = format!("whsec_{}", STANDARD.encode(secret));
        let config = home.path().join("config");
        std::fs::create_dir_all(&config)?;
        std::fs::write(config.join("provider.secret"), &secret)?;
        let text = configuration(&authority, receiver);
        std::fs::write(config.join("countersign.toml"), text)?;
        Ok(Self {
            program: program.to_owned(),
            home,
            store: match database {
                Database::Embedded => None,
                Database::Postgres(url) => Some(url.clone()),
            },
            secret,
            receiver,
        })
    }

    /// Another receiver with the same certificate.
    pub(super) async fn also(&self, receiver: impl Receive) -> Result<SocketAddr, Failed> {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        tls_receiver::start(listen, self.home.path(), receiver).await
    }

    pub(super) fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// The PostgreSQL that the store is in, if it is in one.
    pub(super) fn store(&self) -> Option<&str> {
        self.store.as_deref()
    }

    pub(super) async fn start(&self) -> Result<Server, Failed> {
        let mut extra = vec!["--ephemeral"];
        if let Some(url) = &self.store {
            extra.extend(["--store", url]);
        }
        let config = self.home.path().join("config");
        Server::start(&self.program, &self.data(), Some(&config), &extra).await
    }

    pub(super) async fn admin(&self, server: &Server) -> Result<Admin, Failed> {
        let control = Destination::new(&server.addresses.control, &server.roots()?)?;
        Admin::connect(&control, &self.data()).await
    }

    /// The event types, and `count` endpoints, of which each wants one type; `url` says where one leads.
    pub(super) async fn endpoints(
        &self,
        server: &Server,
        count: usize,
        url: impl Fn(usize) -> String + Clone + Send + 'static,
    ) -> Result<(), Failed> {
        let mut admin = self.admin(server).await?;
        for number in 0..TYPES {
            let kind =
                json!({ "name": event_type(number), "description": "a message of the benchmark" });
            admin
                .must(&Method::POST, "webhooks/event-types", &kind)
                .await?;
        }
        let mut makers = Vec::new();
        for first in 0..AT_ONCE.min(count) {
            let (mut admin, url) = (self.admin(server).await?, url.clone());
            makers.push(tokio::spawn(async move {
                for number in (first..count).step_by(AT_ONCE) {
                    let endpoint = json!({ "partner": partner(number), "url": url(number), "events": [event_type(number % TYPES)] });
                    admin
                        .must(&Method::POST, "webhooks/endpoints", &endpoint)
                        .await?;
                }
                Ok::<_, Failed>(())
            }));
        }
        for maker in makers {
            maker.await??;
        }
        Ok(())
    }
}

/// The name of an event type.
pub(super) fn event_type(number: usize) -> String {
    format!("bench.kind{number}")
}

/// Whose an endpoint is: each has a partner of its own.
pub(super) fn partner(number: usize) -> String {
    format!("partner{number}")
}

/// A path of the receiver.
pub(super) fn url(receiver: SocketAddr, number: usize) -> String {
    format!("https://localhost:{}/{number}", receiver.port())
}

/// CPU time that a server spent between two moments.
pub(super) struct Spent {
    before: Duration,
    pid: u32,
}

impl Spent {
    pub(super) fn by(server: &Server) -> Result<Self, Failed> {
        let pid = server.pid()?;
        Ok(Self {
            before: cpu::time_of(pid)?,
            pid,
        })
    }

    pub(super) fn since(&self) -> Result<Duration, Failed> {
        Ok(cpu::time_of(self.pid)?.saturating_sub(self.before))
    }
}

fn configuration(authority: &Path, receiver: SocketAddr) -> String {
    let (authority, port) = (authority.display(), receiver.port());
    format!(
        r#"
[egress]
ca = "{authority}"
allow = ["localhost"]

[[upstreams]]
name = "service"
url = "https://localhost:{port}"
ca = "{authority}"

[[webhook_sources]]
name = "provider"
scheme = "standard-webhooks"
secrets = [{{ file = "provider.secret" }}]
deliver = {{ upstream = "service", path = "/service" }}

[[limits]]
name = "all"
requests = 1000000
per = "1s"
by = ["route"]

[[routes]]
name = "in"
path = "/in"
webhook = "provider"
limits = ["all"]
"#
    )
}
