//! `issuers` of a route: whose access tokens it takes.
//!
//! Without the key it takes those of its tenant's own issuer, with it those of the issuers that it names and of nobody else. What only our own issuer can do, keys,
//! sessions and exchanges, needs `own` among them.

use super::RawRoute;
use crate::config::error::Mistakes;
use crate::config::gateway_issuers::GatewayIssuerSection;
use crate::config::nearest;
use std::collections::BTreeSet;

/// What a route calls its tenant's own issuer.
const OWN: &str = "own";

/// Whether tokens of the tenant's own issuer are taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OwnTokens {
    /// They are not.
    Refused,
    /// They are.
    #[default]
    Taken,
}

/// Whose access tokens a route takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IssuersOfRoute {
    /// Those of the tenant's own issuer.
    pub own: OwnTokens,
    /// Names of `[[gateway.issuers]]`.
    pub others: BTreeSet<String>,
}

pub(super) fn of_route(
    route: &mut RawRoute,
    known: &[GatewayIssuerSection],
    mistakes: &mut Mistakes<'_>,
) -> IssuersOfRoute {
    let Some(written) = route.issuers.take() else {
        return IssuersOfRoute::default();
    };
    let mut issuers = IssuersOfRoute {
        own: OwnTokens::Refused,
        others: BTreeSet::new(),
    };
    let Some(first) = written.first().map(|first| first.span()) else {
        mistakes.at(
            &route.name.span(),
            "a route with no issuer takes no token",
            "leave `issuers` out: then it takes those of the tenant's own",
        );
        return issuers;
    };
    for named in &written {
        let name = named.get_ref();
        if name == OWN {
            issuers.own = OwnTokens::Taken;
        } else if known.iter().any(|issuer| issuer.name() == name) {
            issuers.others.insert(name.clone());
        } else {
            let names = known.iter().map(GatewayIssuerSection::name);
            mistakes.at(
                &named.span(),
                format!("no issuer `{name}` among `[[gateway.issuers]]`"),
                nearest(name, names.chain([OWN])),
            );
        }
    }
    if route.exchange.is_some() && !issuers.others.is_empty() {
        mistakes.at(
            &first,
            "only tokens of the tenant's own issuer can be exchanged, and this route takes others'",
            "leave `exchange` out, or make two routes of it",
        );
    }
    let needs_own = [
        ("exchange", route.exchange.is_some()),
        ("session", route.session.is_some()),
        ("api_keys", route.api_keys.is_some()),
    ];
    if issuers.own == OwnTokens::Refused
        && let Some((key, _)) = needs_own.iter().find(|(_, there)| *there)
    {
        mistakes.at(
            &first,
            format!(
                "`{key}` is for tokens of the tenant's own issuer, which this route does not take"
            ),
            format!("write `own` among its `issuers`, or leave `{key}` out"),
        );
    }
    issuers
}
