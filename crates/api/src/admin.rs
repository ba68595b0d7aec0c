//! The admin API (`/admin/v1/*`): what the command line administers with.
//!
//! Whoever calls proves the local administrator's key (`countersign_control::administrator`); key and token are made anew at each start and live a day at
//! most. Every call is decided by policy and recorded before anything happens, and a change is committed together with the event that reports it.
//!
//! Not here: administrators who sign in as people, lists for a console, and a description in OpenAPI; none of them exists yet.

mod answer;
mod clients;
mod grants;
mod keys;
mod request;
mod users;

pub use answer::AdminError;

use axum::Router;
use axum::routing::post;
use countersign_control::Fabric;
use countersign_control::administrator::LocalAdministrator;
use std::sync::Arc;

/// What every handler shares.
#[derive(Clone)]
pub(crate) struct Admin {
    fabric: Arc<Fabric>,
    administrator: Arc<LocalAdministrator>,
}

/// Every endpoint of the admin API, for the table of authorization cases: method and path template.
pub const ENDPOINTS: &[(&str, &str)] = &[
    ("POST", "/admin/v1/tenants/{tenant}/clients"),
    ("POST", "/admin/v1/tenants/{tenant}/grants/{grant}/revoke"),
    ("POST", "/admin/v1/tenants/{tenant}/keys/rotate"),
    ("POST", "/admin/v1/tenants/{tenant}/users"),
    ("POST", "/admin/v1/tenants/{tenant}/users/disable"),
];

/// The admin API. It expects the connection's address as an extension of each request, as `net::from_tower` puts it there.
pub fn router(fabric: Arc<Fabric>, administrator: Arc<LocalAdministrator>) -> Router {
    Router::new()
        .route("/admin/v1/tenants/{tenant}/clients", post(clients::add))
        .route(
            "/admin/v1/tenants/{tenant}/grants/{grant}/revoke",
            post(grants::revoke),
        )
        .route("/admin/v1/tenants/{tenant}/keys/rotate", post(keys::rotate))
        .route("/admin/v1/tenants/{tenant}/users", post(users::add))
        .route(
            "/admin/v1/tenants/{tenant}/users/disable",
            post(users::disable),
        )
        .fallback(request::unknown)
        .with_state(Admin {
            fabric,
            administrator,
        })
}

#[cfg(test)]
mod tests;
