//! JOSE, X.509, AEAD, key derivation, password hashing, signing keys by purpose.
//!
//! One cryptographic library stands behind all of it: aws-lc. This crate reads no clock, no file and no network;
//! `now` is the last argument, and whoever needs randomness is handed a [`random::Random`].
//!
//! What is checked carries its proof: [`verified::Verified`], [`mac::TagVerified`], [`password::PasswordMatched`] and
//! [`jose::SignatureHolds`] can be made here only, beside the comparison that they stand for.

pub mod aead;
pub mod base64;
pub mod base64url;
pub mod cipher;
pub mod digest;
pub mod hmac;
pub mod hotp;
pub mod jose;
pub mod kdf;
pub mod keypair;
pub mod keywrap;
pub mod mac;
#[cfg(doctest)]
mod misuse;
pub mod password;
pub mod puncturable;
pub mod random;
pub mod scram;
pub mod signing;
pub mod verified;
pub mod x509;

pub use random::Random;
pub use verified::{Unverified, Verified};
