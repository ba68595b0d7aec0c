//! Key derivation: HKDF with SHA-256 (RFC 5869). Passphrases go through [`crate::password`].

use aws_lc_rs::hkdf;
use countersign_base::Secret;

/// `N` bytes derived from `ikm`. The parts of `info` are hashed one after the other, unseparated, as RFC 5869 §2.3 writes `info`.
///
/// An empty `salt` stands for none (§2.2). More than 255 blocks of 32 bytes do not compile.
#[must_use]
#[expect(
    clippy::expect_used,
    reason = "the only failure is a length above 255 blocks, which does not compile"
)]
pub fn hkdf_sha256<const N: usize>(ikm: &[u8], salt: &[u8], info: &[&[u8]]) -> Secret<[u8; N]> {
    const { assert!(N > 0 && N <= 255 * 32, "HKDF-SHA-256 gives 1 to 8160 bytes") };
    let mut output = [0; N];
    hkdf::Salt::new(hkdf::HKDF_SHA256, salt)
        .extract(ikm)
        .expand(info, Length(N))
        .and_then(|okm| okm.fill(&mut output))
        .expect("the length was checked when this was compiled");
    Secret::new(output)
}

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

#[cfg(test)]
mod tests;
