//! Grant `refresh_token` (RFC 6749 §6, RFC 9700 §4.14; R37 to R42).
//!
//! The machine of generations is [`crate::refresh`]; this file adds who may turn it and what comes of a turn.

use super::{
    Fresh, GrantEntry, Redeemed, Refused, Requester, TokenRequest, assurance, narrowed_audience,
    registered,
};
use crate::authentication::Authentication;
use crate::authorization_details::{self, DetailTypes};
use crate::change::{Change, Standing};
use crate::client::{ClientRecord, GrantType};
use crate::error::OAuthError;
use crate::grant::{GrantRecord, RevocationReason};
use crate::issuance::{Issuance, Parts, TokenSubject, UserSubject};
use crate::parameter;
use crate::refresh::{RefreshFamily, RefreshHandle, RefreshOrder, Turn};
use crate::security_profile::{Demand, SecurityProfile};
use crate::user::ResolvedUser;
use countersign_authn::Form;
use countersign_authn::access_token::AuthorizationDetails;
use countersign_base::{Audience, Scopes, Secret, UnixTime};

pub(super) const ENTRY: GrantEntry = GrantEntry {
    grant: GrantType::RefreshToken,
    parse,
};

/// The parameters of the grant.
pub struct RefreshTokenRequest {
    /// The token; the shell verifies it with the tenant's refresh key ([`RefreshHandle::parse`]).
    pub token: Secret<String>,
    /// What is asked for; absent means the whole grant.
    pub scopes: Option<Scopes>,
    /// Which of the grant's audiences.
    pub resource: Option<Audience>,
    /// Which of the grant's authorization details; none means all.
    pub authorization_details: AuthorizationDetails,
}

fn parse(form: &Form) -> Result<TokenRequest, OAuthError> {
    let token = form
        .get("refresh_token")
        .ok_or(OAuthError::ParameterMissing("refresh_token"))?;
    Ok(TokenRequest::RefreshToken(RefreshTokenRequest {
        token: Secret::new(token.to_owned()),
        scopes: parameter::scopes(form)?,
        resource: parameter::resource(form)?,
        authorization_details: authorization_details::parameter(form)?,
    }))
}

impl RefreshTokenRequest {
    /// Judges a token whose family the surrounding transaction holds.
    ///
    /// Who asks is judged before the generation, so that a stranger with an old token learns nothing and ends nothing that is not theirs; a stranger's or
    /// a foreign key's use of a *replaced* token is reuse all the same, because it proves that the token leaked.
    ///
    /// # Errors
    /// [`Refused`] with the grant's revocation on reuse (R38).
    pub fn redeem(
        &self,
        handle: RefreshHandle,
        family: Option<RefreshFamily>,
        standing: &Standing,
        requester: &Requester<'_>,
        fresh: Fresh,
        now: UnixTime,
    ) -> Result<Redeemed, Refused> {
        let family = family.filter(|family| {
            family.id == handle.family()
                && family.tenant == requester.tenant.name
                && family.revoked.is_none()
        });
        let family = family.ok_or(OAuthError::RefreshUnknown)?;
        let client = registered(standing, requester, GrantType::RefreshToken)?;
        let authorized = check_presenter(&family, client, requester);
        let turn = family.turn(
            handle.generation(),
            assurance(client, requester.binding),
            requester.tenant.refresh_grace(),
            now,
        );
        if turn == Turn::Reused {
            let revocation = Change::GrantRevoked {
                grant: family.grant,
                reason: RevocationReason::RefreshReused,
                at: now,
            };
            return Err(Refused {
                error: OAuthError::RefreshReused,
                changes: vec![revocation],
            });
        }
        authorized?;
        // The last generation of all has no successor.
        if now >= family.expires || family.generation == u32::MAX {
            return Err(OAuthError::RefreshExpired.into());
        }
        let (person, grant) = standing_person(&family, standing, now)?;
        let scopes = self.scopes(&family, client)?;
        let audience = narrowed_audience(self.resource.as_ref(), &family.audiences)?;
        check_still_registered(&audience, client, requester)?;
        let details = DetailTypes::narrowed(
            &self.authorization_details,
            &grant.particulars.authorization_details,
        )?;
        Ok(turned(
            family, turn, client, person, scopes, audience, details, requester, fresh, now,
        ))
    }

    /// Only keeps or narrows (R39). What the client lost since is refused when named and left out when not.
    fn scopes(&self, family: &RefreshFamily, client: &ClientRecord) -> Result<Scopes, OAuthError> {
        match &self.scopes {
            None => Ok(family.scopes.intersection(&client.scopes)),
            Some(asked) if asked.is_subset(&family.scopes) && asked.is_subset(&client.scopes) => {
                Ok(asked.clone())
            }
            Some(_) => Err(OAuthError::ScopeNotPermitted),
        }
    }
}

/// R40: the client and the key it was issued to.
fn check_presenter(
    family: &RefreshFamily,
    client: &ClientRecord,
    requester: &Requester<'_>,
) -> Result<(), OAuthError> {
    // What a client of this name had before it was removed is not its successor's.
    if family.client != client.id || family.created < client.created {
        return Err(OAuthError::RefreshOfAnotherClient);
    }
    if family.binding.is_sender_constrained() && &family.binding != requester.binding {
        return Err(OAuthError::KeyDiffers);
    }
    Ok(())
}

/// R42: everything the grant hangs on is read again.
fn standing_person<'a>(
    family: &RefreshFamily,
    standing: &'a Standing,
    now: UnixTime,
) -> Result<(&'a ResolvedUser, &'a GrantRecord), OAuthError> {
    let grant = standing
        .grant
        .as_ref()
        .filter(|grant| grant.id == family.grant && grant.revoked.is_none())
        .ok_or(OAuthError::GrantRevoked)?;
    if now >= grant.expires {
        return Err(OAuthError::GrantExpired);
    }
    let session = standing
        .session
        .as_ref()
        .filter(|session| session.id == family.session && session.ended.is_none());
    let _session = session.ok_or(OAuthError::SessionEnded)?;
    standing
        .user
        .as_ref()
        .filter(|person| person.user.id == family.user && person.user.enabled)
        .map(|person| (person, grant))
        .ok_or(OAuthError::UserDisabled)
}

fn check_still_registered(
    audience: &Audience,
    client: &ClientRecord,
    requester: &Requester<'_>,
) -> Result<(), OAuthError> {
    if client.audiences.contains(audience)
        || requester.tenant.own_audience().as_ref() == Some(audience)
    {
        return Ok(());
    }
    Err(OAuthError::AudienceNotPermitted)
}

#[expect(
    clippy::too_many_arguments,
    reason = "each is a different fact of one turn; grouping them would only rename them"
)]
fn turned(
    mut family: RefreshFamily,
    turn: Turn,
    client: &ClientRecord,
    person: &ResolvedUser,
    scopes: Scopes,
    audience: Audience,
    details: AuthorizationDetails,
    requester: &Requester<'_>,
    fresh: Fresh,
    now: UnixTime,
) -> Redeemed {
    let changes = match turn {
        // FAPI 2.0 §5.3.2.1: the token stays; it is worth nothing without the key that it is bound to.
        Turn::Rotate
            if SecurityProfile::of(client, requester.tenant)
                .demands(Demand::StableRefreshToken) =>
        {
            Vec::new()
        }
        Turn::Rotate => {
            family.generation = family.generation.saturating_add(1);
            family.rotated = now;
            vec![Change::FamilyRotated(family.clone())]
        }
        Turn::Repeat | Turn::Reused => Vec::new(),
    };
    let subject = UserSubject::new(
        person,
        family.session,
        Authentication::of(&family.methods, family.auth_time),
        &audience,
        requester.tenant,
    );
    let mut issuance = Issuance::access_token(
        Parts {
            tenant: requester.tenant,
            client,
            grant_type: GrantType::RefreshToken,
            grant: family.grant,
            subject: TokenSubject::User(subject),
            scopes,
            audience,
            binding: requester.binding.clone(),
            not_after: family.expires,
            details,
            token_id: fresh.token_id,
        },
        now,
    );
    issuance.refresh = Some(RefreshOrder {
        family: family.id,
        generation: family.generation,
    });
    Redeemed { issuance, changes }
}

#[cfg(test)]
mod tests;
