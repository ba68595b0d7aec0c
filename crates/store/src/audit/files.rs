//! The log's files as the verifier reads them: from a disk of ours, or from a directory that is only looked at.

use super::disk::{Disk, list_directory};
use countersign_audit::verify::{FileError, LogFiles};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The files of an open log.
#[derive(Debug)]
pub(super) struct DiskFiles<'a>(pub(super) &'a dyn Disk);

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
