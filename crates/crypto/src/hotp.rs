//! HMAC-based one-time passwords (RFC 4226), the one place where SHA-1 is used for authentication: authenticator apps know nothing else for certain, and
//! HMAC does not rest on what was broken of it.
//!
//! Not here: which counter is due and whether it was used before; that is the time-based scheme's (RFC 6238), in the authorization server.

use aws_lc_rs::{digest, hmac};
use countersign_base::Secret;

/// Bytes of a secret: as long as the hash (RFC 4226 §4, R6).
pub const SECRET_BYTES: usize = 20;

/// The value of six digits at a counter (RFC 4226 §5.3).
#[must_use]
pub fn value(secret: &Secret<[u8; SECRET_BYTES]>, counter: u64) -> u32 {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.expose());
    let tag = hmac::sign(&key, &counter.to_be_bytes());
    let tag = tag.as_ref();
    let offset = tag.last().map_or(0, |last| usize::from(last & 0x0f));
    let word = tag
        .get(offset..)
        .and_then(|rest| rest.first_chunk::<4>())
        .map_or(0, |word| u32::from_be_bytes(*word));
    (word & 0x7fff_ffff) % 1_000_000
}

/// SHA-1, by which published lists name passwords that leaked. It protects nothing.
#[must_use]
pub fn sha1_of_listed_password(password: &[u8]) -> [u8; 20] {
    let mut hash = [0; 20];
    hash.copy_from_slice(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, password).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_values_of_rfc_4226_appendix_d() {
        let secret = Secret::new(*b"12345678901234567890");
        let expected = [
            755_224, 287_082, 359_152, 969_429, 338_314, 254_676, 287_922, 162_583, 399_871,
            520_489,
        ];
        for (counter, value_there) in (0..).zip(expected) {
            assert_eq!(value(&secret, counter), value_there);
        }
    }

    #[test]
    fn sha_1_is_that_of_fips_180() {
        assert_eq!(
            sha1_of_listed_password(b"abc")[..4],
            [0xa9, 0x99, 0x3e, 0x36]
        );
    }
}
