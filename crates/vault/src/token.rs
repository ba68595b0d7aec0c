//! Vault tokens: made, looked up, used, renewed and revoked. A token is kept under a keyed hash; what is shown once is nowhere stored.
//!
//! A token is `hvs.` and 256 random bits. Its entry is `token/id/HASH`; its accessor, which names it without being able to use it, leads there from
//! `token/accessor/ACCESSOR`. Tokens form a tree: what a token made ends with it, as do the leases it was given.
//!
//! The mount `auth/token/` is served by [`run`].

use crate::VaultError;
use crate::answer::{Auth, Outcome};
use crate::call::{Call, Cx};
use crate::work::{Stop, Work};
use countersign_base::{Duration, Secret, UnixTime};
use countersign_crypto::x509::CertificateThumbprint;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The keyed hash of a token, in hexadecimal: what entries name it by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenId(pub String);

/// A token whose use was taken: what a call knows of its caller.
#[derive(Debug, Clone)]
pub struct Held {
    /// Its name.
    pub id: TokenId,
    /// Its accessor.
    pub accessor: String,
    /// Its policies.
    pub policies: BTreeSet<String>,
    /// `display_name`.
    pub display_name: String,
    /// `entity_id`; empty when it has none.
    pub entity: String,
    /// `meta`.
    pub metadata: BTreeMap<String, String>,
    /// When it ends, if it does.
    pub expires: Option<UnixTime>,
}

impl Held {
    /// Whether it is a root token.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.policies.contains("root")
    }
}

/// A token that is about to be made.
#[derive(Debug, Clone, Default)]
pub struct NewToken {
    /// Whose child it is; without one it is an orphan.
    pub parent: Option<TokenId>,
    /// Its policies; `default` is added unless [`NewToken::no_default_policy`]. Names are taken in lower case, and `root` only where a root token makes it.
    pub policies: BTreeSet<String>,
    /// Whether `default` is left out.
    pub no_default_policy: bool,
    /// `display_name`.
    pub display_name: String,
    /// `entity_id`.
    pub entity: String,
    /// `meta`.
    pub metadata: BTreeMap<String, String>,
    /// The path that makes it: `auth/approle/login`.
    pub path: String,
    /// How long it lives; none is the mount's default.
    pub ttl: Option<Duration>,
    /// The longest that renewing may stretch it.
    pub max_ttl: Option<Duration>,
    /// The longest that anything may stretch it.
    pub explicit_max_ttl: Option<Duration>,
    /// A token that lives on as long as it is renewed within this span.
    pub period: Option<Duration>,
    /// How often it may be used; 0 is without a limit.
    pub uses: u32,
    /// Whether it cannot be renewed.
    pub not_renewable: bool,
    /// The certificate it was made with: it is renewed over the same one alone (CVE-2026-39388).
    pub certificate: Option<CertificateThumbprint>,
}

/// Finds a token that was shown and takes one of its uses.
///
/// `None` when nobody knows it, or it has ended.
///
/// # Errors
/// As [`Work::read`].
pub fn take_use(
    _shown: &Secret<String>,
    _work: &mut Work<'_>,
    _cx: &Cx<'_>,
) -> Result<Option<Held>, Stop> {
    Err(VaultError::Unsupported.into())
}

/// Makes a token.
///
/// # Errors
/// When it asks for what no token may be.
pub fn issue(_new: NewToken, _work: &mut Work<'_>, _cx: &Cx<'_>) -> Result<Auth, Stop> {
    Err(VaultError::Unsupported.into())
}

/// What `auth/token/` does.
///
/// # Errors
/// As the operation says.
pub fn run(_call: &Call, _work: &mut Work<'_>, _cx: &Cx<'_>) -> Result<Outcome, Stop> {
    Err(VaultError::Unsupported.into())
}
