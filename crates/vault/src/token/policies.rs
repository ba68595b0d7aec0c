//! Names of policies as tokens carry them, in one form: what compares equal to `root` is `root`, and what only looks like it is refused (CVE-2025-5999, CVE-2025-64761).

use crate::VaultError;
use std::collections::BTreeSet;

/// Bytes of one name.
const NAME_BYTES_MAX: usize = 128;
/// Policies of one token.
pub(super) const POLICIES_MAX: usize = 256;

/// A name in lower case, without white space around it.
///
/// # Errors
/// When it is empty, too long, or holds other characters than ASCII letters, digits and `-_.:@+`.
pub(crate) fn normal(name: &str) -> Result<String, VaultError> {
    let name = name.trim();
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:@+".contains(&byte);
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(allowed) {
        return Err(VaultError::invalid(
            "a policy's name is made of up to 128 ASCII letters, digits and -_.:@+",
        ));
    }
    Ok(name.to_ascii_lowercase())
}

/// All names of a token in that form.
///
/// # Errors
/// As [`normal`], or when they are too many.
pub(crate) fn all<'n>(
    names: impl IntoIterator<Item = &'n String>,
) -> Result<BTreeSet<String>, VaultError> {
    let names: BTreeSet<String> = names
        .into_iter()
        .map(|name| normal(name))
        .collect::<Result<_, _>>()?;
    if names.len() > POLICIES_MAX {
        return Err(VaultError::invalid("a token has at most 256 policies"));
    }
    Ok(names)
}
