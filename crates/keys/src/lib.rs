//! The key hierarchy, the seal above it, signing-key rotation and the formats of what is sealed.
//!
//! An unseal key, which operators hold in shares or a source keeps, wraps the root key and nothing else (docs/formats/seal.md). A root key seals key-encryption keys and nothing else; those wrap data keys and seal small rows; data keys seal fields and rows.
//! Every ciphertext names its key and version, commits to its key, and opens only where it belongs (docs/formats/envelope.md; large bodies: docs/formats/stream.md).
//!
//! This crate takes data and returns data: it stores nothing, reads no clock, and draws randomness from the [`Random`] it is handed.
//!
//! [`Random`]: countersign_crypto::Random

pub mod data_key_cache;
pub mod data_key_set;
pub mod envelope;
pub mod hierarchy;
#[cfg(doctest)]
mod misuse;
pub mod rewrap;
pub mod rotation;
pub mod seal;
pub mod seal_count;
pub mod shamir;
pub mod stream;
mod versions;

pub use data_key_set::DataKeySet;
pub use envelope::{Aad, KeyId, KeyVersion, OpenError, Sealed};
pub use hierarchy::{DataKey, Kek, KekSet, PassphraseParameters, RootKey};
pub use rotation::{RotationPolicy, RotationStep, SigningKeyRow, SigningKeyState};
pub use shamir::{Share, ShareRule};
pub use versions::KeySetError;
