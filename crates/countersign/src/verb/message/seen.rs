//! Which messages were taken, in a file: one line each, the digest of writer and name and the second from which on it may be forgotten.
//!
//! The file is replaced whole, synced before it takes its place, under a lock beside it: of two commands at the same time with the same message, one is refused, and
//! a message that was given out is never forgotten in its time, whenever the machine stops. Past [`LINES_MAX`] nothing is taken; nothing is dropped to make room.

use super::files::Problem;
use countersign_base::UnixTime;
use countersign_wire::message::{Message, Unspent, danger};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Messages that are remembered at a time.
const LINES_MAX: usize = 100_000;
/// Bytes of a file that is read: every line is shorter than a hundred.
const BYTES_MAX: u64 = 100 * 100_000;

/// Remembers the message, and gives it out if it was not remembered before.
pub(super) fn spend(
    path: &Path,
    unspent: Unspent<Message>,
    now: UnixTime,
) -> Result<Message, Problem> {
    let failed =
        |error: io::Error| Problem::Failed(format!("`{}` cannot be used: {error}", path.display()));
    let lock = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(beside(path, "lock"))
        .map_err(failed)?;
    lock.lock().map_err(failed)?;
    let mut lines = read(path)?;
    lines.retain(|_, expires| *expires > now);
    let one_time = unspent.one_time();
    if lines.len() >= LINES_MAX {
        return Err(Problem::Failed(format!(
            "`{}` remembers {LINES_MAX} messages already",
            path.display()
        )));
    }
    let key = countersign_crypto::base64url::encode(&one_time.key);
    if lines.insert(key, one_time.expires).is_some() {
        return Err(Problem::Replayed);
    }
    replace(path, &lines).map_err(failed)?;
    Ok(danger::spent(unspent))
}

/// The message, where the caller said that it may have come before.
pub(super) fn unremembered(unspent: Unspent<Message>) -> Message {
    danger::spent(unspent)
}

fn read(path: &Path) -> Result<BTreeMap<String, UnixTime>, Problem> {
    let usage = |why: &str| Problem::Usage(format!("`{}` {why}", path.display()));
    match fs::metadata(path) {
        Ok(metadata) if metadata.len() > BYTES_MAX => return Err(usage("is too long")),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(usage(&format!("cannot be read: {}", error.kind()))),
    }
    let text = fs::read_to_string(path)
        .map_err(|error| usage(&format!("cannot be read: {}", error.kind())))?;
    text.lines()
        .map(|line| {
            let (key, expires) = line.split_once(' ')?;
            let expires = expires.parse().ok()?;
            Some((key.to_owned(), UnixTime(expires)))
        })
        .collect::<Option<_>>()
        .ok_or_else(|| usage("is no list of messages that were taken"))
}

fn replace(path: &Path, lines: &BTreeMap<String, UnixTime>) -> io::Result<()> {
    let next = beside(path, "next");
    let mut file = File::create(&next)?;
    for (key, expires) in lines {
        writeln!(file, "{key} {}", expires.0)?;
    }
    file.sync_all()?;
    fs::rename(&next, path)?;
    // The name is on the disk only after its directory is.
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}
