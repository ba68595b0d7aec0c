//! The offline verifier: recomputes everything from the entries, trusts neither tiles nor state, and says what it found.

use std::fmt;

/// The files of one log, by their paths below its directory.
pub trait LogFiles {
    /// The content of a file; `None` if there is none.
    ///
    /// # Errors
    /// When the file exists and cannot be read.
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, FileError>;

    /// The names in a directory, in any order; none if there is no such directory.
    ///
    /// # Errors
    /// When the directory exists and cannot be read.
    fn list(&self, path: &str) -> Result<Vec<String>, FileError>;
}

/// A file or directory of the log that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read `{path}` of the log: {cause}")]
pub struct FileError {
    path: String,
    cause: String,
}

impl FileError {
    /// An error about `path`.
    pub fn new(path: &str, cause: &impl fmt::Display) -> Self {
        Self {
            path: path.to_owned(),
            cause: cause.to_string(),
        }
    }
}
