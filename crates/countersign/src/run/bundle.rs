//! The signed bundle that a configuration demands instead of policy files, and the memory of the highest version that was used.

use crate::config::error::ConfigError;
use crate::config::{Config, FILE};
use countersign_policy::bundle::{Bundle, SIGNERS_MAX, signer};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Where the version stands that was used last, in the data directory.
const USED: &str = "policy-bundle.version";

/// The bundle that the configuration demands, if it demands one: signed by a pinned key, and for use now.
///
/// # Errors
/// When it cannot be read or is not taken.
pub(super) fn bundle(config: &Config) -> Result<Option<Bundle>, ConfigError> {
    let section = &config.policies;
    let Some(path) = &section.bundle else {
        return Ok(None);
    };
    let path = config.dir.join(path);
    let place = config.dir.join(FILE);
    let wrong = |message: String| ConfigError::in_file(&place, message);
    let keys = section.signers.iter().map(|text| {
        let key = signer(text);
        key.ok_or_else(|| wrong(format!("`{text}` in `policies.signers` is no key: `countersign policy bundle key` prints one")))
    });
    let keys = keys.collect::<Result<Vec<_>, _>>()?;
    if keys.is_empty() || keys.len() > SIGNERS_MAX {
        return Err(wrong(format!(
            "`policies.bundle` needs 1 to {SIGNERS_MAX} `policies.signers`"
        )));
    }
    let text = fs::read_to_string(&path).map_err(|error| {
        ConfigError::in_file(&path, format!("cannot be read: {}", error.kind()))
    })?;
    let opened = Bundle::open(&text, &keys, super::system_clock().now());
    let opened = opened.map_err(|error| ConfigError::in_file(&path, error.to_string()))?;
    Ok(Some(opened))
}

/// That the configuration's bundle is no older than the latest that was used with this data.
///
/// # Errors
/// When it is, or the memory cannot be read.
pub(super) fn check_version(config: &Config, data: &Path) -> Result<(), ConfigError> {
    let Some(bundle) = bundle(config)? else {
        return Ok(());
    };
    let place = memory(data);
    let unread = |message: String| ConfigError::in_file(&place, message);
    let used = match fs::read_to_string(&place) {
        Ok(text) => text
            .trim()
            .parse()
            .map_err(|_| unread("expected the number of a version".to_owned()))?,
        Err(error) if error.kind() == ErrorKind::NotFound => 0,
        Err(error) => return Err(unread(format!("cannot be read: {}", error.kind()))),
    };
    let path = config.policies.bundle.as_deref().unwrap_or(Path::new(FILE));
    let compared = bundle.check_version(used);
    compared.map_err(|error| ConfigError::in_file(&config.dir.join(path), error.to_string()))
}

/// Remembers the version of the configuration's bundle, which is about to be used.
///
/// # Errors
/// When it is older than what was used, or cannot be remembered: then it could be taken back unseen.
pub(super) fn remember_version(config: &Config, data: &Path) -> Result<(), ConfigError> {
    check_version(config, data)?;
    let Some(bundle) = bundle(config)? else {
        return Ok(());
    };
    let place = memory(data);
    let fresh = place.with_extension("new");
    let written = fs::write(&fresh, format!("{}\n", bundle.version()));
    written
        .and_then(|()| fs::rename(&fresh, &place))
        .map_err(|error| {
            ConfigError::in_file(&place, format!("cannot be written: {}", error.kind()))
        })
}

fn memory(data: &Path) -> PathBuf {
    data.join(USED)
}

#[cfg(test)]
mod tests;
