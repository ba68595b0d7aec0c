//! An access token of ours that comes as a parameter: verified with this tenant's own keys or found in its own table, without a
//! fetch.

use super::Identity;
use super::call::Call;
use countersign_authn::opaque::{is_opaque, prove_presented};
use countersign_authn::presented;
use countersign_authn::{KeyAnswer, TrustedIssuer};
use countersign_control::opaque;
use countersign_oauth::token::PresentedToken;

/// The token, if it is a live access token of this tenant, signed or opaque. `Err` says why not, for the log.
pub(super) async fn access_token(
    identity: &Identity,
    call: &Call,
    token: &str,
) -> Result<PresentedToken, &'static str> {
    let fabric = &identity.fabric;
    let issuer = TrustedIssuer {
        issuer: call.tenant.issuer.clone(),
        tenant: call.tenant.name.clone(),
        algorithms: fabric.keys().algorithms().to_vec(),
    };
    if is_opaque(token) {
        let answer = opaque::find(fabric, token, std::slice::from_ref(&issuer)).await;
        let verified = prove_presented(answer, &issuer, fabric.revocations(), fabric.now())
            .map_err(|refusal| refusal.reason().as_str())?;
        return PresentedToken::of(&verified, &call.tenant.name).map_err(|_| "not_ours");
    }
    let needed = presented::demand(token, &issuer).map_err(|refusal| refusal.reason().as_str())?;
    let published = fabric.keys().jwks(&call.tenant.name);
    let key = published
        .as_ref()
        .zip(needed.kid())
        .and_then(|(keys, kid)| keys.set.find(kid, needed.algorithm()));
    let answer = key.map_or(KeyAnswer::Unknown, |key| KeyAnswer::Key(key.clone()));
    let verified = presented::prove(needed, answer, fabric.revocations(), fabric.now())
        .map_err(|refusal| refusal.reason().as_str())?;
    PresentedToken::of(&verified, &call.tenant.name).map_err(|_| "not_ours")
}
