//! Single values of the program: the remembered issuer, the size of the log that was last signed, parameters of the root key.

use crate::catalogue::settings as sql;
use crate::engine::args;
use crate::{Connection, StoreError, Transaction};

/// The settings that exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// The certificate of the development authority, in PEM.
    AuthorityCertificate,
    /// Its private key, sealed.
    AuthorityKey,
    /// The issuer that was configured when the store was first used.
    Issuer,
    /// How far the rotation of the key-encryption key is.
    KekRotation,
    /// The private key that signs checkpoints of the audit log, sealed.
    LogKey,
    /// Size and root of the audit log that was last signed, so that a log that was set back is noticed.
    LogSigned,
    /// The name of the key of which each person's is a part; it stands in a file.
    SubjectEpoch,
    /// How the root key is derived from its passphrase, and a value that tells a wrong one.
    RootKey,
    /// The root key under the key of which operators hold shares.
    Seal,
}

impl Setting {
    const fn name(self) -> &'static str {
        match self {
            Self::AuthorityCertificate => "authority_certificate",
            Self::AuthorityKey => "authority_key",
            Self::Issuer => "issuer",
            Self::KekRotation => "kek_rotation",
            Self::LogKey => "log_key",
            Self::LogSigned => "log_signed",
            Self::RootKey => "root_key",
            Self::Seal => "seal",
            Self::SubjectEpoch => "subject_epoch",
        }
    }
}

/// The value, if it was ever set.
pub async fn find(
    connection: &mut Connection,
    setting: Setting,
) -> Result<Option<Vec<u8>>, StoreError> {
    let row = connection
        .fetch_optional(&sql::FIND, args![setting.name()])
        .await?;
    row.map(|row| row.get(0)).transpose()
}

/// The value, for this transaction alone: none too while another transaction has it.
pub(crate) async fn claim(
    tx: &mut Transaction,
    setting: Setting,
) -> Result<Option<Vec<u8>>, StoreError> {
    let row = tx
        .fetch_optional(&sql::CLAIM, args![setting.name()])
        .await?;
    row.map(|row| row.get(0)).transpose()
}

/// Sets the value.
pub async fn put(tx: &mut Transaction, setting: Setting, value: Vec<u8>) -> Result<(), StoreError> {
    tx.execute(&sql::PUT, args![setting.name(), value])
        .await
        .map(drop)
}

/// Sets the value unless there is one, and returns what stands: of several nodes that start together one decides.
pub async fn put_first(
    tx: &mut Transaction,
    setting: Setting,
    value: Vec<u8>,
) -> Result<Vec<u8>, StoreError> {
    tx.execute(&sql::ADD, args![setting.name(), value]).await?;
    find(tx, setting)
        .await?
        .ok_or_else(|| StoreError::corrupt("settings", "a value that was just written is missing"))
}

/// Replaces exactly the value that the caller looked at.
///
/// # Errors
/// [`StoreError::Superseded`] when another stands there by now: nothing happened.
pub async fn replace(
    tx: &mut Transaction,
    setting: Setting,
    before: Vec<u8>,
    value: Vec<u8>,
) -> Result<(), StoreError> {
    let replaced = tx
        .execute(&sql::REPLACE, args![setting.name(), before, value])
        .await?;
    if replaced == 1 {
        Ok(())
    } else {
        Err(StoreError::Superseded("settings"))
    }
}
