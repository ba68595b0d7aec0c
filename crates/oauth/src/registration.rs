//! Clients that register themselves (RFC 7591, RFC 7592, OpenID Connect Dynamic Client Registration 1.0) or are described by a document at their own address
//! (draft-ietf-oauth-client-id-metadata-document).
//!
//! [`ClientMetadata`] reads what a client says, a signed [`statement`] may say it for them, a [`Proposal`] is what comes of both and what policy decides about. What
//! is unknown is ignored; what contradicts itself is refused.
//!
//! Not here: fetching. Whoever fetches `jwks_uri`, `sector_identifier_uri` or a metadata document does so through the egress guard of the shell and brings the
//! bytes.

pub mod document;
mod members;
pub mod metadata;
pub mod proposal;
pub mod refusal;
pub mod sector;
pub mod statement;

pub use document::{DOCUMENT_BYTES_MAX, document_client};
pub use metadata::{AuthenticationMethod, ClientMetadata, METADATA_BYTES_MAX};
pub use proposal::{ClientInformation, Credential, Operation, Proposal};
pub use refusal::RegistrationRefusal;
pub use statement::ApprovedStatement;

use countersign_base::{Tenant, UnixTime};
use serde::{Deserialize, Serialize};

/// What an initial access token stands for: one registration in a tenant, while it is good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitialAccess {
    /// The tenant.
    pub tenant: Tenant,
    /// When it is too late.
    pub expires: UnixTime,
}

#[cfg(test)]
mod tests;
