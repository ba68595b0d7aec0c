//! SCRAM-SHA-256 (RFC 5802, RFC 7677): what a server keeps instead of a password, in the form in which PostgreSQL takes and stores it.
//!
//! Not here: the exchange itself, and the preparation of passwords that are not ASCII (RFC 4013), which are refused.

use crate::digest::HashAlgorithm;
use crate::hmac::HmacKey;
use crate::{Random, base64, digest};
use aws_lc_rs::pbkdf2;
use countersign_base::Secret;
use std::num::NonZeroU32;

/// The iterations that PostgreSQL itself uses; a random password of 20 letters needs no more.
const ITERATIONS: NonZeroU32 = NonZeroU32::MIN.saturating_add(4095);
/// Bytes of salt.
const SALT_BYTES: usize = 16;

/// A password with characters other than printable ASCII.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the password holds other characters than printable ASCII")]
pub struct NotAscii;

/// `SCRAM-SHA-256$4096:SALT$STORED_KEY:SERVER_KEY`, with a random salt. Whoever has it can check the password and pose as the server, but not sign in.
///
/// # Errors
/// When the password is not printable ASCII.
pub fn verifier(password: &Secret<String>, random: &Random) -> Result<Secret<String>, NotAscii> {
    salted(password, &random.bytes::<SALT_BYTES>())
}

fn salted(password: &Secret<String>, salt: &[u8]) -> Result<Secret<String>, NotAscii> {
    let password = password.expose();
    if !password.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Err(NotAscii);
    }
    let mut derived = [0; 32];
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        ITERATIONS,
        salt,
        password.as_bytes(),
        &mut derived,
    );
    let derived = Secret::new(derived);
    let key = HmacKey::new(HashAlgorithm::Sha2_256, derived.expose());
    let client = Secret::new(key.tag(&[b"Client Key"]));
    let server = Secret::new(key.tag(&[b"Server Key"]));
    Ok(Secret::new(format!(
        "SCRAM-SHA-256${ITERATIONS}:{}${}:{}",
        base64::encode(salt),
        base64::encode(&digest::sha256(client.expose())),
        base64::encode(server.expose()),
    )))
}

#[cfg(test)]
mod tests;
