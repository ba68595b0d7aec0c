//! Decisions: may this principal do this to that, now.
//!
//! [`decide`] takes the very thing that is decided about and gives it back as a [`Permitted`] or a [`Denied`]; nothing else makes one. It is
//! total: a policy that errs, an unknown action, an attribute of the wrong type, all of it denies, with its own reason.
//!
//! The engine is Cedar with a schema. Policies are checked strictly when they are loaded and sorted into slices by the heads of their
//! scopes, so that a decision tries few of them; a property test holds the slices against the whole set.
//!
//! A permit may come with [`obligation`]s. They travel inside [`Permitted`], so that nobody acts on a permit without having them, and a target whose enforcer cannot
//! carry one out is denied.
//!
//! What a fresh installation permits stands in `policies/`, as files that a user can read and replace; see [`defaults`].
//!
//! Not here: where attributes come from, and the recording of decisions.

mod address;
pub mod analysis;
pub mod authzen;
pub mod bundle;
pub mod clauses;
pub mod danger;
mod decide;
pub mod defaults;
mod described;
mod footprint;
mod index;
mod memory;
#[cfg(doctest)]
mod misuse;
pub mod obligation;
mod query;
pub mod recorded;
mod schema;
mod set;
pub mod vocabulary;

pub use decide::{Decision, DenialReason, Denied, Permitted, Target, decide};
pub use query::{Entity, EntityId, Query, Value};
pub use set::{Digest, PolicyError, PolicyId, PolicySet};
