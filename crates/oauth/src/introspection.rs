//! Token introspection (RFC 7662): who may ask about which token, and what they are told.
//!
//! Whatever is unknown, expired, revoked, of another tenant or none of the asker's business is the same answer: inactive (§2.2).

use crate::authentication::{Acr, AmrValues, Authentication};
use crate::client::{ClientRecord, Confidentiality};
use crate::error::OAuthError;
use crate::grant::GrantRecord;
use crate::refresh::{RefreshFamily, RefreshHandle};
use crate::session::Session;
use crate::subject_identifier::{SubjectIdentifier, SubjectOrder};
use crate::token::{PresentedSubject, PresentedToken, Told};
use crate::user::UserRecord;
use countersign_authn::access_token::{Act, AuthorizationDetails, Confirmation};
use countersign_authn::{AttributeValue, SubjectId};
use countersign_base::{Audience, ClientId, Issuer, Role, Scopes, UnixTime};
use countersign_crypto::mac::MacKey;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Introspection {
    /// A token that is good now.
    Active(Box<ActiveToken>),
    /// Anything else.
    Inactive(Inactive),
}

/// `{"active": false}` and nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Inactive {
    active: bool,
}

/// What the asker is told of a good token (RFC 7662 §2.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ActiveToken {
    active: bool,
    /// Its scopes.
    pub scope: Scopes,
    /// Who got it.
    pub client_id: ClientId,
    /// `Bearer`, `DPoP` or, for a refresh token, `refresh_token`.
    pub token_type: &'static str,
    /// When it expires.
    pub exp: UnixTime,
    /// When it was made; absent for a refresh token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iat: Option<UnixTime>,
    /// Whom it is about, as the asker knows them.
    pub sub: IntrospectedSubject,
    /// Its audience; absent for a refresh token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aud: Option<Audience>,
    /// Who issued it.
    pub iss: Issuer,
    /// The key it is bound to. The asker still has to see a proof (INT-5).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
    /// When the person proved who they are (RFC 9470 §6.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<UnixTime>,
    /// The class that they reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acr: Option<Acr>,
    /// How.
    #[serde(skip_serializing_if = "AmrValues::is_empty")]
    pub amr: AmrValues,
    /// Who acts for the subject.
    #[serde(skip_serializing_if = "Act::is_none")]
    pub act: Act,
    /// What it allows beyond scopes (RFC 9396 §9.2).
    #[serde(skip_serializing_if = "AuthorizationDetails::is_empty")]
    pub authorization_details: AuthorizationDetails,
    /// Roles that its audience may see, for whoever serves that audience.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub roles: BTreeSet<Role>,
    /// Attributes, likewise.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attrs: BTreeMap<String, AttributeValue>,
}

/// The `sub` of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum IntrospectedSubject {
    /// For the client that got the token: what its ID tokens call them.
    OfClient(SubjectIdentifier),
    /// For whoever serves the audience: what access tokens call them.
    OfToken(SubjectId),
}

/// What a refresh token stands on, as it is now (R42). `None` is "no such row", which is as good as ended.
#[derive(Debug, Clone, Default)]
pub struct RefreshGround {
    /// Its grant.
    pub grant: Option<GrantRecord>,
    /// The sign-in that it came of.
    pub session: Option<Session>,
    /// The person.
    pub user: Option<UserRecord>,
}

impl RefreshGround {
    /// Whether a refresh with a token of this family would find everything in place.
    #[must_use]
    pub fn bears(&self, family: &RefreshFamily, now: UnixTime) -> bool {
        let grant = self.grant.as_ref().is_some_and(|grant| {
            grant.id == family.grant && grant.revoked.is_none() && now < grant.expires
        });
        let session = self
            .session
            .as_ref()
            .is_some_and(|session| session.id == family.session && session.ended.is_none());
        let user = self
            .user
            .as_ref()
            .is_some_and(|user| user.id == family.user && user.enabled);
        grant && session && user
    }
}

impl Introspection {
    /// The answer for everything that is not a good token of the asker's.
    #[must_use]
    pub const fn inactive() -> Self {
        Self::Inactive(Inactive { active: false })
    }

    /// Whether it is a good token.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        match self {
            Self::Active(_) => true,
            Self::Inactive(_) => false,
        }
    }

    /// The answer about an access token that was verified and is not revoked.
    #[must_use]
    pub fn of_access_token(
        token: &PresentedToken,
        issuer: &Issuer,
        asker: &ClientRecord,
        pairwise: &MacKey,
        now: UnixTime,
    ) -> Self {
        let serves = asker.serves.contains(&token.audience);
        if !(serves || asker.id == token.client) || now >= token.expires {
            return Self::inactive();
        }
        let sub = match &token.subject {
            PresentedSubject::User { id, .. } if !serves => {
                IntrospectedSubject::OfClient(SubjectOrder::of(*id, asker).derive(pairwise))
            }
            subject => IntrospectedSubject::OfToken(subject.id()),
        };
        let told = if serves {
            token.told.clone()
        } else {
            Told::default()
        };
        let authentication = match &token.subject {
            PresentedSubject::Client(_) => None,
            PresentedSubject::User { authentication, .. } => Some(authentication),
        };
        Self::Active(Box::new(ActiveToken {
            auth_time: authentication.map(|authentication| authentication.time),
            acr: authentication.and_then(|authentication| authentication.acr),
            amr: authentication
                .map(|authentication| authentication.amr.clone())
                .unwrap_or_default(),
            active: true,
            scope: token.scopes.clone(),
            client_id: token.client.clone(),
            token_type: token.binding.token_type(),
            exp: token.expires,
            iat: Some(token.issued),
            sub,
            aud: Some(token.audience.clone()),
            iss: issuer.clone(),
            cnf: token.binding.confirmation(),
            act: token.actors.clone(),
            authorization_details: token.authorization_details.clone(),
            roles: told.roles,
            attrs: told.attributes,
        }))
    }

    /// The answer about a refresh token: only its own client learns anything.
    #[must_use]
    pub fn of_refresh_token(
        handle: RefreshHandle,
        (family, ground): (&RefreshFamily, &RefreshGround),
        issuer: &Issuer,
        asker: &ClientRecord,
        pairwise: &MacKey,
        now: UnixTime,
    ) -> Self {
        let live = family.id == handle.family()
            && family.generation == handle.generation()
            && family.revoked.is_none()
            && now < family.expires
            && ground.bears(family, now);
        // What a client of this name had before it was removed is not its successor's.
        let theirs = family.client == asker.id
            && family.tenant == asker.tenant
            && family.created >= asker.created
            && asker.enabled;
        if !live || !theirs {
            return Self::inactive();
        }
        let authentication = Authentication::of(&family.methods, family.auth_time);
        Self::Active(Box::new(ActiveToken {
            auth_time: Some(authentication.time),
            acr: authentication.acr,
            amr: authentication.amr,
            active: true,
            scope: family.scopes.clone(),
            client_id: family.client.clone(),
            token_type: "refresh_token",
            exp: family.expires,
            iat: None,
            sub: IntrospectedSubject::OfClient(
                SubjectOrder::of(family.user, asker).derive(pairwise),
            ),
            aud: None,
            iss: issuer.clone(),
            cnf: family.binding.confirmation(),
            act: Act::none(),
            authorization_details: AuthorizationDetails::none(),
            roles: BTreeSet::new(),
            attrs: BTreeMap::new(),
        }))
    }
}

/// Whether a client may ask at all: only one that authenticates (RFC 7662 §2.1).
///
/// # Errors
/// A public client.
pub fn check_asker(client: &ClientRecord) -> Result<(), OAuthError> {
    match client.confidentiality() {
        Confidentiality::Confidential => Ok(()),
        Confidentiality::Public => Err(OAuthError::PublicClient),
    }
}

/// The claims of a signed answer (RFC 9701 §5): for this asker, about this token, and nothing that could be taken for another kind of token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IntrospectionClaims<'a> {
    /// Who answers.
    pub iss: &'a Issuer,
    /// Who asked.
    pub aud: &'a ClientId,
    /// When.
    pub iat: UnixTime,
    /// The answer itself.
    pub token_introspection: &'a Introspection,
}

/// The media type of a signed answer (RFC 9701 §4).
pub const SIGNED_MEDIA_TYPE: &str = "application/token-introspection+jwt";

/// Whether the header `Accept` asks for a signed answer: it names the media type, and does not rule it out with `q=0`.
#[must_use]
pub fn wants_signed(accept: &str) -> bool {
    accept.split(',').any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let named = parts
            .next()
            .is_some_and(|essence| essence.eq_ignore_ascii_case(SIGNED_MEDIA_TYPE));
        let excluded = parts.any(|parameter| {
            parameter
                .strip_prefix("q=")
                .is_some_and(|quality| quality.trim_end_matches(['0', '.']).is_empty())
        });
        named && !excluded
    })
}

#[cfg(test)]
mod tests;
