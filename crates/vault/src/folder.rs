//! Listing a folder of entries as the Vault API does: the names directly below it, and each folder below it once, with its slash.
//!
//! Names are asked for a page at a time. What lies deep in a folder is stepped over when a page ends inside of it, so that a folder costs at most one page more,
//! however much it holds. `after` and `limit` take a part of a long listing (as OpenBao's paginated lists do).

use crate::call::Call;
use crate::entry::{EntryName, Listing};
use crate::error::VaultError;
use crate::work::{Stop, Work};

/// Names asked for at once.
pub(crate) const PAGE: u32 = 1_000;
/// Names in one answer.
const KEYS_MAX: usize = 100_000;
/// What sorts after everything in a folder; [`checked`] keeps it out of paths.
const LAST: char = '\u{10FFFF}';

/// Refuses a path that listings could not step over.
///
/// # Errors
/// When it holds the last of all code points, which is no character.
pub(crate) fn checked(path: &str) -> Result<&str, VaultError> {
    if path.contains(LAST) {
        return Err(VaultError::invalid(
            "the path holds a code point that is no character",
        ));
    }
    Ok(path)
}

/// The part of a listing that a call asks for.
pub(crate) struct Part {
    after: Option<String>,
    limit: usize,
}

impl Part {
    /// What the query's `after` and `limit` say; a limit of 0 or below is none.
    ///
    /// # Errors
    /// When the limit is no number.
    pub(crate) fn of(call: &Call) -> Result<Self, VaultError> {
        let limit = match call.query.get("limit") {
            None => KEYS_MAX,
            Some(text) => {
                let number: i64 = text
                    .parse()
                    .map_err(|_| VaultError::invalid("`limit` must be an integer"))?;
                usize::try_from(number)
                    .ok()
                    .filter(|number| *number > 0)
                    .unwrap_or(KEYS_MAX)
                    .min(KEYS_MAX)
            }
        };
        let after = call.query.get("after").filter(|after| !after.is_empty());
        Ok(Self {
            after: after.cloned(),
            limit,
        })
    }
}

/// The names directly below `prefix`, which ends with a slash.
///
/// # Errors
/// As [`Work::names`].
pub(crate) fn names(prefix: &str, part: &Part, work: &Work<'_>) -> Result<Vec<String>, Stop> {
    let mut found: Vec<String> = Vec::new();
    let mut after = part.after.as_deref().map(|name| past(prefix, name));
    loop {
        let page = work.names(&Listing {
            prefix: prefix.to_owned(),
            after: after.clone(),
            limit: PAGE,
        })?;
        for name in page {
            let Some(name) = child(prefix, name) else {
                continue;
            };
            if found.last().is_none_or(|last| last != name) {
                if found.len() >= part.limit {
                    return Ok(found);
                }
                found.push(name.to_owned());
            }
        }
        let full = u32::try_from(page.len()).is_ok_and(|length| length >= PAGE);
        match (full, found.last()) {
            (true, Some(last)) => after = Some(past(prefix, last)),
            _ => return Ok(found),
        }
    }
}

/// What of a name is directly below the prefix: itself, or its folder with the slash.
fn child<'n>(prefix: &str, name: &'n EntryName) -> Option<&'n str> {
    let rest = name.as_str().strip_prefix(prefix)?;
    match rest.find('/') {
        None => Some(rest),
        Some(slash) => rest.get(..=slash),
    }
}

/// Where a listing goes on after a name or a folder.
fn past(prefix: &str, name: &str) -> EntryName {
    if name.ends_with('/') {
        EntryName::stored(&format!("{prefix}{name}{LAST}"))
    } else {
        EntryName::stored(&format!("{prefix}{name}"))
    }
}
