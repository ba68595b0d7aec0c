//! Pushed authorization requests (RFC 9126; R16 to R18).
//!
//! A `request_uri` is looked at when a browser arrives with it, as often as it arrives (PAR-14), and spent when the code is made (PAR-6, PAR-9).
//! Its row therefore outlives the minute in which it may be presented first: an interaction begun in time may take [`INTERACTION_LIFETIME`].

use crate::authorization_request::AuthorizationRequest;
use crate::error::OAuthError;
use countersign_base::{ClientId, Duration, Tenant, UnixTime, limits};
use serde::{Deserialize, Serialize};

/// How long a person may take from the first page to the last.
pub const INTERACTION_LIFETIME: Duration = Duration::from_secs(600);

/// What every `request_uri` of ours begins with (RFC 9126 §2.2). Anything else is refused; nothing is ever fetched (A42).
pub const REQUEST_URI_PREFIX: &str = "urn:ietf:params:oauth:request_uri:";

/// A pushed request, as the store keeps it under the keyed hash of its handle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushedRequest {
    /// The tenant of the client.
    pub tenant: Tenant,
    /// The only client that may use it.
    pub client: ClientId,
    /// The checked request.
    pub request: AuthorizationRequest,
    /// When it is too late to begin.
    pub expires: UnixTime,
}

impl PushedRequest {
    /// A request pushed now.
    #[must_use]
    pub fn new(
        tenant: Tenant,
        client: ClientId,
        request: AuthorizationRequest,
        now: UnixTime,
    ) -> Self {
        Self {
            tenant,
            client,
            request,
            expires: now.plus(limits::REQUEST_URI_LIFETIME),
        }
    }

    /// Until when the store keeps the row.
    #[must_use]
    pub fn kept_until(&self) -> UnixTime {
        self.expires.plus(INTERACTION_LIFETIME)
    }

    /// Whether `client` may begin an interaction with it now.
    ///
    /// # Errors
    /// Another client's (PAR-8) or expired (PAR-7).
    pub fn begin(
        &self,
        client: &ClientId,
        now: UnixTime,
    ) -> Result<&AuthorizationRequest, OAuthError> {
        if &self.client != client {
            return Err(OAuthError::RequestUriOfAnotherClient);
        }
        if now >= self.expires {
            return Err(OAuthError::RequestUriExpired);
        }
        Ok(&self.request)
    }
}

/// The handle inside a `request_uri` parameter.
///
/// # Errors
/// It is not one of ours.
pub fn request_handle(request_uri: &str) -> Result<&str, OAuthError> {
    match request_uri.strip_prefix(REQUEST_URI_PREFIX) {
        Some(handle) if (1..=128).contains(&handle.len()) => Ok(handle),
        Some(_) | None => Err(OAuthError::RequestUriUnknown),
    }
}

#[cfg(test)]
mod tests;
