//! Files beside those that the checkpoint needs: partial tiles of earlier checkpoints (compared too), tiles of a batch that is not part of the
//! log (counted), and what has no place there (refused).

use super::{LogFiles, VerifyError};
use crate::merkle::rows_at;
use crate::tile::{Content, TILE_WIDTH, Tile};

/// What was found beside the tree's own tiles.
#[derive(Debug, Default)]
pub(super) struct Stray {
    pub(super) superseded: u64,
    pub(super) unpublished: u64,
}

/// Ends the names of files that were being written when the program stopped.
pub(super) const TEMPORARY_SUFFIX: &str = ".tmp";

pub(super) fn check<F: LogFiles>(files: &F, size: u64) -> Result<Stray, VerifyError> {
    let mut stray = Stray::default();
    let mut directories = vec!["tile".to_owned()];
    while let Some(directory) = directories.pop() {
        for name in files.list(&directory)? {
            let path = format!("{directory}/{name}");
            if is_directory(&directory, &name) {
                directories.push(path);
            } else if !name.ends_with(TEMPORARY_SUFFIX) {
                judge(files, &path, size, &mut stray)?;
            }
        }
    }
    Ok(stray)
}

fn is_directory(parent: &str, name: &str) -> bool {
    parent == "tile" || name.starts_with('x') || name.ends_with(".p")
}

fn judge<F: LogFiles>(
    files: &F,
    path: &str,
    size: u64,
    stray: &mut Stray,
) -> Result<(), VerifyError> {
    let tile = Tile::parse(path).ok_or_else(|| VerifyError::Unexpected {
        path: path.to_owned(),
    })?;
    let rows = match tile.content {
        Content::Entries => size,
        Content::Hashes(level) => rows_at(size, u32::from(level)),
    };
    let first = tile.index.saturating_mul(TILE_WIDTH);
    let expected = rows.saturating_sub(first).min(TILE_WIDTH);
    if u64::from(tile.width) > expected {
        stray.unpublished += 1;
    } else if u64::from(tile.width) < expected {
        let verified = Tile {
            width: u16::try_from(expected).unwrap_or(256),
            ..tile
        };
        let (part, whole) = (files.read(path)?, files.read(&verified.path())?);
        // A running log removes superseded tiles; one that is gone since it was listed says nothing.
        if let (Some(part), Some(whole)) = (part, whole)
            && !begins_with(tile, &whole, &part)
        {
            return Err(VerifyError::Tile {
                path: path.to_owned(),
            });
        }
        stray.superseded += 1;
    }
    Ok(())
}

/// Whether `part` is exactly the first `tile.width` hashes or entries of `whole`.
fn begins_with(tile: Tile, whole: &[u8], part: &[u8]) -> bool {
    let count = match tile.content {
        Content::Entries => {
            crate::tile::bundle_entries(part, usize::from(tile.width)).map(|entries| entries.len())
        }
        Content::Hashes(_) => {
            (part.len() == usize::from(tile.width) * 32).then_some(usize::from(tile.width))
        }
    };
    count.is_some() && whole.starts_with(part)
}
