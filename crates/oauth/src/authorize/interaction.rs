//! What the person has to do before a code is made (OpenID Connect Core §3.1.2.3 and §3.1.2.4), and the making of its record.
//!
//! [`next_step`] is asked again after each step, so that no step can be skipped: a code's record is made of an [`Approved`], which only it and a person's "Allow" give.

use super::{AuthorizationRequest, Prompt};
use crate::authentication::Acr;
use crate::client::{ClientRecord, Confidentiality, ConsentRule};
use crate::code::CodeRecord;
use crate::error::OAuthError;
use crate::profile::Claim;
use crate::session::{ConsentRecord, Session};
use countersign_authn::access_token::AuthorizationDetails;
use countersign_base::{Audience, GrantId, Scopes, SessionId, UnixTime, limits};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What comes next.
#[derive(Debug)]
pub enum NextStep {
    /// Nothing: the code may be made.
    Approved(Approved),
    /// Ask whether they allow it.
    AskConsent(ConsentQuestion),
    /// Tell the client why not.
    Refuse(OAuthError),
    /// Ask who they are.
    SignIn(SignInReason),
    /// They are known, but not well enough for this class: ask for another factor (RFC 9470).
    StepUp(Acr),
}

/// Why somebody has to sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignInReason {
    /// The last sign-in is longer ago than `max_age` allows (AR-13).
    MaxAge,
    /// Nobody is signed in.
    NoSession,
    /// The client asked for it (AR-12).
    PromptLogin,
}

/// What a person is asked. Their answer is [`ConsentQuestion::allow`] or nothing.
#[derive(Debug)]
pub struct ConsentQuestion {
    approved: Approved,
}

impl ConsentQuestion {
    /// The scopes in question.
    #[must_use]
    pub const fn scopes(&self) -> &Scopes {
        &self.approved.request.scopes
    }

    /// The audiences in question.
    #[must_use]
    pub fn audiences(&self) -> &[Audience] {
        &self.approved.request.audiences
    }

    /// The single claims in question, beside those of the scopes.
    #[must_use]
    pub fn claims(&self) -> BTreeSet<Claim> {
        self.approved.request.particulars.claims.of_the_person()
    }

    /// The authorization details in question.
    #[must_use]
    pub const fn authorization_details(&self) -> &AuthorizationDetails {
        &self.approved.request.particulars.authorization_details
    }

    /// The person said yes: the approval, and what to remember.
    pub fn allow(self, now: UnixTime) -> (Approved, ConsentRecord) {
        let Approved { session, request } = &self.approved;
        let remembered = ConsentRecord {
            tenant: session.tenant.clone(),
            user: session.user,
            client: request.client.clone(),
            scopes: request.scopes.clone(),
            audiences: request.audiences.iter().cloned().collect(),
            claims: request.particulars.claims.of_the_person(),
            granted: now,
        };
        (self.approved, remembered)
    }
}

/// Evidence that a person who is signed in allowed this very request, now or before.
#[must_use]
#[derive(Debug)]
pub struct Approved {
    session: Session,
    request: AuthorizationRequest,
}

/// How this interaction began: a sign-in since then answers `prompt=login` and `max_age`, the one that was there before does not (A63).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beginning {
    /// When the browser arrived.
    pub at: UnixTime,
    /// The session it arrived with.
    pub session: Option<SessionId>,
}

impl Beginning {
    fn is_answered_by(&self, session: &Session) -> bool {
        self.session != Some(session.id) && session.auth_time >= self.at
    }
}

/// What the person has to do next.
#[must_use]
pub fn next_step(
    request: &AuthorizationRequest,
    client: &ClientRecord,
    session: Option<&Session>,
    remembered: Option<&ConsentRecord>,
    beginning: Beginning,
    now: UnixTime,
) -> NextStep {
    let silent = request.prompt.contains(&Prompt::None);
    let session = match signed_in(request, client, session, beginning, now) {
        Ok(session) => session,
        Err(_) if silent => return NextStep::Refuse(OAuthError::LoginRequired),
        Err(reason) => return NextStep::SignIn(reason),
    };
    if let Some(demanded) = request.acr_demanded()
        && session.acr().is_none_or(|reached| reached < demanded)
    {
        return if silent {
            NextStep::Refuse(OAuthError::LoginRequired)
        } else {
            NextStep::StepUp(demanded)
        };
    }
    let approved = Approved {
        session: session.clone(),
        request: request.clone(),
    };
    match (consent_needed(request, client, session, remembered), silent) {
        (Consent::Given, _) => NextStep::Approved(approved),
        (Consent::Needed, true) => NextStep::Refuse(OAuthError::ConsentRequired),
        (Consent::Needed, false) => NextStep::AskConsent(ConsentQuestion { approved }),
    }
}

fn signed_in<'a>(
    request: &AuthorizationRequest,
    client: &ClientRecord,
    session: Option<&'a Session>,
    beginning: Beginning,
    now: UnixTime,
) -> Result<&'a Session, SignInReason> {
    let session = session
        .filter(|session| session.is_live(now) && session.tenant == client.tenant)
        .ok_or(SignInReason::NoSession)?;
    if beginning.is_answered_by(session) {
        return Ok(session);
    }
    if request.prompt.contains(&Prompt::Login) {
        return Err(SignInReason::PromptLogin);
    }
    let age = now.since(session.auth_time).as_secs();
    match request.max_age {
        // Whoever came with a session signed in before, if only a part of a second: `max_age=0` asks as `prompt=login` does (OpenID Connect Core §3.1.2.1).
        Some(0) => Err(SignInReason::MaxAge),
        Some(max_age) if age > u64::from(max_age) => Err(SignInReason::MaxAge),
        Some(_) | None => Ok(session),
    }
}

enum Consent {
    Given,
    Needed,
}

fn consent_needed(
    request: &AuthorizationRequest,
    client: &ClientRecord,
    session: &Session,
    remembered: Option<&ConsentRecord>,
) -> Consent {
    if request.prompt.contains(&Prompt::Consent) {
        return Consent::Needed;
    }
    let covered = remembered.is_some_and(|consent| {
        consent.user == session.user
            && consent.client == client.id
            && consent.covers(&request.scopes, &request.audiences, &request.particulars)
    });
    match (client.confidentiality(), client.consent, covered) {
        (Confidentiality::Confidential, ConsentRule::Implied, _)
        | (Confidentiality::Confidential, ConsentRule::Ask, true) => Consent::Given,
        // Nothing assures the identity of a public client, so every request is asked about (R14).
        (Confidentiality::Public, _, _)
        | (Confidentiality::Confidential, ConsentRule::Ask, false) => Consent::Needed,
    }
}

impl Approved {
    /// The session of the person who allowed it.
    #[must_use]
    pub const fn session(&self) -> &Session {
        &self.session
    }

    /// The record of a code for this approval.
    #[must_use]
    pub fn code(self, grant: GrantId, now: UnixTime) -> CodeRecord {
        let Self { session, request } = self;
        CodeRecord {
            tenant: session.tenant,
            client: request.client,
            user: session.user,
            session: session.id,
            grant,
            redirect_uri: request.redirect_uri,
            redirect_uri_sent: request.redirect_uri_sent,
            challenge: request.challenge,
            nonce: request.nonce,
            scopes: request.scopes,
            audiences: request.audiences,
            dpop_jkt: request.dpop_jkt,
            particulars: request.particulars,
            auth_time: session.auth_time,
            methods: session.methods,
            issued: now,
            expires: now.plus(limits::CODE_LIFETIME),
        }
    }
}

#[cfg(test)]
mod tests;
