//! The token endpoint (RFC 6749 §3.2): one registry of grants, one file a grant, and what they share.
//!
//! Not here: client authentication and DPoP proofs (`authn`), one-time rows (`store`), signatures (`control::mint`).

mod approval;
mod authorization_code;
mod ciba;
mod client_credentials;
mod device_code;
mod jwt_bearer;
mod polled;
mod refresh_token;
mod token_exchange;

pub use authorization_code::AuthorizationCodeRequest;
pub use ciba::CibaRequest;
pub use client_credentials::ClientCredentialsRequest;
pub use device_code::DeviceCodeRequest;
pub use jwt_bearer::JwtBearerRequest;
pub use refresh_token::RefreshTokenRequest;
pub use token_exchange::{
    ACCESS_TOKEN_TYPE, ASSERTION_LIFETIME, IdentityAssertionClaims, NotOurs, PresentedSubject,
    PresentedToken, SubjectToken, TRANSACTION_TOKEN_LIFETIME, TokenExchangeRequest, TokenType,
    Told,
};

use crate::binding::Binding;
use crate::change::{Change, Standing};
use crate::client::{BindingRule, ClientRecord, GrantType};
use crate::error::OAuthError;
use crate::issuance::Issuance;
use crate::refresh::{Assurance, FamilyId};
use crate::security_profile::{Demand, SecurityProfile};
use crate::tenant::TenantRecord;
use countersign_authn::Form;
use countersign_authn::client::AuthenticatedClient;
use countersign_base::{GrantId, SessionId};
use countersign_crypto::random::Random;

/// A token request: one variant a grant, every parameter already of its own type.
pub enum TokenRequest {
    /// RFC 6749 §4.1.3.
    AuthorizationCode(AuthorizationCodeRequest),
    /// OpenID Connect CIBA Core §10.1.
    Ciba(CibaRequest),
    /// RFC 6749 §4.4.2.
    ClientCredentials(ClientCredentialsRequest),
    /// RFC 8628 §3.4.
    DeviceCode(DeviceCodeRequest),
    /// RFC 7523 §2.1.
    JwtBearer(JwtBearerRequest),
    /// RFC 6749 §6.
    RefreshToken(RefreshTokenRequest),
    /// RFC 8693 §2.1.
    TokenExchange(TokenExchangeRequest),
}

/// One grant of the registry.
pub struct GrantEntry {
    /// Its name.
    pub grant: GrantType,
    parse: fn(&Form) -> Result<TokenRequest, OAuthError>,
}

/// Every grant that exists (R26).
pub const GRANTS: [GrantEntry; 7] = [
    authorization_code::ENTRY,
    ciba::ENTRY,
    client_credentials::ENTRY,
    device_code::ENTRY,
    jwt_bearer::ENTRY,
    refresh_token::ENTRY,
    token_exchange::ENTRY,
];

impl TokenRequest {
    /// Parses the form of a token request.
    ///
    /// # Errors
    /// An unknown grant, or a missing or malformed parameter. Never another grant than the one named (A21).
    pub fn parse(form: &Form) -> Result<Self, OAuthError> {
        let name = form
            .get("grant_type")
            .ok_or(OAuthError::ParameterMissing("grant_type"))?;
        let entry = GRANTS
            .iter()
            .find(|entry| entry.grant.as_str() == name)
            .ok_or(OAuthError::GrantTypeUnknown)?;
        (entry.parse)(form)
    }

    /// The grant it names.
    #[must_use]
    pub const fn grant_type(&self) -> GrantType {
        match self {
            Self::AuthorizationCode(_) => GrantType::AuthorizationCode,
            Self::Ciba(_) => GrantType::Ciba,
            Self::ClientCredentials(_) => GrantType::ClientCredentials,
            Self::DeviceCode(_) => GrantType::DeviceCode,
            Self::JwtBearer(_) => GrantType::JwtBearer,
            Self::RefreshToken(_) => GrantType::RefreshToken,
            Self::TokenExchange(_) => GrantType::TokenExchange,
        }
    }
}

/// Who asks: the authenticated client, the key it proved, and the tenant that both were checked for.
#[derive(Clone, Copy)]
pub struct Requester<'a> {
    /// The client.
    pub client: &'a AuthenticatedClient,
    /// The key it proved on this request, by DPoP or by its certificate.
    pub binding: &'a Binding,
    /// The tenant.
    pub tenant: &'a TenantRecord,
}

/// The random values that a token request may need, drawn before the transaction so that judging stays pure.
#[derive(Debug, Clone, Copy)]
pub struct Fresh {
    /// For a grant that begins with this request.
    pub grant: GrantId,
    /// For a refresh family that begins with it.
    pub family: FamilyId,
    /// For a sign-in that happened at somebody else's.
    pub session: SessionId,
    /// For the `jti` of the access token.
    pub token_id: [u8; 16],
}

impl Fresh {
    /// Draws them.
    #[must_use]
    pub fn draw(random: &Random) -> Self {
        Self {
            grant: random.grant_id(),
            family: FamilyId::from_u64(u64::from_be_bytes(random.bytes())),
            session: SessionId::from_u64(u64::from_be_bytes(random.bytes())),
            token_id: random.bytes(),
        }
    }
}

/// A token request that holds: what to mint, and what to write in the same transaction.
#[derive(Debug)]
pub struct Redeemed {
    /// What to mint, once a policy permits it and it is recorded.
    pub issuance: Issuance,
    /// What to write.
    pub changes: Vec<Change>,
}

/// A token request that does not: the error, and what to write all the same (a reuse revokes).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub error: OAuthError,
    /// What to write.
    pub changes: Vec<Change>,
}

impl From<OAuthError> for Refused {
    fn from(error: OAuthError) -> Self {
        Self {
            error,
            changes: Vec::new(),
        }
    }
}

/// The client as it is registered now, if it may use this grant at all.
fn registered<'a>(
    standing: &'a Standing,
    requester: &Requester<'_>,
    grant: GrantType,
) -> Result<&'a ClientRecord, OAuthError> {
    let client = standing
        .client
        .as_deref()
        .ok_or(OAuthError::ClientDisabled)?;
    if !client.enabled
        || &client.id != requester.client.id()
        || client.tenant != requester.tenant.name
    {
        return Err(OAuthError::ClientDisabled);
    }
    if !client.grants.contains(&grant) {
        return Err(OAuthError::GrantTypeNotRegistered);
    }
    let profile = SecurityProfile::of(client, requester.tenant);
    if !profile.admits(requester.client.method()) {
        return Err(OAuthError::ProfileAuthentication);
    }
    let rule = if profile.demands(Demand::SenderConstrained) {
        BindingRule::Required
    } else {
        client.binding
    };
    match (rule, requester.binding.is_sender_constrained()) {
        (BindingRule::Required, false) => Err(OAuthError::KeyRequired),
        (BindingRule::Required, true) | (BindingRule::Optional, _) => Ok(client),
    }
}

/// Whether more than the token speaks for whoever presents it.
const fn assurance(client: &ClientRecord, binding: &Binding) -> Assurance {
    match (client.confidentiality(), binding) {
        (crate::client::Confidentiality::Public, Binding::Bearer) => Assurance::Claimed,
        (crate::client::Confidentiality::Confidential, _)
        | (_, Binding::Certificate(_) | Binding::Dpop(_)) => Assurance::Proven,
    }
}

/// One audience of those that the grant allows: the one named, or the first (RFC 8707 §2.2).
fn narrowed_audience(
    asked: Option<&countersign_base::Audience>,
    allowed: &[countersign_base::Audience],
) -> Result<countersign_base::Audience, OAuthError> {
    match asked {
        Some(audience) if allowed.contains(audience) => Ok(audience.clone()),
        Some(_) => Err(OAuthError::AudienceNotPermitted),
        None => allowed.first().cloned().ok_or(OAuthError::AudienceMissing),
    }
}
