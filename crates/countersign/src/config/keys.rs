//! `[keys]`: where the root key comes from, which algorithms tenants sign with, and how often keys change.

use super::error::Mistakes;
use super::span::{SecretReference, Span};
use countersign_base::Duration;
use countersign_control::rotation::DESTROY_AFTER_MIN;
use countersign_crypto::jose::Algorithm;
use serde::Deserialize;
use toml::Spanned;

/// `[keys]` as written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawKeys {
    /// A passphrase that the root key is derived from. Without it, a file of mode 0600 in the data directory, made at the first start.
    passphrase: Option<SecretReference>,
    /// `shamir`: what is above the root key is split among operators, who open each process by a quorum of their shares.
    seal: Option<Spanned<SealKind>>,
    algorithms: Option<Spanned<Vec<Algorithm>>>,
    rotate_every: Option<Span>,
    publish_ahead: Option<Span>,
    retire_after: Option<Spanned<Span>>,
    destroy_after: Option<Spanned<Span>>,
}

/// What opens the root key without a file or a passphrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SealKind {
    /// Shares that operators hold.
    Shamir,
}

/// `[keys]` checked.
#[derive(Debug, Clone)]
pub struct KeysSection {
    /// Where the root passphrase is, if there is one.
    pub passphrase: Option<SecretReference>,
    /// What opens the root key, if it is neither a file nor a passphrase.
    pub seal: Option<SealKind>,
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
}

impl Default for KeysSection {
    fn default() -> Self {
        Self {
            passphrase: None,
            seal: None,
            algorithms: vec![Algorithm::Es256],
            rotate_every: Duration::from_secs(30 * 86_400),
            publish_ahead: Duration::from_secs(86_400),
            retire_after: Duration::from_secs(86_400),
            destroy_after: Duration::from_secs(86_400),
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
    if let (Some(seal), Some(_)) = (&raw.seal, &raw.passphrase) {
        mistakes.at(
            &seal.span(),
            "the root key comes from shares or from a passphrase",
            "take one of `seal` and `passphrase` away",
        );
    }
    KeysSection {
        passphrase: raw.passphrase,
        seal: raw.seal.map(Spanned::into_inner),
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
    }
}
