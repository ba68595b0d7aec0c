//! The admin API (`/admin/v1/*`): what the command line administers with.
//!
//! Whoever calls proves the local administrator's key in the TLS handshake; the certificate is made anew at each start and lives a day at most, so there is no
//! token to steal. Every call is decided by policy and recorded before anything happens.
//!
//! Not here: administrators who sign in as people; that needs a console and a terminal login, which do not exist yet.

mod answer;
mod authenticate;
mod clients;
mod grants;
mod keys;
mod request;
mod users;

pub use answer::AdminError;
pub use authenticate::AdministratorCredential;

use axum::Router;
use axum::routing::post;
use countersign_control::Fabric;
use std::sync::Arc;

/// What every handler shares.
#[derive(Clone)]
pub(crate) struct Admin {
    fabric: Arc<Fabric>,
    credential: AdministratorCredential,
}

/// Every endpoint of the admin API, for the table of authorization cases: method and path template.
pub const ENDPOINTS: &[(&str, &str)] = &[
    ("POST", "/admin/v1/tenants/{tenant}/clients"),
    ("POST", "/admin/v1/tenants/{tenant}/grants/{grant}/revoke"),
    ("POST", "/admin/v1/tenants/{tenant}/keys/rotate"),
    ("POST", "/admin/v1/tenants/{tenant}/users"),
    ("POST", "/admin/v1/tenants/{tenant}/users/disable"),
];

/// The admin API. It expects the connection's peer as an extension of each request, as `net::from_tower` puts it there.
pub fn router(fabric: Arc<Fabric>, credential: AdministratorCredential) -> Router {
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
        .with_state(Admin { fabric, credential })
}
