//! How the content is encrypted (RFC 7518 §5): AES-GCM, and AES-CBC with HMAC because OpenID Connect names it as a default.

use crate::jose::JoseError;
use crate::random::Random;
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{
    AES_128, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey,
    PaddedBlockEncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use countersign_base::Secret;
use serde::{Deserialize, Serialize};
use std::fmt;
use subtle::ConstantTimeEq as _;

const TAG_BYTES: usize = 16;
const GCM_IV_BYTES: usize = 12;
const CBC_IV_BYTES: usize = 16;
const CBC_HALF_BYTES: usize = 16;

/// A value of `enc`. There are no others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ContentEncryption {
    /// AES-128 in CBC mode, authenticated with HMAC-SHA-256 (§5.2.3).
    #[serde(rename = "A128CBC-HS256")]
    A128CbcHs256,
    /// AES-128 in GCM (§5.3).
    #[serde(rename = "A128GCM")]
    A128Gcm,
    /// AES-256 in GCM (§5.3).
    #[serde(rename = "A256GCM")]
    A256Gcm,
}

/// An encrypted content.
pub(super) struct Sealed {
    pub(super) iv: Vec<u8>,
    pub(super) ciphertext: Vec<u8>,
    pub(super) tag: Vec<u8>,
}

impl ContentEncryption {
    /// Every one, in the order of their names.
    pub const ALL: [Self; 3] = [Self::A128CbcHs256, Self::A128Gcm, Self::A256Gcm];

    /// The name in the registry of JOSE.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::A128CbcHs256 => "A128CBC-HS256",
            Self::A128Gcm => "A128GCM",
            Self::A256Gcm => "A256GCM",
        }
    }

    /// The one of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    /// Bytes of its key.
    pub(super) const fn key_bytes(self) -> usize {
        match self {
            Self::A128CbcHs256 | Self::A256Gcm => 32,
            Self::A128Gcm => 16,
        }
    }

    pub(super) fn seal(
        self,
        cek: &Secret<Vec<u8>>,
        aad: &[u8],
        plaintext: &[u8],
        random: &Random,
    ) -> Result<Sealed, JoseError> {
        match self {
            Self::A128CbcHs256 => {
                let iv: [u8; CBC_IV_BYTES] = random.bytes();
                let mut ciphertext = plaintext.to_vec();
                let (mac, encryption) = halves(cek)?;
                UnboundCipherKey::new(&AES_128, encryption)
                    .and_then(PaddedBlockEncryptingKey::cbc_pkcs7)
                    .and_then(|key| {
                        let context = EncryptionContext::Iv128(FixedLength::from(iv));
                        key.less_safe_encrypt(&mut ciphertext, context)
                    })
                    .map_err(failed)?;
                let tag = cbc_tag(mac, aad, &iv, &ciphertext).to_vec();
                Ok(Sealed {
                    iv: iv.to_vec(),
                    ciphertext,
                    tag,
                })
            }
            Self::A128Gcm | Self::A256Gcm => {
                let iv: [u8; GCM_IV_BYTES] = random.bytes();
                let mut ciphertext = plaintext.to_vec();
                let tag = self
                    .gcm(cek)?
                    .seal_in_place_separate_tag(
                        Nonce::assume_unique_for_key(iv),
                        Aad::from(aad),
                        &mut ciphertext,
                    )
                    .map_err(failed)?;
                Ok(Sealed {
                    iv: iv.to_vec(),
                    ciphertext,
                    tag: tag.as_ref().to_vec(),
                })
            }
        }
    }

    pub(super) fn open(
        self,
        cek: &Secret<Vec<u8>>,
        iv: &[u8],
        aad: &[u8],
        ciphertext: &[u8],
        tag: &[u8],
    ) -> Result<Secret<Vec<u8>>, JoseError> {
        if tag.len() != TAG_BYTES {
            return Err(JoseError::Decryption);
        }
        match self {
            Self::A128CbcHs256 => open_cbc(cek, iv, aad, ciphertext, tag),
            Self::A128Gcm | Self::A256Gcm => {
                let nonce = Nonce::try_assume_unique_for_key(iv).map_err(refused)?;
                let mut plaintext = vec![0; ciphertext.len()];
                let opened = self.gcm(cek)?.open_separate_gather(
                    nonce,
                    Aad::from(aad),
                    ciphertext,
                    tag,
                    &mut plaintext,
                );
                let plaintext = Secret::new(plaintext);
                opened.map(|()| plaintext).map_err(refused)
            }
        }
    }

    fn gcm(self, cek: &Secret<Vec<u8>>) -> Result<LessSafeKey, JoseError> {
        let algorithm = match self {
            Self::A128Gcm => &AES_128_GCM,
            Self::A128CbcHs256 | Self::A256Gcm => &AES_256_GCM,
        };
        UnboundKey::new(algorithm, cek.expose())
            .map(LessSafeKey::new)
            .map_err(refused)
    }
}

impl fmt::Display for ContentEncryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The tag is compared before anything is decrypted, so that padding is nobody's oracle.
fn open_cbc(
    cek: &Secret<Vec<u8>>,
    iv: &[u8],
    aad: &[u8],
    ciphertext: &[u8],
    tag: &[u8],
) -> Result<Secret<Vec<u8>>, JoseError> {
    let iv: [u8; CBC_IV_BYTES] = iv.try_into().map_err(|_| JoseError::Decryption)?;
    let (mac, encryption) = halves(cek)?;
    if !bool::from(cbc_tag(mac, aad, &iv, ciphertext).ct_eq(tag)) {
        return Err(JoseError::Decryption);
    }
    let key = UnboundCipherKey::new(&AES_128, encryption)
        .and_then(PaddedBlockDecryptingKey::cbc_pkcs7)
        .map_err(refused)?;
    let mut work = ciphertext.to_vec();
    let plaintext = key
        .decrypt(&mut work, DecryptionContext::Iv128(FixedLength::from(iv)))
        .map(|plaintext| Secret::new(plaintext.to_vec()));
    let _wiped = Secret::new(work);
    plaintext.map_err(refused)
}

/// The key of the MAC and the key of the cipher (§5.2.2.1).
fn halves(cek: &Secret<Vec<u8>>) -> Result<(&[u8], &[u8]), JoseError> {
    cek.expose()
        .split_at_checked(CBC_HALF_BYTES)
        .filter(|(_, encryption)| encryption.len() == CBC_HALF_BYTES)
        .ok_or(JoseError::Decryption)
}

/// HMAC over the additional data, the IV, the ciphertext and the length of the additional data in bits, cut to half (§5.2.2.1).
fn cbc_tag(mac: &[u8], aad: &[u8], iv: &[u8], ciphertext: &[u8]) -> [u8; TAG_BYTES] {
    let bits = u64::try_from(aad.len())
        .unwrap_or(u64::MAX)
        .saturating_mul(8);
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, mac));
    for part in [aad, iv, ciphertext, &bits.to_be_bytes()] {
        context.update(part);
    }
    let whole = context.sign();
    let mut tag = [0; TAG_BYTES];
    for (byte, from) in tag.iter_mut().zip(whole.as_ref()) {
        *byte = *from;
    }
    tag
}

fn refused(_: aws_lc_rs::error::Unspecified) -> JoseError {
    JoseError::Decryption
}

fn failed(_: aws_lc_rs::error::Unspecified) -> JoseError {
    JoseError::Signing("the content cannot be encrypted")
}
