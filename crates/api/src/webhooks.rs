//! Publishing webhooks (`POST /webhooks/v1/messages`), for services: what the administrator does by hand, a client does with an access token for [`AUDIENCE`] and the scope
//! `webhooks.publish`.
//!
//! The token is proven, its scope asked for, and what the client published lately counted before a byte of the body is read; then the payload is held against its event type's schema, policy decides
//! (`Action::"publish_webhook"`), and message and decision are committed together. An answer of 202 says that this is durable.
//!
//! Not here: what becomes of a message (`store`, `channels`).

mod answer;
mod publishing;

use crate::access::lookups::LookUps;
use crate::calls::Calls;
use answer::{Failure, Reply};
use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{MethodRouter, any};
use countersign_base::RequestId;
use countersign_control::Fabric;
use countersign_control::webhooks::EventTypes;
use serde_json::Value;
use std::sync::Arc;
use url::Url;

/// The audience of tokens with which webhooks are published.
pub const AUDIENCE: &str = "urn:countersign:webhooks";
/// The scope that they have.
pub const SCOPE: &str = "webhooks.publish";
const MESSAGES: &str = "/webhooks/v1/messages";

/// What every handler shares.
#[derive(Clone)]
pub(crate) struct Webhooks {
    fabric: Arc<Fabric>,
    /// The address that the listener is reached under.
    origin: Arc<str>,
    lookups: Arc<LookUps>,
    calls: Arc<Calls>,
    event_types: EventTypes,
}

type Endpoint = (&'static str, fn() -> MethodRouter<Webhooks>);

/// The endpoints. The table of authorization cases in the tests holds a row for each.
const ENDPOINTS: &[Endpoint] = &[(MESSAGES, || any(messages))];

/// The door. `origin` is the address that its listener is reached under; the connection's address is expected as an extension of each request, as `net::from_tower` puts it there.
pub fn router(fabric: Arc<Fabric>, origin: &Url) -> Router {
    let webhooks = Webhooks {
        fabric,
        origin: origin.as_str().trim_end_matches('/').into(),
        lookups: Arc::default(),
        calls: Arc::default(),
        event_types: EventTypes::default(),
    };
    ENDPOINTS
        .iter()
        .fold(Router::new(), |router, (path, endpoint)| {
            router.route(path, endpoint())
        })
        .with_state(webhooks)
}

async fn messages(State(webhooks): State<Webhooks>, request: Request) -> Response {
    let reply = Reply::new(webhooks.fabric.random().request_id());
    let result = published(&webhooks, reply.id(), request).await;
    reply.with(result)
}

async fn published(webhooks: &Webhooks, id: RequestId, request: Request) -> Result<Value, Failure> {
    let admitted = publishing::admit(webhooks, id, request).await?;
    publishing::publish(webhooks, admitted).await
}

#[cfg(test)]
mod tests;
