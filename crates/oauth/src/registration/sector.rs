//! The sector identifier document (OpenID Connect Core §8.1, Registration §5): a JSON array that lists every redirect URI of the client.

use super::refusal::RegistrationRefusal;
use crate::redirect::RedirectUri;
use std::collections::BTreeSet;

/// Bytes of such a document.
pub const SECTOR_BYTES_MAX: usize = 64 * 1024;

/// Whether the fetched document lists every redirect URI (REG-2).
///
/// # Errors
/// When it is no array of strings, or one is missing.
pub fn check(
    document: &[u8],
    redirect_uris: &BTreeSet<RedirectUri>,
) -> Result<(), RegistrationRefusal> {
    let refused = RegistrationRefusal::Document("sector_identifier_uri");
    if document.len() > SECTOR_BYTES_MAX {
        return Err(refused);
    }
    let listed: BTreeSet<String> = serde_json::from_slice(document).map_err(|_| refused)?;
    if redirect_uris
        .iter()
        .all(|uri| listed.contains(uri.as_str()))
    {
        Ok(())
    } else {
        Err(refused)
    }
}
