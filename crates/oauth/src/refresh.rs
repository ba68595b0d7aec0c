//! Refresh token families (RFC 9700 §4.14, R37 to R42): rotation, reuse detection and the grace period, as a state machine.
//!
//! A refresh token is `base64url(family ‖ generation ‖ tag)`, where the tag is a MAC over both by the tenant's refresh key. Nothing secret is stored, and a client
//! that lost an answer can be given the *same* successor again.

use crate::authentication::AuthenticationMethod;
use crate::binding::Binding;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_base::{
    Audience, ClientId, Duration, GrantId, Scopes, Secret, SessionId, Tenant, UnixTime, UserId,
};
use countersign_crypto::mac::{MacKey, Tag};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

const DOMAIN: &str = "countersign refresh token v1";
const FAMILY_BYTES: usize = 8;
const GENERATION_BYTES: usize = 4;
const TAG_BYTES: usize = 32;
const TOKEN_BYTES: usize = FAMILY_BYTES + GENERATION_BYTES + TAG_BYTES;

/// The number of a family: 64 random bits, written as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FamilyId(u64);

impl FamilyId {
    /// Makes the identifier of a number that the caller drew from its source of randomness.
    #[must_use]
    pub const fn from_u64(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Debug for FamilyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FamilyId({self})")
    }
}

impl fmt::Display for FamilyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A family of refresh tokens, as the store keeps it: one row, whatever number of rotations it has seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshFamily {
    /// Its identifier.
    pub id: FamilyId,
    /// The tenant of everybody involved.
    pub tenant: Tenant,
    /// The grant it serves.
    pub grant: GrantId,
    /// Who may use it (R40).
    pub client: ClientId,
    /// Whose grant it is.
    pub user: UserId,
    /// The session it came of (R42).
    pub session: SessionId,
    /// The key it is bound to. Public clients' families are bound to the key of the first request; confidential clients' too, if they proved one (DPOP-29, 30).
    pub binding: Binding,
    /// The generation of the only live token.
    pub generation: u32,
    /// The widest scope that a refresh may ask for.
    pub scopes: Scopes,
    /// The audiences that a refresh may ask for; the first is the default.
    pub audiences: Vec<Audience>,
    /// When the person proved who they are.
    pub auth_time: UnixTime,
    /// By which methods, when the family began: a later step-up does not make it stronger (RFC 9068 §2.2.1).
    #[serde(default)]
    pub methods: BTreeSet<AuthenticationMethod>,
    /// When the family began.
    pub created: UnixTime,
    /// When it ends, however often it is used (R41).
    pub expires: UnixTime,
    /// When the live generation replaced the one before it.
    pub rotated: UnixTime,
    /// When it was revoked.
    pub revoked: Option<UnixTime>,
}

/// A presented refresh token whose tag was verified: this program made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshHandle {
    family: FamilyId,
    generation: u32,
}

impl RefreshHandle {
    /// Verifies a presented token.
    ///
    /// # Errors
    /// It is not a token that this key made.
    pub fn parse(token: &str, key: &MacKey) -> Result<Self, NotARefreshToken> {
        let bytes = URL_SAFE_NO_PAD
            .decode(token)
            .map_err(|_| NotARefreshToken)?;
        let bytes: [u8; TOKEN_BYTES] = bytes.try_into().map_err(|_| NotARefreshToken)?;
        let (family, rest) = bytes
            .split_first_chunk::<FAMILY_BYTES>()
            .ok_or(NotARefreshToken)?;
        let (generation, tag) = rest
            .split_first_chunk::<GENERATION_BYTES>()
            .ok_or(NotARefreshToken)?;
        let tag: [u8; TAG_BYTES] = tag.try_into().map_err(|_| NotARefreshToken)?;
        let _verified = key
            .verify(DOMAIN, &[family, generation], &Tag::from_bytes(tag))
            .map_err(|_| NotARefreshToken)?;
        Ok(Self {
            family: FamilyId(u64::from_be_bytes(*family)),
            generation: u32::from_be_bytes(*generation),
        })
    }

    /// The family it names.
    #[must_use]
    pub const fn family(&self) -> FamilyId {
        self.family
    }

    /// The generation it names.
    #[must_use]
    pub const fn generation(&self) -> u32 {
        self.generation
    }
}

/// The text is no refresh token of this tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a refresh token of this tenant")]
pub struct NotARefreshToken;

/// The order to make one refresh token: a family and a generation, without the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshOrder {
    pub(crate) family: FamilyId,
    pub(crate) generation: u32,
}

impl RefreshOrder {
    /// Derives the token. The same order and key always give the same token.
    #[must_use]
    pub fn derive(&self, key: &MacKey) -> Secret<String> {
        let family = self.family.0.to_be_bytes();
        let generation = self.generation.to_be_bytes();
        let tag = key.tag(DOMAIN, &[&family, &generation]);
        let mut bytes = Vec::with_capacity(TOKEN_BYTES);
        bytes.extend_from_slice(&family);
        bytes.extend_from_slice(&generation);
        bytes.extend_from_slice(tag.as_bytes());
        Secret::new(URL_SAFE_NO_PAD.encode(bytes))
    }
}

/// What the generation of a presented token means to its family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The live token: the next generation takes its place.
    Rotate,
    /// The one before the live token, within the grace period: the live token is answered again.
    Repeat,
    /// An earlier one: somebody has a token that they should not have.
    Reused,
}

impl RefreshFamily {
    /// Judges a generation. `assured` says whether the presenter proved to be the very one who got the token.
    #[must_use]
    pub fn turn(
        &self,
        generation: u32,
        assured: Assurance,
        grace: Duration,
        now: UnixTime,
    ) -> Turn {
        if generation == self.generation {
            return Turn::Rotate;
        }
        let previous = generation.checked_add(1) == Some(self.generation);
        let in_grace = now < self.rotated.plus(grace);
        match (previous && in_grace, assured) {
            (true, Assurance::Proven) => Turn::Repeat,
            (true, Assurance::Claimed) | (false, _) => Turn::Reused,
        }
    }
}

/// Whether the presenter of a refresh token proved who they are, by client authentication or by a bound key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assurance {
    /// Only the token itself speaks for them: a public client without a key. There is no grace for them.
    Claimed,
    /// Proven.
    Proven,
}

#[cfg(test)]
mod tests;
