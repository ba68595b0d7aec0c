//! The control surfaces: OpenID Connect endpoints and pages, admin API, the decision point over HTTP.

pub mod access;
pub mod admin;
pub mod identity;
mod pages;
