//! `/sign-in/passkey`: a passkey instead of a name and a password, and the judging of passkeys for every step.
//!
//! The challenge lies in the page's ticket, bound to the browser; it is used up by a row that can be added once, in the transaction that begins the session.

use super::super::Identity;
use super::super::answer::Failure;
use super::super::authorize;
use super::super::body;
use super::super::call::Call;
use super::super::record;
use super::super::ticket::{Step, Ticket};
use super::session::NotBegun;
use super::{Proven, attempt, go_on, open};
use axum::response::Response;
use countersign_audit::event::SignInOutcome;
use countersign_authn::Form;
use countersign_authn::webauthn::{
    AssertionResponse, Challenge, RelyingParty, UserVerification, WebauthnError,
};
use countersign_base::{Duration, UserId};
use countersign_oauth::AuthenticationMethod;
use countersign_oauth::authentication::PasskeyRecord;
use countersign_oauth::authorize::PageError;
use countersign_oauth::par::INTERACTION_LIFETIME;
use countersign_store::tables::{authenticators, users};
use countersign_store::{AuthenticatorChange, NewOneTime, PasskeyChallenge, Write};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;

const PROBLEM: &str = "This passkey did not work. Try again, or sign in with your password.";
/// How long a browser waits for the authenticator.
pub(in super::super) const TIMEOUT: Duration = Duration::from_secs(300);

/// What the sign-in page carries for a passkey.
#[derive(Serialize, Deserialize)]
pub(in super::super) struct Offer {
    pub(in super::super) ticket: Ticket,
    pub(in super::super) challenge: Challenge,
}

/// What the page's script hands to `navigator.credentials.get`; without passkeys, any of the person's will do.
pub(in super::super) fn request_options(
    party: &RelyingParty,
    challenge: &Challenge,
    passkeys: &[PasskeyRecord],
) -> String {
    let allowed: Vec<_> = passkeys
        .iter()
        .map(|passkey| json!({"type": "public-key", "id": passkey.credential.id.to_string()}))
        .collect();
    // Without a name before it, a passkey has to say for itself that it is its owner who uses it.
    let verification = if allowed.is_empty() {
        "required"
    } else {
        "preferred"
    };
    json!({
        "challenge": challenge.to_string(),
        "rpId": party.id(),
        "allowCredentials": allowed,
        "userVerification": verification,
        "timeout": TIMEOUT.as_secs() * 1000,
    })
    .to_string()
}

/// What uses a challenge up: a row that can be added once.
pub(in super::super) fn spend(
    identity: &Identity,
    call: &Call,
    challenge: &Challenge,
) -> Result<Write, Failure> {
    let fabric = &identity.fabric;
    let secrets = fabric.secrets();
    let handle = secrets.handle::<PasskeyChallenge>(&call.tenant.name, &challenge.to_string());
    // A ticket is dead before the row is swept.
    let expires = fabric.now().plus(INTERACTION_LIFETIME);
    let new = NewOneTime::new::<PasskeyChallenge>(&handle, &(), expires)?;
    Ok(Write::AddOneTime(new))
}

/// A passkey that held, and what uses it up.
pub(super) struct Shown {
    pub(super) user: UserId,
    pub(super) verification: UserVerification,
    pub(super) writes: Vec<Write>,
}

impl Shown {
    pub(super) const fn method(&self) -> AuthenticationMethod {
        match self.verification {
            UserVerification::Present => AuthenticationMethod::Passkey,
            UserVerification::Verified => AuthenticationMethod::PasskeyUserVerified,
        }
    }
}

/// Judges the passkey in a form: none if it proves nothing, and why not.
pub(super) async fn judge(
    identity: &Identity,
    call: &Call,
    form: &Form,
    challenge: &Challenge,
) -> Result<Result<Shown, WebauthnError>, Failure> {
    let (fabric, tenant) = (&identity.fabric, &call.tenant.name);
    let response = match AssertionResponse::parse(form.get("credential").unwrap_or_default()) {
        Ok(response) => response,
        Err(error) => return Ok(Err(error)),
    };
    let Some(party) = RelyingParty::of(&call.tenant.issuer) else {
        return Ok(Err(WebauthnError::RelyingParty));
    };
    let mut connection = fabric.store().read().await?;
    let kept = authenticators::passkey(&mut connection, tenant, response.credential()).await?;
    drop(connection);
    let Some(kept) = kept else {
        return Ok(Err(WebauthnError::Credential));
    };
    let asserted = match response.verify(&party, challenge, &kept.credential, kept.user.as_bytes())
    {
        Ok(asserted) => asserted,
        Err(error) => return Ok(Err(error)),
    };
    Ok(Ok(Shown {
        user: kept.user,
        verification: asserted.verification(),
        writes: vec![
            spend(identity, call, challenge)?,
            Write::Authenticator(AuthenticatorChange::UsePasskey(kept.user, asserted)),
        ],
    }))
}

pub(in super::super) async fn sign_in(
    identity: Arc<Identity>,
    mut call: Call,
) -> Result<Response, Failure> {
    let form = body::form(&mut call)
        .await
        .map_err(|_| PageError::Malformed)?;
    let method = AuthenticationMethod::PasskeyUserVerified;
    let offer: Offer = open(&identity, &call, Step::Passkey, method, form.get("ticket"))?;
    let purpose = authorize::reopen(&identity, &call, &offer.ticket).await?;
    let client = purpose.client_id();
    let reason = match prove(&identity, &call, &form, &offer.challenge).await? {
        Ok(proven) => match go_on(&identity, &call, offer.ticket.clone(), proven).await? {
            Ok(response) => return Ok(response),
            Err(NotBegun::FactorUsed) => ("passkey_used", None),
            Err(NotBegun::Ended(_)) => return Err(PageError::InteractionOver.into()),
        },
        Err(refused) => refused,
    };
    let (reason, user) = reason;
    let event = attempt(client, method, SignInOutcome::Failed, Some(reason), user);
    record::refused(&identity, &call, event)?;
    super::page(&identity, &call, &purpose, &offer.ticket, Some(PROBLEM))
}

/// Whose passkey it is, or why it signs nobody in.
async fn prove(
    identity: &Identity,
    call: &Call,
    form: &Form,
    challenge: &Challenge,
) -> Result<Result<Proven, (&'static str, Option<UserId>)>, Failure> {
    let shown = match judge(identity, call, form, challenge).await? {
        Ok(shown) => shown,
        Err(error) => return Ok(Err((error.reason(), None))),
    };
    // A touch alone is half a sign-in: whoever found the key could have made it.
    if shown.verification == UserVerification::Present {
        return Ok(Err(("user_not_verified", Some(shown.user))));
    }
    let mut connection = identity.fabric.store().read().await?;
    let user = users::find(&mut connection, &call.tenant.name, shown.user).await?;
    drop(connection);
    let Some(user) = user.filter(|user| user.enabled) else {
        return Ok(Err(("user_disabled", Some(shown.user))));
    };
    Ok(Ok(Proven {
        user,
        method: shown.method(),
        failures: 0,
        guess: None,
        writes: shown.writes,
        vouched: None,
    }))
}
