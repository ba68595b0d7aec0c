//! `[keys]`: where the root key comes from, which algorithms tenants sign with, and how often keys change.

use super::error::Mistakes;
use super::span::{SecretReference, Span};
use countersign_base::{Duration, Secret};
use countersign_control::rotation::DESTROY_AFTER_MIN;
use countersign_crypto::base64url;
use countersign_crypto::jose::Algorithm;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use toml::Spanned;
use zeroize::Zeroize;

/// `[keys]` as written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawKeys {
    /// A passphrase that the root key is derived from, or with `seal = "passphrase"` what is above it. Without it, a file of mode 0600 in the data directory, made at the first start.
    passphrase: Option<SecretReference>,
    /// What opens the root key. `shamir`: operators, each process by a quorum of their shares. `file`: `keys/unseal.key` in the data directory. `passphrase`, `static`, `pkcs11`: what these keys name.
    seal: Option<Spanned<SealKind>>,
    /// For `seal = "static"`.
    #[serde(rename = "static")]
    fixed: Option<StaticSection>,
    /// For `seal = "pkcs11"`.
    pkcs11: Option<Spanned<Pkcs11Section>>,
    algorithms: Option<Spanned<Vec<Algorithm>>>,
    rotate_every: Option<Span>,
    publish_ahead: Option<Span>,
    retire_after: Option<Spanned<Span>>,
    destroy_after: Option<Spanned<Span>>,
    data_key_every: Option<Spanned<Span>>,
}

/// What opens the root key, where it stands sealed in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SealKind {
    /// An unseal key in a file.
    File,
    /// A passphrase.
    Passphrase,
    /// A key on a PKCS#11 token.
    Pkcs11,
    /// Shares that operators hold.
    Shamir,
    /// A value that the configuration refers to.
    Static,
}

/// `[keys.static]`: 32 bytes in base64url or base64, by reference.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StaticSection {
    /// What they are called, so that a former value is told from this one.
    pub name: String,
    /// Where they are.
    pub key: SecretReference,
}

impl StaticSection {
    /// Reads the 32 bytes.
    ///
    /// # Errors
    /// When they are not there, or are no 32 bytes.
    pub fn read(&self, dir: &Path) -> Result<Secret<[u8; 32]>, String> {
        let text = self.key.read(dir)?;
        let mut plain = text
            .expose()
            .trim_end_matches('=')
            .replace('+', "-")
            .replace('/', "_");
        let bytes = base64url::decode_array::<32>(&plain);
        plain.zeroize();
        bytes
            .map(Secret::new)
            .map_err(|_| format!("{} holds no 32 bytes in base64", self.key))
    }
}

/// `[keys.pkcs11]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pkcs11Section {
    /// The vendor's library.
    pub library: PathBuf,
    /// The label of the token.
    pub token_label: String,
    /// The label of an AES key on it, which an operator made.
    pub key_label: String,
    /// The user's PIN.
    pub pin: SecretReference,
}

/// `[keys]` checked.
#[derive(Debug, Clone)]
pub struct KeysSection {
    /// Where the root passphrase is, if there is one.
    pub passphrase: Option<SecretReference>,
    /// What opens the root key, where it stands sealed in the database; without it, a file or a passphrase is the root key.
    pub seal: Option<SealKind>,
    /// `[keys.static]`
    pub fixed: Option<StaticSection>,
    /// `[keys.pkcs11]`
    pub pkcs11: Option<Pkcs11Section>,
    /// What each tenant signs with; the first is the default.
    pub algorithms: Vec<Algorithm>,
    /// How long a key signs.
    pub rotate_every: Duration,
    /// How long a key is published before it signs.
    pub publish_ahead: Duration,
    /// How long a key stays published after it signed last.
    pub retire_after: Duration,
    /// How long an older version of the key-encryption key stays after nothing is left under it.
    pub destroy_after: Duration,
    /// How long a data key of a tenant's vault seals before another one follows it.
    pub data_key_every: Duration,
}

impl Default for KeysSection {
    fn default() -> Self {
        Self {
            passphrase: None,
            seal: None,
            fixed: None,
            pkcs11: None,
            algorithms: vec![Algorithm::Es256],
            rotate_every: Duration::from_secs(30 * 86_400),
            publish_ahead: Duration::from_secs(86_400),
            retire_after: Duration::from_secs(86_400),
            destroy_after: Duration::from_secs(86_400),
            data_key_every: Duration::from_secs(90 * 86_400),
        }
    }
}

pub(crate) fn check(raw: RawKeys, mistakes: &mut Mistakes<'_>) -> KeysSection {
    let default = KeysSection::default();
    if let Some(algorithms) = &raw.algorithms
        && algorithms.get_ref().is_empty()
    {
        mistakes.at(
            &algorithms.span(),
            "a tenant needs an algorithm to sign with",
            "write `algorithms = [\"ES256\"]`",
        );
    }
    if let Some(retire) = &raw.retire_after
        && retire.get_ref().0 < Duration::from_secs(7200)
    {
        mistakes.at(
            &retire.span(),
            "`retire_after` is shorter than tokens live",
            "keep keys published for at least `2h` after they signed last, or valid tokens stop verifying",
        );
    }
    if let Some(destroy) = &raw.destroy_after
        && destroy.get_ref().0 < DESTROY_AFTER_MIN
    {
        mistakes.at(
            &destroy.span(),
            "`destroy_after` is shorter than what was begun before a rotation may take",
            "keep older versions for at least `1m`",
        );
    }
    if let Some(every) = &raw.data_key_every
        && every.get_ref().0 < Duration::from_secs(3600)
    {
        mistakes.at(
            &every.span(),
            "`data_key_every` makes a key before what the one before sealed is sealed again",
            "let a data key seal for at least `1h`",
        );
    }
    if let Some(seal) = &raw.seal {
        judge_seal(seal, &raw, mistakes);
    }
    if let Some(pkcs11) = &raw.pkcs11 {
        judge_library(pkcs11, mistakes);
    }
    KeysSection {
        passphrase: raw.passphrase,
        seal: raw.seal.map(Spanned::into_inner),
        fixed: raw.fixed,
        pkcs11: raw.pkcs11.map(Spanned::into_inner),
        algorithms: raw
            .algorithms
            .map_or(default.algorithms, Spanned::into_inner),
        rotate_every: raw.rotate_every.map_or(default.rotate_every, |span| span.0),
        publish_ahead: raw
            .publish_ahead
            .map_or(default.publish_ahead, |span| span.0),
        retire_after: raw
            .retire_after
            .map_or(default.retire_after, |span| span.into_inner().0),
        destroy_after: raw
            .destroy_after
            .map_or(default.destroy_after, |span| span.into_inner().0),
        data_key_every: raw
            .data_key_every
            .map_or(default.data_key_every, |span| span.into_inner().0),
    }
}

/// Each seal needs what it names. What another one names may stand beside it: it is what the installation is moved from or to.
fn judge_seal(seal: &Spanned<SealKind>, raw: &RawKeys, mistakes: &mut Mistakes<'_>) {
    let wrong = match seal.get_ref() {
        SealKind::Shamir if raw.passphrase.is_some() => Some((
            "the root key comes from shares or from a passphrase",
            "take one of `seal` and `passphrase` away",
        )),
        SealKind::Passphrase if raw.passphrase.is_none() => Some((
            "`seal = \"passphrase\"` needs `passphrase`",
            "write `passphrase = { file = \"...\" }`",
        )),
        SealKind::Pkcs11 if raw.pkcs11.is_none() => Some((
            "`seal = \"pkcs11\"` needs `[keys.pkcs11]`",
            "write `library`, `token_label`, `key_label` and `pin` there",
        )),
        SealKind::Static if raw.fixed.is_none() => Some((
            "`seal = \"static\"` needs `[keys.static]`",
            "write `name` and `key` there",
        )),
        SealKind::File
        | SealKind::Passphrase
        | SealKind::Pkcs11
        | SealKind::Shamir
        | SealKind::Static => None,
    };
    if let Some((what, help)) = wrong {
        mistakes.at(&seal.span(), what, help);
    }
}

fn judge_library(pkcs11: &Spanned<Pkcs11Section>, mistakes: &mut Mistakes<'_>) {
    if !pkcs11.get_ref().library.is_absolute() {
        mistakes.at(
            &pkcs11.span(),
            "`library` is no absolute path",
            "write where the vendor's library stands: it is loaded, so nothing may be searched for it",
        );
    }
}
