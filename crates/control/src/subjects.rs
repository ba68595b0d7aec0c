//! The epoch key's file: `keys/epochs` in the data directory, mode 0600, sealed under a key that follows from what all versions of the key-encryption key share: the file of
//! today opens beside a database from before a rotation. A file that a version itself sealed, as older programs wrote it, is written anew when it is opened.
//!
//! It is the one thing that has to be kept apart from every backup of the database, without old versions, and brought along when a backup is restored: without it
//! no person's key opens, and an older copy opens the keys of those who were erased since (docs/decisions/0021). The database remembers its name, so that another one is
//! noticed.

use crate::root::{RootError, make_private_directory, read_private, replace_file};
use crate::secrets::Secrets;
use countersign_crypto::base64url;
use countersign_crypto::puncturable::{PuncturableError, PuncturableKey};
use countersign_keys::envelope::{self, SealError};
use countersign_keys::{Aad, OpenError, Sealed};
use countersign_store::tables::settings::{self, Setting};
use countersign_store::{KeepEpochs, Keks, Store, StoreError, Subjects};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroize;

/// The context that the file is sealed in.
const SEALED_AS: &str = "subject-epochs";

/// Why the epoch key cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum EpochsError {
    /// The file is another installation's, or of another life of this one.
    #[error(
        "`{}` is not the epoch key of this database: bring back the one that was made with it",
        .0.display()
    )]
    Another(PathBuf),
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] RootError),
    /// What it holds is no key.
    #[error("`{}` holds no epoch key: {cause}", path.display())]
    Key {
        /// Where it stands.
        path: PathBuf,
        /// Why not.
        cause: PuncturableError,
    },
    /// The database was used with one, and it is not there.
    #[error(
        "`{}` is not there, and without it nothing that is kept about people opens: copy it from another node, or from where you keep it",
        .0.display()
    )]
    Missing(PathBuf),
    /// It does not open.
    #[error("`{}` does not open: {cause}", path.display())]
    Open {
        /// Where it stands.
        path: PathBuf,
        /// Why not.
        cause: OpenError,
    },
    /// It cannot be sealed.
    #[error("the epoch key cannot be sealed: {0}")]
    Seal(#[from] SealError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where the epoch key of a data directory stands.
#[must_use]
pub fn epochs_path(data: &Path) -> PathBuf {
    data.join("keys").join("epochs")
}

/// Opens the epoch key; at the first start, makes it.
///
/// # Errors
/// When it is missing, another's or unreadable, or the store fails.
pub async fn open(
    store: &Store,
    secrets: &Arc<Secrets>,
    data: &Path,
) -> Result<Subjects, EpochsError> {
    let path = epochs_path(data);
    let mut connection = store.read().await?;
    let known = settings::find(&mut connection, Setting::SubjectEpoch).await?;
    drop(connection);
    let key = match (read(secrets, &path)?, known) {
        (None, Some(_)) => return Err(EpochsError::Missing(path)),
        (Some(key), Some(known)) if known == key.id() => key,
        (Some(_), Some(_)) => return Err(EpochsError::Another(path)),
        // A crash between the file and the row leaves a key under which nothing is wrapped yet: it is taken up.
        (found, None) => {
            let key = match found {
                Some(key) => key,
                None => made(secrets, &path)?,
            };
            let id = key.id().to_vec();
            let stands = store
                .write(move |tx| {
                    Box::pin(
                        async move { settings::put_first(tx, Setting::SubjectEpoch, id).await },
                    )
                })
                .await?;
            if stands != key.id() {
                // Another node was first, and its key is the one to have.
                let _gone = std::fs::remove_file(&path);
                return Err(EpochsError::Missing(path));
            }
            key
        }
    };
    let keks: Keks = {
        let secrets = Arc::clone(secrets);
        Arc::new(move || secrets.keks())
    };
    Ok(Subjects::new(keks, key, keeper(secrets, path)))
}

fn read(secrets: &Secrets, path: &Path) -> Result<Option<PuncturableKey>, EpochsError> {
    let Some(text) = read_private(path)? else {
        return Ok(None);
    };
    let sealed =
        base64url::decode(text.trim_end()).map_err(|_| RootError::Form(path.to_owned()))?;
    let failed = |cause| EpochsError::Open {
        path: path.to_owned(),
        cause,
    };
    let (keks, sealed) = (secrets.keks(), Sealed::from_bytes(sealed));
    let (id, _version) = sealed.key().map_err(failed)?;
    let aad = Aad::installation(SEALED_AS);
    let by_a_version = id == keks.current().id();
    let bytes = if by_a_version {
        envelope::open(&*keks, &aad, &sealed)
    } else {
        envelope::open(&keks.lasting_key(SEALED_AS), &aad, &sealed)
    }
    .map_err(failed)?;
    let key = PuncturableKey::from_bytes(bytes.expose()).map_err(|cause| EpochsError::Key {
        path: path.to_owned(),
        cause,
    })?;
    if by_a_version {
        write(secrets, path, bytes.expose()).map_err(|cause| RootError::File {
            path: path.to_owned(),
            cause,
        })?;
    }
    Ok(Some(key))
}

fn made(secrets: &Secrets, path: &Path) -> Result<PuncturableKey, EpochsError> {
    let failed = |cause| RootError::File {
        path: path.to_owned(),
        cause,
    };
    if let Some(directory) = path.parent() {
        make_private_directory(directory).map_err(failed)?;
    }
    let key = PuncturableKey::generate(secrets.random());
    write(secrets, path, &key.to_bytes()).map_err(failed)?;
    Ok(key)
}

fn keeper(secrets: &Arc<Secrets>, path: PathBuf) -> KeepEpochs {
    let secrets = Arc::clone(secrets);
    Arc::new(move |bytes| write(&secrets, &path, bytes))
}

fn write(secrets: &Secrets, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let key = secrets.keks().lasting_key(SEALED_AS);
    let aad = Aad::installation(SEALED_AS);
    let sealed = envelope::seal(&key, &aad, bytes, secrets.random())
        .map_err(|error| io::Error::other(error.to_string()))?;
    let mut text = base64url::encode(sealed.as_bytes());
    text.push('\n');
    let written = replace_file(path, 0o600, text.as_bytes());
    text.zeroize();
    written
}

#[cfg(test)]
mod tests;
