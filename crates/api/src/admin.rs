//! The admin API (`/admin/v1/*`): what the command line administers with.
//!
//! Whoever calls proves the local administrator's key (`countersign_control::administrator`); key and token are made anew at each start and live a day at
//! most. Every call is decided by policy and recorded before anything happens, and a change is committed together with the event that reports it.
//!
//! `/admin/v1/openapi.json` describes it and is the one thing that anybody may read.
//!
//! Not here: administrators who sign in as people, and lists for a console; they do not exist yet.

mod answer;
mod api_keys;
mod clients;
mod decisions;
mod described;
mod grants;
mod keys;
mod registration_tokens;
mod request;
mod sessions;
mod subjects;
mod trace;
mod users;
mod webhooks;

pub use answer::AdminError;

use axum::Router;
use axum::middleware;
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, get, post};
use countersign_control::Fabric;
use countersign_control::administrator::LocalAdministrator;
use countersign_control::webhooks::EventTypes;
use countersign_store::Connection;
use http::{HeaderValue, header};
use std::sync::Arc;

/// What every handler shares.
#[derive(Clone)]
pub(crate) struct Admin {
    fabric: Arc<Fabric>,
    administrator: Arc<LocalAdministrator>,
    event_types: EventTypes,
}

impl Admin {
    /// A connection that reads. Give it back before a change: that takes one of its own.
    async fn read(&self) -> Result<Connection, AdminError> {
        Ok(self.fabric.store().read().await?)
    }
}

type Endpoint = (&'static str, fn() -> MethodRouter<Admin>);

/// The endpoints: a path, and what a `POST` to it does, or a `GET` where it only shows something. The table of authorization cases in the tests holds a row for each.
const ENDPOINTS: &[Endpoint] = &[
    ("/admin/v1/tenants/{tenant}/clients", || post(clients::add)),
    ("/admin/v1/tenants/{tenant}/grants/{grant}/revoke", || {
        post(grants::revoke)
    }),
    ("/admin/v1/tenants/{tenant}/keys/rotate", || {
        post(keys::rotate)
    }),
    ("/admin/v1/tenants/{tenant}/users", || post(users::add)),
    ("/admin/v1/tenants/{tenant}/users/disable", || {
        post(users::disable)
    }),
    ("/admin/v1/tenants/{tenant}/clients/disable", || {
        post(clients::disable)
    }),
    ("/admin/v1/tenants/{tenant}/grants/{grant}", || {
        get(grants::show)
    }),
    ("/admin/v1/tenants/{tenant}/sessions/{session}/end", || {
        post(sessions::end)
    }),
    ("/admin/v1/tenants/{tenant}/users/sessions", || {
        post(sessions::list)
    }),
    ("/admin/v1/tenants/{tenant}/registration-tokens", || {
        post(registration_tokens::make)
    }),
    ("/admin/v1/tenants/{tenant}/decisions/{event}", || {
        get(decisions::show)
    }),
    ("/admin/v1/tenants/{tenant}/decisions/replay", || {
        post(decisions::replay)
    }),
    ("/admin/v1/tenants/{tenant}/api-keys", || {
        post(api_keys::add)
    }),
    ("/admin/v1/tenants/{tenant}/api-keys/list", || {
        post(api_keys::list)
    }),
    ("/admin/v1/tenants/{tenant}/api-keys/{key}/revoke", || {
        post(api_keys::revoke)
    }),
    ("/admin/v1/tenants/{tenant}/subjects/{user}/erase", || {
        post(subjects::erase)
    }),
    ("/admin/v1/tenants/{tenant}/keys/data/rotate", || {
        post(keys::rotate_data)
    }),
    ("/admin/v1/tenants/{tenant}/keys/root/rotate", || {
        post(keys::rotate_root)
    }),
    (
        "/admin/v1/tenants/{tenant}/keys/key-encryption/rotate",
        || post(keys::rotate_key_encryption),
    ),
    ("/admin/v1/tenants/{tenant}/keys/status", || {
        get(keys::status)
    }),
    ("/admin/v1/tenants/{tenant}/webhooks/event-types", || {
        post(webhooks::add_event_type)
    }),
    (
        "/admin/v1/tenants/{tenant}/webhooks/event-types/list",
        || post(webhooks::list_event_types),
    ),
    ("/admin/v1/tenants/{tenant}/webhooks/endpoints", || {
        post(webhooks::add)
    }),
    ("/admin/v1/tenants/{tenant}/webhooks/endpoints/list", || {
        post(webhooks::list)
    }),
    (
        "/admin/v1/tenants/{tenant}/webhooks/endpoints/{endpoint}",
        || get(webhooks::show),
    ),
    (
        "/admin/v1/tenants/{tenant}/webhooks/endpoints/{endpoint}/change",
        || post(webhooks::change),
    ),
    (
        "/admin/v1/tenants/{tenant}/webhooks/endpoints/{endpoint}/rotate-secret",
        || post(webhooks::rotate_secret),
    ),
    (
        "/admin/v1/tenants/{tenant}/webhooks/endpoints/{endpoint}/disable",
        || post(webhooks::disable),
    ),
    (
        "/admin/v1/tenants/{tenant}/webhooks/endpoints/{endpoint}/enable",
        || post(webhooks::enable),
    ),
    (
        "/admin/v1/tenants/{tenant}/webhooks/endpoints/{endpoint}/replay",
        || post(webhooks::replay),
    ),
    ("/admin/v1/tenants/{tenant}/webhooks/messages", || {
        post(webhooks::publish)
    }),
    (
        "/admin/v1/tenants/{tenant}/webhooks/deliveries/list",
        || post(webhooks::deliveries),
    ),
    (
        "/admin/v1/tenants/{tenant}/webhooks/deliveries/{delivery}/resend",
        || post(webhooks::resend),
    ),
    (
        "/admin/v1/tenants/{tenant}/webhooks/endpoints/{endpoint}/remove",
        || post(webhooks::remove),
    ),
    ("/admin/v1/tenants/{tenant}/webhooks/messages/list", || {
        post(webhooks::list_messages)
    }),
    (
        "/admin/v1/tenants/{tenant}/webhooks/messages/{message}",
        || get(webhooks::show_message),
    ),
    (
        "/admin/v1/tenants/{tenant}/webhooks/event-types/retire",
        || post(webhooks::retire_event_type),
    ),
];

/// The description of the admin API (OpenAPI 3.1); a test holds it to the endpoints.
pub const OPENAPI: &str = include_str!("admin/openapi.json");

/// Where the description is.
pub const OPENAPI_PATH: &str = "/admin/v1/openapi.json";

async fn openapi() -> impl IntoResponse {
    let kind = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, kind)], OPENAPI)
}

/// The admin API. It expects the connection's address as an extension of each request, as `net::from_tower` puts it there.
pub fn router(fabric: Arc<Fabric>, administrator: Arc<LocalAdministrator>) -> Router {
    let endpoints = ENDPOINTS
        .iter()
        .fold(Router::new(), |router, (path, endpoint)| {
            router.route(path, endpoint())
        });
    let admin = Admin {
        fabric,
        administrator,
        event_types: EventTypes::default(),
    };
    endpoints
        .route(OPENAPI_PATH, get(openapi))
        .fallback(request::unknown)
        .method_not_allowed_fallback(request::wrong_method)
        .layer(middleware::from_fn_with_state(admin.clone(), trace::traced))
        .with_state(admin)
}

#[cfg(test)]
mod tests;
