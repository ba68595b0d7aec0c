//! The control surfaces: OpenID Connect endpoints and pages, admin API.

pub mod admin;
pub mod identity;
mod pages;
