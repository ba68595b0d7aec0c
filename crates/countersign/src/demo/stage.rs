//! Sets the stage: the exercise's configuration with fresh keys and passwords, everything started on free ports of loopback.

use super::billing::{Billing, Connections};
use super::database::Database;
use super::dpop::{AssertionKey, ProofKey};
use super::http::{Client, Failure};
use super::ledger::Ledger;
use super::portal::{Endpoints, Portal};
use super::services::{self, Sockets};
use super::vault::VaultCaller;
use crate::config::listeners::Listeners;
use crate::config::{self, Config};
use crate::run::{self, Options, RunError, Running, system_clock};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_audit::Code;
use countersign_base::{Clock, Duration, Issuer, UnixMillis};
use countersign_control::Fabric;
use countersign_control::fabric::Progress;
use countersign_crypto::Random;
use countersign_crypto::password::Cost;
use countersign_net::{ClientCertificates, Drain, DrainTrigger, TlsIdentity};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use url::Url;

/// The exercise's files, as they stand in the repository.
const FILES: [(&str, &str); 7] = [
    (
        "countersign.toml",
        include_str!("../../../../examples/exercise/countersign.toml"),
    ),
    (
        "policies/orders.cedar",
        include_str!("../../../../examples/exercise/policies/orders.cedar"),
    ),
    (
        "policies/billing.cedar",
        include_str!("../../../../examples/exercise/policies/billing.cedar"),
    ),
    (
        "policies/vault.cedar",
        include_str!("../../../../examples/exercise/policies/vault.cedar"),
    ),
    (
        "schemas/billing.cedarschema",
        include_str!("../../../../examples/exercise/schemas/billing.cedarschema"),
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
const SECRETS: [&str; 4] = ["analytics", "billing", "gateway", "platform"];

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
    /// Billing's other node.
    pub(super) billing_other: Url,
    /// Where billing's rows lie.
    pub(super) ledger: Arc<Ledger>,
    /// Billing's connections to it.
    pub(super) connections: Arc<Connections>,
    /// Billing, as the vault knows it.
    pub(super) billing_at_vault: Arc<VaultCaller>,
    /// The platform team's machine, as the vault knows it.
    pub(super) platform: VaultCaller,
    turned: Arc<AtomicI64>,
    passwords: BTreeMap<&'static str, String>,
    secrets: BTreeMap<&'static str, String>,
    services: DrainTrigger,
    directory: tempfile::TempDir,
}

impl Stage {
    /// Writes the configuration, binds the services, starts the fabric, starts billing's database (unless there is one: `postgres`, by a superuser's URL) and the services.
    pub(crate) async fn set(
        data: Option<&Path>,
        postgres: Option<&Url>,
        progress: Box<dyn Fn(Progress) + Send + Sync>,
    ) -> Result<Self, StageError> {
        let directory = tempfile::tempdir().map_err(|cause| StageError::File {
            path: std::env::temp_dir(),
            cause,
        })?;
        let data = data_directory(data, directory.path())?;
        let turned = Arc::default();
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
        let fabric = Arc::clone(running.fabric());
        let issuer: Issuer = format!("{}/t/demo", running.issuer_base())
            .parse()
            .map_err(|_| StageError::Client("no issuer".to_owned()))?;
        let client = Client::new(fabric.authority().certificate_pem(), None)?;
        let metadata = services::metadata_address(&issuer)
            .ok_or_else(|| StageError::Client("no metadata".to_owned()))?;
        let endpoints = Endpoints::discover(&client, &metadata).await?;
        let caller = |name| at_vault(name, &running, &endpoints, &secrets);
        let (billing_at_vault, platform) = (Arc::new(caller("billing")?), caller("platform")?);
        let ledger = Arc::new(match postgres {
            Some(url) => Ledger::postgres(url, &random)?,
            None => own_ledger(&fabric, directory.path(), &random, &drain)?,
        });
        let connections = Arc::new(Connections::new(&ledger, &billing_at_vault));
        let node = || {
            let (connections, vault) = (Arc::clone(&connections), Arc::clone(&billing_at_vault));
            Billing::new(connections, vault, &clock, &random).map(Arc::new)
        };
        let nodes = [node()?, node()?];
        let (billing, billing_other) = (sockets.billing()?, sockets.billing_other()?);
        sockets.start(&fabric, &issuer, nodes, &drain)?;
        let gateway = local(running.bound().gateway.port())?;
        Ok(Self {
            running,
            client,
            endpoints,
            assertions,
            random,
            clock,
            gateway,
            billing,
            billing_other,
            ledger,
            connections,
            billing_at_vault,
            platform,
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

    /// Where the exercise's own database has its files.
    #[cfg(test)]
    pub(super) fn database_directory(&self) -> PathBuf {
        self.directory.path().join("database")
    }

    /// Ends everything in order.
    pub(crate) async fn strike(self) {
        // In a server that is not ours, a role and a schema would stay; who runs it sees them.
        let _left = self.ledger.remove().await;
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

    /// A client with a certificate of the local authority, as a service or a partner would have one.
    pub(super) fn certified(&self, uri: &str) -> Result<Client, Failure> {
        certified(&self.running, uri)
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

/// Where the data go, if nothing is there yet.
fn data_directory(named: Option<&Path>, own: &Path) -> Result<PathBuf, StageError> {
    match named {
        Some(data) if fs::read_dir(data).is_ok_and(|mut entries| entries.next().is_some()) => {
            Err(StageError::NotEmpty(data.to_owned()))
        }
        Some(data) => Ok(data.to_owned()),
        None => Ok(own.join("countersign-data")),
    }
}

/// Starts the exercise's own database.
fn own_ledger(
    fabric: &Fabric,
    directory: &Path,
    random: &Random,
    drain: &Drain,
) -> Result<Ledger, Failure> {
    let tls = services::server_tls(fabric, ClientCertificates::None)?;
    let server = Database::start(&directory.join("database"), tls, random, drain)?;
    Ok(Ledger::own(server, fabric.authority().certificate_pem()))
}

/// TLS reads the machine's clock, which nobody turns.
fn certified(running: &Running, uri: &str) -> Result<Client, Failure> {
    let authority = running.fabric().authority();
    let issued = authority.client(uri, Duration::from_secs(3_600), system_clock().now());
    let issued = issued.map_err(|error| Failure::new(error.to_string()))?;
    let identity =
        TlsIdentity::from_issued(&issued).map_err(|error| Failure::new(error.to_string()))?;
    Client::new(authority.certificate_pem(), Some(&identity))
}

fn local(port: u16) -> Result<Url, Failure> {
    Url::parse(&format!("https://localhost:{port}")).map_err(|_| Failure::new("a local address"))
}

/// A machine with its certificate, as the vault knows it.
fn at_vault(
    name: &'static str,
    running: &Running,
    endpoints: &Endpoints,
    secrets: &Made,
) -> Result<VaultCaller, Failure> {
    let client = certified(running, &format!("urn:countersign:exercise:{name}"))?;
    let tokens = endpoints
        .mtls_token
        .clone()
        .ok_or_else(|| Failure::new("the metadata has no alias for certificates"))?;
    let control = local(running.bound().control.port())?;
    let secret = secrets.get(name).map_or("", String::as_str);
    let clock = running.fabric().clock().clone();
    Ok(VaultCaller::new(
        client,
        tokens,
        control,
        (name, secret),
        clock,
    ))
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
    let made = |names: &[&'static str], suffix: &str| {
        let mut made = Made::new();
        for name in names.iter().copied() {
            let secret = random.token().expose().clone();
            write(&dir.join(format!("secrets/{name}.{suffix}")), &secret)?;
            made.insert(name, secret);
        }
        Ok::<_, StageError>(made)
    };
    let (people, mut secrets) = (made(&PEOPLE, "password")?, made(&SECRETS, "secret")?);
    let provider = format!("whsec_{}", STANDARD.encode(random.bytes::<32>()));
    write(&dir.join("secrets/billing-provider.secret"), &provider)?;
    secrets.insert("billing-provider", provider);
    Ok((people, secrets))
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
