//! What opens the seal, as the configuration names it.

use super::{Options, RunError};
use crate::config::FILE;
use crate::config::error::ConfigError;
use crate::config::keys::SealKind;
use crate::pkcs11::Pkcs11Token;
use countersign_control::RootSource;
use countersign_control::seal::source::Source;
use countersign_control::seal::{Former, Way};
use countersign_crypto::password::Cost;
use std::path::PathBuf;
use std::sync::Arc;

/// Shares, or the source with the secret that it needs.
pub(super) fn way(options: &Options) -> Result<Way, RunError> {
    let config = &options.config;
    let keys = &config.keys;
    let refused = |message: String| {
        RunError::Config(vec![ConfigError::in_file(&config.dir.join(FILE), message)])
    };
    let missing = |what: &str| refused(format!("`[keys] seal` needs {what}"));
    let source = match keys.seal {
        None | Some(SealKind::Shamir) => return Ok(Way::Shares),
        Some(SealKind::File) => Source::File(options.data.join("keys").join("unseal.key")),
        Some(SealKind::Passphrase) => {
            let reference = keys.passphrase.as_ref();
            let reference = reference.ok_or_else(|| missing("`passphrase`"))?;
            Source::Passphrase {
                passphrase: reference.read(&config.dir).map_err(refused)?,
                cost: Cost::passphrase(),
            }
        }
        Some(SealKind::Pkcs11) => {
            let named = keys.pkcs11.as_ref();
            let named = named.ok_or_else(|| missing("`[keys.pkcs11]`"))?;
            let token = Pkcs11Token {
                program: program().map_err(refused)?,
                library: named.library.clone(),
                token_label: named.token_label.clone(),
                key_label: named.key_label.clone(),
                pin: named.pin.read(&config.dir).map_err(refused)?,
                random: options.random.clone(),
            };
            Source::Pkcs11 {
                key: named.key_label.clone(),
                token: Arc::new(token),
            }
        }
        Some(SealKind::Static) => {
            let named = keys.fixed.as_ref();
            let named = named.ok_or_else(|| missing("`[keys.static]`"))?;
            Source::Static {
                key: named.name.clone(),
                bytes: named.read(&config.dir).map_err(refused)?,
            }
        }
    };
    Ok(Way::Source(Arc::new(source)))
}

/// Where the root key of an installation without a seal is: where a start without `seal` would look.
pub(super) fn former(options: &Options) -> Result<Former, RunError> {
    let config = &options.config;
    let refused = |message: String| {
        RunError::Config(vec![ConfigError::in_file(&config.dir.join(FILE), message)])
    };
    let derived = options.data.join("keys").join("root.json").exists();
    let root = match &config.keys.passphrase {
        Some(reference) if derived => {
            RootSource::Passphrase(reference.read(&config.dir).map_err(refused)?)
        }
        Some(_) | None => RootSource::File,
    };
    let in_the_clear = options.data.join("keys").join("root.key");
    if in_the_clear.exists() {
        let path = in_the_clear.display();
        tracing::warn!(event = "root_key_in_the_clear");
        eprintln!(
            "  `{path}` has the root key in the clear: once you have seen that the seal opens, keep the file away from this machine or destroy it"
        );
    }
    Ok(Former {
        root,
        data: options.data.clone(),
    })
}

fn program() -> Result<PathBuf, String> {
    std::env::current_exe().map_err(|error| format!("this program cannot call itself: {error}"))
}
