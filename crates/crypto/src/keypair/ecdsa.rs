//! ECDSA on the three curves with any hash (FIPS 186-5 §6.4.1), in both forms of a signature.
//!
//! aws-lc-rs offers each curve with few hashes. ECDSA itself takes a number: the leftmost bits of the digest, as many as the order has. So the digest of another
//! hash is shortened to its leftmost bytes, or filled with zeros on the left, to the length of the one hash that the curve is used with, which gives the same
//! number and so the same signature.

use super::{EcdsaForm, KeyPairError, der};
use aws_lc_rs::digest::{self, Digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING,
    ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA384_FIXED, ECDSA_P384_SHA384_FIXED_SIGNING,
    ECDSA_P521_SHA512_ASN1, ECDSA_P521_SHA512_FIXED, ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, EcdsaVerificationAlgorithm,
};

/// A curve.
#[derive(Debug, Clone, Copy)]
pub(super) enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    const fn signing(self) -> &'static EcdsaSigningAlgorithm {
        match self {
            Self::P256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
            Self::P384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
            Self::P521 => &ECDSA_P521_SHA512_FIXED_SIGNING,
        }
    }

    pub(super) const fn verifying(self, form: EcdsaForm) -> &'static EcdsaVerificationAlgorithm {
        match (self, form) {
            (Self::P256, EcdsaForm::Asn1) => &ECDSA_P256_SHA256_ASN1,
            (Self::P256, EcdsaForm::Fixed) => &ECDSA_P256_SHA256_FIXED,
            (Self::P384, EcdsaForm::Asn1) => &ECDSA_P384_SHA384_ASN1,
            (Self::P384, EcdsaForm::Fixed) => &ECDSA_P384_SHA384_FIXED,
            (Self::P521, EcdsaForm::Asn1) => &ECDSA_P521_SHA512_ASN1,
            (Self::P521, EcdsaForm::Fixed) => &ECDSA_P521_SHA512_FIXED,
        }
    }

    const fn hash(self) -> &'static digest::Algorithm {
        match self {
            Self::P256 => &digest::SHA256,
            Self::P384 => &digest::SHA384,
            Self::P521 => &digest::SHA512,
        }
    }

    pub(super) fn generate(self) -> Result<EcdsaKeyPair, KeyPairError> {
        EcdsaKeyPair::generate(self.signing()).map_err(|_| KeyPairError::Failed)
    }

    pub(super) fn read(self, der: &[u8]) -> Result<EcdsaKeyPair, KeyPairError> {
        EcdsaKeyPair::from_private_key_der(self.signing(), der).map_err(|_| KeyPairError::Rejected)
    }

    /// The digest at the length of the curve's own hash.
    pub(super) fn fit(self, digest: &[u8]) -> Result<Digest, KeyPairError> {
        let length = self.hash().output_len();
        let kept = digest.get(..length).unwrap_or(digest);
        let mut fitted = vec![0; length.saturating_sub(kept.len())];
        fitted.extend_from_slice(kept);
        Digest::import_less_safe(&fitted, self.hash()).map_err(|_| KeyPairError::Failed)
    }

    pub(super) fn sign(
        self,
        pair: &EcdsaKeyPair,
        digest: &[u8],
        form: EcdsaForm,
    ) -> Result<Vec<u8>, KeyPairError> {
        let signature = pair
            .sign_digest(&self.fit(digest)?)
            .map_err(|_| KeyPairError::Failed)?;
        let fixed = signature.as_ref();
        match form {
            EcdsaForm::Fixed => Ok(fixed.to_vec()),
            EcdsaForm::Asn1 => fixed
                .split_at_checked(fixed.len() / 2)
                .map(|(r, s)| der::two_integers(r, s))
                .ok_or(KeyPairError::Failed),
        }
    }
}
