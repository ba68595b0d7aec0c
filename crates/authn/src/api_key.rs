//! API keys: what a partner shows who can do nothing better. A secret that lives long and is bound to nothing, so a route has to ask for it by name
//! ([`crate::ResourceRules::taking_api_keys`]) and says why.
//!
//! `csk_`, the key's id (16 digits), `_`, 256 random bits (64 digits), and a checksum of everything before it (8 digits), all in lower-case hexadecimal: scanners for leaked
//! secrets know one, a person tells two apart by their ids, and one that was cut off or mistyped is refused before anybody looks for it.
//!
//! A key is an access token that the store knows: its times, audience, scopes, client and revocation are judged at every use, in the way of an opaque token
//! ([`crate::opaque`]), and the networks that it may come from as well. Its id is the id of its grant, so that its revocation is told as that of a grant is.
//!
//! Not here: where keys are kept and who makes them (`store`, `api`).

use crate::access_token::{AccessTokenClaims, TokenHash};
use crate::opaque::StoredToken;
use crate::refusal::Reason;
use countersign_base::{AddressBlock, GrantId, Secret, Tenant, hex};
use countersign_crypto::digest;
use std::fmt;
use std::net::IpAddr;

/// What every API key begins with.
pub const PREFIX: &str = "csk_";
/// The header field that keys may come in where a route names it.
pub const FIELD: http::HeaderName = http::HeaderName::from_static("x-api-key");

/// Digits of an id.
const ID_DIGITS: usize = 16;
/// Digits of the secret.
const SECRET_DIGITS: usize = 64;
/// Digits of the checksum: the first four bytes of a SHA-256.
const CHECKSUM_DIGITS: usize = 8;
/// Characters of a key.
const CHARACTERS: usize = PREFIX.len() + ID_DIGITS + 1 + SECRET_DIGITS + CHECKSUM_DIGITS;

/// Where a route takes keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiKeyField {
    /// `X-API-Key`, for partners whose programs know nothing else.
    ApiKey,
    /// `Authorization: Bearer`.
    Authorization,
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::write(f, self.0)
    }
}

/// The key of this id with these random bytes.
#[must_use]
pub fn generate(id: GrantId, secret: &Secret<[u8; 32]>) -> Secret<String> {
    let body = format!("{PREFIX}{id}_{}", Hex(secret.expose()));
    let checksum = checksum(&body);
    Secret::new(body + &checksum)
}

fn checksum(body: &str) -> String {
    let digest = digest::sha256(body.as_bytes());
    Hex(digest.get(..CHECKSUM_DIGITS / 2).unwrap_or_default()).to_string()
}

/// Whether a text gives itself out as an API key; it may be a broken one.
#[must_use]
pub fn is_api_key(text: &str) -> bool {
    text.starts_with(PREFIX)
}

/// The id of a key that has the whole form and whose checksum holds: a key that was made here, or a forgery that took some trouble.
#[must_use]
pub fn id_of(text: &str) -> Option<GrantId> {
    if text.len() != CHARACTERS || !text.is_ascii() {
        return None;
    }
    let (body, shown) = text.split_at_checked(CHARACTERS - CHECKSUM_DIGITS)?;
    let (id, secret) = body.strip_prefix(PREFIX)?.split_once('_')?;
    let digits = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if secret.len() != SECRET_DIGITS || !secret.bytes().all(digits) || checksum(body) != shown {
        return None;
    }
    id.parse().ok()
}

/// From where a key may be used; without a block, from anywhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceNetworks(pub Vec<AddressBlock>);

impl SourceNetworks {
    /// Whether a request from `remote` may use the key. Where it is not known where a request comes from, only a key without networks may.
    pub(crate) fn allow(&self, remote: Option<IpAddr>) -> bool {
        self.0.is_empty()
            || remote.is_some_and(|remote| self.0.iter().any(|block| block.contains(remote)))
    }
}

impl StoredToken {
    /// See [`crate::danger::stored_api_key`].
    pub(crate) fn of_api_key(
        tenant: Tenant,
        key: &str,
        claims: AccessTokenClaims,
        networks: SourceNetworks,
    ) -> Result<Self, Reason> {
        // What names the grant is what its revocation names.
        if id_of(key).is_none() || id_of(key) != claims.grant_id || claims.cnf.is_some() {
            return Err(Reason::ClaimBroken);
        }
        Ok(Self::of(claims, tenant, TokenHash::of(key), Some(networks)))
    }
}

#[cfg(test)]
mod tests;
