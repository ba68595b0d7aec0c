//! The data plane: every request goes through one pipeline, in one order that the types keep.
//!
//! ```text
//! target      canonical::CanonicalTarget      one form of method, authority, path and query, or a refusal
//! route       routes::Routes::find            no route = denied and recorded
//! from where  threats::RouteThreats           addresses and places: a refusal, or attributes for policy
//! who         authn::demand, prove            keys and verdicts fetched in between; the token of a browser's session (sessions)
//! once only   store::ReplayMemory             the one-time values of a proof
//! how often   limiter::Limiter                every limit of the route, or none is charged
//! how many    upstream::Gate                  a place, of the route and of its upstream
//! message     messages::MessageRules          where a partner writes: its signature holds, and what it holds is what the rest sees
//! content     content::Content                where somebody needs it: all of the body, within limits
//!             schema::Contract                it is what the route's document says
//!             threats::waf::Screen            nothing that its firewall's rules deny
//! attributes  attributes::Sources             what the decision needs to know of the object, where its route says from where
//! may they    policy::decide                  takes the request itself; obligations come out with the permit, or a challenge with the denial (threats::work)
//! record      store::Recorder                 denials too
//! once only   Planes::spend_message           a partner's message, before it goes on
//! known yet   idempotency::Keys               what came before under its key is answered, not passed on
//! pass on     forward::forward                takes the recorded permit; the only function that opens an upstream
//! tunnel      websocket::tunnel               after a 101: bytes, asked again while they pass
//! answer      projection::Plan                where somebody asks for it: cut down to its schema, changed as policy obliges
//!             ground::Watch                   asked again while it streams
//! outcome     store::Recorder                 status, bytes, time
//! ```
//!
//! Webhooks come in at routes of their own, by a shorter way: see [`webhooks`].
//!
//! Not here: how sessions are kept, pages, administration. The control plane and the data plane meet in [`Planes`] alone.

mod answer;
pub mod attributes;
pub mod canonical;
pub mod content;
pub mod cors;
pub mod egress;
#[cfg(doctest)]
mod evidence;
pub mod exchange;
pub mod ext_authz;
mod forward;
pub mod forward_auth;
mod ground;
mod grpc;
pub mod headers;
pub mod idempotency;
pub mod json;
mod keyed;
pub mod limiter;
pub mod messages;
mod pipeline;
mod planes;
pub mod projection;
mod request;
pub mod routes;
pub mod schema;
mod service;
pub mod sessions;
pub mod threats;
pub mod upstream;
mod verdicts;
pub mod webhooks;
pub mod websocket;

pub use answer::{Denial, GatewayBody, Unfinished};
pub use exchange::{ExchangeError, ExchangeRequest, Exchanged};
pub use forward::{UpstreamToken, forward};
pub use pipeline::SessionDenial;
pub use planes::{Planes, Seen};
pub use request::{Caller, GatewayRequest};
pub use routes::{RouteError, RouteSpec, Routes};
pub use service::{Gateway, GatewayOptions, RunningGateway};
pub use upstream::{Endpoint, UpstreamError, UpstreamSpec, UpstreamTls, Upstreams};
pub use verdicts::{TOKENS_KEPT, TOKENS_KEPT_MAX};
