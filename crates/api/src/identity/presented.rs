//! A token of ours that comes as a parameter: verified with this tenant's own keys or found in its own table, without a fetch. `Err` says why not, for the log.

use super::Identity;
use super::call::Call;
use countersign_authn::opaque::{is_opaque, prove_presented};
use countersign_authn::presented::{self, IdTokenShown};
use countersign_authn::transaction::TransactionTokenClaims;
use countersign_authn::{KeyAnswer, KeyNeeded, Refusal, TrustedIssuer};
use countersign_control::opaque;
use countersign_oauth::token::PresentedToken;

/// The token, if it is a live access token of this tenant, signed or opaque.
pub(super) async fn access_token(
    identity: &Identity,
    call: &Call,
    token: &str,
) -> Result<PresentedToken, &'static str> {
    if !is_opaque(token) {
        return jwt(identity, call, token);
    }
    let (fabric, issuer) = (&identity.fabric, issuer(identity, call));
    let answer = opaque::find(fabric, token, std::slice::from_ref(&issuer)).await;
    let verified =
        prove_presented(answer, &issuer, fabric.revocations(), fabric.now()).map_err(reason)?;
    PresentedToken::of(&verified, &call.tenant.name).map_err(|_| "not_ours")
}

/// The token, if it is a live access token of this tenant that is a JWT.
pub(super) fn jwt(
    identity: &Identity,
    call: &Call,
    token: &str,
) -> Result<PresentedToken, &'static str> {
    let fabric = &identity.fabric;
    let needed = presented::demand(token, &issuer(identity, call)).map_err(reason)?;
    let answer = key(identity, call, &needed);
    let verified =
        presented::prove(needed, answer, fabric.revocations(), fabric.now()).map_err(reason)?;
    PresentedToken::of(&verified, &call.tenant.name).map_err(|_| "not_ours")
}

/// The token, if it is a live ID token of this tenant.
pub(super) fn id_token(
    identity: &Identity,
    call: &Call,
    token: &str,
) -> Result<IdTokenShown, &'static str> {
    let fabric = &identity.fabric;
    let needed = presented::demand_id_token(token, &issuer(identity, call)).map_err(reason)?;
    let answer = key(identity, call, &needed);
    presented::prove_id_token(needed, answer, fabric.revocations(), fabric.now()).map_err(reason)
}

/// The token, if it is a live transaction token of this tenant.
pub(super) fn transaction_token(
    identity: &Identity,
    call: &Call,
    token: &str,
) -> Result<TransactionTokenClaims, &'static str> {
    let fabric = &identity.fabric;
    let needed = presented::demand_transaction(token, &issuer(identity, call)).map_err(reason)?;
    let answer = key(identity, call, &needed);
    presented::prove_transaction(needed, answer, fabric.revocations(), fabric.now()).map_err(reason)
}

fn issuer(identity: &Identity, call: &Call) -> TrustedIssuer {
    TrustedIssuer {
        issuer: call.tenant.issuer.clone(),
        tenant: call.tenant.name.clone(),
        algorithms: identity.fabric.keys().algorithms().to_vec(),
    }
}

fn key(identity: &Identity, call: &Call, needed: &KeyNeeded) -> KeyAnswer {
    let published = identity.fabric.keys().jwks(&call.tenant.name);
    let key = published
        .as_ref()
        .zip(needed.kid())
        .and_then(|(keys, kid)| keys.set.find(kid, needed.algorithm()));
    key.map_or(KeyAnswer::Unknown, |key| KeyAnswer::Key(key.clone()))
}

fn reason(refusal: Refusal) -> &'static str {
    refusal.reason().as_str()
}
