//! Where the root key comes from: a file of mode 0600, made at the first start, or a passphrase (Argon2id).
//!
//! The root key is opened once, at start, and seals nothing but key-encryption keys. Where operators hold shares of what is above it, it comes from the seal
//! ([`crate::seal`]).
//!
//! Another root key is written beside the one in use, as `root.key.next` or `root.json.next`; when what it seals is committed, it takes the place of the other. A start finds both
//! after a stop in between: the one that opens the installation is the one, and the other goes.

use countersign_base::Secret;
use countersign_crypto::base64url;
use countersign_crypto::password::Cost;
use countersign_crypto::random::Random;
use countersign_keys::seal::UnsealKey;
use countersign_keys::{PassphraseParameters, RootKey};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroize;

/// Where the root key comes from.
pub enum RootSource {
    /// `keys/root.key` in the data directory.
    File,
    /// A passphrase; what it was stretched with stands in `keys/root.json`.
    Passphrase(Secret<String>),
    /// The seal, which was opened.
    Unsealed(Arc<RootKey>),
}

/// Why there is no root key.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// The file cannot be read or written.
    #[error("`{}` cannot be used: {cause}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
    /// The file does not hold what this program writes.
    #[error("`{}` does not hold a root key", .0.display())]
    Form(PathBuf),
    /// Others could have read it.
    #[error("`{}` can be read by others: `chmod 600` it, and consider the key known", .0.display())]
    Mode(PathBuf),
    /// The passphrase cannot be one.
    #[error("the passphrase cannot be used: {0}")]
    Passphrase(#[from] countersign_crypto::password::PasswordError),
}

impl RootSource {
    /// The 32 bytes that the root key is made of, if there is one: for a seal over it. None of one that came from a seal.
    ///
    /// # Errors
    /// As [`RootSource::open`].
    pub fn bytes(&self, data: &Path) -> Result<Option<Secret<[u8; 32]>>, RootError> {
        self.bytes_at(self.place(data))
    }

    /// Opens the root key for which `opens` holds: the one in place or the one that waits to take it, which then does. Where neither holds, the one in place.
    ///
    /// # Errors
    /// When what is there cannot be used. A missing key is no error.
    pub fn open_that(
        &self,
        data: &Path,
        opens: impl Fn(&RootKey) -> bool,
    ) -> Result<Option<Arc<RootKey>>, RootError> {
        let in_place = self.open(data)?;
        if in_place.as_ref().is_some_and(|key| opens(key)) {
            return Ok(in_place);
        }
        // One that cannot be read never was in use: it is complete before anything is put under it.
        let waiting = self.open_at(waiting(self.place(data))).ok().flatten();
        match waiting.filter(|key| opens(key)) {
            Some(key) => {
                self.settle(data)?;
                Ok(Some(key))
            }
            None => Ok(in_place),
        }
    }

    /// Makes another root key, which waits beside the one in place. One that waited before is written over: whoever calls this has seen that the one in place is in use.
    ///
    /// # Errors
    /// When its file cannot be written durably, or there is none to have.
    pub fn prepare(
        &self,
        data: &Path,
        cost: Cost,
        random: &Random,
    ) -> Result<Arc<RootKey>, RootError> {
        let path = waiting(self.place(data));
        let failed = |cause| RootError::File {
            path: path.clone(),
            cause,
        };
        match self {
            Self::File => {
                let bytes = random.secret::<32>();
                let mut text = base64url::encode(bytes.expose());
                text.push('\n');
                let written = replace_file(&path, 0o600, text.as_bytes());
                text.zeroize();
                written.map_err(failed)?;
                Ok(Arc::new(RootKey::from_bytes(&bytes)))
            }
            Self::Passphrase(passphrase) => {
                let parameters = PassphraseParameters::new(cost, random);
                let text = serde_json::to_string(&parameters)
                    .map_err(|_| RootError::Form(path.clone()))?;
                replace_file(&path, 0o600, text.as_bytes()).map_err(failed)?;
                let root = RootKey::from_passphrase(passphrase, &parameters)?;
                Ok(Arc::new(root))
            }
            Self::Unsealed(root) => Ok(Arc::clone(root)),
        }
    }

    /// Lets the root key that waits take its place, durably. Where none waits, nothing happens.
    ///
    /// # Errors
    /// When the operating system refuses; the next start does it.
    pub fn settle(&self, data: &Path) -> Result<(), RootError> {
        let path = self.place(data);
        let failed = |cause| RootError::File {
            path: path.clone(),
            cause,
        };
        match fs::rename(waiting(path.clone()), &path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(failed(error)),
            Ok(()) => sync_parent(&path).map_err(failed),
        }
    }

    fn open_at(&self, path: PathBuf) -> Result<Option<Arc<RootKey>>, RootError> {
        match self {
            Self::File | Self::Passphrase(_) => {
                let bytes = self.bytes_at(path)?;
                Ok(bytes.map(|bytes| Arc::new(RootKey::from_bytes(&bytes))))
            }
            Self::Unsealed(root) => Ok(Some(Arc::clone(root))),
        }
    }

    fn bytes_at(&self, path: PathBuf) -> Result<Option<Secret<[u8; 32]>>, RootError> {
        match self {
            Self::File => {
                let Some(mut text) = read_private(&path)? else {
                    return Ok(None);
                };
                let bytes = base64url::decode_array::<32>(text.trim_end());
                text.zeroize();
                let bytes = bytes.map_err(|_| RootError::Form(path))?;
                Ok(Some(Secret::new(bytes)))
            }
            Self::Passphrase(passphrase) => {
                let Some(text) = read_private(&path)? else {
                    return Ok(None);
                };
                let parameters: PassphraseParameters =
                    serde_json::from_str(&text).map_err(|_| RootError::Form(path))?;
                // The same derivation: an unseal key's bytes are what the passphrase stands for.
                let key = UnsealKey::from_passphrase(passphrase, &parameters)?;
                Ok(Some(Secret::new(*key.bytes_for_source().expose())))
            }
            Self::Unsealed(_) => Ok(None),
        }
    }

    /// Opens the root key, if there is one.
    ///
    /// # Errors
    /// When what is there cannot be used. A missing key is no error.
    pub fn open(&self, data: &Path) -> Result<Option<Arc<RootKey>>, RootError> {
        self.open_at(self.place(data))
    }

    /// Makes the root key of a new installation.
    ///
    /// # Errors
    /// When its file is there already or cannot be written durably.
    pub fn create(
        &self,
        data: &Path,
        cost: Cost,
        random: &Random,
    ) -> Result<Arc<RootKey>, RootError> {
        make_private_directory(&data.join("keys")).map_err(|cause| RootError::File {
            path: data.join("keys"),
            cause,
        })?;
        match self {
            Self::File => {
                let bytes = random.secret::<32>();
                let mut text = base64url::encode(bytes.expose());
                text.push('\n');
                let path = key_path(data);
                let written = write_new_private(&path, text.as_bytes());
                text.zeroize();
                written.map_err(|cause| RootError::File { path, cause })?;
                Ok(Arc::new(RootKey::from_bytes(&bytes)))
            }
            Self::Passphrase(passphrase) => {
                let parameters = PassphraseParameters::new(cost, random);
                let path = parameters_path(data);
                let text = serde_json::to_string(&parameters)
                    .map_err(|_| RootError::Form(path.clone()))?;
                write_new_private(&path, text.as_bytes())
                    .map_err(|cause| RootError::File { path, cause })?;
                let root = RootKey::from_passphrase(passphrase, &parameters)?;
                Ok(Arc::new(root))
            }
            Self::Unsealed(root) => Ok(Arc::clone(root)),
        }
    }

    /// What a person is told to bring back when the key is missing.
    #[must_use]
    pub fn place(&self, data: &Path) -> PathBuf {
        match self {
            Self::File => key_path(data),
            Self::Passphrase(_) | Self::Unsealed(_) => parameters_path(data),
        }
    }
}

/// Where the next one waits.
fn waiting(mut path: PathBuf) -> PathBuf {
    path.as_mut_os_string().push(".next");
    path
}

fn key_path(data: &Path) -> PathBuf {
    data.join("keys").join("root.key")
}

fn parameters_path(data: &Path) -> PathBuf {
    data.join("keys").join("root.json")
}

/// Reads a file that only its owner may read; none if it is not there.
///
/// # Errors
/// When the operating system refuses, or others could read it.
pub fn read_private(path: &Path) -> Result<Option<String>, RootError> {
    let failed = |cause| RootError::File {
        path: path.to_owned(),
        cause,
    };
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
        Ok(metadata) if metadata.permissions().mode() & 0o077 != 0 => {
            return Err(RootError::Mode(path.to_owned()));
        }
        Ok(_) => {}
    }
    fs::read_to_string(path).map(Some).map_err(failed)
}

/// Makes a directory, with its parents, that only its owner may enter.
///
/// # Errors
/// When the operating system refuses.
pub fn make_private_directory(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}

/// Writes a file that was not there, mode 0600, and syncs it and its directory: what it holds must outlive a power cut.
pub(crate) fn write_new_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(content)?;
    file.sync_all()?;
    sync_parent(path)
}

/// Replaces a file in one step, with `mode`; a reader sees the old content or the new one.
///
/// # Errors
/// When the operating system refuses a step.
pub fn replace_file(path: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
    let mut name = path
        .file_name()
        .map(std::ffi::OsStr::to_owned)
        .unwrap_or_default();
    name.push(".new");
    let new = path.with_file_name(name);
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&new)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    sync_parent(path)
}

fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
