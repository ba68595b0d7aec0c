//! Files with secrets: looked at, judged, written beside and renamed.
//!
//! What is judged stands in [`countersign_agent::place`]. A file is made anew under a name of its own, with no permission for anybody else, is given its owner and mode, reaches the
//! disk, and takes the old one's place in one step: nobody ever reads half of it, and nothing that stands there is written through.

use crate::config::agent::TemplateSection;
use countersign_agent::{Facts, FileKind, PlaceError, SafePlace, Trusted};
use countersign_base::Secret;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The end of the name under which a file is made.
const NEW: &str = ".countersign-new";

/// Why a file was not written.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The operating system refused.
    #[error("`{}`: {}", path.display(), cause.kind())]
    Io {
        /// What was worked on.
        path: PathBuf,
        /// What it said.
        cause: io::Error,
    },
    /// It is not safe there.
    #[error(transparent)]
    Place(#[from] PlaceError),
}

/// What came of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// The file holds something else now.
    Changed,
    /// It held this already, with this mode and owner.
    Same,
}

/// Whose a file is to be, and who may read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ownership {
    pub(super) mode: u32,
    pub(super) owner: Option<u32>,
    pub(super) group: Option<u32>,
}

impl From<&TemplateSection> for Ownership {
    fn from(section: &TemplateSection) -> Self {
        Self {
            mode: section.mode,
            owner: section.owner,
            group: section.group,
        }
    }
}

/// Looks at the way to a file and judges it.
pub(super) fn place(path: &Path, recipient: Option<u32>) -> Result<SafePlace, OutputError> {
    let absolute = std::path::absolute(path).map_err(|cause| io_error(path, cause))?;
    let (Some(directory), Some(name)) = (absolute.parent(), absolute.file_name()) else {
        return Err(PlaceError::NoDirectory(absolute.clone()).into());
    };
    let resolved = fs::canonicalize(directory).map_err(|cause| io_error(directory, cause))?;
    let mut way = Vec::new();
    for part in directory.ancestors().chain(resolved.ancestors()) {
        let metadata = fs::symlink_metadata(part).map_err(|cause| io_error(part, cause))?;
        way.push((part.to_owned(), facts(&metadata)));
    }
    let file = resolved.join(name);
    let target = match fs::symlink_metadata(&file) {
        Ok(metadata) => Some(facts(&metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(cause) => return Err(io_error(&file, cause)),
    };
    let own = rustix::process::geteuid().as_raw();
    Ok(SafePlace::judge(
        &file,
        &way,
        target,
        Trusted { own, recipient },
    )?)
}

fn facts(metadata: &fs::Metadata) -> Facts {
    let kind = metadata.file_type();
    let kind = if kind.is_dir() {
        FileKind::Directory
    } else if kind.is_file() {
        FileKind::File
    } else if kind.is_symlink() {
        FileKind::Link
    } else {
        FileKind::Other
    };
    Facts {
        kind,
        owner: metadata.uid(),
        mode: metadata.mode(),
    }
}

/// Writes a file. When this returns, it is on the disk.
pub(super) fn write(
    place: &SafePlace,
    content: &Secret<Vec<u8>>,
    ownership: Ownership,
) -> Result<Written, OutputError> {
    let path = place.file();
    if holds(path, content, ownership) {
        return Ok(Written::Same);
    }
    let new = beside(path);
    // What a crash left. A link is removed, not followed.
    match fs::remove_file(&new) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(io_error(&new, cause)),
        Ok(()) | Err(_) => {}
    }
    let written = fill(&new, content, ownership).and_then(|()| fs::rename(&new, path));
    if let Err(cause) = written {
        let _ = fs::remove_file(&new);
        return Err(io_error(path, cause));
    }
    if let Some(directory) = path.parent() {
        let synced = File::open(directory).and_then(|directory| directory.sync_all());
        synced.map_err(|cause| io_error(directory, cause))?;
    }
    Ok(Written::Changed)
}

fn fill(new: &Path, content: &Secret<Vec<u8>>, ownership: Ownership) -> io::Result<()> {
    let mut options = OpenOptions::new();
    // Made here or not at all: `O_EXCL` follows no link.
    let mut file = options.write(true).create_new(true).mode(0o600).open(new)?;
    file.write_all(content.expose())?;
    if ownership.owner.is_some() || ownership.group.is_some() {
        fchown(&file, ownership.owner, ownership.group)?;
    }
    file.set_permissions(Permissions::from_mode(ownership.mode))?;
    file.sync_all()
}

/// Whether the file is already what it is to be.
fn holds(path: &Path, content: &Secret<Vec<u8>>, ownership: Ownership) -> bool {
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return false;
    };
    let same = |wanted: Option<u32>, is: u32| wanted.is_none_or(|wanted| wanted == is);
    let length = u64::try_from(content.expose().len()).unwrap_or(u64::MAX);
    if !metadata.is_file()
        || metadata.mode() & 0o7777 != ownership.mode
        || !same(ownership.owner, metadata.uid())
        || !same(ownership.group, metadata.gid())
        || metadata.len() != length
    {
        return false;
    }
    let mut found = Zeroizing::new(Vec::new());
    let read = File::open(path).and_then(|file| file.take(length).read_to_end(&mut found));
    read.is_ok() && content.matches(&found)
}

fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(NEW);
    path.with_file_name(name)
}

/// Removes a file, if it is there.
pub(super) fn remove(place: &SafePlace) -> Result<(), OutputError> {
    match fs::remove_file(place.file()) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(io_error(place.file(), cause)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Removes the socket of an agent that ended without doing so.
pub(super) fn remove_socket(path: &Path) -> Result<(), OutputError> {
    let stale = fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    if stale {
        fs::remove_file(path).map_err(|cause| io_error(path, cause))?;
    }
    Ok(())
}

/// Gives a path its owner and mode.
pub(super) fn give(path: &Path, ownership: Ownership) -> Result<(), OutputError> {
    let given = || {
        if ownership.owner.is_some() || ownership.group.is_some() {
            std::os::unix::fs::lchown(path, ownership.owner, ownership.group)?;
        }
        fs::set_permissions(path, Permissions::from_mode(ownership.mode))
    };
    given().map_err(|cause| io_error(path, cause))
}

fn io_error(path: &Path, cause: io::Error) -> OutputError {
    OutputError::Io {
        path: path.to_owned(),
        cause,
    }
}

#[cfg(test)]
mod tests;
