//! `cors` of a route: which pages of other origins may call it. Without it, none.

use super::error::Mistakes;
use super::span::Span;
use countersign_gateway::cors::{Cors, CorsError, CorsSpec, Credentials, Origin};
use http::Method;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::time::Duration;
use toml::Spanned;

/// How long browsers keep the answer to a preflight, unless the route says.
const MAX_AGE: Duration = Duration::from_secs(600);

/// `cors` of a route as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCors {
    /// `https://app.example`, each exactly.
    origins: Vec<Spanned<String>>,
    /// Fields that pages may send.
    #[serde(default)]
    headers: BTreeSet<String>,
    /// Fields of answers that pages may read.
    #[serde(default)]
    expose: BTreeSet<String>,
    #[serde(default)]
    credentials: RawCredentials,
    max_age: Option<Span>,
}

/// Whether pages may send cookies and client certificates along.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawCredentials {
    Allowed,
    #[default]
    Refused,
}

/// The rules of a route that has these methods.
pub(super) fn of_route<'a>(
    raw: Spanned<RawCors>,
    methods: impl Iterator<Item = &'a str>,
    mistakes: &mut Mistakes<'_>,
) -> Option<CorsSpec> {
    let whole = raw.span();
    let raw = raw.into_inner();
    let mut origins = BTreeSet::new();
    let mut sound = true;
    for written in &raw.origins {
        match written.get_ref().parse::<Origin>() {
            Ok(origin) => _ = origins.insert(origin),
            Err(error) => {
                sound = false;
                mistakes.at(
                    &written.span(),
                    format!("`{}` is not an origin", written.get_ref()),
                    error.to_string(),
                );
            }
        }
    }
    let spec = CorsSpec {
        origins,
        headers: raw.headers,
        expose: raw.expose,
        credentials: match raw.credentials {
            RawCredentials::Allowed => Credentials::Allowed,
            RawCredentials::Refused => Credentials::Refused,
        },
        max_age: raw
            .max_age
            .map_or(MAX_AGE, |age| Duration::from_secs(age.0.as_secs())),
    };
    let methods: Vec<Method> = methods
        .filter_map(|method| Method::from_bytes(method.as_bytes()).ok())
        .collect();
    match Cors::new(spec.clone(), methods.iter()) {
        Ok(_) if sound => Some(spec),
        Ok(_) => None,
        // A wrong origin was said already.
        Err(CorsError::NoOrigin) if !sound => None,
        Err(error) => {
            mistakes.at(&whole, error.to_string(), help(&error));
            None
        }
    }
}

const fn help(error: &CorsError) -> &'static str {
    match error {
        CorsError::Field(_) => "name each field; there is no `*`",
        CorsError::MaxAge => "write such as `max_age = \"10m\"`",
        CorsError::NoOrigin => {
            "write such as `origins = [\"https://app.example\"]`, or remove `cors`"
        }
        CorsError::Options => "remove `actions.OPTIONS`",
    }
}
