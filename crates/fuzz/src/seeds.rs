//! The seed corpus: `crates/fuzz/corpus/TARGET/`, one file an input.

use crate::Target;
use std::path::{Path, PathBuf};

/// The folder of a target's seeds.
#[must_use]
pub fn folder(target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target.name)
}

/// The seeds of a target, in the order of their names.
///
/// # Errors
/// When the folder cannot be read.
pub fn of(target: &Target) -> std::io::Result<Vec<Vec<u8>>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder(target))? {
        paths.push(entry?.path());
    }
    paths.sort();
    paths.iter().map(std::fs::read).collect()
}
