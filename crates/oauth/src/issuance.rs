//! What a token request came to: everything that minting needs and nothing more. Only the grants' `redeem`, and a question that previews what its "Allow" would come to, make one.
//!
//! It is the target of the policy decision: `policy::decide` wraps it, the store records it, and `control::mint` takes the recorded permit.

mod target;

use crate::authentication::Authentication;
use crate::authorize::is_openid;
use crate::binding::Binding;
use crate::claims::{self, IdTokenClaims};
use crate::client::{AccessTokenFormat, ClientRecord, Envelope, GrantType};
use crate::profile::Claim;
use crate::refresh::RefreshOrder;
use crate::subject_identifier::SubjectOrder;
use crate::tenant::{ClaimRelease, RoleRelease, TenantRecord};
use crate::token::{IdentityAssertionClaims, TokenType};
use crate::user::{AttributeName, ResolvedUser};
use countersign_authn::access_token::{AccessTokenClaims, Act, AuthorizationDetails, MayAct};
use countersign_authn::transaction::TransactionTokenClaims;
use countersign_base::{
    Audience, Bounded, ClientId, GrantId, GroupName, Issuer, Role, Scopes, SessionId, Tenant,
    UnixTime, UserId,
};
use countersign_crypto::mac::MacKey;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// An order to mint tokens.
#[derive(Debug, Clone)]
pub struct Issuance {
    pub(crate) tenant: Tenant,
    pub(crate) issuer: Issuer,
    pub(crate) client: ClientId,
    pub(crate) registered: Registered,
    pub(crate) grant_type: GrantType,
    pub(crate) grant: GrantId,
    pub(crate) subject: TokenSubject,
    pub(crate) scopes: Scopes,
    pub(crate) audience: Audience,
    pub(crate) binding: Binding,
    pub(crate) actor: Option<Act>,
    pub(crate) may_act: Option<MayAct>,
    pub(crate) exchanged: Option<ExchangedFrom>,
    pub(crate) issued_as: Issued,
    pub(crate) token_id: [u8; 16],
    pub(crate) issued: UnixTime,
    pub(crate) expires: UnixTime,
    pub(crate) authorization_details: AuthorizationDetails,
    pub(crate) format: AccessTokenFormat,
    pub(crate) source: Option<IpAddr>,
    pub(crate) id_token: Option<IdTokenOrder>,
    pub(crate) refresh: Option<RefreshOrder>,
}

/// What the client is registered for, as policies see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Registered {
    scopes: Scopes,
    audiences: BTreeSet<Audience>,
    grants: BTreeSet<GrantType>,
    /// The authorization servers that it may ask identity assertions for.
    servers: BTreeSet<Issuer>,
    trust_domains: BTreeSet<Audience>,
}

impl Registered {
    /// Whoever is registered for `openid` is registered for the tenant's own userinfo too.
    fn of(client: &ClientRecord, tenant: &TenantRecord) -> Self {
        let mut audiences = client.audiences.clone();
        audiences.extend(tenant.own_audience().filter(|_| is_openid(&client.scopes)));
        Self {
            scopes: client.scopes.clone(),
            audiences,
            grants: client.grants.clone(),
            servers: client.delegation.assertions.keys().cloned().collect(),
            trust_domains: client.delegation.trust_domains.clone(),
        }
    }
}

/// The subject token of an exchange, as policies see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExchangedFrom {
    pub(crate) scopes: Scopes,
    /// Its audience: a URI, or the client that an ID token or a refresh token is for.
    pub(crate) audience: String,
    pub(crate) kind: TokenType,
    pub(crate) manner: Manner,
}

/// What an exchange amounts to: each is an action of its own for policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// An identity is asserted to another authorization server.
    Assertion,
    /// Somebody acts whom the token or the registration names.
    Delegation,
    /// Somebody acts whom only a policy can permit to.
    DelegationByPolicy,
    /// The token does not tell who acts.
    Impersonation,
    /// A transaction begins or goes on.
    Transaction,
}

/// What the token of an issuance is.
#[derive(Debug, Clone)]
pub enum Issued {
    /// An access token (RFC 9068).
    AccessToken,
    /// An identity assertion for another authorization server.
    IdentityAssertion(Box<IdentityAssertionClaims>),
    /// A transaction token.
    TransactionToken(Box<TransactionTokenClaims>),
}

/// Whom an access token is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenSubject {
    /// The client itself (RFC 6749 §4.4).
    Client(ClientId),
    /// A person.
    User(UserSubject),
}

/// A person as a token tells of them: no name, no address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserSubject {
    /// The `sub`.
    pub id: UserId,
    /// The session they signed in with.
    pub session: SessionId,
    /// When and how they proved who they are.
    pub authentication: Authentication,
    /// Every role, for policies.
    pub roles: BTreeSet<Role>,
    /// Every group, for policies.
    pub groups: BTreeSet<GroupName>,
    /// Every attribute, for policies.
    pub attributes: BTreeMap<AttributeName, Bounded<256>>,
    /// What the audience may see of them.
    pub release: ClaimRelease,
}

/// Which of two kinds an audience is of, for metrics: audiences themselves are too many to be labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AudienceKind {
    /// The issuer's own: userinfo.
    Issuer,
    /// A service.
    Service,
}

/// The order to make an ID token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdTokenOrder {
    pub(crate) nonce: Option<Bounded<512>>,
    pub(crate) subject: SubjectOrder,
    /// What the client asked for about the person, and the person allowed (OpenID Connect Core §5.5).
    pub(crate) claims: Map<String, Value>,
    pub(crate) envelope: Envelope,
}

impl UserSubject {
    pub(crate) fn new(
        person: &ResolvedUser,
        session: SessionId,
        authentication: Authentication,
        audience: &Audience,
        tenant: &TenantRecord,
    ) -> Self {
        Self {
            id: person.user.id,
            session,
            authentication,
            roles: person.roles.clone(),
            groups: person.user.groups.clone(),
            attributes: person.user.attributes.clone(),
            release: tenant.audiences.get(audience).cloned().unwrap_or_default(),
        }
    }

    /// The roles that the audience may see.
    #[must_use]
    pub fn released_roles(&self) -> BTreeSet<Role> {
        match &self.release.roles {
            RoleRelease::All => self.roles.clone(),
            RoleRelease::None => BTreeSet::new(),
            RoleRelease::Only(visible) => self.roles.intersection(visible).cloned().collect(),
        }
    }

    /// The attributes that the audience may see.
    #[must_use]
    pub fn released_attributes(&self) -> BTreeMap<AttributeName, Bounded<256>> {
        // What is personal by its name never stands in an access token, whatever a claim policy says.
        let visible = |name: &AttributeName| {
            self.release.attributes.contains(name) && Claim::named(name.as_str()).is_none()
        };
        self.attributes
            .iter()
            .filter(|(name, _)| visible(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }
}

/// What an issuance is made of, so that no `redeem` forgets a field that another one sets.
pub(crate) struct Parts<'a> {
    pub(crate) tenant: &'a TenantRecord,
    pub(crate) client: &'a ClientRecord,
    pub(crate) grant_type: GrantType,
    pub(crate) grant: GrantId,
    pub(crate) subject: TokenSubject,
    pub(crate) scopes: Scopes,
    pub(crate) audience: Audience,
    pub(crate) binding: Binding,
    pub(crate) not_after: UnixTime,
    /// Those of the grant that the request did not leave out; the token carries what its audience may see.
    pub(crate) details: AuthorizationDetails,
    pub(crate) token_id: [u8; 16],
}

impl Issuance {
    /// An access token alone, that lives as long as its client's do but never beyond `not_after`.
    pub(crate) fn access_token(parts: Parts<'_>, now: UnixTime) -> Self {
        let Parts {
            tenant,
            client,
            grant_type,
            grant,
            subject,
            scopes,
            audience,
            binding,
            not_after,
            details,
            token_id,
        } = parts;
        let authorization_details = tenant
            .detail_types
            .for_audience(&details, &audience)
            .filtered(|detail| client.token_rules.detail_types.contains(detail.kind()));
        Self {
            tenant: tenant.name.clone(),
            issuer: tenant.issuer.clone(),
            client: client.id.clone(),
            registered: Registered::of(client, tenant),
            grant_type,
            grant,
            subject,
            scopes,
            audience,
            binding,
            actor: None,
            may_act: client.delegation.may_act.clone().map(|sub| MayAct { sub }),
            exchanged: None,
            issued_as: Issued::AccessToken,
            token_id,
            issued: now,
            expires: now.plus(client.access_token_lifetime()).min(not_after),
            authorization_details,
            format: client.access_token_format(),
            source: None,
            id_token: None,
            refresh: None,
        }
    }

    /// The same, asked for from this address: what policies see as the request's source.
    #[must_use]
    pub fn asked_from(mut self, source: IpAddr) -> Self {
        self.source = Some(source);
        self
    }

    /// The tenant that issues.
    #[must_use]
    pub const fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// The client that asked.
    #[must_use]
    pub const fn client(&self) -> &ClientId {
        &self.client
    }

    /// The grant that was used.
    #[must_use]
    pub const fn grant_type(&self) -> GrantType {
        self.grant_type
    }

    /// The grant that the tokens belong to.
    #[must_use]
    pub const fn grant(&self) -> GrantId {
        self.grant
    }

    /// Whom the access token is about.
    #[must_use]
    pub const fn subject(&self) -> &TokenSubject {
        &self.subject
    }

    /// Its scopes.
    #[must_use]
    pub const fn scopes(&self) -> &Scopes {
        &self.scopes
    }

    /// Its one audience.
    #[must_use]
    pub const fn audience(&self) -> &Audience {
        &self.audience
    }

    /// What the access token allows beyond scopes (RFC 9396).
    #[must_use]
    pub const fn authorization_details(&self) -> &AuthorizationDetails {
        &self.authorization_details
    }

    /// What the access token looks like.
    #[must_use]
    pub const fn access_token_format(&self) -> AccessTokenFormat {
        self.format
    }

    /// The random bytes that name the access token.
    #[must_use]
    pub const fn token_id(&self) -> &[u8; 16] {
        &self.token_id
    }

    /// Whom the audience is: the issuer itself, or a service.
    #[must_use]
    pub fn audience_kind(&self) -> AudienceKind {
        if self.audience.as_str() == self.issuer.as_str() {
            AudienceKind::Issuer
        } else {
            AudienceKind::Service
        }
    }

    /// The key it is bound to.
    #[must_use]
    pub const fn binding(&self) -> &Binding {
        &self.binding
    }

    /// Who acts for the subject, after an exchange.
    #[must_use]
    pub const fn actor(&self) -> Option<&Act> {
        self.actor.as_ref()
    }

    /// What the token is, with the claims of one that is no access token.
    #[must_use]
    pub const fn issued_as(&self) -> &Issued {
        &self.issued_as
    }

    /// The `token_type` of the response: `N_A` where the token is not an access token (RFC 8693 §2.2.1).
    #[must_use]
    pub const fn token_type(&self) -> &'static str {
        match self.issued_as {
            Issued::AccessToken => self.binding.token_type(),
            Issued::IdentityAssertion(_) | Issued::TransactionToken(_) => "N_A",
        }
    }

    /// When the access token expires.
    #[must_use]
    pub const fn expires(&self) -> UnixTime {
        self.expires
    }

    /// Seconds until then, as responses say it.
    #[must_use]
    pub fn expires_in(&self) -> u64 {
        self.expires.since(self.issued).as_secs()
    }

    /// The claims of the access token (RFC 9068 §2.2).
    #[must_use]
    pub fn access_token_claims(&self) -> AccessTokenClaims {
        claims::access_token(self)
    }

    /// The claims of the ID token, if one is due (OpenID Connect Core §2), with the tenant's key of pairwise subjects.
    #[must_use]
    pub fn id_token_claims(&self, pairwise: &MacKey) -> Option<IdTokenClaims> {
        match (&self.id_token, &self.subject) {
            (Some(order), TokenSubject::User(user)) => {
                Some(IdTokenClaims::of(self, user, order, pairwise))
            }
            (Some(_), TokenSubject::Client(_)) | (None, _) => None,
        }
    }

    /// What the ID token is put into, if one is due.
    #[must_use]
    pub fn id_token_envelope(&self) -> Option<&Envelope> {
        self.id_token.as_ref().map(|order| &order.envelope)
    }

    /// The refresh token to derive, if one is due.
    #[must_use]
    pub const fn refresh(&self) -> Option<RefreshOrder> {
        self.refresh
    }

    /// The `issued_token_type` of an exchange (RFC 8693 §2.2.1).
    #[must_use]
    pub fn issued_token_type(&self) -> Option<&'static str> {
        let issued = match self.issued_as {
            Issued::AccessToken => TokenType::AccessToken,
            Issued::IdentityAssertion(_) => TokenType::IdJag,
            Issued::TransactionToken(_) => TokenType::TransactionToken,
        };
        self.exchanged.as_ref().map(|_| issued.as_str())
    }
}
