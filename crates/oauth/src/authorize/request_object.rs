//! Request objects by value (RFC 9101, with the rules of FAPI 2.0 Message Signing §5.3): a client's signed authorization request, perhaps encrypted around the
//! signature.
//!
//! With a request object only what stands inside it counts (R19): its claims become the [`Form`] that is judged, and the one that carried it is not looked at
//! again. What is encrypted must hold a signed object (R21); encryption alone proves nothing about who wrote it.
//!
//! Not here: request objects by reference. Nothing is ever fetched; a `request_uri` is one of ours (docs/decisions).

use crate::client::ClientRecord;
use crate::error::OAuthError;
use crate::tenant::TenantRecord;
use countersign_authn::Form;
use countersign_base::{Duration, UnixTime, limits};
use countersign_crypto::jose::{
    Claims, ContentEncryption, DecryptionKey, JoseError, Jwe, JweRules, Jws, KeyManagement, is_jwe,
};
use countersign_crypto::{Unverified, Verified};
use serde_json::Value;

/// How long a request object may live, and how long ago it may have begun to (FAPI 2.0 Message Signing §5.3.1).
pub const REQUEST_OBJECT_LIFETIME_MAX: Duration = Duration::from_secs(3600);

/// The media type of request objects (RFC 9101 §10.8).
const TYP: &str = "oauth-authz-req+jwt";

/// What request objects may be encrypted with: what the tenant's published key fits.
pub const REQUEST_OBJECT_KEY_MANAGEMENT: [KeyManagement; 2] =
    [KeyManagement::EcdhEs, KeyManagement::EcdhEsA256Kw];

/// And their content.
pub const REQUEST_OBJECT_CONTENT: [ContentEncryption; 3] = ContentEncryption::ALL;

/// The claims that are about the object and not about the request.
const ENVELOPE: [&str; 7] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti"];

/// The parameters of an authorization request, with how they came.
#[derive(Debug)]
pub enum Parameters<'a> {
    /// As the browser or the client sent them.
    Plain(&'a Form),
    /// Out of a request object whose signature held.
    Signed(Form),
}

macro_rules! flaws {
    ($($(#[$doc:meta])* $name:ident: $reason:literal, $description:literal;)+) => {
        /// Why a request object is refused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
        #[error("{}", self.reason())]
        pub enum RequestObjectFlaw {
            $($(#[$doc])* $name,)+
        }

        impl RequestObjectFlaw {
            /// The reason as the log names it.
            #[must_use]
            pub const fn reason(self) -> &'static str {
                match self {
                    $(Self::$name => $reason,)+
                }
            }

            /// What the caller is told.
            #[must_use]
            pub const fn description(self) -> &'static str {
                match self {
                    $(Self::$name => $description,)+
                }
            }
        }
    };
}

flaws! {
    /// JAR-1, JAR-2: `none`, or none of the client's algorithms.
    Algorithm: "request_object_algorithm", "the request object's algorithm is not accepted";
    /// JAR-10.
    Audience: "request_object_audience", "the request object is not addressed to this issuer";
    /// `client_id` inside is not the client.
    ClientId: "request_object_client_id", "client_id in the request object differs";
    /// It does not open, or uses an algorithm that is not accepted.
    Encryption: "request_object_encryption", "the request object cannot be decrypted";
    /// JAR-5, JAR-9: no `exp`, or it is over.
    Expired: "request_object_expired", "the request object has no exp or is expired";
    /// `iss` is not the client.
    Issuer: "request_object_issuer", "iss of the request object is not the client";
    /// JAR-7.
    LivesTooLong: "request_object_lives_too_long", "the request object lives longer than an hour";
    /// Not a JWT, a claim of the wrong type, or a parameter that none can be.
    Malformed: "request_object_malformed", "the request object cannot be read";
    /// PAR-4: `request` or `request_uri` inside.
    Nested: "request_object_nested", "a request object must not name another one";
    /// JAR-6, JAR-8, JAR-18: no `nbf`, ahead, or over an hour back.
    NotBefore: "request_object_not_before", "the request object needs nbf, of the last hour and not ahead";
    /// JAR-11.
    RedirectUri: "request_object_redirect_uri", "the request object needs redirect_uri";
    /// JAR-3, JAR-4.
    Signature: "request_object_signature", "the request object's signature does not hold";
    /// `sub` is the client: an assertion for authentication, not a request (RFC 9101 §10.8).
    Subject: "request_object_subject", "a client assertion is not a request object";
    /// `typ` is that of another kind of JWT.
    Typ: "request_object_typ", "typ of the request object is not oauth-authz-req+jwt";
}

impl<'a> Parameters<'a> {
    /// Finds the parameters of a request of `client`: in its request object, if it has one. `keys` are the tenant's.
    ///
    /// # Errors
    /// The request object is refused (R20, R21), or the client has no keys to verify one with.
    pub fn read(
        form: &'a Form,
        client: &ClientRecord,
        tenant: &TenantRecord,
        keys: &[DecryptionKey],
        now: UnixTime,
    ) -> Result<Self, OAuthError> {
        let Some(text) = form.get("request") else {
            return Ok(Self::Plain(form));
        };
        let registered = client.request_keys();
        if registered.is_empty() {
            return Err(OAuthError::RequestObject);
        }
        let jws = signed_object(text, keys)?;
        let header = jws.header();
        if header.typ().is_some() && !header.is_typ(TYP) && !header.is_typ("JWT") {
            return Err(flawed(RequestObjectFlaw::Typ));
        }
        let algorithm = header.algorithm();
        if !client
            .request_rules
            .request_object_algorithms
            .contains(&algorithm)
        {
            return Err(flawed(RequestObjectFlaw::Algorithm));
        }
        let kid = header.kid().cloned();
        let claims = jws
            .verify_with_any(registered.candidates(kid.as_ref(), algorithm))
            .map_err(|_| flawed(RequestObjectFlaw::Signature))?;
        check(&claims, client, tenant, now).map_err(flawed)?;
        let form = content(&claims).map_err(flawed)?;
        Ok(Self::Signed(form))
    }

    /// The parameters.
    #[must_use]
    pub const fn form(&self) -> &Form {
        match self {
            Self::Plain(form) => form,
            Self::Signed(form) => form,
        }
    }
}

const fn flawed(flaw: RequestObjectFlaw) -> OAuthError {
    OAuthError::RequestObjectRefused(flaw)
}

/// The signed object: the text itself, or what is encrypted in it. Anything else inside is refused (JAR-16).
fn signed_object(text: &str, keys: &[DecryptionKey]) -> Result<Unverified<Jws>, OAuthError> {
    if !is_jwe(text) {
        return parsed(text);
    }
    let rules = JweRules {
        key_management: &REQUEST_OBJECT_KEY_MANAGEMENT,
        content: &REQUEST_OBJECT_CONTENT,
    };
    let refused = |_| flawed(RequestObjectFlaw::Encryption);
    let jwe = Jwe::parse(text, &rules).map_err(refused)?;
    if !jwe.may_hold_jwt() {
        return Err(flawed(RequestObjectFlaw::Typ));
    }
    let opened = jwe.decrypt(keys).map_err(refused)?;
    match std::str::from_utf8(opened.expose()) {
        Ok(inner) => parsed(inner),
        Err(_) => Err(flawed(RequestObjectFlaw::Malformed)),
    }
}

fn parsed(text: &str) -> Result<Unverified<Jws>, OAuthError> {
    Jws::parse(text).map_err(|error| {
        flawed(if error == JoseError::AlgorithmUnknown {
            RequestObjectFlaw::Algorithm
        } else {
            RequestObjectFlaw::Malformed
        })
    })
}

/// R20: whose it is, for whom, and when.
fn check(
    claims: &Verified<Claims>,
    client: &ClientRecord,
    tenant: &TenantRecord,
    now: UnixTime,
) -> Result<(), RequestObjectFlaw> {
    let text = |name| claims.text(name).map_err(|_| RequestObjectFlaw::Malformed);
    let own = client.id.as_str();
    if text("client_id")? != Some(own) {
        return Err(RequestObjectFlaw::ClientId);
    }
    if text("iss")?.is_some_and(|issuer| issuer != own) {
        return Err(RequestObjectFlaw::Issuer);
    }
    if text("sub")? == Some(own) {
        return Err(RequestObjectFlaw::Subject);
    }
    let audience = claims
        .strings("aud")
        .map_err(|_| RequestObjectFlaw::Malformed)?
        .unwrap_or_default();
    if !audience.contains(&tenant.issuer.as_str()) {
        return Err(RequestObjectFlaw::Audience);
    }
    check_times(claims, now)?;
    if text("redirect_uri")?.is_none_or(str::is_empty) {
        return Err(RequestObjectFlaw::RedirectUri);
    }
    Ok(())
}

fn check_times(claims: &Verified<Claims>, now: UnixTime) -> Result<(), RequestObjectFlaw> {
    let time = |name| claims.time(name).map_err(|_| RequestObjectFlaw::Malformed);
    let ahead_max = now.plus(limits::CLIENT_SKEW_AHEAD);
    let begins = time("nbf")?
        .filter(|begins| *begins <= ahead_max && begins.plus(REQUEST_OBJECT_LIFETIME_MAX) >= now)
        .ok_or(RequestObjectFlaw::NotBefore)?;
    if time("iat")?.is_some_and(|issued| issued > ahead_max) {
        return Err(RequestObjectFlaw::NotBefore);
    }
    let expires = time("exp")?
        .filter(|expires| *expires > now)
        .ok_or(RequestObjectFlaw::Expired)?;
    if expires > begins.plus(REQUEST_OBJECT_LIFETIME_MAX) {
        return Err(RequestObjectFlaw::LivesTooLong);
    }
    Ok(())
}

/// The claims as parameters. Structured ones (`claims`, `authorization_details`) become the JSON text that they would be in a query.
fn content(claims: &Verified<Claims>) -> Result<Form, RequestObjectFlaw> {
    let mut pairs = Vec::new();
    for (name, value) in claims.raw() {
        if matches!(name.as_str(), "request" | "request_uri") {
            return Err(RequestObjectFlaw::Nested);
        }
        match (name.as_str(), value) {
            // RFC 8707 §2.1: the one parameter that may be repeated.
            ("resource", Value::Array(resources)) => {
                for resource in resources {
                    pairs.push((name.clone(), parameter(resource)?));
                }
            }
            (other, _) if ENVELOPE.contains(&other) => {}
            (_, _) => pairs.push((name.clone(), parameter(value)?)),
        }
    }
    Form::from_pairs(pairs).map_err(|_| RequestObjectFlaw::Malformed)
}

fn parameter(value: &Value) -> Result<String, RequestObjectFlaw> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) if number.is_u64() => Ok(number.to_string()),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => Ok(value.to_string()),
        Value::Null | Value::Number(_) => Err(RequestObjectFlaw::Malformed),
    }
}

#[cfg(test)]
mod tests;
