//! The public half of a caller's key: read, written as PEM, verified with, encrypted to.

use super::{
    KeyPairAlgorithm, KeyPairError, OaepHash, SignatureScheme, Signed, der, ecdsa::Curve, rsa,
};
use crate::jose::PublicJwk;
use aws_lc_rs::signature::{ED25519, ParsedPublicKey, RsaParameters, VerificationAlgorithm};
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject as _;
use std::fmt;

/// What stands before the 32 bytes of an Ed25519 key in its `SubjectPublicKeyInfo` (RFC 8410 §4).
const ED25519_SPKI_HEAD: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// A public key, checked to be one of its algorithm.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    algorithm: KeyPairAlgorithm,
    spki: Vec<u8>,
}

impl PublicKey {
    /// Reads a `SubjectPublicKeyInfo` (RFC 5280 §4.1).
    ///
    /// # Errors
    /// [`KeyPairError::Rejected`] when it is no key of the algorithm.
    pub fn from_spki(algorithm: KeyPairAlgorithm, spki: &[u8]) -> Result<Self, KeyPairError> {
        let verifying: &'static dyn VerificationAlgorithm = match algorithm.curve() {
            Some(curve) => curve.verifying(super::EcdsaForm::Fixed),
            None if algorithm == KeyPairAlgorithm::Ed25519 => {
                if spki.strip_prefix(&ED25519_SPKI_HEAD).map(<[u8]>::len) != Some(32) {
                    return Err(KeyPairError::Rejected);
                }
                &ED25519
            }
            None => rsa::verifying_pkcs1v15(crate::digest::HashAlgorithm::Sha2_256)?,
        };
        ParsedPublicKey::new(verifying, spki).map_err(|_| KeyPairError::Rejected)?;
        let key = Self {
            algorithm,
            spki: spki.to_vec(),
        };
        match algorithm.modulus_bytes() {
            Some(expected) if rsa::modulus_bytes(spki) != Some(expected) => {
                Err(KeyPairError::Rejected)
            }
            Some(_) | None => Ok(key),
        }
    }

    /// The one key in PEM text, as `PUBLIC KEY` (RFC 7468 §13).
    ///
    /// # Errors
    /// [`KeyPairError::Rejected`] when it is none, or of no algorithm that is known here.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyPairError> {
        let spki =
            SubjectPublicKeyInfoDer::from_pem_slice(pem).map_err(|_| KeyPairError::Rejected)?;
        Self::of_any_algorithm(spki.as_ref())
    }

    /// The same key as one of JOSE.
    ///
    /// # Errors
    /// [`KeyPairError::Rejected`] when its numbers are no key, or RSA of another size.
    pub fn from_jwk(jwk: &PublicJwk) -> Result<Self, KeyPairError> {
        let spki = jwk.spki().ok_or(KeyPairError::Rejected)?;
        Self::of_any_algorithm(&spki)
    }

    fn of_any_algorithm(spki: &[u8]) -> Result<Self, KeyPairError> {
        KeyPairAlgorithm::ALL
            .into_iter()
            .find_map(|algorithm| Self::from_spki(algorithm, spki).ok())
            .ok_or(KeyPairError::Rejected)
    }

    /// What it is.
    #[must_use]
    pub const fn algorithm(&self) -> KeyPairAlgorithm {
        self.algorithm
    }

    /// The `SubjectPublicKeyInfo`.
    #[must_use]
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The `SubjectPublicKeyInfo` as PEM.
    #[must_use]
    pub fn to_pem(&self) -> String {
        der::pem("PUBLIC KEY", &self.spki).expose().clone()
    }

    /// The 32 bytes, if it is Ed25519.
    #[must_use]
    pub fn ed25519_bytes(&self) -> Option<[u8; 32]> {
        (self.algorithm == KeyPairAlgorithm::Ed25519)
            .then(|| self.spki.last_chunk().copied())
            .flatten()
    }

    /// Checks a signature.
    ///
    /// # Errors
    /// [`KeyPairError::Unsupported`] and [`KeyPairError::DigestLength`] as [`super::KeyPair::sign`]; [`KeyPairError::Refused`] when the signature does not
    /// hold.
    pub fn verify(
        &self,
        scheme: SignatureScheme,
        what: Signed<'_>,
        signature: &[u8],
    ) -> Result<SignatureMatches, KeyPairError> {
        match scheme {
            SignatureScheme::Ed25519 if self.algorithm == KeyPairAlgorithm::Ed25519 => {
                let Signed::Message(message) = what else {
                    return Err(KeyPairError::Unsupported(
                        "Ed25519 signs the message itself, not its hash",
                    ));
                };
                self.parsed(&ED25519)?
                    .verify_sig(message, signature)
                    .map(|()| SignatureMatches(()))
                    .map_err(|_| KeyPairError::Refused)
            }
            SignatureScheme::Ecdsa { hash, form } => {
                let curve: Curve = self.algorithm.curve().ok_or(KeyPairError::SCHEME)?;
                let digest = curve.fit(&what.digest(hash)?)?;
                self.parsed(curve.verifying(form))?
                    .verify_digest_sig(&digest, signature)
                    .map(|()| SignatureMatches(()))
                    .map_err(|_| KeyPairError::Refused)
            }
            SignatureScheme::RsaPkcs1v15 { hash } if self.is_rsa() => {
                let digest = rsa::import(hash, &what.digest(hash)?)?;
                self.verify_rsa(&[rsa::verifying_pkcs1v15(hash)?], &digest, signature)
            }
            SignatureScheme::RsaPss { hash, salt } if self.is_rsa() => {
                let parameters = rsa::verifying_pss(hash, salt)?;
                let digest = rsa::import(hash, &what.digest(hash)?)?;
                self.verify_rsa(parameters, &digest, signature)
            }
            SignatureScheme::Ed25519
            | SignatureScheme::RsaPkcs1v15 { .. }
            | SignatureScheme::RsaPss { .. } => Err(KeyPairError::SCHEME),
        }
    }

    /// Encrypts by RSA-OAEP with an empty label.
    ///
    /// # Errors
    /// [`KeyPairError::Unsupported`] when it is not RSA; [`KeyPairError::Refused`] when the plaintext is longer than OAEP takes.
    pub fn encrypt_oaep(&self, hash: OaepHash, plaintext: &[u8]) -> Result<Vec<u8>, KeyPairError> {
        if self.is_rsa() {
            rsa::encrypt(&self.spki, hash, plaintext)
        } else {
            Err(KeyPairError::ENCRYPTION)
        }
    }

    const fn is_rsa(&self) -> bool {
        self.algorithm.modulus_bytes().is_some()
    }

    fn parsed(
        &self,
        algorithm: &'static dyn VerificationAlgorithm,
    ) -> Result<ParsedPublicKey, KeyPairError> {
        ParsedPublicKey::new(algorithm, &self.spki).map_err(|_| KeyPairError::Rejected)
    }

    fn verify_rsa(
        &self,
        parameters: &[&'static RsaParameters],
        digest: &aws_lc_rs::digest::Digest,
        signature: &[u8],
    ) -> Result<SignatureMatches, KeyPairError> {
        for one in parameters {
            if self
                .parsed(*one)?
                .verify_digest_sig(digest, signature)
                .is_ok()
            {
                return Ok(SignatureMatches(()));
            }
        }
        Err(KeyPairError::Refused)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({:?})", self.algorithm)
    }
}

/// Evidence that a signature of a caller's key held. It says nothing of the product's own: [`crate::jose::SignatureHolds`] is another type.
#[derive(Debug)]
#[must_use]
pub struct SignatureMatches(());
