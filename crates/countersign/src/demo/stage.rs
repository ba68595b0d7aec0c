//! Sets the stage: the exercise's configuration with fresh keys and passwords, everything started on free ports of loopback.

use super::dpop::{AssertionKey, ProofKey};
use super::http::{Client, Failure};
use super::portal::{Endpoints, Portal};
use super::services::{self, Sockets};
use crate::config::listeners::Listeners;
use crate::config::{self, Config};
use crate::run::{self, Options, RunError, Running, system_clock};
use countersign_audit::Code;
use countersign_base::{Clock, Duration, Issuer, UnixMillis};
use countersign_control::fabric::Progress;
use countersign_crypto::Random;
use countersign_crypto::password::Cost;
use countersign_net::{Drain, DrainTrigger, TlsIdentity};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use url::Url;

/// The exercise's files, as they stand in the repository.
const FILES: [(&str, &str); 4] = [
    (
        "countersign.toml",
        include_str!("../../../../examples/exercise/countersign.toml"),
    ),
    (
        "policies/orders.cedar",
        include_str!("../../../../examples/exercise/policies/orders.cedar"),
    ),
    (
        "schemas/orders.cedarschema",
        include_str!("../../../../examples/exercise/schemas/orders.cedarschema"),
    ),
    (
        "schemas/api.openapi.json",
        include_str!("../../../../examples/exercise/schemas/api.openapi.json"),
    ),
];
const PEOPLE: [&str; 3] = ["alice", "bob", "carol"];
const SECRETS: [&str; 3] = ["analytics", "billing", "gateway"];

/// Why the stage does not stand.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StageError {
    /// The exercise's own client or services.
    #[error("the exercise cannot be set up: {0}")]
    Client(String),
    /// A file.
    #[error("`{}` cannot be written: {cause}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
    /// The data directory is in use.
    #[error("`{}` is not empty: the exercise begins with an empty data directory", .0.display())]
    NotEmpty(PathBuf),
    /// The process.
    #[error(transparent)]
    Run(#[from] RunError),
}

impl From<Failure> for StageError {
    fn from(failure: Failure) -> Self {
        Self::Client(failure.to_string())
    }
}

/// Everything that the checks play with.
pub(crate) struct Stage {
    pub(super) running: Running,
    pub(super) client: Client,
    pub(super) endpoints: Endpoints,
    pub(super) assertions: AssertionKey,
    pub(super) random: Random,
    pub(super) clock: Clock,
    pub(super) gateway: Url,
    pub(super) billing: Url,
    turned: Arc<AtomicI64>,
    passwords: BTreeMap<&'static str, String>,
    secrets: BTreeMap<&'static str, String>,
    services: DrainTrigger,
    directory: tempfile::TempDir,
}

impl Stage {
    /// Writes the configuration, binds the services, starts the fabric, starts the services.
    pub(crate) async fn set(
        data: Option<&Path>,
        progress: Box<dyn Fn(Progress) + Send + Sync>,
    ) -> Result<Self, StageError> {
        let directory = tempfile::tempdir().map_err(|cause| StageError::File {
            path: std::env::temp_dir(),
            cause,
        })?;
        let data = match data {
            Some(data) if fs::read_dir(data).is_ok_and(|mut entries| entries.next().is_some()) => {
                return Err(StageError::NotEmpty(data.to_owned()));
            }
            Some(data) => data.to_owned(),
            None => directory.path().join("countersign-data"),
        };
        let turned = Arc::new(AtomicI64::new(0));
        let (random, clock) = (Random::system(), turnable(&turned));
        let assertions = AssertionKey::generate(&random, &clock)?;
        let dir = directory.path().join("exercise");
        let (passwords, secrets) = write_configuration(&dir, &assertions, &random)?;
        let sockets = Sockets::bind()?;
        let config = configuration(&dir, &sockets)?;
        let options = Options {
            config,
            data,
            unsealed: None,
            store: None,
            password_cost: Cost::owasp(),
            clock: clock.clone(),
            random: random.clone(),
            progress,
        };
        let running = run::run(options).await?;
        let (services, drain) = Drain::new();
        let base = running.issuer_base();
        let issuer: Issuer = format!("{base}/t/demo")
            .parse()
            .map_err(|_| StageError::Client("no issuer".to_owned()))?;
        let billing = sockets.billing()?;
        sockets.start(running.fabric(), &issuer, &drain)?;
        let client = Client::new(running.fabric().authority().certificate_pem(), None)?;
        let metadata = services::metadata_address(&issuer)
            .ok_or_else(|| StageError::Client("no metadata".to_owned()))?;
        let endpoints = Endpoints::discover(&client, &metadata).await?;
        let gateway = Url::parse(&format!(
            "https://localhost:{}",
            running.bound().gateway.port()
        ));
        let gateway = gateway.map_err(|_| StageError::Client("no gateway".to_owned()))?;
        Ok(Self {
            running,
            client,
            endpoints,
            assertions,
            random,
            clock,
            gateway,
            billing,
            turned,
            passwords,
            secrets,
            services,
            directory,
        })
    }

    /// The running process, for the table of its addresses.
    pub(crate) const fn running(&self) -> &Running {
        &self.running
    }

    /// Where this run's passwords stand, for whoever wants to sign in by hand.
    pub(crate) fn passwords_directory(&self) -> PathBuf {
        self.directory.path().join("exercise").join("secrets")
    }

    /// Ends everything in order.
    pub(crate) async fn strike(self) {
        self.running.stop(Code::of("exercise_over")).await;
        self.services.drain(Duration::from_secs(2)).await;
    }

    pub(super) fn password(&self, person: &str) -> &str {
        self.passwords.get(person).map_or("", String::as_str)
    }

    pub(super) fn secret(&self, client: &str) -> &str {
        self.secrets.get(client).map_or("", String::as_str)
    }

    pub(super) const fn portal<'a>(&'a self, proofs: &'a ProofKey) -> Portal<'a> {
        Portal {
            client: &self.client,
            endpoints: &self.endpoints,
            assertions: &self.assertions,
            proofs,
            random: &self.random,
        }
    }

    pub(super) fn proof_key(&self) -> Result<ProofKey, Failure> {
        ProofKey::generate(&self.random, &self.clock)
    }

    /// A client with a certificate of the local authority, as a service or a partner would have one. TLS reads the machine's clock, which nobody turns.
    pub(super) fn certified(&self, uri: &str) -> Result<Client, Failure> {
        let fabric = self.running.fabric();
        let issued =
            fabric
                .authority()
                .client(uri, Duration::from_secs(3_600), system_clock().now());
        let issued = issued.map_err(|error| Failure::new(error.to_string()))?;
        let identity =
            TlsIdentity::from_issued(&issued).map_err(|error| Failure::new(error.to_string()))?;
        Client::new(fabric.authority().certificate_pem(), Some(&identity))
    }

    /// Turns the clock of servers and client ahead, so that something expires without anybody waiting.
    pub(super) async fn turn_clock(&self, ahead: Duration) -> Result<(), Failure> {
        self.turned.fetch_add(
            i64::try_from(ahead.as_millis()).unwrap_or(i64::MAX),
            Ordering::SeqCst,
        );
        let fabric = self.running.fabric();
        // The job that reads revocations has not run in the time that was skipped; without it everything is refused as stale.
        fabric
            .revocations()
            .refresh(fabric.store(), fabric.now())
            .await
            .map(|_clients| ())
            .map_err(|error| Failure::new(error.to_string()))
    }
}

fn turnable(turned: &Arc<AtomicI64>) -> Clock {
    let (clock, turned) = (system_clock(), Arc::clone(turned));
    Clock::from_fn(move || {
        UnixMillis(
            clock
                .millis()
                .0
                .saturating_add(turned.load(Ordering::SeqCst)),
        )
    })
}

type Made = BTreeMap<&'static str, String>;

fn write_configuration(
    dir: &Path,
    assertions: &AssertionKey,
    random: &Random,
) -> Result<(Made, Made), StageError> {
    for (name, text) in FILES {
        write(&dir.join(name), text)?;
    }
    write(
        &dir.join("clients/portal.jwks.json"),
        &assertions.jwks().to_string(),
    )?;
    let made = |names: [&'static str; 3], suffix: &str| {
        let mut made = Made::new();
        for name in names {
            let secret = random.token().expose().clone();
            write(&dir.join(format!("secrets/{name}.{suffix}")), &secret)?;
            made.insert(name, secret);
        }
        Ok::<_, StageError>(made)
    };
    Ok((made(PEOPLE, "password")?, made(SECRETS, "secret")?))
}

fn write(path: &Path, text: &str) -> Result<(), StageError> {
    let failed = |cause| StageError::File {
        path: path.to_owned(),
        cause,
    };
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    fs::write(path, text).map_err(failed)
}

/// The exercise's configuration with the ports of this run.
fn configuration(dir: &Path, sockets: &Sockets) -> Result<Config, StageError> {
    let mut config = config::load(dir).map_err(RunError::Config)?;
    config.listeners = Listeners::ephemeral();
    let (orders, billing) = (sockets.orders()?, sockets.billing()?);
    for upstream in &mut config.upstreams {
        upstream.url = if upstream.name.as_str() == "orders" {
            orders.clone()
        } else {
            billing.clone()
        };
    }
    Ok(config)
}
