//! The key of one backup, and what it is sealed under: the installation's key-encryption keys, which come along sealed under the root key, or a passphrase.

use super::BackupError;
use countersign_base::Secret;
use countersign_control::RootSource;
use countersign_crypto::password::{Cost, derive_key};
use countersign_crypto::{Random, base64url};
use countersign_keys::envelope::{
    self, Aad, EnvelopeKey, KeyId, KeyLookup, KeyVersion, OpenError, Sealed, Sealer,
};
use countersign_keys::{Kek, KekSet};
use countersign_store::tables::keks::KekRow;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The context that the backup's key is sealed in.
const SEALED_AS: &str = "backup-key";
/// What a key from a passphrase is called: the salt makes it another each time.
const OF_PASSPHRASE: KeyId = KeyId::from_bytes(*b"passphra");

/// What opens a backup, or will.
pub enum BackupKeySource {
    /// The root key in the file of a data directory.
    Installation,
    /// A passphrase.
    Passphrase(Secret<String>),
}

/// How the key of a backup is sealed. It stands in clear before the stream, which is bound to it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum SealedKey {
    Installation {
        keks: Vec<String>,
        key: String,
    },
    Passphrase {
        cost: Cost,
        salt: String,
        key: String,
    },
}

/// The key of one backup.
pub struct Opener(EnvelopeKey);

impl Sealer for Opener {
    fn envelope_key(&self) -> &EnvelopeKey {
        &self.0
    }
}

impl KeyLookup for Opener {
    fn find(&self, id: KeyId, version: KeyVersion) -> Result<&EnvelopeKey, OpenError> {
        self.0.find(id, version)
    }
}

/// A new key, and how it is sealed. `keks` are the rows of the database, and `data` is where the root key stands.
pub(super) fn made(
    source: &BackupKeySource,
    data: &Path,
    keks: &[KekRow],
    cost: Cost,
    random: &Random,
) -> Result<(Opener, SealedKey), BackupError> {
    let (id, secret) = (random.bytes::<8>(), random.secret::<32>());
    let bytes = Secret::new([id.as_slice(), secret.expose()].concat());
    let aad = Aad::installation(SEALED_AS);
    let sealed = match source {
        BackupKeySource::Installation => {
            let root = RootSource::File;
            let wrapped: Vec<Vec<u8>> = keks.iter().map(|row| row.wrapped.clone()).collect();
            // The server may have been stopped while it changed the root key.
            let opened = root.open_that(data, |key| kek_set(key, wrapped.clone()).is_ok())?;
            let opened = opened.ok_or_else(|| BackupError::NoRoot(root.place(data)))?;
            let set = kek_set(&opened, wrapped.clone())?;
            let sealed = envelope::seal(&set, &aad, bytes.expose(), random)?;
            SealedKey::Installation {
                keks: wrapped
                    .iter()
                    .map(|bytes| base64url::encode(bytes))
                    .collect(),
                key: base64url::encode(sealed.as_bytes()),
            }
        }
        BackupKeySource::Passphrase(passphrase) => {
            let salt = random.bytes::<16>();
            let of = Opener(of_passphrase(passphrase, &salt, &cost)?);
            let sealed = envelope::seal(&of, &aad, bytes.expose(), random)?;
            SealedKey::Passphrase {
                cost,
                salt: base64url::encode(&salt),
                key: base64url::encode(sealed.as_bytes()),
            }
        }
    };
    let key = EnvelopeKey::new(KeyId::from_bytes(id), KeyVersion(1), secret);
    Ok((Opener(key), sealed))
}

/// The key that was sealed. The root key is looked for in `data`.
pub(super) fn opened(
    source: &BackupKeySource,
    sealed: &SealedKey,
    data: &Path,
) -> Result<Opener, BackupError> {
    let aad = Aad::installation(SEALED_AS);
    let decoded = |text: &str| base64url::decode(text).map_err(|_| OpenError::Content);
    let bytes = match (source, sealed) {
        (BackupKeySource::Installation, SealedKey::Installation { keks, key }) => {
            let root = RootSource::File;
            let opened = root.open(data)?;
            let opened = opened.ok_or_else(|| BackupError::NoRoot(root.place(data)))?;
            let wrapped: Result<Vec<_>, _> = keks.iter().map(|text| decoded(text)).collect();
            let set = kek_set(&opened, wrapped?)?;
            envelope::open(&set, &aad, &Sealed::from_bytes(decoded(key)?))?
        }
        (BackupKeySource::Passphrase(passphrase), SealedKey::Passphrase { cost, salt, key }) => {
            let salt = base64url::decode_array(salt).map_err(|_| OpenError::Content)?;
            let of = of_passphrase(passphrase, &salt, cost)?;
            envelope::open(&of, &aad, &Sealed::from_bytes(decoded(key)?))?
        }
        (BackupKeySource::Installation, SealedKey::Passphrase { .. })
        | (BackupKeySource::Passphrase(_), SealedKey::Installation { .. }) => {
            return Err(OpenError::KeyUnknown {
                id: OF_PASSPHRASE,
                version: KeyVersion(1),
            }
            .into());
        }
    };
    let (id, secret) = bytes
        .expose()
        .split_first_chunk::<8>()
        .ok_or(OpenError::Content)?;
    let secret: [u8; 32] = secret.try_into().map_err(|_| OpenError::Content)?;
    let id = KeyId::from_bytes(*id);
    Ok(Opener(EnvelopeKey::new(
        id,
        KeyVersion(1),
        Secret::new(secret),
    )))
}

fn kek_set(root: &countersign_keys::RootKey, wrapped: Vec<Vec<u8>>) -> Result<KekSet, BackupError> {
    let open = |bytes: Vec<u8>| Kek::unwrap(root, &Sealed::from_bytes(bytes));
    let versions = wrapped.into_iter().map(open).collect::<Result<_, _>>()?;
    Ok(KekSet::new(versions, KeyVersion(1))?)
}

fn of_passphrase(
    passphrase: &Secret<String>,
    salt: &[u8; 16],
    cost: &Cost,
) -> Result<EnvelopeKey, BackupError> {
    let secret = derive_key(passphrase, salt, cost)?;
    Ok(EnvelopeKey::new(OF_PASSPHRASE, KeyVersion(1), secret))
}
