//! Grant `authorization_code` (RFC 6749 §4.1.3, RFC 7636 §4.6, RFC 9449 §10; R22 to R25).

use super::approval::Approval;
use super::{
    Fresh, GrantEntry, Redeemed, Refused, Requester, TokenRequest, narrowed_audience, registered,
};
use crate::authentication::Authentication;
use crate::authorization_details::{self, DetailTypes};
use crate::authorize::is_openid;
use crate::binding::Binding;
use crate::change::{Change, Standing, Taken};
use crate::client::{ClientRecord, GrantType};
use crate::code::CodeRecord;
use crate::error::OAuthError;
use crate::grant::{GrantRecord, RevocationReason};
use crate::issuance::{IdTokenOrder, Issuance, Parts, TokenSubject, UserSubject};
use crate::parameter::{self, optional};
use crate::pkce::CodeVerifier;
use crate::refresh::{RefreshFamily, RefreshOrder};
use crate::subject_identifier::SubjectOrder;
use crate::user::ResolvedUser;
use countersign_authn::Form;
use countersign_authn::access_token::AuthorizationDetails;
use countersign_base::{Audience, Secret, UnixTime};

pub(super) const ENTRY: GrantEntry = GrantEntry {
    grant: GrantType::AuthorizationCode,
    parse,
};

const CODE_BYTES_MAX: usize = 256;

/// The parameters of the grant.
pub struct AuthorizationCodeRequest {
    /// The handle; the shell hashes it to find its record.
    pub code: Secret<String>,
    /// Repeated from the authorization request.
    pub redirect_uri: Option<String>,
    /// The PKCE verifier. Absent is not a parse error: the code is taken all the same, so that it cannot be tried again.
    pub verifier: Option<CodeVerifier>,
    /// Which of the grant's audiences.
    pub resource: Option<Audience>,
    /// Which of the grant's authorization details; none means all.
    pub authorization_details: AuthorizationDetails,
}

fn parse(form: &Form) -> Result<TokenRequest, OAuthError> {
    let code = form
        .get("code")
        .ok_or(OAuthError::ParameterMissing("code"))?;
    if code.is_empty() || code.len() > CODE_BYTES_MAX {
        return Err(OAuthError::CodeUnknown);
    }
    let verifier = match optional(form, "code_verifier") {
        Ok(verifier) => verifier,
        // A verifier outside the grammar matches no challenge (CODE-7).
        Err(_) => return Err(OAuthError::PkceMismatch),
    };
    Ok(TokenRequest::AuthorizationCode(AuthorizationCodeRequest {
        code: Secret::new(code.to_owned()),
        redirect_uri: form.get("redirect_uri").map(str::to_owned),
        verifier,
        resource: parameter::resource(form)?,
        authorization_details: authorization_details::parameter(form)?,
    }))
}

impl AuthorizationCodeRequest {
    /// Judges a code that the surrounding transaction takes. Whatever comes of it, the code is spent.
    ///
    /// # Errors
    /// [`Refused`] with the grant's revocation if the code had been spent before (R23).
    pub fn redeem(
        &self,
        taken: Taken<CodeRecord>,
        standing: &Standing,
        requester: &Requester<'_>,
        fresh: Fresh,
        now: UnixTime,
    ) -> Result<Redeemed, Refused> {
        let code = match taken {
            Taken::Fresh(code) => code,
            Taken::Unknown => return Err(OAuthError::CodeUnknown.into()),
            Taken::Spent(code) => {
                let revocation = Change::GrantRevoked {
                    grant: code.grant,
                    reason: RevocationReason::CodeReused,
                    at: now,
                };
                return Err(Refused {
                    error: OAuthError::CodeReused,
                    changes: vec![revocation],
                });
            }
        };
        let client = registered(standing, requester, GrantType::AuthorizationCode)?;
        self.check_binding(&code, client, requester, now)?;
        let mut approval = Approval::from(code);
        approval.details = DetailTypes::narrowed(&self.authorization_details, &approval.details)?;
        let person = standing_person(&approval, standing, now)?;
        let audience = narrowed_audience(self.resource.as_ref(), &approval.audiences)?;
        Ok(redeemed(
            approval,
            GrantType::AuthorizationCode,
            client,
            person,
            audience,
            requester,
            fresh,
            now,
        ))
    }

    /// R24: client, time, redirect URI, verifier, key.
    fn check_binding(
        &self,
        code: &CodeRecord,
        client: &ClientRecord,
        requester: &Requester<'_>,
        now: UnixTime,
    ) -> Result<(), OAuthError> {
        if code.client != client.id || code.tenant != client.tenant {
            return Err(OAuthError::CodeOfAnotherClient);
        }
        if now >= code.expires {
            return Err(OAuthError::CodeExpired);
        }
        match &self.redirect_uri {
            Some(uri) if uri == code.redirect_uri.as_str() => {}
            None if !code.redirect_uri_sent => {}
            Some(_) | None => return Err(OAuthError::RedirectUriDiffers),
        }
        let verifier = self.verifier.as_ref().ok_or(OAuthError::PkceMismatch)?;
        let _matched = code
            .challenge
            .verify(verifier)
            .map_err(|_| OAuthError::PkceMismatch)?;
        match (&code.dpop_jkt, requester.binding) {
            (None, _) => Ok(()),
            (Some(announced), Binding::Dpop(proven)) if announced == proven => Ok(()),
            (Some(_), Binding::Dpop(_) | Binding::Certificate(_) | Binding::Bearer) => {
                Err(OAuthError::DpopKeyDiffers)
            }
        }
    }
}

/// The person and their session, if both still stand (R42).
pub(super) fn standing_person<'a>(
    code: &Approval,
    standing: &'a Standing,
    now: UnixTime,
) -> Result<&'a ResolvedUser, OAuthError> {
    let person = standing
        .user
        .as_ref()
        .filter(|person| person.user.id == code.user && person.user.enabled)
        .ok_or(OAuthError::UserDisabled)?;
    let session = standing
        .session
        .as_ref()
        .filter(|session| session.id == code.session && session.is_live(now));
    session.map(|_| person).ok_or(OAuthError::SessionEnded)
}

/// What an approval comes to: its grant, an access token, an ID token if it was asked for, and a refresh family if the client may have one.
#[expect(
    clippy::too_many_arguments,
    clippy::too_many_lines,
    reason = "each is a different fact of one redemption; grouping them would only rename them"
)]
pub(super) fn redeemed(
    code: Approval,
    grant_type: GrantType,
    client: &ClientRecord,
    person: &ResolvedUser,
    audience: Audience,
    requester: &Requester<'_>,
    fresh: Fresh,
    now: UnixTime,
) -> Redeemed {
    let expires = now.plus(client.refresh_token_lifetime());
    let grant = GrantRecord {
        id: code.grant,
        tenant: code.tenant.clone(),
        client: client.id.clone(),
        user: code.user,
        session: code.session,
        scopes: code.scopes.clone(),
        audiences: code.audiences.clone(),
        particulars: code.particulars.clone(),
        auth_time: code.auth_time,
        created: now,
        expires,
        revoked: None,
        asserted_by: None,
    };
    let subject = UserSubject::new(
        person,
        code.session,
        Authentication::of(&code.methods, code.auth_time),
        &audience,
        requester.tenant,
    );
    let mut issuance = Issuance::access_token(
        Parts {
            tenant: requester.tenant,
            client,
            grant_type,
            grant: code.grant,
            subject: TokenSubject::User(subject),
            scopes: code.scopes.clone(),
            audience,
            binding: requester.binding.clone(),
            not_after: expires,
            details: code.details,
            token_id: fresh.token_id,
        },
        now,
    );
    issuance.id_token = is_openid(&code.scopes).then(|| IdTokenOrder {
        nonce: code.nonce.clone(),
        subject: SubjectOrder::of(code.user, client),
        claims: person.user.claims(code.particulars.claims.id_token.clone()),
        envelope: client.id_token_envelope(),
    });
    let mut changes = vec![Change::GrantCreated(grant)];
    if client.refreshes(&code.scopes) {
        let family = RefreshFamily {
            id: fresh.family,
            tenant: code.tenant,
            grant: code.grant,
            client: client.id.clone(),
            user: code.user,
            session: code.session,
            binding: requester.binding.clone(),
            generation: 0,
            scopes: code.scopes,
            audiences: code.audiences,
            auth_time: code.auth_time,
            methods: code.methods,
            created: now,
            expires,
            rotated: now,
            revoked: None,
        };
        issuance.refresh = Some(RefreshOrder {
            family: family.id,
            generation: family.generation,
        });
        changes.push(Change::FamilyStarted(family));
    }
    Redeemed { issuance, changes }
}

#[cfg(test)]
mod tests;
