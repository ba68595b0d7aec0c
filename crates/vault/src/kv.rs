//! Key-value secrets, version 2: every writing is a version, which can be deleted, brought back and destroyed (the KV v2 API of Vault).
//!
//! | path below the mount | what it does |
//! |---|---|
//! | `config` | settings of the mount |
//! | `data/PATH` | reads, writes, patches; deletes the latest version |
//! | `delete/PATH`, `undelete/PATH`, `destroy/PATH` | the versions that the body lists |
//! | `metadata/PATH` | settings and history of one secret; deletes all of it |
//! | `metadata/FOLDER` with `LIST` | names |
//! | `subkeys/PATH` | the names within a secret, without its values |
//!
//! A secret is one entry `kv/meta/PATH` with its history and, if it is small, the value of the current version; values of other versions and large ones are entries
//! `kv/data/PATH/VERSION`. So the usual reading loads one entry, any reading at most two, and a writing is one commit. Folders are made of names alone:
//! `a/b` and `a/b/c` can both be secrets.
//!
//! Not here: version 1 of the engine.

mod config;
mod data;
mod key;
mod metadata;

use crate::VaultError;
use crate::answer::Outcome;
use crate::call::{Call, Cx, Operation};
use crate::folder;
use crate::work::{Stop, Work};
use key::Key;

/// What the mount does.
///
/// # Errors
/// As the operation says.
pub fn run(call: &Call, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Outcome, Stop> {
    let (area, path) = place(&call.rest);
    if call.operation.writes() && path.ends_with('/') {
        return Err(VaultError::invalid("cannot write to a path ending in '/'").into());
    }
    let operation = call.operation;
    let done = match (area, operation) {
        ("config", _) if path.is_empty() => config::run(call, work)?,
        ("metadata", Operation::List) => metadata::list(call, path, work)?,
        // Nothing is named by nothing, nor by a folder.
        (_, _) if path.is_empty() || path.ends_with('/') => return Err(VaultError::NotFound.into()),
        ("data", _) => data::run(call, folder::checked(path)?, work, cx)?,
        ("delete" | "destroy" | "undelete", Operation::Create | Operation::Update) => {
            data::change_versions(call, folder::checked(path)?, work, cx)?
        }
        ("metadata", _) => metadata::run(call, folder::checked(path)?, work, cx)?,
        ("subkeys", Operation::Read) => data::subkeys(call, folder::checked(path)?, work, cx)?,
        ("delete" | "destroy" | "subkeys" | "undelete", _) => {
            return Err(VaultError::Unsupported.into());
        }
        _ => return Err(VaultError::NotFound.into()),
    };
    Ok(done.into())
}

/// Whether the secret is there that a `POST` would write: it takes the capability `update`, else `create`. A secret whose versions are deleted is there.
///
/// # Errors
/// As [`Work::read`].
pub fn exists(call: &Call, work: &mut Work<'_>) -> Result<bool, Stop> {
    match place(&call.rest) {
        ("data" | "metadata", path) if !path.is_empty() => {
            Ok(Key::read(call, path, work)?.is_some())
        }
        _ => Ok(true),
    }
}

/// The area of a path and what follows it.
fn place(rest: &str) -> (&str, &str) {
    rest.split_once('/').unwrap_or((rest, ""))
}

/// A duration as Go writes it, and so the API: `0s`, `1m30s`, `768h0m0s`.
fn duration_text(duration: countersign_base::Duration) -> String {
    let seconds = duration.as_secs();
    let (hours, minutes, rest) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}h{minutes}m{rest}s")
    } else if minutes > 0 {
        format!("{minutes}m{rest}s")
    } else {
        format!("{rest}s")
    }
}

#[cfg(test)]
mod tests;
