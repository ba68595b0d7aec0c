//! The file: a head in clear that says how the key is sealed, then one stream of entries, bound to the head.
//!
//! ```text
//! "countersign backup 1\n" ‖ length of the head (4) ‖ head, JSON ‖ stream
//! stream of:  length of the path (2) ‖ path ‖ length (8) ‖ bytes ... ‖ 0 (2) ‖ length of the manifest (8) ‖ manifest, JSON
//! ```
//!
//! Numbers are big-endian. The manifest is the last entry and has no path.

use super::key::{self, BackupKeySource, Opener, SealedKey};
use super::{BackupError, file};
use countersign_base::Tenant;
use countersign_crypto::Random;
use countersign_crypto::digest::sha256;
use countersign_keys::envelope::Aad;
use countersign_keys::stream::{HEADER_BYTES, StreamHeader, StreamOpener, StreamSealer};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};

const MAGIC: &[u8] = b"countersign backup 1\n";
/// Bytes of a head: a few wrapped keys.
const HEAD_BYTES_MAX: u32 = 1024 * 1024;
/// Bytes of a manifest.
const MANIFEST_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Bytes that are read at a time.
const PIECE: usize = 256 * 1024;

/// What a backup says of itself, after everything else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// When it was made, in seconds since the epoch.
    pub made: i64,
    /// The version of the program that made it.
    pub version: String,
    /// The signed checkpoint of each log, by the log's directory.
    pub checkpoints: BTreeMap<String, String>,
    /// Entries before the manifest.
    pub entries: u64,
    /// Bytes of the entries.
    pub bytes: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    key: SealedKey,
}

fn bound_to(head: &[u8]) -> Aad {
    Aad::row(&Tenant::default_tenant(), "backup", "stream", &sha256(head))
}

/// Writes a backup.
pub(super) struct Writer {
    path: PathBuf,
    output: File,
    sealer: StreamSealer,
    entries: u64,
    bytes: u64,
}

impl Writer {
    /// Begins the file, which does not exist.
    pub(super) fn begin(
        path: &Path,
        key: &Opener,
        sealed: SealedKey,
        random: &Random,
    ) -> Result<Self, BackupError> {
        use std::os::unix::fs::OpenOptionsExt as _;
        let head = serde_json::to_vec(&Head { key: sealed }).map_err(|_| BackupError::Form {
            path: path.to_owned(),
            what: "its head cannot be written",
        })?;
        let (sealer, header) = StreamSealer::new(key, &bound_to(&head), random)?;
        let mut output = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(file(path))?;
        let length = u32::try_from(head.len()).unwrap_or(u32::MAX).to_be_bytes();
        for part in [MAGIC, &length, &head, header.as_bytes()] {
            output.write_all(part).map_err(file(path))?;
        }
        Ok(Self {
            path: path.to_owned(),
            output,
            sealer,
            entries: 0,
            bytes: 0,
        })
    }

    fn put(mut self, plain: &[u8]) -> Result<Self, BackupError> {
        let (sealer, sealed) = self.sealer.push(plain)?;
        self.output.write_all(&sealed).map_err(file(&self.path))?;
        self.sealer = sealer;
        Ok(self)
    }

    /// Adds a file under a name.
    pub(super) fn add(self, name: &str, from: &Path) -> Result<Self, BackupError> {
        let mut input = File::open(from).map_err(file(from))?;
        let length = input.metadata().map_err(file(from))?.len();
        let short = u16::try_from(name.len()).map_err(|_| BackupError::Form {
            path: from.to_owned(),
            what: "a path is too long",
        })?;
        let head = [&short.to_be_bytes(), name.as_bytes(), &length.to_be_bytes()].concat();
        let mut writer = self.put(&head)?;
        let (mut piece, mut left) = (vec![0; PIECE], length);
        while left > 0 {
            let read = input.read(&mut piece).map_err(file(from))?;
            let taken = u64::try_from(read).unwrap_or(u64::MAX).min(left);
            let part = usize::try_from(taken).ok().and_then(|end| piece.get(..end));
            match part {
                Some(part) if !part.is_empty() => writer = writer.put(part)?,
                Some(_) | None => {
                    let cut = io::Error::new(io::ErrorKind::UnexpectedEof, "it became shorter");
                    return Err(file(from)(cut));
                }
            }
            left -= taken;
        }
        writer.entries += 1;
        writer.bytes = writer.bytes.saturating_add(length);
        Ok(writer)
    }

    /// Ends the file, and makes it durable.
    pub(super) fn finish(self, mut manifest: Manifest) -> Result<Manifest, BackupError> {
        (manifest.entries, manifest.bytes) = (self.entries, self.bytes);
        let text = serde_json::to_vec(&manifest).unwrap_or_default();
        let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
        let last = [&0_u16.to_be_bytes()[..], &length.to_be_bytes(), &text].concat();
        let mut writer = self.put(&last)?;
        let sealed = writer.sealer.finish()?;
        writer
            .output
            .write_all(&sealed)
            .and_then(|()| writer.output.sync_all())
            .map_err(file(&writer.path))?;
        Ok(manifest)
    }
}

/// What takes the entries of a backup.
pub trait Entries {
    /// A file begins.
    ///
    /// # Errors
    /// When it cannot be taken.
    fn begin(&mut self, name: &Path) -> Result<(), BackupError>;

    /// More of the file that began last.
    ///
    /// # Errors
    /// When it cannot be taken.
    fn more(&mut self, bytes: &[u8]) -> Result<(), BackupError>;
}

/// Reads a backup through to its end. Nothing that was taken counts before this returns: the end may be missing. The root key is looked for in `data`.
pub(super) fn read(
    path: &Path,
    source: &BackupKeySource,
    data: &Path,
    entries: &mut impl Entries,
) -> Result<Manifest, BackupError> {
    let form = |what| BackupError::Form {
        path: path.to_owned(),
        what,
    };
    let mut input = File::open(path).map_err(file(path))?;
    let mut magic = vec![0; MAGIC.len()];
    let read = input.read_exact(&mut magic);
    if read.is_err() || magic != MAGIC {
        return Err(form("it begins otherwise"));
    }
    let mut length = [0; 4];
    input.read_exact(&mut length).map_err(file(path))?;
    let length = u32::from_be_bytes(length);
    if length > HEAD_BYTES_MAX {
        return Err(form("its head is too long"));
    }
    let mut head = vec![0; usize::try_from(length).unwrap_or(0)];
    input.read_exact(&mut head).map_err(file(path))?;
    let parsed: Head = serde_json::from_slice(&head).map_err(|_| form("its head is unknown"))?;
    let key = key::opened(source, &parsed.key, data)?;
    let mut header = [0; HEADER_BYTES];
    input.read_exact(&mut header).map_err(file(path))?;
    let header = StreamHeader::parse(&header)?;
    let mut opener = StreamOpener::new(&key, &bound_to(&head), &header)?;
    let mut parser = Parser::default();
    let mut piece = vec![0; PIECE];
    loop {
        let read = input.read(&mut piece).map_err(file(path))?;
        let Some(part) = piece.get(..read).filter(|part| !part.is_empty()) else {
            break;
        };
        let (next, plain) = opener.push(part)?;
        opener = next;
        parser.take(plain.expose(), entries, &form)?;
    }
    let rest = opener.finish()?;
    parser.take(rest.expose(), entries, &form)?;
    parser.ended(&form)
}

/// The entries as they come.
#[derive(Default)]
struct Parser {
    /// Bytes of a head that is not whole yet, or of the manifest.
    pending: Vec<u8>,
    /// What is left of the file that began.
    left: u64,
    /// The manifest has begun, and has this length.
    manifest: Option<u64>,
    entries: u64,
    bytes: u64,
}

impl Parser {
    fn take(
        &mut self,
        mut plain: &[u8],
        entries: &mut impl Entries,
        form: &impl Fn(&'static str) -> BackupError,
    ) -> Result<(), BackupError> {
        while !plain.is_empty() {
            if self.left > 0 {
                let here = usize::try_from(self.left)
                    .unwrap_or(usize::MAX)
                    .min(plain.len());
                let (part, rest) = plain.split_at_checked(here).unwrap_or((plain, &[]));
                entries.more(part)?;
                self.left -= u64::try_from(part.len()).unwrap_or(self.left);
                plain = rest;
                continue;
            }
            self.pending.extend_from_slice(plain);
            if self.manifest.is_some() {
                return Ok(());
            }
            let Some((name, length, rest)) = head(&self.pending, form)? else {
                return Ok(());
            };
            let rest = rest.to_vec();
            self.pending.clear();
            match name {
                Some(name) => {
                    entries.begin(&name)?;
                    self.left = length;
                    self.entries += 1;
                    self.bytes = self.bytes.saturating_add(length);
                    return self.take(&rest, entries, form);
                }
                None if length > MANIFEST_BYTES_MAX => return Err(form("its end is too long")),
                None => {
                    self.manifest = Some(length);
                    self.pending = rest;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn ended(self, form: &impl Fn(&'static str) -> BackupError) -> Result<Manifest, BackupError> {
        let whole = u64::try_from(self.pending.len()).ok();
        if self.manifest.is_none() || self.manifest != whole || self.left > 0 {
            return Err(form("its end is missing"));
        }
        let manifest: Manifest =
            serde_json::from_slice(&self.pending).map_err(|_| form("its end is unknown"))?;
        if (manifest.entries, manifest.bytes) == (self.entries, self.bytes) {
            Ok(manifest)
        } else {
            Err(form("it has not what its end says"))
        }
    }
}

type EntryHead<'p> = (Option<PathBuf>, u64, &'p [u8]);

/// A path, a length, and what follows; nothing while it is not whole.
fn head<'p>(
    bytes: &'p [u8],
    form: &impl Fn(&'static str) -> BackupError,
) -> Result<Option<EntryHead<'p>>, BackupError> {
    let Some((length, rest)) = bytes.split_first_chunk() else {
        return Ok(None);
    };
    let length = usize::from(u16::from_be_bytes(*length));
    let Some((name, rest)) = rest.split_at_checked(length) else {
        return Ok(None);
    };
    let Some((size, rest)) = rest.split_first_chunk() else {
        return Ok(None);
    };
    let size = u64::from_be_bytes(*size);
    if name.is_empty() {
        return Ok(Some((None, size, rest)));
    }
    let name = std::str::from_utf8(name).map_err(|_| form("a path is not text"))?;
    let path = Path::new(name);
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_));
    // A path goes down from the data directory and nowhere else.
    if name.contains('\0') || !path.components().all(plain) {
        return Err(form("a path leads astray"));
    }
    Ok(Some((Some(path.to_owned()), size, rest)))
}
