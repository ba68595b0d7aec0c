//! An assertion that comes as a grant (RFC 7523 §2.1): verified with the key of its issuer, and left to be spent by the transaction.

use super::Identity;
use super::call::Call;
use super::client::foreign_key;
use countersign_authn::Unspent;
use countersign_authn::assertion::{self, AssertionRules, GrantAssertion};
use countersign_authn::trust::AssertionFault;
use countersign_base::ClientId;
use countersign_oauth::OAuthError;
use countersign_oauth::token::JwtBearerRequest;

/// The assertion, if an issuer that the tenant trusts says it to this client, now.
pub(super) async fn verify(
    identity: &Identity,
    call: &Call,
    client: &ClientId,
    request: &JwtBearerRequest,
) -> Result<Unspent<GrantAssertion>, OAuthError> {
    let (fabric, tenant) = (&identity.fabric, &call.tenant);
    let demand =
        assertion::demand(request.assertion.expose(), &tenant.trust.issuers).map_err(refused)?;
    let key = foreign_key(fabric, &tenant.name, &demand.key()).await;
    let rules = AssertionRules {
        audience: &tenant.issuer,
        tenant: &tenant.name,
        client,
    };
    assertion::prove(demand, key, &rules, fabric.now()).map_err(refused)
}

const fn refused(fault: AssertionFault) -> OAuthError {
    match fault {
        AssertionFault::KeysUnavailable => OAuthError::Unavailable,
        AssertionFault::Ahead
        | AssertionFault::AlgorithmNotAllowed
        | AssertionFault::AudienceMismatch
        | AssertionFault::ClientMismatch
        | AssertionFault::ExpMissing
        | AssertionFault::Expired
        | AssertionFault::IssuerDisabled
        | AssertionFault::IssuerUnknown
        | AssertionFault::JtiMissing
        | AssertionFault::KeyUnknown
        | AssertionFault::LivesTooLong
        | AssertionFault::Malformed
        | AssertionFault::NotAccepted
        | AssertionFault::SignatureInvalid
        | AssertionFault::SubjectMalformed
        | AssertionFault::SubjectUnknown
        | AssertionFault::TypMismatch => OAuthError::AssertionRefused(fault.as_str()),
    }
}
