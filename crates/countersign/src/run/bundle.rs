//! The signed bundle that a configuration demands instead of policy files, and the memory of the highest version that was used.

use super::RunError;
use super::declared::{Chosen, policies};
use crate::config::error::ConfigError;
use crate::config::{Config, FILE};
use countersign_base::UnixTime;
use countersign_control::policy_time::Term;
use countersign_policy::bundle::{Bundle, SIGNERS_MAX, check_rollback, signer};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Where the version stands that was used last, in the data directory.
const USED: &str = "policy-bundle.version";

/// The bundle that the configuration demands, if it demands one: signed by a pinned key, and for use at `now`. The file is read here and nowhere else, once a start or reload, so that nobody
/// who can write it has one file checked and another one used.
///
/// # Errors
/// When it cannot be read or is not taken.
pub(super) fn bundle(config: &Config, now: UnixTime) -> Result<Option<Bundle>, ConfigError> {
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
    let opened = Bundle::open(&text, &keys, now);
    let opened = opened.map_err(|error| ConfigError::in_file(&path, error.to_string()))?;
    Ok(Some(opened))
}

/// The policies of a configuration, for use at `now`, and no older than what was used with this data.
///
/// # Errors
/// When they are not.
pub(super) fn choose(config: &Config, now: UnixTime, data: &Path) -> Result<Chosen, RunError> {
    let chosen = policies(config, now).and_then(|chosen| {
        check_version(config, chosen.term.as_ref(), data)?;
        Ok(chosen)
    });
    chosen.map_err(|error| RunError::Config(vec![error]))
}

/// That a bundle is no older than the latest that was used with this data.
///
/// # Errors
/// When it is, or the memory cannot be read.
fn check_version(config: &Config, term: Option<&Term>, data: &Path) -> Result<(), ConfigError> {
    let Some(term) = term else {
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
    let compared = check_rollback(term.version(), used);
    compared.map_err(|error| ConfigError::in_file(&config.dir.join(path), error.to_string()))
}

/// Remembers the version of a bundle, which is about to be used.
///
/// # Errors
/// When it is older than what was used, or cannot be remembered: then it could be taken back unseen.
pub(super) fn remember_version(
    config: &Config,
    term: Option<&Term>,
    data: &Path,
) -> Result<(), RunError> {
    let Some(term) = term else {
        return Ok(());
    };
    let kept = check_version(config, Some(term), data).and_then(|()| keep_version(term, data));
    kept.map_err(|error| RunError::Config(vec![error]))
}

fn keep_version(term: &Term, data: &Path) -> Result<(), ConfigError> {
    let place = memory(data);
    let fresh = place.with_extension("new");
    let written = fs::write(&fresh, format!("{}\n", term.version()));
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
