//! The transit engine: encryption, signatures and HMACs as a service, with keys that stay here (docs/transit.md).
//!
//! A key is one entry with all its versions ([`row::KeyRow`]). What callers get are texts `vault:vN:...` ([`text`]), interchangeable with those of Vault and
//! OpenBao for the same key. A key is rotated on use, when its period has passed or when it has sealed as many messages as random nonces allow ([`cipher`]).
//!
//! Not here: keys that live in hardware (`external-key`), certificates, SHA-1, and encryption by RSA other than OAEP.

pub mod batch;
pub mod cipher;
mod encrypt;
mod exchange;
mod keyless;
pub mod kind;
mod manage;
pub mod row;
mod sign;
pub mod text;

pub use exchange::{Wrapped, backed_up, wrapped_parts};

use crate::VaultError;
use crate::answer::Outcome;
use crate::call::{Call, Cx, Operation};
use crate::entry::EntryName;
use crate::work::{Stop, Work};
use row::KeyRow;

/// Bytes of a key's name.
const NAME_BYTES_MAX: usize = 128;

/// What the mount does.
///
/// # Errors
/// As the operation says; [`VaultError::NotFound`] for a path that is none, [`VaultError::Unsupported`] for a method that a path does not have.
pub fn run(call: &Call, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Outcome, Stop> {
    let segments = call.segments();
    let answer = match (method(call.operation), segments.as_slice()) {
        (Method::List, ["keys"]) => manage::list(call, work)?,
        (Method::Read, ["keys", name]) => manage::read(call, work, key(name)?)?,
        (Method::Write, ["keys", name]) => manage::create(call, work, cx, key(name)?)?,
        (Method::Delete, ["keys", name]) => manage::delete(call, work, key(name)?)?,
        (Method::Write, ["keys", name, "config"]) => manage::configure(call, work, key(name)?)?,
        (Method::Write, ["keys", name, "rotate"]) => manage::rotate(call, work, cx, key(name)?)?,
        (Method::Write, ["keys", name, "trim"]) => manage::trim(call, work, key(name)?)?,
        (Method::Write, ["keys", name, "import"]) => exchange::import(call, work, cx, key(name)?)?,
        (Method::Write, ["keys", name, "import_version"]) => {
            exchange::import_version(call, work, cx, key(name)?)?
        }
        (Method::Write, ["encrypt", name]) => encrypt::encrypt(call, work, cx, key(name)?)?,
        (Method::Write, ["decrypt", name]) => encrypt::decrypt(call, work, key(name)?)?,
        (Method::Write, ["rewrap", name]) => encrypt::rewrap(call, work, cx, key(name)?)?,
        (Method::Write, ["datakey", form, name]) => {
            encrypt::data_key(call, work, cx, form, key(name)?)?
        }
        (Method::Write, ["hmac", name]) => sign::hmac(call, work, cx, key(name)?, None)?,
        (Method::Write, ["hmac", name, hash]) => {
            sign::hmac(call, work, cx, key(name)?, Some(*hash))?
        }
        (Method::Write, ["sign", name]) => sign::sign(call, work, cx, key(name)?, None)?,
        (Method::Write, ["sign", name, hash]) => {
            sign::sign(call, work, cx, key(name)?, Some(*hash))?
        }
        (Method::Write, ["verify", name]) => sign::verify(call, work, key(name)?, None)?,
        (Method::Write, ["verify", name, hash]) => {
            sign::verify(call, work, key(name)?, Some(*hash))?
        }
        (Method::Write, ["random"]) => keyless::random(call, cx, None)?,
        (Method::Write, ["random", "platform" | "seal" | "all"]) => {
            keyless::random(call, cx, None)?
        }
        (Method::Write, ["random", "platform" | "seal" | "all", bytes] | ["random", bytes]) => {
            keyless::random(call, cx, Some(*bytes))?
        }
        (Method::Write, ["hash"]) => keyless::hash(call, None)?,
        (Method::Write, ["hash", hash]) => keyless::hash(call, Some(*hash))?,
        (Method::Read, ["export", what, name]) => {
            exchange::export(call, work, what, key(name)?, None)?
        }
        (Method::Read, ["export", what, name, version]) => {
            exchange::export(call, work, what, key(name)?, Some(*version))?
        }
        (Method::Read, ["backup", name]) => exchange::backup(call, work, key(name)?)?,
        (Method::Write, ["restore"]) => exchange::restore(call, work, None)?,
        (Method::Write, ["restore", name]) => exchange::restore(call, work, Some(key(name)?))?,
        (Method::Read, ["wrapping_key"]) => exchange::wrapping_key(call, work)?,
        (Method::Read, ["config", "keys"]) => manage::read_defaults(call, work)?,
        (Method::Write, ["config", "keys"]) => manage::write_defaults(call, work)?,
        (Method::Read, ["cache-config"]) => keyless::cache_config(),
        (Method::Write, ["cache-config"]) => keyless::set_cache(call)?,
        (_, path) => return Err(no_such(path).into()),
    };
    Ok(answer.into())
}

/// Whether what a `POST` would write is there already: only `encrypt` makes a key that is not.
///
/// # Errors
/// As [`Work::read`].
pub fn exists(call: &Call, work: &mut Work<'_>) -> Result<bool, Stop> {
    match call.segments().as_slice() {
        ["encrypt", name] => Ok(Opened::read(call, work, key(name)?)?.is_some()),
        _ => Ok(true),
    }
}

#[derive(Clone, Copy)]
enum Method {
    Delete,
    List,
    Read,
    Unknown,
    Write,
}

const fn method(operation: Operation) -> Method {
    match operation {
        Operation::Create | Operation::Update => Method::Write,
        Operation::Delete => Method::Delete,
        Operation::List => Method::List,
        Operation::Patch => Method::Unknown,
        Operation::Read => Method::Read,
    }
}

/// What is wrong with a path that no operation took.
fn no_such(path: &[&str]) -> VaultError {
    const FIRST: [&str; 16] = [
        "backup",
        "cache-config",
        "config",
        "datakey",
        "decrypt",
        "encrypt",
        "export",
        "hash",
        "hmac",
        "keys",
        "random",
        "restore",
        "rewrap",
        "sign",
        "verify",
        "wrapping_key",
    ];
    match path.first() {
        Some(first) if FIRST.contains(first) => VaultError::Unsupported,
        Some(_) | None => VaultError::NotFound,
    }
}

/// The name of a key, in the form that names have: letters, digits, `_`, `-` and `.`, not at the ends.
#[derive(Debug, Clone, Copy)]
struct KeyName<'a>(&'a str);

fn key(name: &str) -> Result<KeyName<'_>, VaultError> {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let inner = |byte: u8| word(byte) || byte == b'-' || byte == b'.';
    let ends = name.bytes().next().is_some_and(word) && name.bytes().next_back().is_some_and(word);
    if ends && name.len() <= NAME_BYTES_MAX && name.bytes().all(inner) {
        Ok(KeyName(name))
    } else {
        Err(VaultError::NotFound)
    }
}

/// A key as it was read, to be written again if it changed.
struct Opened {
    entry: EntryName,
    row: KeyRow,
    changed: Changed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Changed {
    No,
    Yes,
}

impl Opened {
    fn entry(call: &Call, name: KeyName<'_>) -> EntryName {
        call.entry(&["key", name.0])
    }

    fn read(call: &Call, work: &mut Work<'_>, name: KeyName<'_>) -> Result<Option<Self>, Stop> {
        let entry = Self::entry(call, name);
        let row = work.read(&entry)?;
        Ok(row.map(|row| Self {
            entry,
            row,
            changed: Changed::No,
        }))
    }

    /// The key, or the refusal that the operation has for one that is not there.
    fn need(
        call: &Call,
        work: &mut Work<'_>,
        name: KeyName<'_>,
        missing: &'static str,
    ) -> Result<Self, Stop> {
        Self::read(call, work, name)?.ok_or_else(|| VaultError::invalid(missing).into())
    }

    fn new(call: &Call, name: KeyName<'_>, row: KeyRow) -> Self {
        Self {
            entry: Self::entry(call, name),
            row,
            changed: Changed::Yes,
        }
    }

    /// Rotates the key if its period has passed. A key that cannot be rotated (an entry that is full) goes on as it is.
    fn keep_fresh(&mut self, cx: &Cx<'_>) {
        if self.row.rotation_is_due(cx.now) && self.row.rotate(cx).is_ok() {
            self.changed = Changed::Yes;
        }
    }

    /// Writes the key if it changed.
    fn save(self, work: &mut Work<'_>) -> Result<KeyRow, Stop> {
        if self.changed == Changed::Yes {
            work.put(&self.entry, &self.row)?;
        }
        Ok(self.row)
    }
}

#[cfg(test)]
mod tests;
