//! Backups of a data directory, and what is made of them on a new machine (docs/backup.md describes the file).
//!
//! A backup is taken from files, while the server runs: a snapshot of the database, then the audit log, which is copied later so that nothing is missing from it. It is one
//! encrypted stream, verified after it was written. It holds no key: what opens it, the root key or a passphrase, and the epoch key of people are kept apart from it.
//!
//! Not here: PostgreSQL, whose own tools make its backups.

mod archive;
mod key;
mod restore;
mod snapshot;

pub use archive::{Entries, Manifest};
pub use key::{BackupKeySource, Opener};
pub use restore::{Epochs, RestoreOptions, Restored, restore};
pub use snapshot::{BackupOptions, Made, backup};

use countersign_audit::verify::VerifyError;
use countersign_control::root::RootError;
use countersign_crypto::password::PasswordError;
use countersign_keys::OpenError;
use countersign_keys::envelope::SealError;
use countersign_keys::hierarchy::KekSetError;
use countersign_keys::stream::StreamError;
use countersign_store::StoreError;
use std::io;
use std::path::{Path, PathBuf};

/// The name of the database in a data directory.
pub const DATABASE: &str = "state.db";

/// Why a backup was not made or not restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// What was written is not what was read.
    #[error("the backup does not hold what was put into it: {0}")]
    Differs(String),
    /// A file cannot be read or written.
    #[error("`{}` cannot be used: {cause}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
    /// The file is no backup, or of a newer form.
    #[error("`{}` is not a backup that this version of countersign knows: {what}", path.display())]
    Form {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
    /// The versions of the key-encryption key contradict each other.
    #[error("the key-encryption keys of the backup cannot be used: {0}")]
    Keks(#[from] KekSetError),
    /// The log does not hold.
    #[error("the audit log in `{}` does not hold: {cause}", path.display())]
    Log {
        /// Which.
        path: PathBuf,
        /// The first thing that does not hold.
        cause: VerifyError,
    },
    /// There is no database file.
    #[error(
        "`{}` is not there. With PostgreSQL, make backups of the database with pg_dump, and keep `audit/` and `ca.pem` of the data directory with them, copied after the dump; keep `keys/` apart from both (docs/backup.md)",
        .0.display()
    )]
    NoDatabase(PathBuf),
    /// There is no root key in a file.
    #[error(
        "`{}` is not there, so the backup cannot be encrypted for it: give a passphrase with --passphrase-stdin",
        .0.display()
    )]
    NoRoot(PathBuf),
    /// Something is in the way.
    #[error("`{}` is there already and is not overwritten", .0.display())]
    Occupied(PathBuf),
    /// The key does not open it.
    #[error("this key or passphrase does not open the backup: {0}")]
    Open(#[from] OpenError),
    /// The passphrase cannot be one.
    #[error("the passphrase cannot be used: {0}")]
    Passphrase(#[from] PasswordError),
    /// The root key.
    #[error(transparent)]
    Root(#[from] RootError),
    /// Something cannot be sealed.
    #[error("the backup's key cannot be sealed: {0}")]
    Seal(#[from] SealError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The stream was changed, cut off, or is too long.
    #[error("the backup was changed or is incomplete: {0}")]
    Stream(#[from] StreamError),
    /// The log moved on faster than it could be copied.
    #[error("the audit log moved on while it was copied, each of {0} times; try again")]
    Unsteady(usize),
}

/// What the operating system said, with the file that it is about.
fn file(path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |cause| BackupError::File { path, cause }
}

/// Makes the names in a directory durable.
fn sync_directory(path: &Path) -> Result<(), BackupError> {
    let path = match path.as_os_str().is_empty() {
        true => Path::new("."),
        false => path,
    };
    let opened = std::fs::File::open(path).map_err(file(path))?;
    opened.sync_all().map_err(file(path))
}

#[cfg(test)]
mod tests;
