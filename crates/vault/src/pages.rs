//! All names below a prefix, page by page.

use crate::entry::{EntryName, Listing};
use crate::work::{Stop, Work};

/// Names that are asked for at a time.
const PAGE: u32 = 1_000;
/// Pages of one answer: a listing is cut after a hundred thousand names.
const PAGES_MAX: u32 = 100;

/// The first names below a prefix.
///
/// # Errors
/// As [`Work::names`].
pub(crate) fn first<'l>(
    prefix: &str,
    limit: u32,
    work: &Work<'l>,
) -> Result<&'l [EntryName], Stop> {
    work.names(&Listing {
        prefix: prefix.to_owned(),
        after: None,
        limit,
    })
}

/// What follows the prefix in all names below it.
///
/// # Errors
/// As [`Work::names`].
pub(crate) fn below(prefix: &str, work: &Work<'_>) -> Result<Vec<String>, Stop> {
    let mut found = Vec::new();
    let mut after = None;
    for _ in 0..PAGES_MAX {
        let names = work.names(&Listing {
            prefix: prefix.to_owned(),
            after,
            limit: PAGE,
        })?;
        let rest = |name: &EntryName| name.as_str().strip_prefix(prefix).map(str::to_owned);
        found.extend(names.iter().filter_map(rest));
        after = names.last().cloned();
        if names.len() < usize::try_from(PAGE).unwrap_or(usize::MAX) {
            break;
        }
    }
    Ok(found)
}
