//! From credentials to a subject or to an authenticated client.
//!
//! Pure: this crate takes a request's parts, what the shell fetched for it and the current time, and answers with evidence or with
//! a refusal. It opens nothing, remembers nothing across requests but [`replay::ReplayMemory`] and [`jwks::IssuerKeys`], which the shell
//! owns, and knows no clock.
//!
//! A credential is absent, present or broken, and the three never mix: a broken one is refused and never taken for an absent one.
//! What came out of a check still has its one-time values to spend ([`Unspent`]); only a replay memory or the store's transaction
//! opens it, through [`danger::spent`].
//!
//! - [`demand`] and [`prove`]: a request to a protected resource (RFC 6750, RFC 9068, RFC 9449, RFC 8705).
//! - [`client`]: client authentication (RFC 6749 §2.3, RFC 7523, RFC 8705), one file a method.
//! - [`trust`]: whom a tenant believes beside itself. [`assertion`]: what such an issuer says of people, as a grant (RFC 7523 §2.1).
//! - [`dpop`]: proofs of possession and nonces (RFC 9449).
//! - [`opaque`]: access tokens whose claims only the store knows.
//! - [`api_key`]: secrets of partners who have nothing better, where a route takes them.
//! - [`presented`]: a token that is a parameter and not a credential (RFC 7662, RFC 7009, RFC 8693).
//! - [`transaction`]: transaction tokens, which say what a call chain is about (draft-ietf-oauth-transaction-tokens).
//! - [`revocation_list`]: what was revoked, as a service pulls it.
//! - [`jwks`]: when to fetch whose keys, as a state machine that fetches nothing itself.
//! - [`Form`]: `application/x-www-form-urlencoded`, strictly.

pub mod access_token;
mod acr;
pub mod api_key;
pub mod assertion;
pub mod client;
mod credential;
pub mod danger;
pub mod dpop;
#[cfg(test)]
mod fixtures;
mod form;
pub mod jwks;
pub mod opaque;
pub mod presented;
mod refusal;
pub mod replay;
mod resource;
mod revocation;
pub mod revocation_list;
mod subject;
pub mod transaction;
pub mod trust;
mod unspent;
pub mod webauthn;

pub use access_token::{AttributeValue, VerifiedToken};
pub use acr::{Acr, AuthenticationDemand, UnknownAcr};
pub use dpop::NoncePolicy;
pub use form::{Form, FormError};
pub use refusal::{Challenge, Reason, Refusal};
pub use resource::{
    Anonymous, AnonymousReason, Believed, Binding, Demand, FOREIGN_CLIENT_MARK, Found,
    IssuerMistake, KeyAnswer, KeyNeeded, LEEWAY_DEFAULT, LEEWAY_MAX, OtherIssuer, OtherIssuerSpec,
    Proven, ResourceRequest, ResourceRules, TokenDemand, TokenForm, TrustedIssuer, VerdictKey,
    demand, demand_kept, prove,
};
pub use revocation::{Freshness, RevocationId, Revocations};
pub use subject::{
    Actor, AuthenticationHeld, ForeignSubject, ScopesHeld, Standing, Subject, SubjectId,
    TokenBinding,
};
pub use unspent::Unspent;
