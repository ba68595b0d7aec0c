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
//! Keys come through a [`KeySource`] that the service supplies; this crate opens no connection, and never knows the store. What the issuer revoked comes through a
//! [`RevocationFeed`], which the service fills by calling [`RevocationFeed::pull`] over and over from a task of its own; with [`LifetimeOnly`] it relies on the
//! short life of tokens. Workloads of a trust domain read the transaction of a request with a [`TransactionGuard`].
//!
//! With the feature `sealed`, a service keeps columns as ciphertext that only a permit for a purpose opens (module `sealed`).
//!
//! With the feature `idempotency`, an unsafe request that comes again under its `Idempotency-Key` is answered as the first one was (module `idempotency`).
//!
//! Not here yet: asking policies.

// The derive macro writes the crate's name, also in this crate's own tests.
#[cfg(all(test, feature = "sealed"))]
extern crate self as countersign_guard;

mod check;
#[cfg(test)]
mod fixtures;
#[cfg(feature = "idempotency")]
pub mod idempotency;
mod keys;
mod layer;
mod revocations;
#[cfg(feature = "sealed")]
pub mod sealed;
mod transaction;
mod verdicts;

pub use check::{Checked, Guard, GuardOptions, GuardRequest, LifetimeOnly, Rejection};
pub use countersign_authn as authn;
pub use keys::{FetchedKeys, KeySource, StaticKeys};
pub use layer::{GuardLayer, GuardService};
pub use revocations::{
    PullError, REVOCATIONS_MAX, RevocationFeed, RevocationSource, STALENESS_MAX,
};
#[cfg(feature = "sealed")]
pub use sealed::{Sealed, SealedFields};
pub use transaction::TransactionGuard;
