//! The gateway as callers and upstreams meet it: real listeners, real TLS, a fake upstream on loopback, a real audit log.
//!
//! Tests are named after the attacks and requirements that they hold off. Each refusal has a twin without the flaw that passes.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "helpers of tests fail a test by panicking"
)]

mod api_keys;
mod attacks;
mod attributes;
mod backend;
mod browsers;
mod content;
mod credentials;
mod differential;
mod durable_keys;
mod egress;
mod exchange;
mod ext_authz;
mod floods;
mod forward_auth;
mod forwarding;
mod framing;
mod going_away;
mod grpc;
mod headers;
mod idempotency;
mod issuers;
mod limits;
mod messages;
mod obligations;
mod paths;
mod policy;
mod resilience;
mod routes;
mod schema;
mod shared_keys;
mod shared_limits;
mod streaming;
mod strict;
mod threats;
mod traces;
mod upstream;
mod webhooks;
mod websocket;
mod work;
mod world;
