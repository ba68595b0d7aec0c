//! Tiles and entry bundles as files: names, widths, bytes (C2SP tlog-tiles).

use crate::merkle::rows_at;

/// Hashes in a full tile and entries in a full bundle.
pub const TILE_WIDTH: u64 = 256;
/// Bytes of the longest entry that a bundle can hold.
pub const ENTRY_BYTES_MAX: usize = 65_535;

/// What a tile file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Content {
    /// The entries themselves.
    Entries,
    /// Hashes of the tile level (0 to 7 can occur in a tree of 64-bit size).
    Hashes(u8),
}

/// One file of the log: a run of up to 256 hashes or entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tile {
    /// Hashes of which level, or entries.
    pub content: Content,
    /// Its number from the left.
    pub index: u64,
    /// How many hashes or entries, 1 to 256.
    pub width: u16,
}

impl Tile {
    /// The full hash tile `index` of `level`.
    #[must_use]
    pub fn full(level: usize, index: u64) -> Self {
        Self::partial(level, index, 256)
    }

    /// The hash tile `index` of `level` with `width` hashes, 1 to 256.
    #[must_use]
    pub fn partial(level: usize, index: u64, width: usize) -> Self {
        Self {
            content: Content::Hashes(u8::try_from(level).unwrap_or(u8::MAX)),
            index,
            width: u16::try_from(width).unwrap_or(256),
        }
    }

    /// The entry bundle `index` with `width` entries, 1 to 256.
    #[must_use]
    pub fn entries(index: u64, width: usize) -> Self {
        Self {
            content: Content::Entries,
            index,
            width: u16::try_from(width).unwrap_or(256),
        }
    }

    /// Whether it holds all the hashes or entries that its place can have.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.width as u64 == TILE_WIDTH
    }

    /// Its path below the log's directory: `tile/<L>/<N>[.p/<W>]`, `tile/entries/<N>[.p/<W>]`.
    #[must_use]
    pub fn path(&self) -> String {
        let mut path = match self.content {
            Content::Entries => "tile/entries/".to_owned(),
            Content::Hashes(level) => format!("tile/{level}/"),
        };
        path.push_str(&index_path(self.index));
        if !self.is_full() {
            path.push_str(&format!(".p/{}", self.width));
        }
        path
    }

    /// Reads a path that [`Self::path`] can write; anything else is `None`.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        let (kind, rest) = path.strip_prefix("tile/")?.split_once('/')?;
        let content = if kind == "entries" {
            Content::Entries
        } else {
            Content::Hashes(kind.parse().ok()?)
        };
        let (index, width) = match rest.split_once(".p/") {
            Some((index, width)) => (index, width.parse().ok()?),
            None => (rest, 256),
        };
        let mut number: u64 = 0;
        for element in index.split('/') {
            let digits = element.strip_prefix('x').unwrap_or(element);
            number = number
                .checked_mul(1000)?
                .checked_add(digits.parse().ok()?)?;
        }
        let tile = Self {
            content,
            index: number,
            width,
        };
        // One path a tile: signs, leading zeros and missing `x` come out differently when written again.
        (tile.path() == path && (1..=256).contains(&width)).then_some(tile)
    }

    /// Every tile that a tree of `size` leaves has: bundles, then hash tiles from level 0 up.
    pub fn all(size: u64) -> impl Iterator<Item = Self> {
        let bundles = Self::row(Content::Entries, size);
        let levels = (0..8_u8).flat_map(move |level| {
            Self::row(Content::Hashes(level), rows_at(size, u32::from(level)))
        });
        bundles.chain(levels)
    }

    /// The tiles that hold `rows` hashes or entries of one kind.
    pub fn row(content: Content, rows: u64) -> impl Iterator<Item = Self> {
        (0..rows.div_ceil(TILE_WIDTH)).map(move |index| {
            let width = (rows - index * TILE_WIDTH).min(TILE_WIDTH);
            Self {
                content,
                index,
                width: u16::try_from(width).unwrap_or(256),
            }
        })
    }
}

/// Three-digit elements, all but the last with an `x`: 1234067 is `x001/x234/067`.
fn index_path(index: u64) -> String {
    let mut path = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1000);
        rest /= 1000;
    }
    path
}

/// Appends `entry` to the bytes of a bundle: its length as two bytes, big-endian, then the entry.
///
/// # Errors
/// When the entry is longer than [`ENTRY_BYTES_MAX`].
pub fn append_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), EntryTooLong> {
    let length = u16::try_from(entry.len()).map_err(|_| EntryTooLong)?;
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// An entry of more than 65,535 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the entry is longer than a bundle can hold: {ENTRY_BYTES_MAX} bytes at most")]
pub struct EntryTooLong;

/// The entries of a bundle; `None` unless it holds exactly `width` entries and nothing after them.
#[must_use]
pub fn bundle_entries(bundle: &[u8], width: usize) -> Option<Vec<&[u8]>> {
    let mut entries = Vec::with_capacity(width);
    let mut rest = bundle;
    while let Some((length, tail)) = rest.split_first_chunk::<2>() {
        let (entry, tail) = tail.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        entries.push(entry);
        rest = tail;
    }
    (rest.is_empty() && entries.len() == width).then_some(entries)
}

#[cfg(test)]
mod tests;
