//! The compact form of a signed token (RFC 7515 §7.1, RFC 7519 §7.2), read strictly.
//!
//! What is read before the signature is checked: the protected header, and the claims through a name that says `danger`, because
//! `iss` chooses the key. Everything is bounded by [`limits::TOKEN_BYTES_MAX`] before any of it is looked at.

use super::{
    Algorithm, Claims, JoseError, PublicJwk, SignatureHolds, VerifyingKey, critical, json,
};
use crate::base64url;
use crate::verified::{Unverified, Verified};
use countersign_base::{Kid, limits};
use serde_json::{Map, Value};
use std::fmt;

/// Keys tried for one token that names none: a set of thousands must not cost thousands of verifications.
const KEYS_TRIED_MAX: usize = 8;

/// A signed token in its parts.
pub struct Jws {
    /// Header and payload as they were sent, with the dot between them: what is signed.
    signed: Box<str>,
    header: Header,
    claims: Claims,
    signature: Vec<u8>,
}

/// The protected header (RFC 7515 §4). `jku`, `x5u`, `x5c` and the rest are not kept: nothing here would use them.
#[derive(Clone)]
pub struct Header {
    algorithm: Algorithm,
    kid: Option<Kid>,
    typ: Option<Box<str>>,
    jwk: Option<Value>,
    plain: bool,
}

impl Header {
    /// `alg`. A key verifies it only if it is the key's own.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// `kid`.
    #[must_use]
    pub const fn kid(&self) -> Option<&Kid> {
        self.kid.as_ref()
    }

    /// `typ` as it was sent.
    #[must_use]
    pub fn typ(&self) -> Option<&str> {
        self.typ.as_deref()
    }

    /// Whether it holds `alg`, `kid` and `typ` at most, as the header of a JWT-SVID must (JWT-SVID §2).
    #[must_use]
    pub const fn is_plain(&self) -> bool {
        self.plain
    }

    /// Whether `typ` is the media type `expected`: `application/` may stand before it, and case has no meaning (RFC 7515 §4.1.9).
    #[must_use]
    pub fn is_typ(&self, expected: &str) -> bool {
        self.typ().is_some_and(|typ| {
            let short = typ
                .get(..12)
                .filter(|prefix| prefix.eq_ignore_ascii_case("application/"))
                .and_then(|_| typ.get(12..));
            short.unwrap_or(typ).eq_ignore_ascii_case(expected)
        })
    }

    /// `jwk`: the key that the token brought along. Only a DPoP proof may be checked with it (RFC 9449 §4.3).
    ///
    /// # Errors
    /// When the member is there and not a public key that is accepted here.
    pub fn jwk(&self) -> Result<Option<PublicJwk>, JoseError> {
        self.jwk.as_ref().map(PublicJwk::parse).transpose()
    }

    /// Checks a signature under this header: the key's own algorithm, and its name if both have one.
    pub(super) fn check(
        &self,
        key: &VerifyingKey,
        signed: &[u8],
        signature: &[u8],
    ) -> Result<SignatureHolds, JoseError> {
        if self.algorithm != key.algorithm() {
            return Err(JoseError::AlgorithmDiffers);
        }
        if self
            .kid
            .as_ref()
            .zip(key.kid())
            .is_some_and(|(named, kid)| named != kid)
        {
            return Err(JoseError::Header("kid"));
        }
        key.verify(signed, signature)
    }

    fn parse(bytes: &[u8]) -> Result<Self, JoseError> {
        Self::from_members(&json::object(bytes)?)
    }

    pub(super) fn from_members(members: &Map<String, Value>) -> Result<Self, JoseError> {
        Self::from_members_understanding(&[], members)
    }

    /// The header of whose members these are understood by its reader, so that they may be critical.
    pub(super) fn from_members_understanding(
        understood: &[&str],
        members: &Map<String, Value>,
    ) -> Result<Self, JoseError> {
        // An extension may change what the signature covers, so a header that uses one is not read at all.
        for extension in ["b64", "zip"] {
            if members.contains_key(extension) {
                return Err(JoseError::Extension(extension));
            }
        }
        critical::hold(members, |name| understood.contains(&name))?;
        let algorithm = match members.get("alg") {
            Some(Value::String(name)) => {
                Algorithm::from_name(name).ok_or(JoseError::AlgorithmUnknown)?
            }
            Some(_) | None => return Err(JoseError::AlgorithmUnknown),
        };
        let kid = match string(members, "kid")? {
            Some(kid) => Some(kid.parse().map_err(|_| JoseError::Header("kid"))?),
            None => None,
        };
        let typ = string(members, "typ")?.map(Box::from);
        let plain = members
            .keys()
            .all(|name| matches!(name.as_str(), "alg" | "kid" | "typ"));
        Ok(Self {
            algorithm,
            kid,
            typ,
            jwk: members.get("jwk").cloned(),
            plain,
        })
    }
}

fn string<'a>(
    members: &'a Map<String, Value>,
    name: &'static str,
) -> Result<Option<&'a str>, JoseError> {
    match members.get(name) {
        None => Ok(None),
        Some(value) => value.as_str().map(Some).ok_or(JoseError::Header(name)),
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Header")
            .field("algorithm", &self.algorithm)
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

impl Jws {
    /// Reads a token. Nothing of it is believed yet.
    ///
    /// # Errors
    /// When it is longer than [`limits::TOKEN_BYTES_MAX`], not three parts of base64url, its header or claims are no strict JSON object,
    /// its algorithm is unknown, or its header uses `crit`, `b64` or `zip`.
    pub fn parse(text: &str) -> Result<Unverified<Self>, JoseError> {
        if text.len() > limits::TOKEN_BYTES_MAX {
            return Err(JoseError::TooLong);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(JoseError::Parts)?;
        let (header, payload) = signed.split_once('.').ok_or(JoseError::Parts)?;
        if payload.contains('.') {
            return Err(JoseError::Parts);
        }
        let part = |text: &str| base64url::decode(text).map_err(|_| JoseError::Base64Url);
        let header = Header::parse(&part(header)?)?;
        let claims = Claims::new(json::object(&part(payload)?)?);
        Ok(Unverified::new(Self {
            signed: signed.into(),
            header,
            claims,
            signature: part(signature)?,
        }))
    }
}

impl Unverified<Jws> {
    /// The protected header: which key is needed, and what kind of token it says to be.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.inner().header
    }

    /// The claims as they were sent, believed by nobody. For choosing the key by `iss`, and for nothing else.
    #[must_use]
    pub const fn danger_unverified_claims(&self) -> &Claims {
        &self.inner().claims
    }

    /// The claims, after the signature was checked with `key`.
    ///
    /// # Errors
    /// When the header names another algorithm than the key's, another `kid` than the key's (if both have one), or the signature does not hold.
    pub fn verify(self, key: &VerifyingKey) -> Result<Verified<Claims>, JoseError> {
        let holds = self.check(key)?;
        Ok(Verified::new(self.into_inner().claims, holds))
    }

    /// Like [`Unverified::verify`] with the first of `keys` under which the signature holds; at most eight are tried.
    ///
    /// # Errors
    /// When the signature holds under none of them.
    pub fn verify_with_any<'a>(
        self,
        keys: impl IntoIterator<Item = &'a VerifyingKey>,
    ) -> Result<Verified<Claims>, JoseError> {
        let holds = keys
            .into_iter()
            .take(KEYS_TRIED_MAX)
            .find_map(|key| self.check(key).ok())
            .ok_or(JoseError::Signature)?;
        Ok(Verified::new(self.into_inner().claims, holds))
    }

    fn check(&self, key: &VerifyingKey) -> Result<SignatureHolds, JoseError> {
        let jws = self.inner();
        jws.header.check(key, jws.signed.as_bytes(), &jws.signature)
    }
}
