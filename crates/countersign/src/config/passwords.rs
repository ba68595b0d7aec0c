//! `[passwords]`: which passwords nobody may choose. How long they have to be is each tenant's own (`password_length_min`).

use countersign_oauth::authentication::BreachedPasswords;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// `[passwords]` as written and as used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PasswordsSection {
    /// A file with passwords that leaked, one a line: the word, or its SHA-1 or SHA-256 in hexadecimal, with or without `:COUNT` behind it.
    pub breached: Option<PathBuf>,
}

impl PasswordsSection {
    /// Reads the list; without one, it is empty.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(&self, dir: &Path) -> Result<BreachedPasswords, String> {
        let Some(path) = &self.breached else {
            return Ok(BreachedPasswords::default());
        };
        let path = dir.join(path);
        std::fs::read_to_string(&path)
            .map(|text| BreachedPasswords::read(&text))
            .map_err(|error| format!("`{}` cannot be read: {error}", path.display()))
    }
}
