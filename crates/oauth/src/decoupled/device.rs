//! The device authorization request (RFC 8628 §3.1): what a device may ask for.

use crate::authorize;
use crate::client::{ClientRecord, GrantType};
use crate::error::OAuthError;
use crate::tenant::TenantRecord;
use countersign_authn::Form;
use countersign_authn::access_token::AuthorizationDetails;
use countersign_base::{Audience, Scopes};

/// A checked request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceAuthorizationRequest {
    /// What is asked for: a subset of the client's.
    pub scopes: Scopes,
    /// For whom: the first is the audience of tokens that name none.
    pub audiences: Vec<Audience>,
    /// Beside both (RFC 9396 §3).
    pub details: AuthorizationDetails,
}

impl DeviceAuthorizationRequest {
    /// Checks a request against the registration of the client that sent it.
    ///
    /// # Errors
    /// The client is not registered for the grant (DEV-6), or asks for more than it is registered for (DEV-3, A34).
    pub fn parse(
        form: &Form,
        client: &ClientRecord,
        tenant: &TenantRecord,
    ) -> Result<Self, OAuthError> {
        if !client.grants.contains(&GrantType::DeviceCode) {
            return Err(OAuthError::GrantTypeNotRegistered);
        }
        if form.contains("request") || form.contains("request_uri") {
            return Err(OAuthError::RequestObject);
        }
        let details = tenant.detail_types.requested(form, client)?;
        let scopes = authorize::scopes(form, client)?;
        let audiences = authorize::audiences(form, client, tenant, &scopes)?;
        Ok(Self {
            scopes,
            audiences,
            details,
        })
    }
}
