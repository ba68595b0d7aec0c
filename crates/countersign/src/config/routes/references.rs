//! What a route refers to: its upstream, the client of its exchange, sessions of browsers.

use super::{Others, RawRoute, RouteSection};
use crate::config::browser_sessions::SessionsSection;
use crate::config::error::Mistakes;
use crate::config::nearest;
use countersign_base::{Audience, RouteId, Tenant};
use countersign_gateway::cors::Credentials;
use toml::Spanned;

/// What only a route to an upstream has.
pub(super) struct Goes {
    pub(super) upstream: Spanned<RouteId>,
    pub(super) audience: Audience,
}

impl Goes {
    pub(super) fn of(route: &mut RawRoute, mistakes: &mut Mistakes<'_>) -> Option<Self> {
        let found = (route.upstream.take(), route.audience.take());
        if let (Some(upstream), Some(audience)) = found {
            return Some(Self { upstream, audience });
        }
        mistakes.at(
            &route.name.span(),
            "a route goes to an `upstream` and takes tokens for an `audience`; or it is for webhooks",
            "write both, or `webhook = \"SOURCE\"`",
        );
        None
    }
}

pub(super) fn check_path(route: &RawRoute, mistakes: &mut Mistakes<'_>) {
    if !route.path.get_ref().starts_with('/') {
        mistakes.at(
            &route.path.span(),
            "a path begins with `/`",
            format!("write `/{}`", route.path.get_ref()),
        );
    }
}

pub(super) fn check_references(
    route: &RawRoute,
    goes: &Goes,
    tenant: &Tenant,
    others: &Others<'_>,
    mistakes: &mut Mistakes<'_>,
) {
    let (upstreams, clients) = (others.upstreams, others.clients);
    let wanted = goes.upstream.get_ref();
    if !upstreams.iter().any(|upstream| upstream.name == *wanted) {
        let help = nearest(
            wanted.as_str(),
            upstreams.iter().map(|upstream| upstream.name.as_str()),
        );
        mistakes.at(
            &goes.upstream.span(),
            format!("no upstream `{wanted}`"),
            help,
        );
    }
    if let Some(exchange) = &route.exchange {
        let wanted = exchange.client.get_ref();
        let mut known = clients.iter().filter(|client| client.tenant == *tenant);
        if !known.any(|client| client.id == *wanted) {
            let names = clients
                .iter()
                .filter(|client| client.tenant == *tenant)
                .map(|client| client.id.as_str());
            mistakes.at(
                &exchange.client.span(),
                format!("no client `{wanted}` in tenant `{tenant}`"),
                nearest(wanted.as_str(), names),
            );
        }
    }
}

/// Sessions that routes name are there, of the route's tenant and audience; and no page of another origin may send their cookies.
pub(crate) fn check_sessions(
    routes: &[RouteSection],
    sessions: &[SessionsSection],
    mistakes: &mut Mistakes<'_>,
) {
    for route in routes {
        let Some(named) = &route.session else {
            continue;
        };
        let name = named.get_ref();
        let Some(section) = sessions.iter().find(|section| section.name == *name) else {
            let help = nearest(
                name.as_str(),
                sessions.iter().map(|section| section.name.as_str()),
            );
            mistakes.at(&named.span(), format!("no sessions `{name}`"), help);
            continue;
        };
        if section.tenant != route.tenant || section.audience != route.audience {
            mistakes.at(
                &named.span(),
                format!("the tokens of the sessions `{name}` are of another tenant or audience than the route's"),
                "give both the same `tenant` and `audience`",
            );
        }
        if route
            .cors
            .as_ref()
            .is_some_and(|cors| cors.credentials == Credentials::Allowed)
        {
            mistakes.at(
                &named.span(),
                "pages of other origins may not send the cookies of a session",
                "write `credentials = \"refused\"` in its `cors`, or take the `session` away",
            );
        }
    }
}
