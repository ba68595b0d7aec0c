//! The layer a service links to check its callers.
//!
//! ```text
//! let guard = Guard::new(GuardOptions { origin, rules, scopes, .. }, keys);
//! let app = router.layer(GuardLayer::new(guard));           // a handler finds the `Subject` in the request's extensions
//! ```
//!
//! A request that passes has a token of a trusted issuer, for this service and no other, with the scopes it asks for, shown together with the
//! key or certificate that the token is bound to, and used once where it is a proof. Whatever fails is answered 401, 403 or 400 as RFC 6750 and
//! RFC 9449 say, and the log's reason travels in the answer's extensions as [`authn::Reason`].
//!
//! Keys come through a [`KeySource`] that the service supplies; this crate opens no connection, and never knows the store.
//!
//! Not here yet: pulling revocations and asking policies. Without [`GuardOptions::revocations`] a service relies on the short life of tokens.

mod check;
#[cfg(test)]
mod fixtures;
mod keys;
mod layer;
mod verdicts;

pub use check::{Checked, Guard, GuardOptions, GuardRequest, LifetimeOnly, Rejection};
pub use countersign_authn as authn;
pub use keys::{FetchedKeys, KeySource, StaticKeys};
pub use layer::{GuardLayer, GuardService};
