//! The authorization server's endpoints, asked over HTTP: what they must answer and what they must refuse.
//!
//! Requests go through the very router that the listeners serve, to a whole fabric with an embedded store.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod accounts;
mod answers;
mod assertions;
mod attacks;
mod authenticator;
mod browser;
mod ciba;
mod credentials;
mod delegation;
mod device;
mod documents;
mod flow;
mod harness;
mod imported;
mod lifecycle;
mod logout;
mod matrix;
mod pages;
mod partner;
mod register;
mod request_objects;
mod requests;
mod second_factors;
mod tenants;
mod tokens;
mod traces;
mod upstream;
