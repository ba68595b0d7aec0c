//! What was revoked, as a signed list that a service pulls (`typ` `revocations+jwt`): exact ids with a not-before, in pages.
//!
//! A page says as of when it holds, so that a service knows how old its knowledge is, and repeats the cursor it was asked with, so that an earlier answer is not
//! taken for this one. Publishing serializes [`RevocationListClaims`] and a service reads them, so both mean the same.
//!
//! Not here: fetching, keeping and asking ([`crate::Revocations`] is what is asked).

use crate::access_token::TokenHash;
use crate::access_token::claims::{broken, required, text, time};
use crate::refusal::{Reason, Refusal};
use crate::resource::{KeyAnswer, KeyNeeded, TrustedIssuer, Trusting, VerdictKey};
use countersign_base::{Bounded, ClientId, GrantId, Issuer, SessionId, UnixTime, UserId, limits};
use countersign_crypto::Verified;
use countersign_crypto::jose::Claims;
use serde::ser::{Serialize, SerializeTuple as _, Serializer};
use serde_json::Value;
use std::str::FromStr;

/// `typ` of the list.
pub const REVOCATION_LIST_TYP: &str = "revocations+jwt";

/// Bytes of entries in one page, so that a page stays within what is read of a token at all.
pub const PAGE_BYTES_MAX: usize = 5 * 1024;

/// A place in the list of one node. Its holder gives it back as it came.
pub type Cursor = Bounded<64>;

/// One page.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RevocationListClaims {
    /// Whose tokens.
    pub iss: Issuer,
    /// As of when it holds.
    pub iat: UnixTime,
    /// When it is not worth anything any more.
    pub exp: UnixTime,
    /// The cursor that it was asked with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Cursor>,
    /// The cursor to ask with next.
    pub cursor: Cursor,
    /// Whether there is more already.
    pub more: bool,
    /// What was revoked.
    pub revoked: Vec<RevokedEntry>,
}

/// What a revocation names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RevokedThing {
    /// Every token of a client.
    Client(ClientId),
    /// Every token of a grant.
    Grant(GrantId),
    /// Every token of a sign-in.
    Session(SessionId),
    /// Every token of a person.
    User(UserId),
}

impl RevokedThing {
    fn parts(&self) -> (&'static str, String) {
        match self {
            Self::Client(id) => ("client", id.to_string()),
            Self::Grant(id) => ("grant", id.to_string()),
            Self::Session(id) => ("session", id.to_string()),
            Self::User(id) => ("user", id.to_string()),
        }
    }

    fn read(kind: &str, id: &str) -> Result<Self, Reason> {
        match kind {
            "client" => parsed(id).map(Self::Client),
            "grant" => parsed(id).map(Self::Grant),
            "session" => parsed(id).map(Self::Session),
            "user" => parsed(id).map(Self::User),
            // Something that is revoked and that this program does not know must not be skipped.
            _ => Err(Reason::ClaimBroken),
        }
    }
}

fn parsed<T: FromStr>(text: &str) -> Result<T, Reason> {
    text.parse().map_err(broken)
}

/// One revocation, written as `[kind, id, not_before, expires]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevokedEntry {
    /// Which tokens.
    pub what: RevokedThing,
    /// Those issued at this time or earlier are dead.
    pub not_before: UnixTime,
    /// When none of them can be alive any more.
    pub expires: UnixTime,
}

impl RevokedEntry {
    /// Bytes of its written form, or a little more.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let (kind, id) = self.what.parts();
        kind.len().saturating_add(id.len()).saturating_add(40)
    }

    fn read(value: &Value) -> Result<Self, Reason> {
        let Some([kind, id, not_before, expires]) = value.as_array().map(Vec::as_slice) else {
            return Err(Reason::ClaimBroken);
        };
        let text = |value: &'_ Value| value.as_str().map(str::to_owned).ok_or(Reason::ClaimBroken);
        let time = |value: &Value| value.as_i64().map(UnixTime).ok_or(Reason::ClaimBroken);
        Ok(Self {
            what: RevokedThing::read(&text(kind)?, &text(id)?)?,
            not_before: time(not_before)?,
            expires: time(expires)?,
        })
    }
}

impl Serialize for RevokedEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (kind, id) = self.what.parts();
        let mut tuple = serializer.serialize_tuple(4)?;
        tuple.serialize_element(kind)?;
        tuple.serialize_element(&id)?;
        tuple.serialize_element(&self.not_before)?;
        tuple.serialize_element(&self.expires)?;
        tuple.end()
    }
}

impl RevocationListClaims {
    fn read(claims: &Verified<Claims>) -> Result<Self, Reason> {
        let cursor = |name| {
            text(claims, name)?
                .map(Bounded::parse)
                .transpose()
                .map_err(broken)
        };
        let revoked = claims
            .raw()
            .get("revoked")
            .and_then(Value::as_array)
            .ok_or(Reason::ClaimMissing)?;
        Ok(Self {
            iss: required(claims, "iss")?,
            iat: time(claims, "iat")?.ok_or(Reason::ClaimMissing)?,
            exp: time(claims, "exp")?.ok_or(Reason::ClaimMissing)?,
            after: cursor("after")?,
            cursor: cursor("cursor")?.ok_or(Reason::ClaimMissing)?,
            more: claims
                .flag("more")
                .map_err(broken)?
                .ok_or(Reason::ClaimMissing)?,
            revoked: revoked
                .iter()
                .map(RevokedEntry::read)
                .collect::<Result<_, _>>()?,
        })
    }
}

/// Which key would check the signature of a page.
///
/// # Errors
/// When it is oversized, malformed, of another type, of another issuer, or signed in a way that its issuer may not.
pub fn demand(page: &str, issuer: &TrustedIssuer) -> Result<KeyNeeded, Refusal> {
    if page.len() > limits::TOKEN_BYTES_MAX {
        return Err(Reason::TokenTooLong.into());
    }
    let cache_key = VerdictKey {
        token: TokenHash::of(page),
        rules: [0; 32],
    };
    let trusting = Trusting::own(REVOCATION_LIST_TYP, std::slice::from_ref(issuer));
    KeyNeeded::of(page, &trusting, cache_key)
}

/// Judges a page that was asked for with the cursor `after`.
///
/// # Errors
/// When the signature does not hold, the page answers another question, or it is over or from ahead.
pub fn prove(
    needed: KeyNeeded,
    answer: KeyAnswer,
    after: Option<&Cursor>,
    now: UnixTime,
) -> Result<RevocationListClaims, Refusal> {
    let (claims, trusted) = needed.verify_claims(answer)?;
    let page = RevocationListClaims::read(&claims)?;
    if page.iss != trusted.issuer {
        return Err(Reason::IssuerUnknown.into());
    }
    if page.after.as_ref() != after {
        return Err(Reason::VerdictMismatch.into());
    }
    if page.exp <= now.minus(limits::TOKEN_LEEWAY) {
        return Err(Reason::TokenExpired.into());
    }
    if page.iat > now.plus(limits::TOKEN_LEEWAY) {
        return Err(Reason::IssuedAhead.into());
    }
    Ok(page)
}
