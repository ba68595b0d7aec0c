//! Who stands behind a request, as evidence.

use crate::access_token::{AttributeValue, Confirmation, VerifiedToken};
use crate::acr::{Acr, AuthenticationDemand};
use crate::refusal::{Reason, Refusal};
use crate::resource::{OtherIssuer, check_revocations};
use crate::revocation::Revocations;
use countersign_base::{
    Audience, Bounded, ClientId, GrantId, Issuer, Role, Scopes, SessionId, Tenant, UnixTime, UserId,
};
use serde::{Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// Whom a token speaks of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SubjectId {
    /// The client itself (RFC 9068 §2.2: `sub` equals `client_id`).
    Client(ClientId),
    /// Somebody whom an issuer other than ours knows.
    External(Bounded<255>),
    /// Somebody of an issuer that is not ours, whoever that `sub` is to us.
    Foreign(Box<ForeignSubject>),
    /// A person of ours.
    User(UserId),
}

/// Somebody whom an issuer that is not ours names: never one of our people or clients, and never another issuer's, even if they have the same `sub`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ForeignSubject {
    /// The issuer.
    pub issuer: Issuer,
    /// Its `sub`.
    pub sub: Bounded<255>,
}

/// The issuer, which has no space in it, a space, and the `sub`.
impl fmt::Display for ForeignSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.issuer, self.sub)
    }
}

impl SubjectId {
    pub(crate) fn read(sub: &str, client: &ClientId) -> Result<Self, Reason> {
        if sub == client.as_str() {
            return Ok(Self::Client(client.clone()));
        }
        if sub.is_empty() {
            return Err(Reason::ClaimBroken);
        }
        match sub.parse() {
            Ok(user) => Ok(Self::User(user)),
            Err(_) => Bounded::parse(sub)
                .map(Self::External)
                .map_err(|_| Reason::ClaimBroken),
        }
    }
}

impl fmt::Display for SubjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(client) => fmt::Display::fmt(client, f),
            Self::External(subject) => fmt::Display::fmt(subject, f),
            Self::Foreign(subject) => fmt::Display::fmt(subject, f),
            Self::User(user) => fmt::Display::fmt(user, f),
        }
    }
}

impl Serialize for SubjectId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One who acts for the subject (RFC 8693 §4.1).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Actor {
    /// The actor's `sub`.
    pub sub: Bounded<255>,
    /// The actor's issuer, where it is named.
    pub iss: Option<Issuer>,
}

/// What a token is bound to.
pub type TokenBinding = Option<Confirmation>;

/// Who stands behind a request: the token held, its key or certificate was shown, nothing of it is revoked, its one-time values are spent.
///
/// Only [`crate::prove`] begins one, and only a replay memory hands it out.
#[derive(Debug, Clone)]
#[must_use]
pub struct Subject {
    token: Arc<VerifiedToken>,
}

impl Subject {
    pub(crate) const fn new(token: Arc<VerifiedToken>) -> Self {
        Self { token }
    }

    /// The token.
    #[must_use]
    pub const fn token(&self) -> &Arc<VerifiedToken> {
        &self.token
    }

    /// The tenant.
    #[must_use]
    pub fn tenant(&self) -> &Tenant {
        self.token.tenant()
    }

    /// Who made the token.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        &self.token.claims().iss
    }

    /// Who made the token, if that is none of our own tenants.
    #[must_use]
    pub fn other(&self) -> Option<&OtherIssuer> {
        self.token.other()
    }

    /// Whom the token speaks of.
    #[must_use]
    pub fn principal(&self) -> &SubjectId {
        &self.token.claims().sub
    }

    /// The person, if it speaks of one of ours.
    #[must_use]
    pub fn user(&self) -> Option<UserId> {
        match self.principal() {
            SubjectId::User(user) => Some(*user),
            SubjectId::Client(_) | SubjectId::External(_) | SubjectId::Foreign(_) => None,
        }
    }

    /// The client that got the token.
    #[must_use]
    pub fn client(&self) -> &ClientId {
        &self.token.claims().client_id
    }

    /// Whom the token is for.
    #[must_use]
    pub fn audience(&self) -> &Audience {
        &self.token.claims().aud
    }

    /// What the token allows.
    #[must_use]
    pub fn scopes(&self) -> &Scopes {
        &self.token.claims().scope
    }

    /// The grant.
    #[must_use]
    pub fn grant(&self) -> Option<GrantId> {
        self.token.claims().grant_id
    }

    /// The sign-in.
    #[must_use]
    pub fn session(&self) -> Option<SessionId> {
        self.token.claims().sid
    }

    /// The subject's roles.
    #[must_use]
    pub fn roles(&self) -> &BTreeSet<Role> {
        &self.token.claims().roles
    }

    /// The subject's attributes.
    #[must_use]
    pub fn attributes(&self) -> &BTreeMap<String, AttributeValue> {
        &self.token.claims().attrs
    }

    /// Who acts for the subject, the one who acts now first.
    #[must_use]
    pub fn actors(&self) -> &[Actor] {
        self.token.claims().act.actors()
    }

    /// How the person signed in.
    #[must_use]
    pub fn acr(&self) -> Option<&str> {
        self.token.claims().acr.as_ref().map(Bounded::as_str)
    }

    /// When the person signed in.
    #[must_use]
    pub fn auth_time(&self) -> Option<UnixTime> {
        self.token.claims().auth_time
    }

    /// When the token was made.
    #[must_use]
    pub fn issued_at(&self) -> UnixTime {
        self.token.claims().iat
    }

    /// When the token expires.
    #[must_use]
    pub fn expires(&self) -> UnixTime {
        self.token.claims().exp
    }

    /// The token's name.
    #[must_use]
    pub fn jti(&self) -> &str {
        self.token.claims().jti.as_str()
    }

    /// What the token is bound to; the binding was shown to hold.
    #[must_use]
    pub fn binding(&self) -> &TokenBinding {
        &self.token.claims().cnf
    }

    /// Checks that the token allows all of `scopes`.
    ///
    /// # Errors
    /// `insufficient_scope` (RFC 6750 §3.1) when it does not.
    pub fn require_scopes(&self, scopes: &Scopes) -> Result<ScopesHeld, Refusal> {
        if scopes.is_subset(self.scopes()) {
            Ok(ScopesHeld(()))
        } else {
            Err(Refusal::insufficient_scope(scopes.clone()))
        }
    }
}

impl Subject {
    /// Checks that whoever signed in did it as well, and as lately, as `demand` says. A class that is not one of ours satisfies no demand.
    ///
    /// # Errors
    /// `insufficient_user_authentication` (RFC 9470 §3) when they did not, or when the token does not say.
    pub fn require_authentication(
        &self,
        demand: AuthenticationDemand,
        now: UnixTime,
    ) -> Result<AuthenticationHeld, Refusal> {
        let class = self.acr().and_then(|acr| acr.parse::<Acr>().ok());
        let strong = demand
            .acr
            .is_none_or(|wanted| class.is_some_and(|class| class >= wanted));
        let late = demand.max_age.is_none_or(|max_age| {
            self.auth_time()
                .is_some_and(|time| now.since(time).as_secs() <= u64::from(max_age))
        });
        if strong && late {
            Ok(AuthenticationHeld(()))
        } else {
            Err(Refusal::insufficient_authentication(demand))
        }
    }
}

/// What has become of a token since it was proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Standing {
    /// It is over: expired, or it or what it depends on was revoked, or nobody can tell.
    Ended(Reason),
    /// It would be taken again, as far as time and revocations go.
    Stands,
}

impl Subject {
    /// When what began with this token ends: with the token; or with the leeway behind its end, if it was taken in that leeway.
    #[must_use]
    pub fn ends(&self, began: UnixTime) -> UnixTime {
        let expires = self.expires();
        if expires <= began {
            expires.plus(self.token.leeway())
        } else {
            expires
        }
    }

    /// Whether the token still counts, for what goes on after the request that it was shown with: a tunnel, a socket, an answer that streams.
    pub fn standing(
        &self,
        revocations: &dyn Revocations,
        began: UnixTime,
        now: UnixTime,
    ) -> Standing {
        if self.ends(began) <= now {
            return Standing::Ended(Reason::TokenExpired);
        }
        match check_revocations(&self.token, revocations, now) {
            Ok(()) => Standing::Stands,
            Err(reason) => Standing::Ended(reason),
        }
    }
}

/// Evidence that the sign-in behind a token is as good as was demanded.
#[derive(Debug)]
#[must_use]
pub struct AuthenticationHeld(());

/// Evidence that a token allows the scopes that were asked of it.
#[derive(Debug)]
#[must_use]
pub struct ScopesHeld(());
