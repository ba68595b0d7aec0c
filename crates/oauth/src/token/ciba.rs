//! Grant `urn:openid:params:grant-type:ciba` (OpenID Connect CIBA Core 1.0 §10.1 and §11).

use super::{Fresh, GrantEntry, Redeemed, Refused, Requester, TokenRequest, polled};
use crate::authorization_details;
use crate::change::Standing;
use crate::client::{Confidentiality, GrantType};
use crate::decoupled::{Flow, Polled};
use crate::error::OAuthError;
use crate::parameter;
use countersign_authn::Form;
use countersign_authn::access_token::AuthorizationDetails;
use countersign_base::{Audience, Secret, UnixTime};

pub(super) const ENTRY: GrantEntry = GrantEntry {
    grant: GrantType::Ciba,
    parse,
};

/// Bytes of an `auth_req_id` that are looked at.
const ID_BYTES_MAX: usize = 256;

/// The parameters of the grant.
pub struct CibaRequest {
    /// The handle; the shell hashes it to find its row.
    pub auth_req_id: Secret<String>,
    /// Which of the grant's audiences.
    pub resource: Option<Audience>,
    /// Which of the grant's authorization details; none means all.
    pub authorization_details: AuthorizationDetails,
}

fn parse(form: &Form) -> Result<TokenRequest, OAuthError> {
    let id = form
        .get("auth_req_id")
        .ok_or(OAuthError::ParameterMissing("auth_req_id"))?;
    if id.len() > ID_BYTES_MAX {
        return Err(OAuthError::PolledUnknown);
    }
    Ok(TokenRequest::Ciba(CibaRequest {
        auth_req_id: Secret::new(id.to_owned()),
        resource: parameter::resource(form)?,
        authorization_details: authorization_details::parameter(form)?,
    }))
}

impl CibaRequest {
    /// Judges an `auth_req_id` as the surrounding transaction found it.
    ///
    /// # Errors
    /// [`Refused`]: pending, denied, expired, or a reuse, which revokes the grant (CIBA-35).
    pub fn redeem(
        &self,
        found: Polled,
        standing: &Standing,
        requester: &Requester<'_>,
        fresh: Fresh,
        now: UnixTime,
    ) -> Result<Redeemed, Refused> {
        if standing
            .client
            .as_ref()
            .is_some_and(|client| client.confidentiality() == Confidentiality::Public)
        {
            return Err(OAuthError::PublicClient.into());
        }
        let narrowed = (self.resource.as_ref(), &self.authorization_details);
        polled::redeem(Flow::Ciba, found, narrowed, standing, requester, fresh, now)
    }
}

#[cfg(test)]
mod tests;
