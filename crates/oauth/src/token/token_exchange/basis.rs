//! What an exchange stands on: the shown token, whatever its type, together with the grant, the person or the client behind it as they stand now.

use super::{PresentedSubject, PresentedToken};
use crate::authentication::Authentication;
use crate::binding::Binding;
use crate::change::{Change, ClientGrant, Standing};
use crate::client::ClientRecord;
use crate::error::OAuthError;
use crate::grant::{GrantRecord, RevocationReason};
use crate::issuance::{TokenSubject, UserSubject};
use crate::refresh::{RefreshFamily, RefreshHandle, Turn};
use crate::token::{Refused, Requester, assurance};
use countersign_authn::SubjectId;
use countersign_authn::access_token::{Act, AuthorizationDetails, MayAct};
use countersign_authn::presented::IdTokenShown;
use countersign_authn::transaction::TransactionTokenClaims;
use countersign_base::{Audience, Bounded, ClientId, GrantId, Scopes, SessionId, UnixTime, UserId};

/// The token of whom it is about, as the shell verified it.
#[expect(
    clippy::large_enum_variant,
    reason = "one lives for one judgement and is never stored"
)]
pub enum SubjectToken<'a> {
    /// An access token, opaque or not.
    AccessToken(&'a PresentedToken),
    /// An ID token.
    IdToken(&'a IdTokenShown),
    /// A refresh token, and its family as the transaction holds it.
    RefreshToken(RefreshHandle, Option<RefreshFamily>),
    /// A transaction token.
    TransactionToken(&'a TransactionTokenClaims),
}

/// Whom it is about.
pub(super) enum About {
    Client(ClientId),
    User {
        id: Option<UserId>,
        session: SessionId,
        authentication: Authentication,
    },
}

/// What is shown, read alike for every type.
pub(super) struct Basis {
    pub(super) id: Bounded<256>,
    pub(super) about: About,
    pub(super) grant: GrantId,
    /// The audience of the token; an ID token and a refresh token are for the client.
    pub(super) audience: Option<Audience>,
    pub(super) scopes: Scopes,
    pub(super) expires: UnixTime,
    pub(super) binding: Binding,
    pub(super) actors: Act,
    pub(super) may_act: Option<MayAct>,
    pub(super) authorization_details: AuthorizationDetails,
    /// The transaction token that is replaced.
    pub(super) transaction: Option<Box<TransactionTokenClaims>>,
}

impl Basis {
    pub(super) fn of(
        subject: SubjectToken<'_>,
        standing: &Standing,
        client: &ClientRecord,
        requester: &Requester<'_>,
        now: UnixTime,
    ) -> Result<Self, Refused> {
        let basis = match subject {
            SubjectToken::AccessToken(token) => Self::of_access_token(token, client)?,
            SubjectToken::IdToken(token) => Self::of_id_token(token, standing, client)?,
            SubjectToken::RefreshToken(handle, family) => {
                Self::of_refresh_token(handle, family, client, requester, now)?
            }
            SubjectToken::TransactionToken(token) => Self::of_transaction(token, requester)?,
        };
        if now >= basis.expires {
            return Err(OAuthError::SubjectTokenRefused.into());
        }
        basis.check_standing(standing, now)?;
        Ok(basis)
    }

    /// TX-7: only the audience of a token, or the client that got it, may exchange it.
    fn of_access_token(token: &PresentedToken, client: &ClientRecord) -> Result<Self, OAuthError> {
        if !client.serves.contains(&token.audience) && client.id != token.client {
            return Err(OAuthError::SubjectAudience);
        }
        let about = match &token.subject {
            PresentedSubject::Client(client) => About::Client(client.clone()),
            PresentedSubject::User {
                id,
                session,
                authentication,
            } => About::User {
                id: Some(*id),
                session: *session,
                authentication: authentication.clone(),
            },
        };
        Ok(Self {
            id: token.id.clone(),
            about,
            grant: token.grant,
            audience: Some(token.audience.clone()),
            scopes: token.scopes.clone(),
            expires: token.expires,
            binding: token.binding.clone(),
            actors: token.actors.clone(),
            may_act: token.may_act.clone(),
            authorization_details: token.authorization_details.clone(),
            transaction: None,
        })
    }

    /// An ID token is for one client, and says who signed in; what that allows is the grant's.
    fn of_id_token(
        token: &IdTokenShown,
        standing: &Standing,
        client: &ClientRecord,
    ) -> Result<Self, OAuthError> {
        if token.client() != &client.id {
            return Err(OAuthError::SubjectAudience);
        }
        let grant = live_grant(standing, token.grant())?;
        if grant.client != client.id || grant.created < client.created {
            return Err(OAuthError::SubjectAudience);
        }
        Ok(Self {
            id: name(&token.hash().to_base64url())?,
            about: About::User {
                id: None,
                session: grant.session,
                authentication: Authentication::untold(grant.auth_time),
            },
            grant: grant.id,
            audience: None,
            scopes: grant.scopes.clone(),
            expires: token.expires(),
            binding: Binding::Bearer,
            actors: Act::none(),
            may_act: None,
            authorization_details: AuthorizationDetails::none(),
            transaction: None,
        })
    }

    /// A refresh token is not spent by an exchange, but one that was replaced proves here as anywhere that it leaked (R38).
    fn of_refresh_token(
        handle: RefreshHandle,
        family: Option<RefreshFamily>,
        client: &ClientRecord,
        requester: &Requester<'_>,
        now: UnixTime,
    ) -> Result<Self, Refused> {
        let family = family
            .filter(|family| {
                family.id == handle.family()
                    && family.tenant == requester.tenant.name
                    && family.revoked.is_none()
            })
            .ok_or(OAuthError::SubjectTokenRefused)?;
        let turn = family.turn(
            handle.generation(),
            assurance(client, requester.binding),
            requester.tenant.refresh_grace(),
            now,
        );
        match turn {
            Turn::Rotate | Turn::Repeat => {}
            Turn::Reused => {
                return Err(Refused {
                    error: OAuthError::SubjectTokenRefused,
                    changes: vec![Change::GrantRevoked {
                        grant: family.grant,
                        reason: RevocationReason::RefreshReused,
                        at: now,
                    }],
                });
            }
        }
        if family.client != client.id || family.created < client.created {
            return Err(OAuthError::SubjectAudience.into());
        }
        if family.binding.is_sender_constrained() && &family.binding != requester.binding {
            return Err(OAuthError::KeyDiffers.into());
        }
        Ok(Self {
            id: name(&format!("refresh_token:{}", family.id))?,
            about: About::User {
                id: Some(family.user),
                session: family.session,
                authentication: Authentication::of(&family.methods, family.auth_time),
            },
            grant: family.grant,
            audience: None,
            scopes: family.scopes,
            expires: family.expires,
            binding: family.binding,
            actors: Act::none(),
            may_act: None,
            authorization_details: AuthorizationDetails::none(),
            transaction: None,
        })
    }

    /// A transaction token may be replaced by any workload of its trust domain; that the client is one is judged with the request.
    fn of_transaction(
        token: &TransactionTokenClaims,
        requester: &Requester<'_>,
    ) -> Result<Self, OAuthError> {
        if token.iss != requester.tenant.issuer {
            return Err(OAuthError::SubjectTokenRefused);
        }
        let about = match (token.subject(), token.sid, token.auth_time) {
            (_, Some(session), Some(auth_time)) => About::User {
                id: None,
                session,
                authentication: Authentication::untold(auth_time),
            },
            (SubjectId::Client(client), _, _) => About::Client(client),
            (SubjectId::External(name), _, _) => About::Client(
                name.as_str()
                    .parse()
                    .map_err(|_| OAuthError::SubjectTokenRefused)?,
            ),
            (SubjectId::Foreign(_) | SubjectId::User(_), _, _) => {
                return Err(OAuthError::SubjectTokenRefused);
            }
        };
        Ok(Self {
            id: token.jti.clone(),
            about,
            grant: token.grant_id,
            audience: Some(token.aud.clone()),
            scopes: token.scope.clone(),
            expires: token.exp,
            binding: Binding::Bearer,
            actors: token.act.clone(),
            may_act: None,
            authorization_details: AuthorizationDetails::none(),
            transaction: Some(Box::new(token.clone())),
        })
    }

    /// R42: disabled people and clients, revoked grants and ended sessions end every exchange too.
    fn check_standing(&self, standing: &Standing, now: UnixTime) -> Result<(), OAuthError> {
        let (id, session) = match &self.about {
            About::Client(client) => return client_stands(client, standing),
            About::User { id, session, .. } => (id, session),
        };
        let grant = live_grant(standing, self.grant)?;
        if now >= grant.expires {
            return Err(OAuthError::GrantExpired);
        }
        let owner = standing.user.as_ref().filter(|person| {
            person.user.enabled
                && person.user.id == grant.user
                && id.is_none_or(|id| id == grant.user)
        });
        let _owner = owner.ok_or(OAuthError::UserDisabled)?;
        // What came of a foreign issuer's assertion hangs on no sign-in of ours.
        if grant.asserted_by.is_some() && grant.session == *session {
            return Ok(());
        }
        let live = standing.session.as_ref().filter(|live| {
            live.id == *session && grant.session == *session && live.ended.is_none()
        });
        live.map(|_| ()).ok_or(OAuthError::SessionEnded)
    }

    /// The subject as they stand now.
    pub(super) fn token_subject(
        &self,
        standing: &Standing,
        audience: &Audience,
        requester: &Requester<'_>,
    ) -> Result<TokenSubject, OAuthError> {
        match &self.about {
            About::Client(client) => Ok(TokenSubject::Client(client.clone())),
            About::User {
                session,
                authentication,
                ..
            } => {
                let person = standing.user.as_ref().ok_or(OAuthError::UserDisabled)?;
                Ok(TokenSubject::User(UserSubject::new(
                    person,
                    *session,
                    authentication.clone(),
                    audience,
                    requester.tenant,
                )))
            }
        }
    }
}

fn client_stands(client: &ClientId, standing: &Standing) -> Result<(), OAuthError> {
    let subject = standing
        .subject
        .as_ref()
        .filter(|subject| &subject.id == client && subject.enabled);
    let _enabled = subject.ok_or(OAuthError::ClientDisabled)?;
    match standing.client_grant {
        ClientGrant::Live => Ok(()),
        ClientGrant::Ended => Err(OAuthError::GrantRevoked),
    }
}

fn live_grant(standing: &Standing, id: GrantId) -> Result<&GrantRecord, OAuthError> {
    standing
        .grant
        .as_ref()
        .filter(|grant| grant.id == id && grant.revoked.is_none())
        .ok_or(OAuthError::GrantRevoked)
}

fn name(text: &str) -> Result<Bounded<256>, OAuthError> {
    Bounded::parse(text).map_err(|_| OAuthError::SubjectTokenRefused)
}
