//! Grant `urn:ietf:params:oauth:grant-type:device_code` (RFC 8628 §3.4).

use super::{Fresh, GrantEntry, Redeemed, Refused, Requester, TokenRequest, polled};
use crate::authorization_details;
use crate::change::Standing;
use crate::client::GrantType;
use crate::decoupled::{Flow, Polled};
use crate::error::OAuthError;
use crate::parameter;
use countersign_authn::Form;
use countersign_authn::access_token::AuthorizationDetails;
use countersign_base::{Audience, Secret, UnixTime};

pub(super) const ENTRY: GrantEntry = GrantEntry {
    grant: GrantType::DeviceCode,
    parse,
};

/// Bytes of a device code that are looked at.
const CODE_BYTES_MAX: usize = 256;

/// The parameters of the grant.
pub struct DeviceCodeRequest {
    /// The handle; the shell hashes it to find its row.
    pub device_code: Secret<String>,
    /// Which of the grant's audiences.
    pub resource: Option<Audience>,
    /// Which of the grant's authorization details; none means all.
    pub authorization_details: AuthorizationDetails,
}

fn parse(form: &Form) -> Result<TokenRequest, OAuthError> {
    let code = form
        .get("device_code")
        .ok_or(OAuthError::ParameterMissing("device_code"))?;
    if code.len() > CODE_BYTES_MAX {
        return Err(OAuthError::PolledUnknown);
    }
    Ok(TokenRequest::DeviceCode(DeviceCodeRequest {
        device_code: Secret::new(code.to_owned()),
        resource: parameter::resource(form)?,
        authorization_details: authorization_details::parameter(form)?,
    }))
}

impl DeviceCodeRequest {
    /// Judges a device code as the surrounding transaction found it.
    ///
    /// # Errors
    /// [`Refused`]: pending, denied, expired, or a reuse, which revokes the grant (DEV-1).
    pub fn redeem(
        &self,
        found: Polled,
        standing: &Standing,
        requester: &Requester<'_>,
        fresh: Fresh,
        now: UnixTime,
    ) -> Result<Redeemed, Refused> {
        let narrowed = (self.resource.as_ref(), &self.authorization_details);
        polled::redeem(
            Flow::Device,
            found,
            narrowed,
            standing,
            requester,
            fresh,
            now,
        )
    }
}

#[cfg(test)]
mod tests;
