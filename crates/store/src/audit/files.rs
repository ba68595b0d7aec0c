//! The log's files as the verifier reads them: from a disk of ours, or from a directory that is only looked at.

use super::disk::{Disk, list_directory};
use countersign_audit::verify::{FileError, LogFiles};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

/// The files of an open log.
#[cfg(test)]
pub(super) struct DiskFiles<'a>(pub(super) &'a dyn Disk);

#[cfg(test)]
impl LogFiles for DiskFiles<'_> {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, FileError> {
        self.0
            .read(path)
            .map_err(|error| FileError::new(path, &error))
    }

    fn list(&self, path: &str) -> Result<Vec<String>, FileError> {
        self.0
            .list(path)
            .map_err(|error| FileError::new(path, &error))
    }
}

/// The files of a log for as long as it is open: a reader in the background does not keep its directory locked.
pub(super) struct OpenDiskFiles(pub(super) Weak<dyn Disk>);

impl OpenDiskFiles {
    fn disk(&self, path: &str) -> Result<Arc<dyn Disk>, FileError> {
        self.0
            .upgrade()
            .ok_or_else(|| FileError::new(path, &"the log was closed"))
    }
}

impl LogFiles for OpenDiskFiles {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, FileError> {
        self.disk(path)?
            .read(path)
            .map_err(|error| FileError::new(path, &error))
    }

    fn list(&self, path: &str) -> Result<Vec<String>, FileError> {
        self.disk(path)?
            .list(path)
            .map_err(|error| FileError::new(path, &error))
    }
}

/// The files of a log that another process may have open: read only, no lock.
#[derive(Debug, Clone)]
pub struct DirectoryFiles(PathBuf);

impl DirectoryFiles {
    /// The log in `directory`.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        Self(directory.to_owned())
    }
}

impl LogFiles for DirectoryFiles {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, FileError> {
        match std::fs::read(self.0.join(path)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(FileError::new(path, &error)),
        }
    }

    fn list(&self, path: &str) -> Result<Vec<String>, FileError> {
        list_directory(&self.0.join(path)).map_err(|error| FileError::new(path, &error))
    }
}
