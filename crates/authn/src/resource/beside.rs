//! Credentials that do not stand in `Authorization`: keys in a field of their own, tokens that the gateway kept for a browser, and those that somebody put into the query, where
//! none is taken.
//!
//! Not here: what they are worth.

use super::{Demand, ResourceRequest, ResourceRules, Shown, TokenDemand};
use crate::access_token::TokenHash;
use crate::api_key;
use crate::credential::single_header;
use crate::dpop;
use crate::form::Form;
use crate::refusal::{Reason, Refusal};
use countersign_base::{Conditional, Secret, limits};

/// The demand of a token that the gateway kept for the browser that sent the request, whose session was found. The request brings no credential beside it.
///
/// # Errors
/// When it does, or the kept token is none.
pub fn demand_kept(
    token: &Secret<String>,
    request: &ResourceRequest<'_>,
    rules: &ResourceRules,
) -> Result<Demand, Refusal> {
    let beside = [http::header::AUTHORIZATION, dpop::DPOP_HEADER];
    if beside.iter().any(|name| request.headers.contains_key(name)) {
        return Err(Reason::TwoCredentials.into());
    }
    if shows_api_key(request.headers) {
        return Err(Reason::TwoCredentials.into());
    }
    if request.query.is_some_and(holds_credential) {
        return Err(Reason::TokenInQuery.into());
    }
    let token = token.expose();
    if token.len() > limits::TOKEN_BYTES_MAX {
        return Err(Reason::TokenTooLong.into());
    }
    if api_key::is_api_key(token) {
        return Err(Reason::ApiKeyNotTaken.into());
    }
    Ok(Demand::Token(TokenDemand {
        token: token.clone(),
        hash: TokenHash::of(token),
        shown: Shown::Kept,
        rules: rules.clone(),
    }))
}

/// Whether the field for keys of others holds one of ours: where it is not taken it is a misplaced credential and not none.
pub(super) fn shows_api_key(headers: &http::HeaderMap) -> bool {
    headers
        .get_all(&api_key::FIELD)
        .iter()
        .any(|value| value.as_bytes().starts_with(api_key::PREFIX.as_bytes()))
}

/// A key in the field of its own, and no other credential beside it: which one counted would be anybody's guess.
pub(super) fn api_key_in_its_field(
    request: &ResourceRequest<'_>,
    rules: &ResourceRules,
) -> Result<Demand, Refusal> {
    let beside = [http::header::AUTHORIZATION, dpop::DPOP_HEADER];
    if beside.iter().any(|name| request.headers.contains_key(name)) {
        return Err(Reason::TwoCredentials.into());
    }
    match single_header(request.headers, &api_key::FIELD) {
        Conditional::Present(Ok(key)) => api_key_demand(key, request, rules),
        Conditional::Present(Err(())) | Conditional::Absent(()) => {
            Err(Reason::AuthorizationBroken.into())
        }
    }
}

/// A key that does not even have its form is told as one that nobody made: nobody has to look for it.
pub(super) fn api_key_demand(
    key: &str,
    request: &ResourceRequest<'_>,
    rules: &ResourceRules,
) -> Result<Demand, Refusal> {
    if api_key::id_of(key).is_none() {
        return Err(Reason::TokenUnknown.into());
    }
    Ok(Demand::Token(TokenDemand {
        token: key.to_owned(),
        hash: TokenHash::of(key),
        shown: Shown::ApiKey(request.remote),
        rules: rules.clone(),
    }))
}

/// Whether a query string holds a credential of ours.
pub(super) fn holds_credential(query: &str) -> bool {
    holds_token(query) || holds_api_key(query)
}

/// Whether an API key stands anywhere in a query string, however it is escaped and whatever its name.
fn holds_api_key(query: &str) -> bool {
    let whole = |text: &str| {
        text.match_indices(api_key::PREFIX).any(|(at, _)| {
            let rest = text.get(at..).unwrap_or_default();
            let end = rest.find(['&', ';']).unwrap_or(rest.len());
            rest.get(..end).and_then(api_key::id_of).is_some()
        })
    };
    if query.contains('%') {
        return whole(&percent_encoding::percent_decode_str(query).decode_utf8_lossy());
    }
    whole(query)
}

/// Whether a query string names `access_token` (RFC 6750 §2.3, which FAPI 2.0 forbids), however it is escaped.
fn holds_token(query: &str) -> bool {
    match Form::parse(query.as_bytes()) {
        Ok(form) => form.names().any(|name| name == "access_token"),
        // Not a form, or one with repetitions, which a resource may have its reasons for: look at each name.
        Err(_) => query
            .split('&')
            .filter_map(|field| field.split('=').next())
            .any(|name| {
                let decoded: String = percent_encoding::percent_decode_str(name)
                    .decode_utf8_lossy()
                    .into_owned();
                decoded == "access_token"
            }),
    }
}
