//! RSA: signatures over a digest, and encryption by OAEP (RFC 8017 §7.1, §8).
//!
//! PKCS#1 v1.5 is here for signatures only: its encryption cannot be decrypted without an oracle.

use super::KeyPairError;
use crate::digest::HashAlgorithm;
use aws_lc_rs::digest::Digest;
use aws_lc_rs::rsa::{
    OAEP_SHA256_MGF1SHA256, OAEP_SHA384_MGF1SHA384, OAEP_SHA512_MGF1SHA512, OaepAlgorithm,
    OaepPrivateDecryptingKey, OaepPublicEncryptingKey, PrivateDecryptingKey, PublicEncryptingKey,
};
use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384,
    RSA_PSS_SHA512, RsaKeyPair, RsaParameters, RsaPssSaltLength, RsaSignatureEncoding,
};
use countersign_base::Secret;

/// The hash of OAEP and of its mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OaepHash {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl OaepHash {
    const fn algorithm(self) -> &'static OaepAlgorithm {
        match self {
            Self::Sha256 => &OAEP_SHA256_MGF1SHA256,
            Self::Sha384 => &OAEP_SHA384_MGF1SHA384,
            Self::Sha512 => &OAEP_SHA512_MGF1SHA512,
        }
    }
}

/// Bytes of the salt of a PSS signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PssSalt {
    /// As many as the hash gives.
    Hash,
    /// As many as the modulus leaves room for; a signature with as many as the hash gives is verified too.
    Longest,
    /// None.
    None,
}

static PSS_256_MAX: RsaSignatureEncoding =
    RSA_PSS_SHA256.with_pss_salt_length(RsaPssSaltLength::Max);
static PSS_384_MAX: RsaSignatureEncoding =
    RSA_PSS_SHA384.with_pss_salt_length(RsaPssSaltLength::Max);
static PSS_512_MAX: RsaSignatureEncoding =
    RSA_PSS_SHA512.with_pss_salt_length(RsaPssSaltLength::Max);
static PSS_256_NONE: RsaSignatureEncoding =
    RSA_PSS_SHA256.with_pss_salt_length(RsaPssSaltLength::Custom(0));
static PSS_384_NONE: RsaSignatureEncoding =
    RSA_PSS_SHA384.with_pss_salt_length(RsaPssSaltLength::Custom(0));
static PSS_512_NONE: RsaSignatureEncoding =
    RSA_PSS_SHA512.with_pss_salt_length(RsaPssSaltLength::Custom(0));

static VERIFY_256: RsaParameters = RSA_PSS_2048_8192_SHA256;
static VERIFY_384: RsaParameters = RSA_PSS_2048_8192_SHA384;
static VERIFY_512: RsaParameters = RSA_PSS_2048_8192_SHA512;
static VERIFY_256_MAX: RsaParameters =
    RSA_PSS_2048_8192_SHA256.with_pss_salt_length(RsaPssSaltLength::Max);
static VERIFY_384_MAX: RsaParameters =
    RSA_PSS_2048_8192_SHA384.with_pss_salt_length(RsaPssSaltLength::Max);
static VERIFY_512_MAX: RsaParameters =
    RSA_PSS_2048_8192_SHA512.with_pss_salt_length(RsaPssSaltLength::Max);
static VERIFY_256_NONE: RsaParameters =
    RSA_PSS_2048_8192_SHA256.with_pss_salt_length(RsaPssSaltLength::Custom(0));
static VERIFY_384_NONE: RsaParameters =
    RSA_PSS_2048_8192_SHA384.with_pss_salt_length(RsaPssSaltLength::Custom(0));
static VERIFY_512_NONE: RsaParameters =
    RSA_PSS_2048_8192_SHA512.with_pss_salt_length(RsaPssSaltLength::Custom(0));
static VERIFY_PKCS1_256: RsaParameters = RSA_PKCS1_2048_8192_SHA256;
static VERIFY_PKCS1_384: RsaParameters = RSA_PKCS1_2048_8192_SHA384;
static VERIFY_PKCS1_512: RsaParameters = RSA_PKCS1_2048_8192_SHA512;

pub(super) fn pkcs1v15(hash: HashAlgorithm) -> Result<&'static RsaSignatureEncoding, KeyPairError> {
    match hash {
        HashAlgorithm::Sha2_256 => Ok(&RSA_PKCS1_SHA256),
        HashAlgorithm::Sha2_384 => Ok(&RSA_PKCS1_SHA384),
        HashAlgorithm::Sha2_512 => Ok(&RSA_PKCS1_SHA512),
        HashAlgorithm::Sha2_224
        | HashAlgorithm::Sha3_256
        | HashAlgorithm::Sha3_384
        | HashAlgorithm::Sha3_512 => Err(KeyPairError::HASH),
    }
}

pub(super) fn pss(
    hash: HashAlgorithm,
    salt: PssSalt,
) -> Result<&'static RsaSignatureEncoding, KeyPairError> {
    match (hash, salt) {
        (HashAlgorithm::Sha2_256, PssSalt::Hash) => Ok(&RSA_PSS_SHA256),
        (HashAlgorithm::Sha2_384, PssSalt::Hash) => Ok(&RSA_PSS_SHA384),
        (HashAlgorithm::Sha2_512, PssSalt::Hash) => Ok(&RSA_PSS_SHA512),
        (HashAlgorithm::Sha2_256, PssSalt::Longest) => Ok(&PSS_256_MAX),
        (HashAlgorithm::Sha2_384, PssSalt::Longest) => Ok(&PSS_384_MAX),
        (HashAlgorithm::Sha2_512, PssSalt::Longest) => Ok(&PSS_512_MAX),
        (HashAlgorithm::Sha2_256, PssSalt::None) => Ok(&PSS_256_NONE),
        (HashAlgorithm::Sha2_384, PssSalt::None) => Ok(&PSS_384_NONE),
        (HashAlgorithm::Sha2_512, PssSalt::None) => Ok(&PSS_512_NONE),
        (
            HashAlgorithm::Sha2_224
            | HashAlgorithm::Sha3_256
            | HashAlgorithm::Sha3_384
            | HashAlgorithm::Sha3_512,
            _,
        ) => Err(KeyPairError::HASH),
    }
}

/// What verifies PKCS#1 v1.5 with the hash.
pub(super) fn verifying_pkcs1v15(
    hash: HashAlgorithm,
) -> Result<&'static RsaParameters, KeyPairError> {
    match hash {
        HashAlgorithm::Sha2_256 => Ok(&VERIFY_PKCS1_256),
        HashAlgorithm::Sha2_384 => Ok(&VERIFY_PKCS1_384),
        HashAlgorithm::Sha2_512 => Ok(&VERIFY_PKCS1_512),
        HashAlgorithm::Sha2_224
        | HashAlgorithm::Sha3_256
        | HashAlgorithm::Sha3_384
        | HashAlgorithm::Sha3_512 => Err(KeyPairError::HASH),
    }
}

/// What verifies PSS with the hash, in the order in which it is tried.
pub(super) fn verifying_pss(
    hash: HashAlgorithm,
    salt: PssSalt,
) -> Result<&'static [&'static RsaParameters], KeyPairError> {
    static LONGEST_256: [&RsaParameters; 2] = [&VERIFY_256_MAX, &VERIFY_256];
    static LONGEST_384: [&RsaParameters; 2] = [&VERIFY_384_MAX, &VERIFY_384];
    static LONGEST_512: [&RsaParameters; 2] = [&VERIFY_512_MAX, &VERIFY_512];
    static HASH: [&RsaParameters; 3] = [&VERIFY_256, &VERIFY_384, &VERIFY_512];
    static NONE: [&RsaParameters; 3] = [&VERIFY_256_NONE, &VERIFY_384_NONE, &VERIFY_512_NONE];
    let (longest, at) = match hash {
        HashAlgorithm::Sha2_256 => (&LONGEST_256, 0..1),
        HashAlgorithm::Sha2_384 => (&LONGEST_384, 1..2),
        HashAlgorithm::Sha2_512 => (&LONGEST_512, 2..3),
        HashAlgorithm::Sha2_224
        | HashAlgorithm::Sha3_256
        | HashAlgorithm::Sha3_384
        | HashAlgorithm::Sha3_512 => return Err(KeyPairError::HASH),
    };
    match salt {
        PssSalt::Hash => HASH.get(at).ok_or(KeyPairError::Failed),
        PssSalt::Longest => Ok(longest),
        PssSalt::None => NONE.get(at).ok_or(KeyPairError::Failed),
    }
}

pub(super) fn sign(
    pair: &RsaKeyPair,
    encoding: &'static RsaSignatureEncoding,
    hash: HashAlgorithm,
    digest: &[u8],
) -> Result<Vec<u8>, KeyPairError> {
    let digest = import(hash, digest)?;
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign_digest(encoding, &digest, &mut signature)
        .map_err(|_| KeyPairError::Failed)?;
    Ok(signature)
}

/// A digest that was computed elsewhere, as aws-lc takes it.
pub(super) fn import(hash: HashAlgorithm, digest: &[u8]) -> Result<Digest, KeyPairError> {
    Digest::import_less_safe(digest, hash.algorithm()).map_err(|_| KeyPairError::DigestLength)
}

pub(super) fn encrypt(
    spki: &[u8],
    hash: OaepHash,
    plaintext: &[u8],
) -> Result<Vec<u8>, KeyPairError> {
    let key = PublicEncryptingKey::from_der(spki)
        .map_err(|_| KeyPairError::Rejected)
        .and_then(|key| OaepPublicEncryptingKey::new(key).map_err(|_| KeyPairError::Rejected))?;
    let mut output = vec![0; key.ciphertext_size()];
    let length = key
        .encrypt(hash.algorithm(), plaintext, &mut output, None)
        .map_err(|_| KeyPairError::Refused)?
        .len();
    output.truncate(length);
    Ok(output)
}

pub(super) fn decrypt(
    pkcs8: &Secret<Vec<u8>>,
    hash: OaepHash,
    ciphertext: &[u8],
) -> Result<Secret<Vec<u8>>, KeyPairError> {
    let key = PrivateDecryptingKey::from_pkcs8(pkcs8.expose())
        .map_err(|_| KeyPairError::Rejected)
        .and_then(|key| OaepPrivateDecryptingKey::new(key).map_err(|_| KeyPairError::Rejected))?;
    let mut output = vec![0; key.min_output_size()];
    let plaintext = key
        .decrypt(hash.algorithm(), ciphertext, &mut output, None)
        .map(|plaintext| Secret::new(plaintext.to_vec()))
        .map_err(|_| KeyPairError::Refused);
    drop(Secret::new(output));
    plaintext
}

/// Bytes of the modulus of a `SubjectPublicKeyInfo`, if it is one of RSA.
pub(super) fn modulus_bytes(spki: &[u8]) -> Option<usize> {
    let key = PublicEncryptingKey::from_der(spki).ok()?;
    Some(key.key_size_bytes())
}
