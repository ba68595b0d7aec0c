//! Renewing a token: whoever holds it is judged again, by what the role that signed it in says now.
//!
//! A token that a sign-in made knows the entry of its role. It is not renewed once that role is gone, gives other policies, no longer admits the caller's address, or no longer
//! trusts the caller's certificate; and never past what the role allows now. So whoever narrows a role, or takes it away, waits for the tokens' next renewal and not for the
//! longest time to live. A token that a token role made ends with that role's renewals likewise. What a token can do already is ended by revoking it, not here.

use crate::VaultError;
use crate::answer::{Answer, Outcome};
use crate::call::{Call, Cx};
use crate::certificate;
use crate::kind::EngineKind;
use crate::sign_in::RoleTokens;
use crate::token::renew::{Renewing, Stretch};
use crate::work::{Stop, Work};

/// What `auth/token/renew`, `renew-accessor` and `renew-self` do.
///
/// # Errors
/// [`VaultError::Denied`] when nobody knows the token or the caller may not renew it; [`VaultError::Invalid`] when it is not to be renewed any more.
pub(crate) fn run(call: &Call, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Outcome, Stop> {
    if !call.operation.writes() {
        return Err(VaultError::Unsupported.into());
    }
    let renewing = Renewing::of(call, work, cx)?;
    let stretch = still_signed_in(&renewing, call, work, cx)?;
    let auth = renewing.stretched(stretch, work, cx)?;
    Ok(Answer::auth(auth).into())
}

/// How far the role that made a token lets it live on; a token that no sign-in made, as far as its mount does.
fn still_signed_in(
    renewing: &Renewing,
    call: &Call,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Stretch, Stop> {
    let Some(made_by) = renewing.made_by() else {
        return Ok(Stretch::default());
    };
    let role = made_by.role();
    let gone = || VaultError::invalid("the role of this token is gone, not renewing");
    let tokens: RoleTokens = work.read(&role)?.ok_or_else(gone)?;
    if made_by.engine() == EngineKind::Cert {
        let _holder = certificate::admits_still(&role, call, work, cx)?;
    }
    Ok(tokens.renews(renewing.policies(), call.from)?)
}

#[cfg(test)]
mod tests;
