//! The whole fabric in one process: sockets first, so that issuers can name their port; then the fabric; then the surfaces; then ready.
//!
//! Not here: what a command line prints, and what a signal does; see [`crate::verb`].

mod browser_sessions;
mod bundle;
mod certificates;
mod declared;
mod dispatching;
mod egress;
mod egress_door;
mod egress_node;
mod error;
mod foreign;
mod identity_providers;
mod judging;
mod messages;
mod opening;
mod planes;
mod routes;
mod seal_source;
mod sealed;
mod sealed_door;
mod shared_limits;
mod sockets;
mod starting;
mod telemetry;
mod threats;
mod traces;
mod webhooks;

pub use declared::{PolicyTexts, policy_texts};
pub(crate) use egress::roots as believed_authorities;
pub use egress_node::{EgressNode, serve_egress};
pub use error::RunError;
pub use judging::check;
pub use opening::OpenedRoot;
pub use planes::LocalPlanes;
pub use sealed::{SealedProcess, SealedStart, Unsealed, sealed};
pub use sockets::Bound;
pub(crate) use threats::firewalls;

use crate::config::Config;
use arc_swap::ArcSwap;
use axum::Router;
use certificates::Certificates;
use countersign_api::identity::{self, Door, IdentityOptions};
use countersign_api::{access, admin, vault as vault_api};
use countersign_audit::Code;
use countersign_base::{Clock, Duration, Secret, UnixMillis};
use countersign_channels::webhook::dispatcher::Dispatcher;
use countersign_control::Fabric;
use countersign_control::administrator::{LIFETIME, LocalAdministrator};
use countersign_control::fabric::{Progress, StartError};
use countersign_control::policy_time::PolicyTime;
use countersign_control::vault::{Vault, VaultSeal};
use countersign_crypto::Random;
use countersign_crypto::password::Cost;
use countersign_gateway::{Gateway, GatewayOptions, RunningGateway};
use countersign_net::{
    Drain, DrainTrigger, Limits, Listener, ServerTls, Transport, TrustRoots, from_tower, serve,
};
use countersign_store::tables::settings::{self, Setting};
use countersign_store::{Store, StoreOptions, StoreUrl};
use declared::Chosen;
use egress_door::EgressDoor;
use opening::{open_vault, vault_seal};
use sockets::Sockets;
use starting::{configuration_digest, fabric_options, store_url};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// How long requests under way may take once the process was told to end.
pub const DRAIN_DEADLINE: Duration = Duration::from_secs(20);

/// What a process is started with.
pub struct Options {
    /// The checked configuration.
    pub config: Config,
    /// The data directory.
    pub data: PathBuf,
    /// The root key and the seal that it came from, where operators hold shares.
    pub unsealed: Option<OpenedRoot>,
    /// The database, if not the configuration's.
    pub store: Option<StoreUrl>,
    /// What passwords cost to hash.
    pub password_cost: Cost,
    /// The time.
    pub clock: Clock,
    /// Randomness.
    pub random: Random,
    /// Who hears of progress.
    pub progress: Box<dyn Fn(Progress) + Send + Sync>,
}

/// A running process.
pub struct Running {
    bound: Bound,
    fabric: Arc<Fabric>,
    gateway: Arc<Gateway<LocalPlanes>>,
    running_gateway: RunningGateway,
    egress: Option<EgressDoor>,
    dispatcher: Dispatcher,
    drain: DrainTrigger,
    _administrator: Arc<LocalAdministrator>,
    vault: Arc<Vault>,
    vault_token: Option<Secret<String>>,
    policy_time: Arc<PolicyTime>,
    tls: Certificates,
    base: String,
    /// The configuration that runs: what certificates and routes are made anew from.
    config: ArcSwap<Config>,
}

/// Starts everything; when this returns, every listener answers.
///
/// # Errors
/// When a part does not start. What it made durable is taken up by the next start.
pub async fn run(options: Options) -> Result<Running, RunError> {
    let sockets = Sockets::bind(&options.config)?;
    let bound = sockets.bound();
    let config = options.config.clone();
    let base = issuer_base(&options, bound.identity).await?;
    let seal = vault_seal(&options);
    let Chosen { policies, term } = bundle::choose(&config, options.clock.now(), &options.data)?;
    let fabric = Fabric::start(fabric_options(options, &base, policies)?).await?;
    bundle::remember_version(&config, term.as_ref(), fabric.data())?;
    let policy_time = PolicyTime::start(&fabric, term);
    remember_issuer(&fabric, &base).await?;
    let roots = TrustRoots::from_pem(fabric.authority().certificate_pem().as_bytes())?;
    let origins = foreign::origins(&config, &roots).map_err(RunError::Config)?;
    fabric.foreign_keys().replace(origins);
    let tls = Certificates::new(&fabric, &config.listeners.names)?;
    let control = url::Url::parse(&local(bound.control)).map_err(|_| RunError::Address)?;
    let vault = open_vault(&fabric, seal).await?;
    let vault_token = vault.local_token(LIFETIME).await?;
    let administrator = administrator(&fabric, &vault, control.clone(), vault_token.as_ref())?;

    webhooks::put_services(&config, &fabric).await?;
    let gateway = gateway(&config, &fabric, &base, &local(bound.gateway), &roots)?;
    let limits = config.listeners.limits();
    let options = GatewayOptions {
        tls: tls.gateway.clone(),
        limits: limits.clone(),
    };
    let running_gateway = Arc::clone(&gateway)
        .start(sockets.gateway, options)
        .map_err(RunError::Threads)?;
    let egress = EgressDoor::start(&config, &fabric, &base, sockets.egress, &bound)?;
    let dispatcher = dispatching::start(&config, &fabric, &bound).await?;
    let (trigger, drain) = Drain::new();
    let door = |door| {
        let mtls_origin = Some(local(bound.identity_mtls));
        identity::router(Arc::clone(&fabric), IdentityOptions { door, mtls_origin })
    };
    let admin = control_surfaces(&fabric, &administrator, &vault, &control);
    let encrypted = |tls: &ServerTls| Transport::Tls(tls.clone());
    let metrics = telemetry::router(Arc::clone(&fabric));
    let (browser, machines) = (door(Door::Browser), door(Door::MutualTls));
    for (listener, transport, router) in [
        (sockets.identity, encrypted(&tls.identity), browser),
        (
            sockets.identity_mtls,
            encrypted(&tls.identity_mtls),
            machines,
        ),
        (sockets.control, encrypted(&tls.control), admin),
        (sockets.telemetry, Transport::Plaintext, metrics),
    ] {
        spawn(listener, transport, router, limits.clone(), &drain);
    }
    tracing::info!(event = "fabric_ready", address = %bound.identity);
    Ok(Running {
        bound,
        fabric,
        gateway,
        running_gateway,
        egress,
        dispatcher,
        drain: trigger,
        _administrator: administrator,
        vault,
        vault_token,
        policy_time,
        tls,
        base,
        config: ArcSwap::from_pointee(config),
    })
}

/// What the control listener serves.
fn control_surfaces(
    fabric: &Arc<Fabric>,
    administrator: &Arc<LocalAdministrator>,
    vault: &Arc<Vault>,
    at: &url::Url,
) -> Router {
    let vault = vault_api::router(Arc::clone(fabric), Arc::clone(vault), at);
    admin::router(Arc::clone(fabric), Arc::clone(administrator))
        .merge(access::router(Arc::clone(fabric), at))
        .merge(countersign_api::webhooks::router(Arc::clone(fabric), at))
        .merge(vault)
}

/// The gateway at this address, before it listens.
fn gateway(
    config: &Config,
    fabric: &Arc<Fabric>,
    base: &str,
    at: &str,
    roots: &TrustRoots,
) -> Result<Arc<Gateway<LocalPlanes>>, RunError> {
    let sessions = browser_sessions::options(config, base, at, roots).map_err(RunError::Config)?;
    fabric.browser_sessions().replace(sessions);
    let built = webhooks::served(config, fabric, base, at, roots)?;
    let planes = LocalPlanes::new(Arc::clone(fabric));
    let planes = planes.sharing(shared_limits::shared(config, fabric)?);
    let gateway = Gateway::new(Arc::new(planes), built);
    gateway.remember_tokens(config.gateway.verified_tokens);
    Ok(gateway)
}

/// What issuers begin with: as configured, else as the store remembers it, else the identity listener's own address.
///
/// A listener that moves leaves its issuer behind, so that tokens stay valid; a listener on any free port takes it along.
async fn issuer_base(options: &Options, identity: SocketAddr) -> Result<String, RunError> {
    let listeners = &options.config.listeners;
    if let Some(base) = &listeners.issuer_base {
        return Ok(base.clone());
    }
    if listeners.identity.port() == 0 {
        return Ok(local(identity));
    }
    let url = store_url(options)?;
    if let StoreUrl::Sqlite(path) = &url
        && !path.exists()
    {
        return Ok(local(identity));
    }
    let store = Store::open(&StoreOptions::new(url), options.clock.now())
        .await
        .map_err(StartError::from)?;
    let remembered = async {
        let mut connection = store.read().await?;
        settings::find(&mut connection, Setting::Issuer).await
    };
    let remembered = remembered.await.map_err(StartError::from)?;
    store.close().await;
    Ok(remembered
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .unwrap_or_else(|| local(identity)))
}

/// Remembers what issuers begin with, for a start whose configuration does not say it.
async fn remember_issuer(fabric: &Fabric, base: &str) -> Result<(), RunError> {
    let base = base.as_bytes().to_vec();
    let put = fabric
        .store()
        .write(move |tx| Box::pin(async move { settings::put(tx, Setting::Issuer, base).await }));
    Ok(put.await.map_err(StartError::from)?)
}

fn local(address: SocketAddr) -> String {
    format!("https://localhost:{}", address.port())
}

/// The local administrator's credential, renewed for as long as the process runs.
fn administrator(
    fabric: &Arc<Fabric>,
    vault: &Arc<Vault>,
    control: url::Url,
    vault_token: Option<&Secret<String>>,
) -> Result<Arc<LocalAdministrator>, RunError> {
    let administrator = LocalAdministrator::issue(
        fabric.data(),
        control,
        fabric.random().clone(),
        vault_token,
        fabric.now(),
    )?;
    let administrator = Arc::new(administrator);
    tokio::spawn(administrator.keep(fabric.clock().clone(), vault));
    Ok(administrator)
}

/// Serves a router on the runtime of this task.
fn spawn(listener: Listener, transport: Transport, router: Router, limits: Limits, drain: &Drain) {
    let make = from_tower(router, &limits);
    let drain = drain.clone();
    tokio::spawn(async move {
        if serve(listener, transport, limits, make, drain)
            .await
            .is_err()
        {
            tracing::error!(event = "listener_failed");
        }
    });
}

/// The machine's own clock.
#[must_use]
pub fn system_clock() -> Clock {
    Clock::from_fn(|| {
        let since_epoch = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        UnixMillis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    })
}

impl Running {
    /// Where the surfaces are.
    #[must_use]
    pub const fn bound(&self) -> &Bound {
        &self.bound
    }

    /// The address of the proxy as workloads configure it, if there is one.
    #[must_use]
    pub fn egress_url(&self) -> Option<String> {
        self.egress.as_ref().map(EgressDoor::url)
    }

    /// What they share.
    #[must_use]
    pub const fn fabric(&self) -> &Arc<Fabric> {
        &self.fabric
    }

    /// Waits until somebody who may closes the seal; for ever, where it opens by itself.
    pub async fn seal_closed(&self) {
        match self.vault.seal() {
            VaultSeal::OpensByItself => std::future::pending().await,
            VaultSeal::Held(seal) => seal.closed().await,
        }
    }

    /// The root token of the default tenant's vault that was made at this start; it lives a day at most. Where operators hold shares there is none.
    #[must_use]
    pub const fn vault_token(&self) -> Option<&Secret<String>> {
        self.vault_token.as_ref()
    }

    /// How long the policies decide.
    #[must_use]
    pub const fn policy_time(&self) -> &Arc<PolicyTime> {
        &self.policy_time
    }

    /// What issuers begin with.
    #[must_use]
    pub fn issuer_base(&self) -> &str {
        &self.base
    }

    /// Applies another configuration: people, clients, policies, routes, certificates. Addresses, store and root key need a new start.
    ///
    /// # Errors
    /// When the new configuration is refused; then all of the old one stays.
    pub async fn reload(&self, config: &Config) -> Result<u64, RunError> {
        // Everything is built before anything is replaced.
        let Chosen { policies, term } =
            bundle::choose(config, self.fabric.now(), self.fabric.data())?;
        let declared =
            declared::declared(config, &self.base, self.fabric.now()).map_err(RunError::Config)?;
        let roots = TrustRoots::from_pem(self.fabric.authority().certificate_pem().as_bytes())?;
        let at = local(self.bound.gateway);
        let routes = webhooks::served(config, &self.fabric, &self.base, &at, &roots)?;
        let sessions =
            browser_sessions::options(config, &self.base, &at, &roots).map_err(RunError::Config)?;
        let upstreams = identity_providers::upstreams(config).map_err(RunError::Config)?;
        let origins = foreign::origins(config, &roots).map_err(RunError::Config)?;
        let ways_out = EgressDoor::rules(self.egress.as_ref(), config, &self.base)?;
        let trust = dispatching::trust(config, &self.fabric)?;
        let services = dispatching::services(config, &self.fabric, &self.bound)?;
        let receivers = dispatching::receivers(config, &self.bound)?;
        bundle::remember_version(config, term.as_ref(), self.fabric.data())?;
        let changes = self
            .fabric
            .apply(declared, configuration_digest(config))
            .await?;
        webhooks::put_services(config, &self.fabric).await?;
        self.fabric.foreign_keys().replace(origins);
        self.policy_time.replace(&self.fabric, policies, term);
        self.fabric.replace_upstreams(upstreams);
        self.fabric.browser_sessions().replace(sessions);
        self.gateway.replace_routes(routes);
        self.gateway.remember_tokens(config.gateway.verified_tokens);
        EgressDoor::replace_rules(self.egress.as_ref(), ways_out);
        self.config.store(Arc::new(config.clone()));
        self.fabric
            .replace_webhook_rules(dispatching::rules(config));
        self.dispatcher.replace_receivers(receivers);
        self.dispatcher.replace_trust(trust);
        self.dispatcher.replace_services(services);
        self.tls.renew(&self.fabric)?;
        Ok(changes)
    }

    /// Makes the certificates of listeners and of the gateway anew; standing connections are not touched. Call it well before they expire.
    ///
    /// # Errors
    /// When one can't be made; the old ones stay.
    pub fn renew_certificates(&self) -> Result<(), RunError> {
        let roots = TrustRoots::from_pem(self.fabric.authority().certificate_pem().as_bytes())?;
        let config = self.config.load();
        let at = local(self.bound.gateway);
        let routes = webhooks::served(&config, &self.fabric, &self.base, &at, &roots)?;
        self.dispatcher
            .replace_trust(dispatching::trust(&config, &self.fabric)?);
        let services = dispatching::services(&config, &self.fabric, &self.bound)?;
        self.dispatcher.replace_services(services);
        self.tls.renew(&self.fabric)?;
        EgressDoor::renew(self.egress.as_ref(), &self.fabric, &self.tls.names)?;
        self.gateway.replace_routes(routes);
        Ok(())
    }

    /// Takes no more connections, lets requests under way finish, writes the last record, and closes everything.
    pub async fn stop(self, reason: Code) {
        let Self {
            fabric,
            gateway,
            running_gateway,
            egress,
            dispatcher,
            drain,
            ..
        } = self;
        let (_data, _out, _control, ()) = tokio::join!(
            running_gateway.stop(DRAIN_DEADLINE),
            EgressDoor::stop(egress, DRAIN_DEADLINE),
            drain.drain(DRAIN_DEADLINE),
            dispatcher.stop(DRAIN_DEADLINE)
        );
        drop(gateway);
        fabric.stop(reason).await;
    }
}

#[cfg(test)]
mod tests;
