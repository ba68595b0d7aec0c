//! From a configuration to what the fabric is started with: its database, its root key, its log's name, and how its keys change.
//!
//! Not here: what is declared ([`super::declared`]), and everything that needs the started fabric.

use super::{Options, RunError, declared, egress, identity_providers, traces};
use crate::config::error::ConfigError;
use crate::config::{Config, FILE};
use countersign_audit::Origin;
use countersign_base::Duration;
use countersign_control::{FabricOptions, HierarchyOptions, KeyRingOptions, RootSource};
use countersign_crypto::digest::sha256;
use countersign_crypto::password::Cost;
use countersign_keys::RotationPolicy;
use countersign_policy::PolicySet;
use countersign_store::{StoreOptions, StoreUrl};

/// The longest an access token may live, with the leeway of whoever verifies it: for as long a key stays published after it signed last.
const TOKEN_LIFETIME_MAX: Duration = Duration::from_secs(3600 + 30);

/// What the fabric is started with.
///
/// # Errors
/// What of the configuration cannot be used.
pub(super) fn fabric_options(
    options: Options,
    base: &str,
    policies: PolicySet,
) -> Result<FabricOptions, RunError> {
    let url = store_url(&options)?;
    let Options {
        config,
        data,
        password_cost,
        clock,
        random,
        progress,
        unsealed,
        store: _,
    } = options;
    let config = &config;
    let refused = |error: ConfigError| RunError::Config(vec![error]);
    let whole = |message: String| refused(ConfigError::in_file(&config.dir.join(FILE), message));
    let root = match (unsealed, &config.keys.passphrase) {
        (Some(opened), _) => RootSource::Unsealed(opened.root),
        (None, Some(reference)) => {
            RootSource::Passphrase(reference.read(&config.dir).map_err(whole)?)
        }
        (None, None) => RootSource::File,
    };
    Ok(FabricOptions {
        store: StoreOptions::new(url),
        root,
        origin: log_origin(config).map_err(refused)?,
        keys: KeyRingOptions {
            policy: rotation(config).map_err(refused)?,
            algorithms: config.keys.algorithms.clone(),
        },
        hierarchy: HierarchyOptions {
            destroy_after: config.keys.destroy_after,
            data_key_every: config.keys.data_key_every,
            ..HierarchyOptions::default()
        },
        policies,
        passphrase_cost: Cost::passphrase(),
        password_cost,
        password_threads: 2,
        declared: declared::declared(config, base, clock.now()).map_err(RunError::Config)?,
        configuration: configuration_digest(config),
        details_for: config
            .audit
            .details_for
            .map_or(Duration::from_secs(30 * 86_400), |span| span.0),
        // They need the authority that only the started fabric has; [`run`] fills them in before anything listens.
        foreign: Vec::new(),
        upstreams: identity_providers::upstreams(config).map_err(RunError::Config)?,
        outside: egress::client(config).map_err(refused)?,
        traces: traces::options(config).map_err(refused)?,
        nonces: countersign_authn::dpop::NonceUse::AfterStart,
        data,
        clock,
        random,
        progress,
    })
}

/// The database: as asked, else as configured, else a file in the data directory.
///
/// # Errors
/// When its address cannot be read.
pub(super) fn store_url(options: &Options) -> Result<StoreUrl, RunError> {
    let config = &options.config;
    match (&options.store, &config.store.postgres) {
        (Some(url), _) => Ok(url.clone()),
        (None, Some(reference)) => {
            let whole = |message: String| ConfigError::in_file(&config.dir.join(FILE), message);
            let secret = reference
                .read(&config.dir)
                .map_err(|message| RunError::Config(vec![whole(message)]))?;
            Ok(StoreUrl::Postgres(secret.expose().clone()))
        }
        (None, None) => Ok(StoreUrl::Sqlite(options.data.join("state.db"))),
    }
}

/// The name of the audit log.
///
/// # Errors
/// When it is none.
pub(super) fn log_origin(config: &Config) -> Result<Origin, ConfigError> {
    let message =
        "`audit.origin` is not the name of a log: expected something like `example.com/log`";
    let refused = |_| ConfigError::in_file(&config.dir.join(FILE), message);
    config.audit.origin().parse().map_err(refused)
}

/// How signing keys follow each other.
///
/// # Errors
/// When the spans do not fit together.
pub(super) fn rotation(config: &Config) -> Result<RotationPolicy, ConfigError> {
    let keys = &config.keys;
    RotationPolicy::new(
        keys.publish_ahead,
        keys.rotate_every,
        keys.retire_after,
        TOKEN_LIFETIME_MAX,
    )
    .map_err(|error| ConfigError::in_file(&config.dir.join(FILE), error.to_string()))
}

/// A digest by which records tell one configuration from another.
pub(super) fn configuration_digest(config: &Config) -> [u8; 32] {
    sha256(format!("{config:?}").as_bytes())
}
