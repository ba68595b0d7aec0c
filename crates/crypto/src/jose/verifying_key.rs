//! A public key, parsed once and bound to one algorithm (RFC 8725 §3.1).

use super::jwk::Material;
use super::{Algorithm, JoseError, JwkThumbprint, PublicJwk};
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA256, RsaParameters, RsaPublicKeyComponents,
};
use countersign_base::Kid;
use std::fmt;
use std::sync::Arc;

static RS256: RsaParameters = RSA_PKCS1_2048_8192_SHA256;
static PS256: RsaParameters = RSA_PSS_2048_8192_SHA256;

/// A key that verifies signatures of exactly one algorithm. Cloning it is cheap.
#[derive(Clone)]
pub struct VerifyingKey(Arc<Inner>);

struct Inner {
    algorithm: Algorithm,
    kid: Option<Kid>,
    parsed: ParsedPublicKey,
    jwk: PublicJwk,
}

impl PublicJwk {
    /// The key as a `SubjectPublicKeyInfo`, if its numbers are one.
    pub(crate) fn spki(&self) -> Option<Vec<u8>> {
        let algorithm = Algorithm::ALL
            .into_iter()
            .find(|algorithm| self.fits(*algorithm))?;
        let key = VerifyingKey::new(self, algorithm, None).ok()?;
        let der: PublicKeyX509Der<'_> = key.0.parsed.as_der().ok()?;
        Some(der.as_ref().to_vec())
    }
}

impl VerifyingKey {
    /// Parses the key for `algorithm`.
    ///
    /// # Errors
    /// When the algorithm is not one of the key's type, or the numbers are no key (a point off the curve).
    pub fn new(jwk: &PublicJwk, algorithm: Algorithm, kid: Option<Kid>) -> Result<Self, JoseError> {
        let parsed = match (&jwk.0, algorithm) {
            (Material::Ed25519 { x }, Algorithm::EdDsa) => ParsedPublicKey::new(&ED25519, x),
            (Material::P256 { x, y }, Algorithm::Es256) => {
                ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, [&[4][..], x, y].concat())
            }
            (Material::Rsa { n, e }, Algorithm::Ps256) => {
                RsaPublicKeyComponents { n, e }.to_parsed_public_key(&PS256)
            }
            (Material::Rsa { n, e }, Algorithm::Rs256) => {
                RsaPublicKeyComponents { n, e }.to_parsed_public_key(&RS256)
            }
            (Material::Ed25519 { .. } | Material::P256 { .. } | Material::Rsa { .. }, _) => {
                return Err(JoseError::AlgorithmDiffers);
            }
        };
        let parsed = parsed.map_err(|_| JoseError::Key("its numbers are not a key"))?;
        Ok(Self(Arc::new(Inner {
            algorithm,
            kid,
            parsed,
            jwk: jwk.clone(),
        })))
    }

    /// The one algorithm it verifies.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.0.algorithm
    }

    /// Its name, if it has one.
    #[must_use]
    pub fn kid(&self) -> Option<&Kid> {
        self.0.kid.as_ref()
    }

    /// The key as it was read.
    #[must_use]
    pub fn jwk(&self) -> &PublicJwk {
        &self.0.jwk
    }

    /// The thumbprint of the key.
    #[must_use]
    pub fn thumbprint(&self) -> JwkThumbprint {
        self.0.jwk.thumbprint()
    }

    /// Checks a signature over any bytes: a checkpoint, a receipt. Tokens are verified by [`crate::Unverified::verify`].
    ///
    /// # Errors
    /// When the signature does not hold.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<SignatureHolds, JoseError> {
        self.0
            .parsed
            .verify_sig(message, signature)
            .map(|()| SignatureHolds(()))
            .map_err(|_| JoseError::Signature)
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey")
            .field("kid", &self.0.kid)
            .field("algorithm", &self.0.algorithm)
            .finish_non_exhaustive()
    }
}

/// Evidence that a signature held.
#[derive(Debug)]
#[must_use]
pub struct SignatureHolds(());

#[cfg(test)]
mod tests;
