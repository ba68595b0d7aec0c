//! Policy bundles: a schema and policies in one file, versioned, for a time, and signed by a key whose public half the configuration pins.
//!
//! The file is one JSON object: `manifest`, a text that is signed as it stands and names the SHA-256 of each file; `signature`, Ed25519 over [`CONTEXT`] and the manifest; `files`, the texts by
//! name. Nothing of the files is looked at before the signature held, and no file that the manifest does not name is taken.
//!
//! Not here: where the file comes from, and the memory of the highest version, which refuses to go back ([`check_rollback`] compares).

use crate::defaults;
use countersign_base::UnixTime;
use countersign_crypto::base64url;
use countersign_crypto::digest::sha256_base64url;
use countersign_crypto::jose::{Algorithm, JoseError, PublicJwk, VerifyingKey};
use countersign_crypto::signing::{PolicyBundle, SigningKey};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What stands before the manifest in what is signed, so that a signature means nothing else.
const CONTEXT: &[u8] = b"countersign policy bundle 1\n";
/// Bytes of a bundle.
const BUNDLE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Files in a bundle.
const FILES_MAX: usize = 1_000;
/// Keys that may be pinned.
pub const SIGNERS_MAX: usize = 8;

/// Why a bundle is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// Its time is over.
    #[error("the bundle was for use until {0}")]
    Expired(i64),
    /// A file differs from what the manifest says of it, or is missing, or is not named there.
    #[error("the file `{0}` is not what the manifest says")]
    File(String),
    /// It is no bundle.
    #[error("it is no policy bundle")]
    Form,
    /// Its time has not come.
    #[error("the bundle is for use from {0} on")]
    NotYet(i64),
    /// A later one was used before.
    #[error("version {version} is older than version {used}, which was used before")]
    RolledBack {
        /// Of this bundle.
        version: u64,
        /// Of the latest that was used.
        used: u64,
    },
    /// No pinned key signed it.
    #[error("none of the pinned keys signed it")]
    Signature,
    /// Too many files, or too large.
    #[error("it is too large")]
    TooLarge,
}

/// What is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    version: u64,
    not_before: i64,
    expires: i64,
    /// SHA-256 by name, in base64url.
    files: BTreeMap<String, String>,
}

/// The file as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    manifest: String,
    signature: String,
    files: BTreeMap<String, String>,
}

/// A schema and policies, whose version, time and files somebody vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    version: u64,
    not_before: UnixTime,
    expires: UnixTime,
    files: BTreeMap<String, String>,
}

impl Bundle {
    /// A bundle of these files: `*.cedar` and `*.cedarschema`, each by its name alone.
    ///
    /// # Errors
    /// When a name is none, or there are too many.
    pub fn new(
        version: u64,
        not_before: UnixTime,
        expires: UnixTime,
        files: BTreeMap<String, String>,
    ) -> Result<Self, BundleError> {
        if let Some(name) = files.keys().find(|name| !is_name(name)) {
            return Err(BundleError::File(name.clone()));
        }
        let bytes: usize = files.values().map(String::len).sum();
        if files.len() > FILES_MAX || bytes > BUNDLE_BYTES_MAX / 2 {
            return Err(BundleError::TooLarge);
        }
        Ok(Self {
            version,
            not_before,
            expires,
            files,
        })
    }

    /// The file, signed.
    ///
    /// # Errors
    /// When the key does not sign.
    pub fn seal(&self, key: &SigningKey<PolicyBundle>) -> Result<String, JoseError> {
        let digests = self.files.iter();
        let manifest = Manifest {
            version: self.version,
            not_before: self.not_before.0,
            expires: self.expires.0,
            files: digests
                .map(|(name, text)| (name.clone(), digest(text)))
                .collect(),
        };
        let unwritten = |_| JoseError::Signing("the manifest cannot be written as JSON");
        let manifest = serde_json::to_string(&manifest).map_err(unwritten)?;
        let signature = key.sign(&signed(&manifest))?;
        let sealed = Sealed {
            manifest,
            signature: base64url::encode(&signature),
            files: self.files.clone(),
        };
        serde_json::to_string_pretty(&sealed).map_err(unwritten)
    }

    /// The bundle in a file that one of `signers` signed, for use at `now`.
    ///
    /// # Errors
    /// When it is none, none of them signed it, a file is not what was signed, or it is not its time.
    pub fn open(text: &str, signers: &[VerifyingKey], now: UnixTime) -> Result<Self, BundleError> {
        if text.len() > BUNDLE_BYTES_MAX {
            return Err(BundleError::TooLarge);
        }
        let sealed: Sealed = serde_json::from_str(text).map_err(|_| BundleError::Form)?;
        let signature = base64url::decode(&sealed.signature).map_err(|_| BundleError::Form)?;
        let message = signed(&sealed.manifest);
        let holds = |key: &VerifyingKey| key.verify(&message, &signature).is_ok();
        if !signers.iter().take(SIGNERS_MAX).any(holds) {
            return Err(BundleError::Signature);
        }
        let manifest: Manifest =
            serde_json::from_str(&sealed.manifest).map_err(|_| BundleError::Form)?;
        if let Some(name) = sealed
            .files
            .keys()
            .find(|name| !manifest.files.contains_key(*name))
        {
            return Err(BundleError::File(name.clone()));
        }
        for (name, expected) in &manifest.files {
            let text = sealed.files.get(name);
            if text.is_none_or(|text| digest(text) != *expected) {
                return Err(BundleError::File(name.clone()));
            }
        }
        if now.0 < manifest.not_before {
            return Err(BundleError::NotYet(manifest.not_before));
        }
        if now.0 >= manifest.expires {
            return Err(BundleError::Expired(manifest.expires));
        }
        let (from, until) = (UnixTime(manifest.not_before), UnixTime(manifest.expires));
        Self::new(manifest.version, from, until, sealed.files)
    }

    /// Its version.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// From when on, and until when, it is for use.
    #[must_use]
    pub const fn time(&self) -> (UnixTime, UnixTime) {
        (self.not_before, self.expires)
    }

    /// The built-in schema with those of the bundle behind it, in the order of their names.
    #[must_use]
    pub fn schema(&self) -> String {
        let mut schema = defaults::SCHEMA.to_owned();
        for (name, text) in self.files.iter().filter(|(name, _)| !is_policy(name)) {
            schema.push_str(&format!("\n// {name}\n{text}"));
        }
        schema
    }

    /// The policies by the names of their files. Nothing is added: a bundle is the whole set.
    #[must_use]
    pub fn policies(&self) -> Vec<(String, String)> {
        let policies = self.files.iter().filter(|(name, _)| is_policy(name));
        policies
            .map(|(name, text)| (name.clone(), text.clone()))
            .collect()
    }
}

/// That a version is no older than what was used before.
///
/// # Errors
/// [`BundleError::RolledBack`] if it is.
pub const fn check_rollback(version: u64, used: u64) -> Result<(), BundleError> {
    if version < used {
        return Err(BundleError::RolledBack { version, used });
    }
    Ok(())
}

/// A pinned key: 43 characters of base64url, the 32 bytes of an Ed25519 key (RFC 8032 §5.1.5).
#[must_use]
pub fn signer(text: &str) -> Option<VerifyingKey> {
    let jwk = PublicJwk::from_ed25519(base64url::decode_array(text).ok()?);
    VerifyingKey::new(&jwk, Algorithm::EdDsa, None).ok()
}

fn signed(manifest: &str) -> Vec<u8> {
    [CONTEXT, manifest.as_bytes()].concat()
}

fn digest(text: &str) -> String {
    sha256_base64url(text.as_bytes())
}

fn is_policy(name: &str) -> bool {
    name.ends_with(".cedar")
}

/// One name of a file, in no directory.
fn is_name(name: &str) -> bool {
    let usual = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let kind = is_policy(name) || name.ends_with(".cedarschema");
    kind && name.len() <= 128 && !name.starts_with('.') && name.bytes().all(usual)
}

#[cfg(test)]
mod tests;
