//! Byte codecs of what passes between systems: signatures of webhooks, HTTP message signatures, and signed and encrypted messages between partners.
//!
//! Everything here is a function of its arguments: keys and the time come in, bytes or a refusal go out.
//!
//! Not here: where keys come from, what was seen before (`store`), and who speaks to whom (`channels`, `gateway`).

pub mod content_digest;
mod head;
pub mod http_signature;
pub mod message;
#[cfg(doctest)]
mod misuse;
pub mod signature_key;
pub mod structured_field;
pub mod webhook;

pub use head::{FieldName, HeadView, OneValue};
