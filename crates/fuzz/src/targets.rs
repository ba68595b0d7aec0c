//! The registry: every parser that meets bytes from outside, one entry each, beside what feeds it. A file is a subject.

mod access;
mod acme;
mod agent;
mod audit;
mod authn;
mod base;
mod configuration;
mod crypto;
mod decoupled;
mod federation;
mod gateway;
pub(crate) mod keys;
mod memory;
pub(crate) mod message;
pub(crate) mod oauth;
mod registration;
pub(crate) mod requests;
mod schema;
mod sealed;
#[cfg(test)]
mod tests;
mod transit;
mod vault;
mod vault_calls;
pub(crate) mod webhook;

use crate::Target;

/// The targets of every file, by crate from the bottom up.
const SUBJECTS: &[&[Target]] = &[
    base::TARGETS,
    crypto::TARGETS,
    keys::TARGETS,
    sealed::TARGETS,
    audit::TARGETS,
    authn::TARGETS,
    oauth::TARGETS,
    decoupled::TARGETS,
    registration::TARGETS,
    federation::TARGETS,
    gateway::TARGETS,
    message::TARGETS,
    webhook::TARGETS,
    requests::TARGETS,
    schema::TARGETS,
    access::TARGETS,
    configuration::TARGETS,
    transit::TARGETS,
    vault::TARGETS,
    acme::TARGETS,
    vault_calls::TARGETS,
    agent::TARGETS,
];

/// Every target.
pub fn all() -> impl Iterator<Item = &'static Target> {
    SUBJECTS.iter().copied().flatten()
}
