//! The vocabulary every other crate speaks: typed identifiers, scopes, audiences, time, secrets and limits.
//!
//! This crate parses at the door and holds nothing that acts: no clock, no environment, no input or output.
//! A value of one of its types has already passed its grammar, so no other crate checks it again.

mod address_block;
mod audience;
mod bounded;
mod classification;
mod clock;
mod conditional;
pub mod hex;
mod id;
pub mod limits;
mod name;
mod pointer;
mod region;
mod scope;
mod secret;
mod time;
mod token;
mod webhook;

pub use address_block::AddressBlock;
pub use audience::{Audience, Issuer};
pub use bounded::Bounded;
pub use classification::Classification;
pub use clock::Clock;
pub use conditional::{Conditional, NoTls};
pub use id::{
    EndpointId, EventId, GrantId, MessageId, RequestId, SessionId, UserId, WebhookSecretId,
};
pub use name::{
    ClientId, EventTypeName, GroupName, Kid, PartnerName, Role, RouteId, SourceName, Tenant,
    Username,
};
pub use pointer::{JsonPointer, escape_step};
pub use region::Region;
pub use scope::{Scope, Scopes};
pub use secret::Secret;
pub use time::{Duration, UnixMillis, UnixTime};
pub use token::is_token_byte;
pub use webhook::{EventPattern, ReceiverUrl};

/// Why a text is not a value of a type of this crate.
///
/// `expected` says what the type accepts, in words a person can act on; the refused text itself is not kept, because it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}")]
pub struct ParseError {
    expected: &'static str,
}

impl ParseError {
    /// An error that says what was expected.
    #[must_use]
    pub const fn expected(expected: &'static str) -> Self {
        Self { expected }
    }
}
