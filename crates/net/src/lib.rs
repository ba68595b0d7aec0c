//! The network shell: listeners, TLS with certificates that can be swapped while it runs, connections with limits, the HTTP client with
//! its egress guard, and orderly drain.
//!
//! It knows nothing of tokens, routes and policies: it hands a request on together with who is at the other end of the connection.

pub mod body;
pub mod client;
mod connection;
pub mod delivery;
pub mod drain;
pub mod egress;
mod framing;
pub mod guarded;
pub mod ja4;
pub mod limits;
mod lingering;
pub mod listener;
pub mod peers;
mod recorded;
pub mod runtime;
mod serve;
mod taken;
pub mod tls;

pub use body::{BodyError, InboundBody};
pub use client::{ClientError, ClientOptions, ClientResponse, HttpClient};
pub use connection::{Connection, Inbound, Peer, Scheme};
pub use delivery::{
    Answer, DeliveryError, DeliveryLimits, DeliveryPool, DeliveryTls, Receiver, Refused,
    RetryAfter, Schemes, Unanswered,
};
pub use drain::{Drain, DrainTrigger, Drained};
pub use egress::{Destination, EgressPolicy, Judged, Network, Prefix};
pub use framing::{FramingFault, FramingWatch, fault_of};
pub use guarded::{FetchError, FetchRules, FetchVerdict, Fetched, GuardedClient};
pub use ja4::Ja4;
pub use limits::Limits;
pub use listener::{Listener, Listeners};
pub use peers::PeerCounts;
pub use runtime::DataRuntime;
pub use serve::{Hold, Transport, from_tower, serve};
pub use tls::pins::{Pins, SpkiPin};
pub use tls::{ClientCertificates, ServerTls, TlsClient, TlsError, TlsIdentity, TrustRoots};

/// Any error of a body.
type BoxError = Box<dyn std::error::Error + Send + Sync>;
