//! The vault: secret engines, tokens, leases and mounts behind the Vault-compatible API, as pure functions over entries.
//!
//! ```text
//! RequestPath, Body -> caller::identify -> Asked -> policy::decide -> Permitted<Asked> -> record (shell) -> engine::perform -> Outcome
//! ```
//!
//! What the vault keeps are [`entry::Entry`]s: a name, a revision, and a value that the shell seals before it is stored. A step is a function of a
//! [`work::Work`], in which it reads and writes entries as if all were there. One that is not there yet stops the step with a [`work::Need`]; the shell loads it
//! and runs the step again, so that engines read like plain code and still touch nothing. What a step read and wrote is committed as a whole, if nothing that it
//! read has changed meanwhile; else it runs again on what is there now.
//!
//! What has to happen outside (a role of a database) is an [`answer::Effect`]: it is carried out after the commit that says it is about to happen, and its result
//! goes into a next step. So there is no moment at which something exists outside that no entry knows of.
//!
//! Not here: sealing and storing of entries, HTTP, and the clock.

pub mod acl;
pub mod answer;
pub mod approle;
pub mod body;
pub mod call;
pub mod caller;
pub mod certificate;
pub mod cost;
pub mod cubbyhole;
pub mod database;
pub mod duration;
pub mod engine;
pub mod entry;
pub mod error;
mod folder;
mod glob;
pub mod jwt;
pub mod kind;
pub mod kubernetes;
pub mod kv;
pub mod lease;
pub mod mounts;
mod named;
mod pages;
pub mod path;
pub mod pki;
mod renewal;
mod sign_in;
pub mod system;
pub mod timestamp;
pub mod token;
pub mod transit;
#[cfg(test)]
pub(crate) mod trial;
pub mod work;
pub mod wrapping;

pub use answer::{Answer, Outcome};
pub use body::Body;
pub use call::{Asked, Call, Cx, Operation};
pub use entry::{EntryName, Revision};
pub use error::VaultError;
pub use path::RequestPath;
pub use work::{Loaded, Need, Stop, Work};
