//! Typed parameters of a form: absent, present and malformed are three cases.
//!
//! A parameter sent without a value is treated as if it were omitted (RFC 6749 §3.1), except where that would drop a restriction.

use crate::error::OAuthError;
use countersign_authn::Form;
use countersign_base::{Audience, Scopes};
use std::str::FromStr;

/// Audiences that one authorization request may name.
const RESOURCES_MAX: usize = 8;

/// A parameter that must be there.
pub(crate) fn required<T: FromStr>(form: &Form, name: &'static str) -> Result<T, OAuthError> {
    optional(form, name)?.ok_or(OAuthError::ParameterMissing(name))
}

/// A parameter that may be absent; empty is malformed for every type whose grammar has no empty word.
pub(crate) fn optional<T: FromStr>(
    form: &Form,
    name: &'static str,
) -> Result<Option<T>, OAuthError> {
    form.get(name)
        .map(str::parse)
        .transpose()
        .map_err(|_| OAuthError::ParameterMalformed(name))
}

/// `scope`; an empty one asks for nothing and is refused, so that it cannot mean "everything". A malformed one is an `invalid_scope` like an unknown one
/// (RFC 6749 §5.2).
pub(crate) fn scopes(form: &Form) -> Result<Option<Scopes>, OAuthError> {
    match optional::<Scopes>(form, "scope") {
        Ok(Some(scopes)) if scopes.is_empty() => Err(OAuthError::ScopeNotPermitted),
        Ok(scopes) => Ok(scopes),
        Err(_) => Err(OAuthError::ScopeNotPermitted),
    }
}

/// `resource` (RFC 8707 §2) of a token request: a token has one audience, so one may be named.
pub(crate) fn resource(form: &Form) -> Result<Option<Audience>, OAuthError> {
    let mut named = resources(form)?.into_iter();
    match (named.next(), named.next()) {
        (one, None) => Ok(one),
        (_, Some(_)) => Err(OAuthError::AudienceRepeated),
    }
}

/// Every `resource` of an authorization request (RFC 8707 §2.1), in order and each once.
pub(crate) fn resources(form: &Form) -> Result<Vec<Audience>, OAuthError> {
    let mut named: Vec<Audience> = Vec::new();
    for text in form.all("resource") {
        let audience = text.parse().map_err(|_| OAuthError::AudienceNotPermitted)?;
        if !named.contains(&audience) {
            named.push(audience);
        }
    }
    if named.len() > RESOURCES_MAX {
        return Err(OAuthError::AudienceRepeated);
    }
    Ok(named)
}
