//! The claims of our tokens: access tokens (RFC 9068 §2.2; the type is `authn`'s, so that who mints and who reads mean the same) and ID tokens
//! (OpenID Connect Core §2).
//!
//! Not here: signing. `control::mint` signs what this module serializes. No claim of an access token holds a name, an address or a username; an ID token holds
//! what the client asked for by name and the person allowed.

use crate::authentication::{Acr, AmrValues};
use crate::issuance::{IdTokenOrder, Issuance, TokenSubject, UserSubject};
use crate::subject_identifier::{SubjectIdentifier, SubjectType};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_authn::access_token::{Act, AttributeValue};
use countersign_authn::{SubjectId, access_token::AccessTokenClaims};
use countersign_base::{Bounded, ClientId, GrantId, Issuer, SessionId, UnixTime};
use countersign_crypto::mac::MacKey;
use serde::Serialize;
use serde_json::{Map, Value};

pub(crate) fn access_token(issuance: &Issuance) -> AccessTokenClaims {
    let user = match &issuance.subject {
        TokenSubject::Client(_) => None,
        TokenSubject::User(user) => Some(user),
    };
    let attributes = user
        .map(UserSubject::released_attributes)
        .unwrap_or_default();
    AccessTokenClaims {
        iss: issuance.issuer.clone(),
        sub: issuance.subject.id(),
        aud: issuance.audience.clone(),
        exp: issuance.expires,
        iat: issuance.issued,
        nbf: None,
        jti: jti(&issuance.token_id),
        client_id: issuance.client.clone(),
        scope: issuance.scopes.clone(),
        grant_id: Some(issuance.grant),
        sid: user.map(|user| user.session),
        auth_time: user.map(|user| user.authentication.time),
        acr: user.and_then(|user| user.authentication.acr_claim()),
        amr: user
            .map(|user| user.authentication.amr.clone())
            .unwrap_or_default(),
        roles: user.map(UserSubject::released_roles).unwrap_or_default(),
        attrs: attributes
            .into_iter()
            .map(|(name, value)| (name.into(), AttributeValue::Text(value.into())))
            .collect(),
        act: issuance.actor.clone().unwrap_or_else(Act::none),
        authorization_details: issuance.authorization_details.clone(),
        may_act: issuance.may_act.clone(),
        cnf: issuance.binding.confirmation(),
    }
}

#[expect(
    clippy::expect_used,
    reason = "16 bytes are 22 base64url characters, none of them a control character"
)]
pub(crate) fn jti(token_id: &[u8; 16]) -> Bounded<256> {
    Bounded::parse(&URL_SAFE_NO_PAD.encode(token_id)).expect("22 visible characters")
}

impl TokenSubject {
    /// The `sub`.
    #[must_use]
    pub fn id(&self) -> SubjectId {
        match self {
            Self::Client(client) => SubjectId::Client(client.clone()),
            Self::User(user) => SubjectId::User(user.id),
        }
    }
}

/// The claims of an ID token.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IdTokenClaims {
    /// Who issued it.
    pub iss: Issuer,
    /// Who signed in, as this client knows them.
    pub sub: SubjectIdentifier,
    /// The client.
    pub aud: ClientId,
    /// When it expires.
    pub exp: UnixTime,
    /// When it was issued.
    pub iat: UnixTime,
    /// When they proved who they are.
    pub auth_time: UnixTime,
    /// The session. A client with pairwise subjects is not told: it is the same for every client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sid: Option<SessionId>,
    /// The grant: what a token exchange depends on.
    pub grant_id: GrantId,
    /// The class that was reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acr: Option<Acr>,
    /// How (RFC 8176).
    #[serde(skip_serializing_if = "AmrValues::is_empty")]
    pub amr: AmrValues,
    /// What the client sent, byte for byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nonce: Option<Bounded<512>>,
    /// What the client asked for about the person, and the person allowed.
    #[serde(flatten)]
    pub claims: Map<String, Value>,
}

impl IdTokenClaims {
    pub(crate) fn of(
        issuance: &Issuance,
        user: &UserSubject,
        order: &IdTokenOrder,
        pairwise: &MacKey,
    ) -> Self {
        let sid = match order.subject.subject_type() {
            SubjectType::Pairwise => None,
            SubjectType::Public => Some(user.session),
        };
        Self {
            iss: issuance.issuer.clone(),
            sub: order.subject.derive(pairwise),
            aud: issuance.client.clone(),
            exp: issuance.expires,
            iat: issuance.issued,
            sid,
            grant_id: issuance.grant,
            auth_time: user.authentication.time,
            acr: user.authentication.acr,
            amr: user.authentication.amr.clone(),
            nonce: order.nonce.clone(),
            claims: order.claims.clone(),
        }
    }
}
