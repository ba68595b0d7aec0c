//! Ephemeral-static key agreement: Concat KDF with SHA-256 (RFC 7518 §4.6.2) and AES key wrap (RFC 3394).

use crate::digest::sha256_parts;
use crate::jose::JoseError;
use aws_lc_rs::key_wrap::{AES_256, KeyEncryptionKey, KeyWrap as _};
use countersign_base::Secret;

/// Bytes by which a wrapped key is longer than the key.
const WRAP_BYTES: usize = 8;

/// The first `bytes` of the derived key. Every key here is at most one digest long, so one round does.
pub(super) fn concat_kdf(
    shared: &[u8],
    algorithm: &str,
    apu: &[u8],
    apv: &[u8],
    bytes: usize,
) -> Result<Secret<Vec<u8>>, JoseError> {
    let length = |part: &[u8]| u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes();
    let bits = u32::try_from(bytes * 8).map_err(|_| JoseError::Decryption)?;
    let round = Secret::new(sha256_parts(&[
        &1u32.to_be_bytes(),
        shared,
        &length(algorithm.as_bytes()),
        algorithm.as_bytes(),
        &length(apu),
        apu,
        &length(apv),
        apv,
        &bits.to_be_bytes(),
    ]));
    let derived = round.expose().get(..bytes).ok_or(JoseError::Decryption)?;
    Ok(Secret::new(derived.to_vec()))
}

/// The content's key under `kek`.
pub(super) fn wrap(kek: &Secret<Vec<u8>>, cek: &Secret<Vec<u8>>) -> Result<Vec<u8>, JoseError> {
    let failed = |_| JoseError::Signing("the content's key cannot be wrapped");
    let mut wrapped = vec![0; cek.expose().len() + WRAP_BYTES];
    KeyEncryptionKey::new(&AES_256, kek.expose())
        .and_then(|key| key.wrap(cek.expose(), &mut wrapped).map(|_| ()))
        .map_err(failed)?;
    Ok(wrapped)
}

/// The content's key out of `wrapped`.
pub(super) fn unwrap(kek: &Secret<Vec<u8>>, wrapped: &[u8]) -> Result<Secret<Vec<u8>>, JoseError> {
    let length = wrapped
        .len()
        .checked_sub(WRAP_BYTES)
        .ok_or(JoseError::Decryption)?;
    let mut cek = vec![0; length];
    let unwrapped = KeyEncryptionKey::new(&AES_256, kek.expose())
        .and_then(|key| key.unwrap(wrapped, &mut cek).map(|_| ()));
    let cek = Secret::new(cek);
    unwrapped.map(|()| cek).map_err(|_| JoseError::Decryption)
}
