//! Typed parameters of a form: absent, present and malformed are three cases.
//!
//! A parameter sent without a value is treated as if it were omitted (RFC 6749 §3.1), except where that would drop a restriction.

use crate::error::OAuthError;
use countersign_authn::Form;
use countersign_base::{Audience, Scopes};
use std::str::FromStr;

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

/// `scope`; an empty one asks for nothing and is refused, so that it cannot mean "everything".
pub(crate) fn scopes(form: &Form) -> Result<Option<Scopes>, OAuthError> {
    match optional::<Scopes>(form, "scope")? {
        Some(scopes) if scopes.is_empty() => Err(OAuthError::ParameterMalformed("scope")),
        scopes => Ok(scopes),
    }
}

/// `resource` (RFC 8707 §2), exactly one.
pub(crate) fn resource(form: &Form) -> Result<Option<Audience>, OAuthError> {
    match form.get("resource").map(str::parse).transpose() {
        Ok(audience) => Ok(audience),
        Err(_) => Err(OAuthError::AudienceNotPermitted),
    }
}
