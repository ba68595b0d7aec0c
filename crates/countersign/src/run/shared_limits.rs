//! The counts that several processes share, made of `[shared_limits]`, on the control runtime; and the idempotency keys that outlive this one, there or in the database.

use super::RunError;
use crate::config::error::ConfigError;
use crate::config::gateway::KeysIn;
use crate::config::shared_limits::{Server, SharedLimitsSection};
use crate::config::{Config, FILE};
use countersign_base::Secret;
use countersign_control::Fabric;
use countersign_crypto::digest::sha256;
use countersign_store::idempotency::{DurableKeys, KeyRegistry};
use countersign_store::redis::{Presence, RedisAddress, RedisOptions, SharedCounters, SharedKeys};
use std::sync::Arc;
use std::time::Duration;

/// Bytes of the secret under which names are hashed.
const NAMES_BYTES_MIN: usize = 32;
/// How long a request with an idempotency key waits at least: its answer may be large, and without one nothing is passed on.
const KEYS_TIMEOUT_MIN: Duration = Duration::from_millis(500);

/// What a gateway has in common with others, or with itself after a restart.
pub struct Shared {
    /// Counts; absent without `[shared_limits]`.
    pub(super) counters: Option<SharedCounters>,
    /// Idempotency keys; absent where they are kept in memory.
    pub(super) keys: Option<KeyRegistry>,
}

/// Begins to connect; the server need not be there.
///
/// # Errors
/// When a secret or the certificate authorities cannot be read.
pub(super) fn shared(config: &Config, fabric: &Fabric) -> Result<Shared, RunError> {
    let failed = |error| RunError::Config(vec![error]);
    let section = config.shared_limits.as_ref();
    let counters = section
        .map(|section| counters(config, section, fabric))
        .transpose()
        .map_err(failed)?;
    let keys = match (keys_in(config, fabric), section) {
        (KeysIn::Memory, _) => None,
        (KeysIn::Redis, Some(section)) => {
            let keys = redis_keys(config, section, fabric).map_err(failed)?;
            Some(KeyRegistry::Redis(keys))
        }
        (KeysIn::Redis, None) | (KeysIn::Store, _) => Some(KeyRegistry::Store(durable(fabric))),
    };
    Ok(Shared { counters, keys })
}

/// Where keys are kept: a SQLite file is of one process, so that several which share counts share their keys over Redis, too.
fn keys_in(config: &Config, fabric: &Fabric) -> KeysIn {
    config.gateway.idempotency_keys.unwrap_or_else(|| {
        if config.shared_limits.is_some() && !fabric.store().is_shared() {
            KeysIn::Redis
        } else {
            KeysIn::Store
        }
    })
}

fn durable(fabric: &Fabric) -> DurableKeys {
    let secrets = Arc::clone(fabric.secrets());
    let names = secrets.mac_key("idempotency-keys");
    DurableKeys::new(
        fabric.store().clone(),
        Arc::new(move || secrets.keks()),
        names,
        fabric.random().clone(),
        fabric.clock().clone(),
    )
}

fn counters(
    config: &Config,
    section: &SharedLimitsSection,
    fabric: &Fabric,
) -> Result<SharedCounters, ConfigError> {
    let there = fabric.metrics().shared_limits_there.clone();
    let told = Box::new(move |presence| {
        there.set(match presence {
            Presence::Away => 0,
            Presence::There => 1,
        });
    });
    let counts = options(config, section, section.timeout, told)?;
    Ok(SharedCounters::start(counts, fabric.random().clone()))
}

fn redis_keys(
    config: &Config,
    section: &SharedLimitsSection,
    fabric: &Fabric,
) -> Result<SharedKeys, ConfigError> {
    let timeout = section.timeout.max(KEYS_TIMEOUT_MIN);
    let keys = options(config, section, timeout, Box::new(|_presence| {}))?;
    Ok(SharedKeys::start(keys, fabric.random().clone()))
}

fn options(
    config: &Config,
    section: &SharedLimitsSection,
    timeout: Duration,
    told: Box<dyn Fn(Presence) + Send + Sync>,
) -> Result<RedisOptions, ConfigError> {
    Ok(RedisOptions {
        address: address(config, section)?,
        user: section.user.clone(),
        password: section.password.clone().map(|reference| {
            let dir = config.dir.clone();
            Arc::new(move || reference.read(&dir)) as countersign_store::redis::PasswordSource
        }),
        database: section.database,
        timeout,
        names: names(config, section)?,
        told,
    })
}

/// What [`shared`] would refuse, without connecting.
///
/// # Errors
/// As [`shared`].
pub(super) fn check(config: &Config) -> Result<(), ConfigError> {
    let Some(section) = &config.shared_limits else {
        return Ok(());
    };
    address(config, section)?;
    names(config, section)?;
    match &section.password {
        Some(password) => password
            .read(&config.dir)
            .map(drop)
            .map_err(|message| whole(config, message)),
        None => Ok(()),
    }
}

fn address(config: &Config, section: &SharedLimitsSection) -> Result<RedisAddress, ConfigError> {
    let roots = match &section.ca {
        None => None,
        Some(path) => {
            let path = config.dir.join(path);
            let pem = std::fs::read(&path).map_err(|error| {
                ConfigError::in_file(&path, format!("cannot be read: {}", error.kind()))
            })?;
            Some(pem)
        }
    };
    Ok(match &section.server {
        Server::Tcp(host, port) => RedisAddress::Tcp(host.clone(), *port),
        Server::Tls(host, port) => RedisAddress::Tls(host.clone(), *port, roots),
        Server::Unix(path) => RedisAddress::Unix(path.clone()),
    })
}

fn names(config: &Config, section: &SharedLimitsSection) -> Result<Secret<[u8; 32]>, ConfigError> {
    let secret = section.names.read(&config.dir);
    let secret = secret.map_err(|message| whole(config, message))?;
    if secret.expose().len() < NAMES_BYTES_MIN {
        let message = format!("{} has less than {NAMES_BYTES_MIN} bytes", section.names);
        return Err(whole(config, message));
    }
    Ok(Secret::new(sha256(secret.expose().as_bytes())))
}

fn whole(config: &Config, message: String) -> ConfigError {
    let message = format!("`[shared_limits]`: {message}");
    ConfigError::in_file(&config.dir.join(FILE), message)
}
