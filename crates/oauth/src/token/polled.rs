//! What the device grant and CIBA have in common at the token endpoint (RFC 8628 §3.5, CIBA Core §11): the judgement of a polled request.

use super::approval::Approval;
use super::authorization_code::{redeemed, standing_person};
use super::{Fresh, Redeemed, Refused, Requester, narrowed_audience, registered};
use crate::authorization_details::DetailTypes;
use crate::binding::Binding;
use crate::change::{Change, Standing};
use crate::decoupled::{Answer, DecoupledRequest, Flow, Polled, still_registered};
use crate::error::OAuthError;
use crate::grant::RevocationReason;
use countersign_authn::access_token::AuthorizationDetails;
use countersign_base::{Audience, UnixTime};

/// Judges a poll. The surrounding transaction spends an allowed request of this client, whatever comes of it.
///
/// # Errors
/// [`Refused`] with the grant's revocation if the request had been redeemed before (DEV-1, CIBA-35).
pub(super) fn redeem(
    flow: Flow,
    polled: Polled,
    (resource, details): (Option<&Audience>, &AuthorizationDetails),
    standing: &Standing,
    requester: &Requester<'_>,
    fresh: Fresh,
    now: UnixTime,
) -> Result<Redeemed, Refused> {
    // Who asks is judged before anything is said of the request (CIBA-26, DEV-6).
    let client = registered(standing, requester, flow.grant_type())?;
    let (request, answer) = match polled {
        Polled::Unknown => return Err(OAuthError::PolledUnknown.into()),
        Polled::Spent(request) => {
            let revocation = Change::GrantRevoked {
                grant: request.grant,
                reason: RevocationReason::PolledReused,
                at: now,
            };
            return Err(Refused {
                error: OAuthError::PolledReused,
                changes: vec![revocation],
            });
        }
        Polled::Answered(request, answer) => (request, Some(answer)),
        Polled::Expired(request) | Polled::Waiting(request) => (request, None),
    };
    if request.client != client.id || request.tenant != client.tenant || request.flow != flow {
        return Err(OAuthError::PolledOfAnotherClient.into());
    }
    let allowance = match answer {
        _ if now >= request.expires => return Err(OAuthError::PolledExpired.into()),
        None => return Err(OAuthError::AuthorizationPending.into()),
        Some(Answer::Denied(_)) => return Err(OAuthError::ConsentDenied.into()),
        Some(Answer::Allowed(allowance)) => allowance,
    };
    check_key(&request, requester)?;
    if !still_registered(&request, client, requester.tenant) {
        return Err(OAuthError::ScopeNotPermitted.into());
    }
    let mut approval = Approval::from((*request, allowance));
    approval.details = DetailTypes::narrowed(details, &approval.details)?;
    let person = standing_person(&approval, standing, now)?;
    let audience = narrowed_audience(resource, &approval.audiences)?;
    Ok(redeemed(
        approval,
        flow.grant_type(),
        client,
        person,
        audience,
        requester,
        fresh,
        now,
    ))
}

/// The key that was proven when the request was made, if one was.
fn check_key(request: &DecoupledRequest, requester: &Requester<'_>) -> Result<(), OAuthError> {
    match (&request.dpop_jkt, requester.binding) {
        (None, _) => Ok(()),
        (Some(first), Binding::Dpop(proven)) if first == proven => Ok(()),
        (Some(_), Binding::Dpop(_) | Binding::Certificate(_) | Binding::Bearer) => {
            Err(OAuthError::DpopKeyDiffers)
        }
    }
}
