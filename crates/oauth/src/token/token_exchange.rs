//! Grant `token-exchange` (RFC 8693; R53 to R55).
//!
//! Delegation: the exchanged token names the subject and, in nested `act` claims, everybody who acts for them. Impersonation: it does not, which a policy must
//! permit. Nothing gets wider on the way: scopes stay within the subject token's, the client's and the actor's, the audience within what is registered or what
//! a policy permits, the lifetime within both tokens', a bound token stays bound (to the new holder's key), and the result belongs to the same grant, so that
//! it dies with it (TX-12). Each exchange is recorded as an edge of its grant's graph ([`crate::exchange`]).
//!
//! One file a part: what is shown ([`basis`]), who acts ([`actor`]), identity assertions for other servers ([`assertion`]), transaction tokens
//! ([`transaction`]). Not here: verifying what is shown, refresh tokens as results, tokens of issuers that are not ours.

mod actor;
mod assertion;
mod basis;
mod token_type;
mod transaction;

pub use assertion::{ASSERTION_LIFETIME, IdentityAssertionClaims};
pub use basis::SubjectToken;
pub use token_type::TokenType;
pub use transaction::TRANSACTION_TOKEN_LIFETIME;

use super::{
    Fresh, GrantEntry, Redeemed, Refused, Requester, TokenRequest, client_credentials, registered,
};
use crate::authentication::Authentication;
use crate::authorization_details::{self, DetailTypes};
use crate::binding::Binding;
use crate::change::{Change, Standing};
use crate::claims;
use crate::client::delegation::TargetRule;
use crate::client::{ClientRecord, Confidentiality, GrantType};
use crate::error::OAuthError;
use crate::exchange::ExchangeRecord;
use crate::issuance::{ExchangedFrom, Issuance, Manner, Parts};
use crate::parameter;
use actor::Acting;
use basis::Basis;
use countersign_authn::access_token::{Act, AttributeValue, AuthorizationDetails, MayAct};
use countersign_authn::{Form, SubjectId, VerifiedToken};
use countersign_base::{
    Audience, Bounded, ClientId, GrantId, Role, Scopes, Secret, SessionId, Tenant, UnixTime,
    UserId, limits,
};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

pub(super) const ENTRY: GrantEntry = GrantEntry {
    grant: GrantType::TokenExchange,
    parse,
};

/// The type of what most exchanges take and give (RFC 8693 §3).
pub const ACCESS_TOKEN_TYPE: &str = TokenType::AccessToken.as_str();

/// The parameters of the grant.
pub struct TokenExchangeRequest {
    /// The token of whom it is about. The shell has `authn` verify it as one of this tenant's own.
    pub subject_token: Secret<String>,
    /// What the client says that it is.
    pub subject_type: TokenType,
    /// The token of who acts, if it is not the client itself.
    pub actor_token: Option<Secret<String>>,
    /// What is asked for: an access token, an identity assertion or a transaction token.
    pub requested: TokenType,
    /// The scopes asked for; absent means everything that subject token and registration share.
    pub scopes: Option<Scopes>,
    /// `resource` (RFC 8707).
    pub resource: Option<Audience>,
    /// `audience`: the same as the resource, the authorization server of an identity assertion, or the trust domain of a transaction.
    pub audience: Option<Audience>,
    /// What is known of the request that begins a transaction.
    pub request_context: Map<String, Value>,
    /// What the transaction is about.
    pub request_details: Map<String, Value>,
    /// Which of the subject token's authorization details; none means all that the audience may see.
    pub authorization_details: AuthorizationDetails,
}

impl TokenExchangeRequest {
    /// An exchange of an access token that was verified elsewhere, for another access token, by the client itself.
    #[must_use]
    pub fn of_verified(scopes: Scopes, audience: Audience) -> Self {
        Self {
            subject_token: Secret::new(String::new()),
            subject_type: TokenType::AccessToken,
            actor_token: None,
            requested: TokenType::AccessToken,
            scopes: Some(scopes),
            resource: Some(audience),
            audience: None,
            request_context: Map::new(),
            request_details: Map::new(),
            authorization_details: AuthorizationDetails::none(),
        }
    }
}

fn parse(form: &Form) -> Result<TokenRequest, OAuthError> {
    let subject_token = bounded_token(form, "subject_token", OAuthError::SubjectTokenRefused)?
        .ok_or(OAuthError::ParameterMissing("subject_token"))?;
    let subject_type = token_type(form, "subject_token_type")?
        .ok_or(OAuthError::ParameterMissing("subject_token_type"))?;
    let actor_token = bounded_token(form, "actor_token", OAuthError::ActorTokenRefused)?;
    match (&actor_token, token_type(form, "actor_token_type")?) {
        (Some(_), None) => return Err(OAuthError::ParameterMissing("actor_token_type")),
        (None, Some(_)) => return Err(OAuthError::ParameterMissing("actor_token")),
        (Some(_), Some(TokenType::AccessToken | TokenType::Jwt)) | (None, None) => {}
        (
            Some(_),
            Some(
                TokenType::IdJag
                | TokenType::IdToken
                | TokenType::RefreshToken
                | TokenType::TransactionToken,
            ),
        ) => return Err(OAuthError::TokenType),
    }
    let requested = token_type(form, "requested_token_type")?.unwrap_or(TokenType::AccessToken);
    requested.check_made_of(subject_type)?;
    let (resource, audience) = (parameter::resource(form)?, audience(form)?);
    if requested == TokenType::AccessToken
        && resource.is_some()
        && audience.is_some()
        && resource != audience
    {
        return Err(OAuthError::AudienceRepeated);
    }
    Ok(TokenRequest::TokenExchange(TokenExchangeRequest {
        subject_token,
        subject_type,
        actor_token,
        requested,
        scopes: parameter::scopes(form)?,
        resource,
        audience,
        request_context: transaction::context(form, "request_context")?,
        request_details: transaction::context(form, "request_details")?,
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

fn token_type(form: &Form, name: &'static str) -> Result<Option<TokenType>, OAuthError> {
    form.get(name)
        .map(|kind| TokenType::from_parameter(kind).ok_or(OAuthError::TokenType))
        .transpose()
}

/// `audience` (RFC 8693 §2.1), exactly one, with the grammar of a resource.
fn audience(form: &Form) -> Result<Option<Audience>, OAuthError> {
    form.get("audience")
        .map(str::parse)
        .transpose()
        .map_err(|_| OAuthError::AudienceNotPermitted)
}

/// A verified access token of this tenant, as an exchange sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresentedToken {
    /// Its name.
    pub id: Bounded<256>,
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
    /// Who may become the one who acts.
    pub may_act: Option<MayAct>,
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
        /// When and how they proved who they are, as the token tells.
        authentication: Authentication,
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
                authentication: Authentication::told_by(claims, auth_time),
            },
            // An exchanged client token has another `client_id` than its `sub`.
            (SubjectId::External(name), None, None) => {
                PresentedSubject::Client(name.as_str().parse().map_err(|_| NotOurs)?)
            }
            (SubjectId::External(_) | SubjectId::Foreign(_) | SubjectId::User(_), _, _) => {
                return Err(NotOurs);
            }
        };
        Ok(Self {
            id: claims.jti.clone(),
            subject,
            client: claims.client_id.clone(),
            audience: claims.aud.clone(),
            scopes: claims.scope.clone(),
            grant: claims.grant_id.ok_or(NotOurs)?,
            expires: claims.exp,
            binding: Binding::from(claims.cnf.as_ref()),
            actors: claims.act.clone(),
            may_act: claims.may_act.clone(),
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
    /// Anything that would make the result wider than subject ∩ actor ∩ registration; with the grant's revocation where a refresh token was shown again.
    pub fn redeem(
        &self,
        subject: SubjectToken<'_>,
        actor: Option<&PresentedToken>,
        standing: &Standing,
        requester: &Requester<'_>,
        fresh: Fresh,
        now: UnixTime,
    ) -> Result<Redeemed, Refused> {
        let client = registered(standing, requester, GrantType::TokenExchange)?;
        if client.confidentiality() == Confidentiality::Public {
            return Err(OAuthError::PublicClient.into());
        }
        let basis = Basis::of(subject, standing, client, requester, now)?;
        // A bound token may only become a bound token; the key is the new holder's, whom the old key does not know (TX-4).
        if basis.binding.is_sender_constrained() && !requester.binding.is_sender_constrained() {
            return Err(OAuthError::KeyRequired.into());
        }
        let exchange = Exchange {
            request: self,
            basis: &basis,
            standing,
            client,
            requester,
            fresh,
            now,
        };
        let issuance = match self.requested {
            TokenType::AccessToken => exchange.access_token(actor)?,
            TokenType::IdJag => exchange.identity_assertion(actor)?,
            TokenType::TransactionToken => exchange.transaction_token(actor)?,
            TokenType::IdToken | TokenType::Jwt | TokenType::RefreshToken => {
                return Err(OAuthError::TokenType.into());
            }
        };
        let edge = exchange.edge(&issuance);
        Ok(Redeemed {
            issuance,
            changes: vec![Change::Exchanged(Box::new(edge))],
        })
    }
}

/// One exchange while it is judged: everything that its kinds share.
struct Exchange<'a> {
    request: &'a TokenExchangeRequest,
    basis: &'a Basis,
    standing: &'a Standing,
    client: &'a ClientRecord,
    requester: &'a Requester<'a>,
    fresh: Fresh,
    now: UnixTime,
}

impl Exchange<'_> {
    fn access_token(&self, actor: Option<&PresentedToken>) -> Result<Issuance, OAuthError> {
        let audience = self.target()?;
        let acting = Acting::of(self, actor)?;
        let scopes = self.scopes(acting.scopes())?;
        let details = DetailTypes::narrowed(
            &self.request.authorization_details,
            &self.basis.authorization_details,
        )?;
        let not_after = acting.not_after(self.basis.expires);
        let mut issuance = self.issuance(audience, scopes, details, not_after)?;
        // Who may act was said by whoever got the first token; nobody on the way takes that back.
        issuance.may_act = self.basis.may_act.clone().or(issuance.may_act);
        issuance.exchanged = Some(self.exchanged(acting.manner()));
        issuance.actor = acting.chain(&self.basis.actors)?;
        Ok(issuance)
    }

    /// RFC 8693 §2.1: `resource` or `audience`, or the only registered one.
    fn target(&self) -> Result<Audience, OAuthError> {
        let asked = self
            .request
            .resource
            .as_ref()
            .or(self.request.audience.as_ref());
        match (self.client.delegation.targets, asked) {
            (TargetRule::Policy, Some(asked)) => Ok(asked.clone()),
            (TargetRule::Policy, None) | (TargetRule::Registered, _) => {
                client_credentials::registered_audience(asked, self.client)
            }
        }
    }

    /// Within subject ∩ registration ∩ actor. Named and outside is refused (TX-1, A26); unnamed means what all share.
    fn scopes(&self, of_actor: Option<&Scopes>) -> Result<Scopes, OAuthError> {
        let mut shared = self.basis.scopes.intersection(&self.client.scopes);
        if let Some(of_actor) = of_actor {
            shared = shared.intersection(of_actor);
        }
        match &self.request.scopes {
            None if shared.is_empty() => Err(OAuthError::ScopeNotPermitted),
            None => Ok(shared),
            Some(asked) if asked.is_subset(&shared) => Ok(asked.clone()),
            Some(_) => Err(OAuthError::ScopeNotPermitted),
        }
    }

    fn issuance(
        &self,
        audience: Audience,
        scopes: Scopes,
        details: AuthorizationDetails,
        not_after: UnixTime,
    ) -> Result<Issuance, OAuthError> {
        let subject = self
            .basis
            .token_subject(self.standing, &audience, self.requester)?;
        Ok(Issuance::access_token(
            Parts {
                tenant: self.requester.tenant,
                client: self.client,
                grant_type: GrantType::TokenExchange,
                grant: self.basis.grant,
                subject,
                scopes,
                audience,
                binding: self.requester.binding.clone(),
                not_after,
                details,
                token_id: self.fresh.token_id,
            },
            self.now,
        ))
    }

    fn exchanged(&self, manner: Manner) -> ExchangedFrom {
        let audience = self
            .basis
            .audience
            .as_ref()
            .map(|audience| audience.as_str());
        ExchangedFrom {
            scopes: self.basis.scopes.clone(),
            // An ID token and a refresh token are for the client.
            audience: audience.unwrap_or(self.client.id.as_str()).to_owned(),
            kind: self.request.subject_type,
            manner,
        }
    }

    fn edge(&self, issuance: &Issuance) -> ExchangeRecord {
        let of_grant = self.standing.grant.as_ref().map(|grant| grant.expires);
        let actors = issuance.actor.iter().flat_map(Act::actors);
        ExchangeRecord {
            tenant: issuance.tenant.clone(),
            grant: issuance.grant,
            parent: self.basis.id.clone(),
            parent_type: self.request.subject_type,
            child: claims::jti(&issuance.token_id),
            child_type: self.request.requested,
            client: self.client.id.clone(),
            audience: issuance.audience.clone(),
            scopes: issuance.scopes.clone(),
            actors: actors.map(|actor| actor.sub.clone()).collect(),
            at: self.now,
            expires: issuance.expires,
            kept_until: of_grant.unwrap_or(self.basis.expires),
        }
    }
}

#[cfg(test)]
mod tests;
