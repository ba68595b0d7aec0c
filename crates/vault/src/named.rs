//! Things of a mount that have a name in its path: `roles/app`, `config/main`. Their entries are named after it.
//!
//! Names are letters, digits and `_`, and in between also `-` and `.`, as clients of the API expect.

use crate::VaultError;
use crate::answer::{Answer, Outcome};
use crate::call::Call;
use crate::entry::Listing;
use crate::work::{Stop, Work};

/// Bytes of one name.
const NAME_BYTES_MAX: usize = 128;
/// The most names that one listing tells.
const LISTED_MAX: u32 = 100_000;

/// A name that was checked.
///
/// # Errors
/// When it holds other characters, or is too long.
pub(crate) fn checked(name: &str) -> Result<&str, VaultError> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let fits = name.len() <= NAME_BYTES_MAX
        && name.starts_with(word)
        && name.ends_with(word)
        && name.chars().all(|c| word(c) || c == '-' || c == '.');
    if fits {
        Ok(name)
    } else {
        Err(VaultError::invalid(
            "a name is letters, digits and `_`, with `-` and `.` between them",
        ))
    }
}

/// The names of what stands in one folder of the mount.
///
/// # Errors
/// [`VaultError::NotFound`] when there are none.
pub(crate) fn list(call: &Call, folder: &str, work: &Work<'_>) -> Result<Outcome, Stop> {
    let prefix = format!("{}/", call.entry(&[folder]));
    let listing = Listing {
        prefix: prefix.clone(),
        after: None,
        limit: LISTED_MAX,
    };
    let names = work.names(&listing)?.iter();
    let keys = names.filter_map(|name| name.as_str().strip_prefix(&prefix));
    Ok(Answer::keys(keys)?.into())
}
