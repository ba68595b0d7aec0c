//! `[data]`: where the dictionaries of services lie, for `countersign data list` (docs/sealed-fields.md).

use serde::Deserialize;
use std::path::{Path, PathBuf};

/// `[data]` as written and as used.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataSection {
    /// Files that services wrote, one a service; relative paths start at the configuration directory.
    pub dictionaries: Vec<PathBuf>,
}

impl DataSection {
    /// The files, seen from the configuration in `dir`.
    #[must_use]
    pub fn files(&self, dir: &Path) -> Vec<PathBuf> {
        self.dictionaries
            .iter()
            .map(|file| dir.join(file))
            .collect()
    }
}
