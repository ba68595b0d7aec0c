//! Client id metadata documents (draft-ietf-oauth-client-id-metadata-document): the client id is the address of a document that says what the client is.
//!
//! The document must name the very address it was fetched from, holds no shared secret, and lists every redirect URI. Not here: fetching it, and how long it is kept
//! (half a minute to a day, see [`freshness`]).

use super::metadata::{ClientMetadata, MethodDefault};
use super::proposal::{Credential, Operation, Proposal};
use super::refusal::RegistrationRefusal;
use crate::tenant::TenantRecord;
use countersign_base::{ClientId, Duration, UnixTime};
use countersign_crypto::jose::{Algorithm, strict_object};

/// Bytes of such a document (§6.6 of the draft).
pub const DOCUMENT_BYTES_MAX: usize = 5 * 1024;
/// A document is believed at least this long without looking again.
pub const FRESH_MIN: Duration = Duration::from_secs(30);
/// And at most this long.
pub const FRESH_MAX: Duration = Duration::from_secs(24 * 3600);
/// How long where its server does not say.
const FRESH_DEFAULT: Duration = Duration::from_secs(300);

/// How long a document is believed whose server allows `max_age`.
#[must_use]
pub fn freshness(max_age: Option<Duration>) -> Duration {
    max_age.map_or(FRESH_DEFAULT, |age| age.clamp(FRESH_MIN, FRESH_MAX))
}

/// The client that a document describes.
///
/// # Errors
/// When the document is not the client's, or what it says is refused.
pub fn document_client(
    id: &ClientId,
    bytes: &[u8],
    tenant: &TenantRecord,
    algorithm: Algorithm,
    fresh_for: Duration,
    now: UnixTime,
) -> Result<Proposal, RegistrationRefusal> {
    if bytes.len() > DOCUMENT_BYTES_MAX {
        return Err(RegistrationRefusal::Document("client_id"));
    }
    let object = strict_object(bytes).map_err(|_| RegistrationRefusal::Document("client_id"))?;
    if object.get("client_id").and_then(serde_json::Value::as_str) != Some(id.as_str()) {
        return Err(RegistrationRefusal::Document("client_id"));
    }
    // §4.1: whatever a document holds is public, so a secret in it is none.
    for name in ["client_secret", "client_secret_expires_at"] {
        if object.contains_key(name) {
            return Err(RegistrationRefusal::Metadata(name));
        }
    }
    // Its own address vouches for one host, and nothing else is fetched for it when somebody signs in.
    if object.contains_key("sector_identifier_uri") {
        return Err(RegistrationRefusal::Metadata("sector_identifier_uri"));
    }
    let metadata = ClientMetadata::read(
        &object,
        &tenant.registration,
        MethodDefault::Public,
        algorithm,
    )?;
    let how = (Operation::Add, Credential::MetadataDocument);
    let mut proposal = Proposal::new(id.clone(), tenant, metadata, None, how, None, now)?;
    proposal.fresh_until(now.plus(fresh_for));
    Ok(proposal)
}
