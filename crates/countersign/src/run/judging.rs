//! Judging what a configuration's own check cannot see: what its references lead to, and what is made of several sections.

use super::{
    declared, egress, foreign, identity_providers, routes, shared_limits, starting, system_clock,
    traces, webhooks,
};
use crate::config::error::ConfigError;
use crate::config::{Config, FILE};

/// Judges what a configuration's own check cannot see, without starting anything: secrets, key sets, policies, routes.
///
/// # Errors
/// What [`super::run`] would refuse.
pub fn check(config: &Config) -> Result<(), Vec<ConfigError>> {
    let base = config.listeners.issuer_base.clone();
    let base = base.unwrap_or_else(|| {
        let port = config.listeners.identity.port();
        format!("https://localhost:{port}")
    });
    let now = system_clock().now();
    let mut errors = Vec::new();
    errors.extend(declared::policies(config, now).err());
    errors.extend(mistakes(declared::declared(config, &base, now)));
    errors.extend(mistakes(identity_providers::upstreams(config)));
    errors.extend(mistakes(routes::check(config, &base, now)));
    errors.extend(mistakes(foreign::check(config, now)));
    errors.extend(traces::options(config).err());
    errors.extend(mistakes(crate::agent::check(config)));
    errors.extend(egress::client(config).err());
    errors.extend(shared_limits::check(config).err());
    errors.extend(mistakes(egress::rules(config, &base, &[])));
    errors.extend(mistakes(webhooks::check(config)));
    errors.extend(starting::log_origin(config).err());
    errors.extend(starting::rotation(config).err());
    let pin = config.keys.pkcs11.as_ref().map(|named| &named.pin);
    let references = [
        config.store.postgres.as_ref(),
        config.keys.passphrase.as_ref(),
        config.keys.fixed.as_ref().map(|named| &named.key),
        pin,
    ];
    let unread = references
        .into_iter()
        .flatten()
        .filter_map(|reference| reference.read(&config.dir).err());
    errors.extend(unread.map(|message| ConfigError::in_file(&config.dir.join(FILE), message)));
    if errors.is_empty() {
        Ok(())
    } else {
        errors.sort();
        Err(errors)
    }
}

fn mistakes<T>(judged: Result<T, Vec<ConfigError>>) -> Vec<ConfigError> {
    judged.err().unwrap_or_default()
}
