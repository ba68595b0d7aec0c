//! `metadata/`: the history and settings of a secret, and the names of secrets.

use super::config::Settings;
use super::key::Key;
use crate::answer::Answer;
use crate::call::{Call, Cx, Operation};
use crate::error::VaultError;
use crate::folder::{self, Part};
use crate::work::{Stop, Work};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// Entries of `custom_metadata`.
const CUSTOM_MAX: usize = 64;
/// Bytes of one of its names.
const CUSTOM_NAME_BYTES_MAX: usize = 128;
/// Bytes of one of its values.
const CUSTOM_VALUE_BYTES_MAX: usize = 512;

/// `metadata/FOLDER` with `LIST`.
pub(super) fn list(call: &Call, path: &str, work: &Work<'_>) -> Result<Answer, Stop> {
    let folder = path.trim_end_matches('/');
    let prefix = if folder.is_empty() {
        call.entry(&["kv", "meta", ""])
    } else {
        call.entry(&["kv", "meta", folder::checked(folder)?, ""])
    };
    let names = folder::names(prefix.as_str(), &Part::of(call)?, work)?;
    Ok(Answer::keys(names)?)
}

/// `metadata/PATH`.
pub(super) fn run(
    call: &Call,
    path: &str,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Answer, Stop> {
    let key = Key::read(call, path, work)?;
    match call.operation {
        Operation::Read => Ok(Answer::data(key.ok_or(VaultError::NotFound)?.to_json())),
        Operation::Create | Operation::Update => {
            let mut key = key.unwrap_or_else(|| Key::new(cx.now, Settings::default()));
            key.settings.set(&call.body)?;
            if let Some(custom) = call.body.text_map("custom_metadata")? {
                key.custom = checked(custom)?;
            }
            key.updated = cx.now;
            key.write(call, path, work)?;
            Ok(Answer::nothing())
        }
        Operation::Patch => {
            let mut key = key.ok_or(VaultError::NotFound)?;
            key.settings.set(&call.body)?;
            if let Some(change) = call.body.object("custom_metadata")? {
                key.custom = checked(patched(key.custom, change)?)?;
            }
            key.updated = cx.now;
            key.write(call, path, work)?;
            Ok(Answer::nothing())
        }
        Operation::Delete => {
            if let Some(key) = key {
                key.remove(call, path, work);
            }
            Ok(Answer::nothing())
        }
        Operation::List => Err(VaultError::Unsupported.into()),
    }
}

fn patched(
    mut custom: BTreeMap<String, String>,
    change: &serde_json::Map<String, Json>,
) -> Result<BTreeMap<String, String>, VaultError> {
    for (name, value) in change {
        match value {
            Json::Null => drop(custom.remove(name)),
            Json::String(text) => drop(custom.insert(name.clone(), text.clone())),
            _ => {
                return Err(VaultError::invalid(
                    "`custom_metadata` must be a map of strings",
                ));
            }
        }
    }
    Ok(custom)
}

/// Holds `custom_metadata` against its limits, which are Vault's.
fn checked(custom: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, VaultError> {
    let failed = |text: &'static str| Err(VaultError::invalid(text));
    if custom.len() > CUSTOM_MAX {
        return failed("custom_metadata validation failed: payload must contain at most 64 keys");
    }
    for (name, value) in &custom {
        if name.is_empty() || value.is_empty() {
            return failed("custom_metadata validation failed: keys and values must not be empty");
        }
        if name.len() > CUSTOM_NAME_BYTES_MAX {
            return failed("custom_metadata validation failed: a key is longer than 128 bytes");
        }
        if value.len() > CUSTOM_VALUE_BYTES_MAX {
            return failed("custom_metadata validation failed: a value is longer than 512 bytes");
        }
        if name.chars().chain(value.chars()).any(char::is_control) {
            return failed(
                "custom_metadata validation failed: keys and values must hold printable characters only",
            );
        }
    }
    Ok(custom)
}
