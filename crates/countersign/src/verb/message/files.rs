//! The files of `message`: keys, contents and what is written. Each is read up to a limit; private halves go to new files that their owner alone may read.

use countersign_crypto::jose::{JWKS_BYTES_MAX, JwkSet, PrivateJwk};
use countersign_wire::message::{CONTENT_BYTES_MAX, MessageRefusal, TEXT_BYTES_MAX};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// How a verb fails.
pub(super) enum Problem {
    /// It could not be done.
    Failed(String),
    /// The message or the receipt is refused.
    Refused(MessageRefusal),
    /// The message came before.
    Replayed,
    /// What was typed, or a file that was named, is wrong.
    Usage(String),
}

impl From<MessageRefusal> for Problem {
    fn from(reason: MessageRefusal) -> Self {
        Self::Refused(reason)
    }
}

/// A content, from a file or standard input.
pub(super) fn input(path: Option<&Path>) -> Result<Vec<u8>, Problem> {
    read(path, CONTENT_BYTES_MAX)
}

/// A message or a receipt, without the line break that a file ends with.
pub(super) fn message(path: Option<&Path>) -> Result<String, Problem> {
    let bytes = read(path, TEXT_BYTES_MAX)?;
    let text = String::from_utf8(bytes).map_err(|_| MessageRefusal::Malformed)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// A JWK set, or the one key that stands alone as a set.
pub(super) fn key_set(path: &Path) -> Result<Vec<u8>, Problem> {
    let bytes = read(Some(path), JWKS_BYTES_MAX)?;
    match serde_json::from_slice::<serde_json::Value>(&bytes) {
        Ok(serde_json::Value::Object(members)) if !members.contains_key("keys") => {
            Ok(serde_json::json!({ "keys": [members] })
                .to_string()
                .into_bytes())
        }
        // Whatever else it is, the reader of sets says what is wrong with it.
        Ok(_) | Err(_) => Ok(bytes),
    }
}

/// The partner's keys for signatures.
pub(super) fn verifying_keys(path: &Path) -> Result<JwkSet, Problem> {
    let (set, skipped) = JwkSet::parse(&key_set(path)?)
        .map_err(|error| Problem::Usage(format!("`{}`: {error}", path.display())))?;
    for key in &skipped {
        eprintln!(
            "note: key {} of `{}` is passed over: {}",
            key.position + 1,
            path.display(),
            key.reason
        );
    }
    if set.is_empty() {
        return Err(Problem::Usage(format!(
            "`{}` holds no public key that verifies messages",
            path.display()
        )));
    }
    Ok(set)
}

/// The one private key of a file.
pub(super) fn private_key(path: &Path) -> Result<PrivateJwk, Problem> {
    let mut keys = private_keys(path)?;
    match (keys.pop(), keys.is_empty()) {
        (Some(key), true) => Ok(key),
        (_, _) => Err(Problem::Usage(format!(
            "`{}` should hold one private key",
            path.display()
        ))),
    }
}

/// Every private key of a file.
pub(super) fn private_keys(path: &Path) -> Result<Vec<PrivateJwk>, Problem> {
    let bytes = countersign_base::Secret::new(read(Some(path), JWKS_BYTES_MAX)?);
    PrivateJwk::parse_set(bytes.expose())
        .map_err(|error| Problem::Usage(format!("`{}`: {error}", path.display())))
}

fn read(path: Option<&Path>, bytes_max: usize) -> Result<Vec<u8>, Problem> {
    match path {
        None => limited(std::io::stdin().lock(), "standard input", bytes_max),
        Some(path) => {
            let name = format!("`{}`", path.display());
            let file = File::open(path).map_err(|error| {
                Problem::Usage(format!("{name} cannot be read: {}", error.kind()))
            })?;
            limited(file, &name, bytes_max)
        }
    }
}

fn limited(from: impl Read, name: &str, bytes_max: usize) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    let one_more = u64::try_from(bytes_max)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    from.take(one_more)
        .read_to_end(&mut bytes)
        .map_err(|error| Problem::Usage(format!("{name} cannot be read: {}", error.kind())))?;
    if bytes.len() > bytes_max {
        return Err(Problem::Usage(format!(
            "{name} is longer than {bytes_max} bytes"
        )));
    }
    Ok(bytes)
}

/// Writes a private key to a file that is not there yet.
pub(super) fn write_new_private(path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    written(path, &options, bytes)
}

/// Writes a file that is not there yet: what was kept is evidence, and never replaced.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    written(path, OpenOptions::new().write(true).create_new(true), bytes)
}

/// Writes a file.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    written(path, &options, bytes)
}

fn written(path: &Path, options: &OpenOptions, bytes: &[u8]) -> Result<(), Problem> {
    options
        .open(path)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .map_err(|error| {
            Problem::Failed(format!(
                "`{}` cannot be written: {}",
                path.display(),
                error.kind()
            ))
        })
}

/// Prints a content as it is.
pub(super) fn print(content: &[u8]) -> Result<(), Problem> {
    let mut out = std::io::stdout().lock();
    out.write_all(content)
        .and_then(|()| out.flush())
        .map_err(|error| Problem::Failed(format!("the content cannot be written: {error}")))
}
