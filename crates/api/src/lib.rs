//! The control surfaces: OpenID Connect endpoints and pages, admin API, the decision point over HTTP, publishing of webhooks, the vault.

pub mod access;
pub mod admin;
mod bearer;
mod calls;
pub mod identity;
mod pages;
#[cfg(test)]
mod token_caller;
pub mod vault;
pub mod webhooks;
