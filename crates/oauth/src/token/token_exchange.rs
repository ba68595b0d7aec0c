//! Grant `token-exchange` (RFC 8693; R53 to R55).
//!
//! Who asks is the actor: the exchanged token names the subject and, in nested `act` claims, everybody who acts for them. Nothing gets wider on the way: scopes
//! stay within the subject token's, the audience within the client's registration, the lifetime within the subject token's, a bound token stays bound (to the
//! new holder's key), and the result belongs to the same grant, so that it dies with it (TX-12).
//!
//! Not here: impersonation, other token types than our own access tokens, refresh tokens.

use super::{
    Fresh, GrantEntry, Redeemed, Refused, Requester, TokenRequest, client_credentials, registered,
};
use crate::authorization_details::{self, DetailTypes};
use crate::binding::Binding;
use crate::change::Standing;
use crate::client::{ClientRecord, Confidentiality, GrantType};
use crate::error::OAuthError;
use crate::issuance::{ExchangedFrom, Issuance, Parts, TokenSubject, UserSubject};
use crate::parameter;
use countersign_authn::access_token::{Act, AttributeValue, AuthorizationDetails};
use countersign_authn::{Actor, Form, SubjectId, VerifiedToken};
use countersign_base::{
    Audience, Bounded, ClientId, GrantId, Role, Scopes, Secret, SessionId, Tenant, UnixTime,
    UserId, limits,
};
use std::collections::{BTreeMap, BTreeSet};

pub(super) const ENTRY: GrantEntry = GrantEntry {
    grant: GrantType::TokenExchange,
    parse,
};

/// The only token type that is taken and given (RFC 8693 §3).
pub const ACCESS_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";

/// The parameters of the grant.
pub struct TokenExchangeRequest {
    /// The token of whom it is about. The shell has `authn` verify it as one of this tenant's own access tokens.
    pub subject_token: Secret<String>,
    /// The token of who acts, if it is not the client itself.
    pub actor_token: Option<Secret<String>>,
    /// What is asked for; absent means everything that subject token and registration share.
    pub scopes: Option<Scopes>,
    /// For whom.
    pub resource: Option<Audience>,
    /// Which of the subject token's authorization details; none means all that the audience may see.
    pub authorization_details: AuthorizationDetails,
}

fn parse(form: &Form) -> Result<TokenRequest, OAuthError> {
    let subject_token = bounded_token(form, "subject_token", OAuthError::SubjectTokenRefused)?
        .ok_or(OAuthError::ParameterMissing("subject_token"))?;
    expect_type(form, "subject_token_type")?
        .ok_or(OAuthError::ParameterMissing("subject_token_type"))?;
    let actor_token = bounded_token(form, "actor_token", OAuthError::ActorTokenRefused)?;
    match (&actor_token, expect_type(form, "actor_token_type")?) {
        (Some(_), None) => return Err(OAuthError::ParameterMissing("actor_token_type")),
        (None, Some(())) => return Err(OAuthError::ParameterMissing("actor_token")),
        (Some(_), Some(())) | (None, None) => {}
    }
    let _requested = expect_type(form, "requested_token_type")?;
    Ok(TokenRequest::TokenExchange(TokenExchangeRequest {
        subject_token,
        actor_token,
        scopes: parameter::scopes(form)?,
        resource: audience(form)?,
        authorization_details: authorization_details::parameter(form)?,
    }))
}

/// A token that is too long is an error of this grant, never a reason to try another (R55, A21).
fn bounded_token(
    form: &Form,
    name: &'static str,
    too_long: OAuthError,
) -> Result<Option<Secret<String>>, OAuthError> {
    match form.get(name) {
        None => Ok(None),
        Some(token) if token.len() > limits::TOKEN_BYTES_MAX => Err(too_long),
        Some(token) => Ok(Some(Secret::new(token.to_owned()))),
    }
}

fn expect_type(form: &Form, name: &'static str) -> Result<Option<()>, OAuthError> {
    match form.get(name) {
        None => Ok(None),
        Some(ACCESS_TOKEN_TYPE) => Ok(Some(())),
        Some(_) => Err(OAuthError::TokenType),
    }
}

/// `resource` or `audience` (RFC 8693 §2.1): both name the one audience here.
fn audience(form: &Form) -> Result<Option<Audience>, OAuthError> {
    let named = form
        .get("audience")
        .map(str::parse)
        .transpose()
        .map_err(|_| OAuthError::AudienceNotPermitted)?;
    match (parameter::resource(form)?, named) {
        (Some(resource), Some(audience)) if resource != audience => {
            Err(OAuthError::AudienceRepeated)
        }
        (Some(one), _) | (None, Some(one)) => Ok(Some(one)),
        (None, None) => Ok(None),
    }
}

/// A verified access token of this tenant, as an exchange sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresentedToken {
    /// Whom it is about.
    pub subject: PresentedSubject,
    /// Whom it was issued to.
    pub client: ClientId,
    /// Its audience.
    pub audience: Audience,
    /// Its scopes.
    pub scopes: Scopes,
    /// Its grant.
    pub grant: GrantId,
    /// When it expires.
    pub expires: UnixTime,
    /// The key it is bound to.
    pub binding: Binding,
    /// Who already acts.
    pub actors: Act,
    /// What it allows beyond scopes.
    pub authorization_details: AuthorizationDetails,
    /// When it was made.
    pub issued: UnixTime,
    /// What it tells of its subject.
    pub told: Told,
}

/// What a token tells its audience of its subject, by the claim policy of when it was made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// Roles.
    pub roles: BTreeSet<Role>,
    /// Attributes.
    pub attributes: BTreeMap<String, AttributeValue>,
}

/// Whom a presented token is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PresentedSubject {
    /// A client.
    Client(ClientId),
    /// A person.
    User {
        /// The person.
        id: UserId,
        /// The session they signed in with.
        session: SessionId,
        /// When they proved who they are.
        auth_time: UnixTime,
    },
}

impl PresentedSubject {
    /// The `sub`.
    #[must_use]
    pub fn id(&self) -> SubjectId {
        match self {
            Self::Client(client) => SubjectId::Client(client.clone()),
            Self::User { id, .. } => SubjectId::User(*id),
        }
    }
}

impl PresentedToken {
    /// Reads a token that `authn` verified. It must be of this tenant, name its grant, and be about somebody of ours.
    ///
    /// # Errors
    /// A token that we did not issue in this form.
    pub fn of(token: &VerifiedToken, requester_tenant: &Tenant) -> Result<Self, NotOurs> {
        let claims = token.claims();
        if token.tenant() != requester_tenant {
            return Err(NotOurs);
        }
        let subject = match (&claims.sub, claims.sid, claims.auth_time) {
            (SubjectId::Client(client), _, _) => PresentedSubject::Client(client.clone()),
            (SubjectId::User(id), Some(session), Some(auth_time)) => PresentedSubject::User {
                id: *id,
                session,
                auth_time,
            },
            // An exchanged client token has another `client_id` than its `sub`.
            (SubjectId::External(name), None, None) => {
                PresentedSubject::Client(name.as_str().parse().map_err(|_| NotOurs)?)
            }
            (SubjectId::User(_) | SubjectId::External(_), _, _) => return Err(NotOurs),
        };
        Ok(Self {
            subject,
            client: claims.client_id.clone(),
            audience: claims.aud.clone(),
            scopes: claims.scope.clone(),
            grant: claims.grant_id.ok_or(NotOurs)?,
            expires: claims.exp,
            binding: Binding::from(claims.cnf.as_ref()),
            actors: claims.act.clone(),
            authorization_details: claims.authorization_details.clone(),
            issued: claims.iat,
            told: Told {
                roles: claims.roles.clone(),
                attributes: claims.attrs.clone(),
            },
        })
    }
}

/// A token that this tenant did not issue in this form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an access token of this tenant")]
pub struct NotOurs;

impl TokenExchangeRequest {
    /// Judges an exchange whose tokens were verified.
    ///
    /// # Errors
    /// Anything that would make the result wider than subject token ∩ registration.
    pub fn redeem(
        &self,
        subject: &PresentedToken,
        actor: Option<&PresentedToken>,
        standing: &Standing,
        requester: &Requester<'_>,
        fresh: Fresh,
        now: UnixTime,
    ) -> Result<Redeemed, Refused> {
        let client = registered(standing, requester, GrantType::TokenExchange)?;
        check_requester(subject, client)?;
        if now >= subject.expires {
            return Err(OAuthError::SubjectTokenRefused.into());
        }
        // A bound token may only become a bound token; the key is the new holder's, whom the old key does not know (TX-4).
        if subject.binding.is_sender_constrained() && !requester.binding.is_sender_constrained() {
            return Err(OAuthError::KeyRequired.into());
        }
        let audience = client_credentials::registered_audience(self.resource.as_ref(), client)?;
        let scopes = self.scopes(subject, client)?;
        let details =
            DetailTypes::narrowed(&self.authorization_details, &subject.authorization_details)?;
        let actor = subject
            .actors
            .by(acting_party(self, actor, client, now)?)
            .map_err(|_| OAuthError::ActorChainTooLong)?;
        let mut issuance = Issuance::access_token(
            Parts {
                tenant: requester.tenant,
                client,
                grant_type: GrantType::TokenExchange,
                grant: subject.grant,
                subject: token_subject(subject, standing, &audience, requester, now)?,
                scopes,
                audience,
                binding: requester.binding.clone(),
                not_after: subject.expires,
                details,
                token_id: fresh.token_id,
            },
            now,
        );
        issuance.actor = Some(actor);
        issuance.exchanged = Some(ExchangedFrom {
            scopes: subject.scopes.clone(),
            audience: subject.audience.clone(),
        });
        Ok(Redeemed {
            issuance,
            changes: Vec::new(),
        })
    }

    /// Within subject ∩ registration. Named and outside is refused (TX-1, A26); unnamed means what both share.
    fn scopes(
        &self,
        subject: &PresentedToken,
        client: &ClientRecord,
    ) -> Result<Scopes, OAuthError> {
        let shared = subject.scopes.intersection(&client.scopes);
        match &self.scopes {
            None if shared.is_empty() => Err(OAuthError::ScopeNotPermitted),
            None => Ok(shared),
            Some(asked) if asked.is_subset(&shared) => Ok(asked.clone()),
            Some(_) => Err(OAuthError::ScopeNotPermitted),
        }
    }
}

/// TX-7: only a confidential client that is the audience of the subject token, or that got it, may exchange it.
fn check_requester(subject: &PresentedToken, client: &ClientRecord) -> Result<(), OAuthError> {
    if client.confidentiality() == Confidentiality::Public {
        return Err(OAuthError::PublicClient);
    }
    if client.serves.contains(&subject.audience) || client.id == subject.client {
        return Ok(());
    }
    Err(OAuthError::SubjectAudience)
}

/// Who acts: the client, or the subject of an actor token that the client's registration names (R54).
fn acting_party(
    request: &TokenExchangeRequest,
    actor: Option<&PresentedToken>,
    client: &ClientRecord,
    now: UnixTime,
) -> Result<Actor, OAuthError> {
    let name = match (&request.actor_token, actor) {
        (None, None) => {
            return Ok(Actor {
                sub: bounded(client.id.as_str())?,
                iss: None,
            });
        }
        (Some(_), Some(actor))
            if now < actor.expires && client.serves.contains(&actor.audience) =>
        {
            actor.subject.id().to_string()
        }
        (Some(_), Some(_) | None) | (None, Some(_)) => return Err(OAuthError::ActorTokenRefused),
    };
    if !client
        .actors
        .iter()
        .any(|permitted| permitted.as_str() == name)
    {
        return Err(OAuthError::ActorNotPermitted);
    }
    Ok(Actor {
        sub: bounded(&name)?,
        iss: None,
    })
}

fn bounded(name: &str) -> Result<Bounded<255>, OAuthError> {
    Bounded::parse(name).map_err(|_| OAuthError::ActorTokenRefused)
}

/// The subject as they stand now: disabled people and revoked grants end every exchange too (R42).
fn token_subject(
    subject: &PresentedToken,
    standing: &Standing,
    audience: &Audience,
    requester: &Requester<'_>,
    now: UnixTime,
) -> Result<TokenSubject, OAuthError> {
    let (id, session, auth_time) = match &subject.subject {
        PresentedSubject::Client(client) => return Ok(TokenSubject::Client(client.clone())),
        PresentedSubject::User {
            id,
            session,
            auth_time,
        } => (id, session, auth_time),
    };
    let person = standing
        .user
        .as_ref()
        .filter(|person| &person.user.id == id && person.user.enabled)
        .ok_or(OAuthError::UserDisabled)?;
    let grant = standing
        .grant
        .as_ref()
        .filter(|grant| grant.id == subject.grant && grant.revoked.is_none())
        .ok_or(OAuthError::GrantRevoked)?;
    if now >= grant.expires {
        return Err(OAuthError::GrantExpired);
    }
    let live = standing
        .session
        .as_ref()
        .filter(|live| &live.id == session && live.ended.is_none());
    let _live = live.ok_or(OAuthError::SessionEnded)?;
    Ok(TokenSubject::User(UserSubject::new(
        person,
        *session,
        *auth_time,
        audience,
        requester.tenant,
    )))
}

#[cfg(test)]
mod tests;
