//! A registered client (RFC 6749 §2, RFC 7591 §2): who it is, how it authenticates, and what it may ask for.
//!
//! Not here: how a client proves that it is itself (`authn`), and how clients register themselves ([`crate::registration`]).

pub mod logout;
pub mod registration;

pub use logout::LogoutRules;
pub use registration::DynamicRegistration;

mod answers;
mod ciba;
pub mod delegation;
mod request_rules;
mod tokens;

pub use answers::{AnswerRules, Envelope, EnvelopeError, UserInfoFormat};
pub use ciba::{
    BackchannelSigning, CibaRules, DeliveryMode, NotANotificationEndpoint, NotificationEndpoint,
};
pub use request_rules::{RequestRules, ResponseEncryption, SignedRequestRule};
pub use tokens::{AccessTokenFormat, RefreshRule, TokenRules};

use crate::client::delegation::DelegationRules;
use crate::client::logout::SessionInLogoutToken;
use crate::redirect::RedirectUri;
use crate::subject_identifier::{self, SubjectType};
use countersign_authn::FOREIGN_CLIENT_MARK;
use countersign_authn::client::{
    ClientState, Method, RegisteredCertificates, Registration, TlsSubject,
};
use countersign_authn::trust::IssuerName;
use countersign_base::{
    Audience, Bounded, ClientId, Duration, Scopes, Tenant, UnixTime, UserId, limits,
};
use countersign_crypto::jose::JwkSet;
use countersign_crypto::mac::Tag;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// How long a refresh token family lives unless the client says otherwise: eight hours, absolute (R41).
pub const REFRESH_TOKEN_LIFETIME: Duration = Duration::from_secs(8 * 3600);

/// The longest a refresh token family may live: thirty days.
pub const REFRESH_TOKEN_LIFETIME_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// The registration of a client, as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientRecord {
    /// Its identifier.
    pub id: ClientId,
    /// The tenant it belongs to.
    pub tenant: Tenant,
    /// What people read on the consent page.
    pub name: Bounded<128>,
    /// Whether it may do anything at all. A disabled client is refused at once, everywhere (R42).
    pub enabled: bool,
    /// What kind of program it is; decides which redirect URIs it may have.
    pub application: Application,
    /// How it authenticates.
    pub authentication: ClientAuthentication,
    /// The grants it may use (R26).
    pub grants: BTreeSet<GrantType>,
    /// Where answers may be sent; compared exactly (R1).
    pub redirect_uris: BTreeSet<RedirectUri>,
    /// The scopes it may ask for.
    pub scopes: Scopes,
    /// The audiences it may ask tokens for.
    pub audiences: BTreeSet<Audience>,
    /// The audiences it is itself, as a resource server: whose tokens it may introspect and exchange.
    pub serves: BTreeSet<Audience>,
    /// Subjects that may act through this client in a token exchange with an `actor_token` (R54).
    pub actors: BTreeSet<Bounded<128>>,
    /// What it may do in token exchange beyond its audiences.
    #[serde(default)]
    pub delegation: DelegationRules,
    /// Whether its tokens must be bound to a key (R47).
    pub binding: BindingRule,
    /// Whether its authorization requests must be pushed (R9).
    pub pushed_requests: PushedRequestRule,
    /// How its authorization requests come and how they are answered.
    #[serde(default)]
    pub request_rules: RequestRules,
    /// Whether people are asked before it gets their grant (R14).
    pub consent: ConsentRule,
    /// Seconds an access token lives.
    pub access_token_lifetime: u32,
    /// Seconds a refresh token family lives, counted from the sign-in that began it.
    pub refresh_token_lifetime: u32,
    /// What it registered for CIBA.
    #[serde(default)]
    pub ciba: CibaRules,
    /// What kind of tokens it gets.
    #[serde(default)]
    pub token_rules: TokenRules,
    /// How answers about people and tokens come to it.
    #[serde(default)]
    pub answers: AnswerRules,
    /// Who manages the registration.
    pub origin: Origin,
    /// When it was registered.
    pub created: UnixTime,
    /// What it said about itself, if it registered itself.
    #[serde(default)]
    pub registration: DynamicRegistration,
    /// What happens around signing out.
    #[serde(default)]
    pub logout: LogoutRules,
}

impl ClientRecord {
    /// A client with nothing registered but its name and its authentication: safe defaults for everything else.
    #[must_use]
    pub fn new(
        id: ClientId,
        tenant: Tenant,
        authentication: ClientAuthentication,
        now: UnixTime,
    ) -> Self {
        let name = Bounded::parse(id.as_str()).unwrap_or_else(|_| empty_name());
        Self {
            id,
            tenant,
            name,
            enabled: true,
            application: Application::Web,
            authentication,
            grants: BTreeSet::new(),
            redirect_uris: BTreeSet::new(),
            scopes: Scopes::none(),
            audiences: BTreeSet::new(),
            serves: BTreeSet::new(),
            actors: BTreeSet::new(),
            delegation: DelegationRules::default(),
            binding: BindingRule::Optional,
            pushed_requests: PushedRequestRule::Optional,
            request_rules: RequestRules::default(),
            consent: ConsentRule::Ask,
            access_token_lifetime: seconds(limits::ACCESS_TOKEN_LIFETIME),
            refresh_token_lifetime: seconds(REFRESH_TOKEN_LIFETIME),
            ciba: CibaRules::default(),
            token_rules: TokenRules::default(),
            answers: AnswerRules::default(),
            origin: Origin::Script,
            created: now,
            registration: DynamicRegistration::default(),
            logout: LogoutRules::default(),
        }
    }

    /// How long its access tokens live: what it registered, at most an hour.
    #[must_use]
    pub fn access_token_lifetime(&self) -> Duration {
        Duration::from_secs(u64::from(
            self.access_token_lifetime
                .clamp(1, ACCESS_TOKEN_SECONDS_MAX),
        ))
    }

    /// How long its refresh token families live.
    #[must_use]
    pub fn refresh_token_lifetime(&self) -> Duration {
        Duration::from_secs(u64::from(self.refresh_token_lifetime.max(1)))
            .min(REFRESH_TOKEN_LIFETIME_MAX)
    }

    /// Whether it can keep a secret (RFC 6749 §2.1).
    #[must_use]
    pub const fn confidentiality(&self) -> Confidentiality {
        match self.authentication {
            ClientAuthentication::Certificates { .. }
            | ClientAuthentication::Keys { .. }
            | ClientAuthentication::PostedSecret { .. }
            | ClientAuthentication::Secret { .. }
            | ClientAuthentication::TlsSubject { .. }
            | ClientAuthentication::Workload { .. } => Confidentiality::Confidential,
            ClientAuthentication::Public => Confidentiality::Public,
        }
    }

    /// What `authn` judges the client's authentication by. Keys that cannot be read are none: nothing verifies under them.
    #[must_use]
    pub fn registration(&self) -> Registration {
        let method = match &self.authentication {
            ClientAuthentication::Certificates { registered } => {
                Method::Certificates(registered.clone())
            }
            ClientAuthentication::Keys { jwks } => Method::Keys(key_set(jwks)),
            ClientAuthentication::PostedSecret { tag } => secret(tag, Method::PostedSecret),
            ClientAuthentication::Public => Method::Public,
            ClientAuthentication::Secret { tag } => secret(tag, Method::Secret),
            ClientAuthentication::TlsSubject { subject } => Method::TlsSubject(subject.clone()),
            ClientAuthentication::Workload { issuer } => Method::Workload(issuer.clone()),
        };
        let state = if self.enabled {
            ClientState::Enabled
        } else {
            ClientState::Disabled
        };
        Registration {
            id: self.id.clone(),
            tenant: self.tenant.clone(),
            method,
            state,
        }
    }

    /// Checks the registration as a whole (R3, R4, A5): what each field's own type cannot see.
    ///
    /// # Errors
    /// The first contradiction found.
    pub fn check(&self) -> Result<(), RegistrationError> {
        if self.id.as_str().parse::<UserId>().is_ok() {
            return Err(RegistrationError::LooksLikeUser);
        }
        if self.id.as_str().starts_with(FOREIGN_CLIENT_MARK) {
            return Err(RegistrationError::LooksForeign);
        }
        if !self.delegation.trust_domains.is_empty() && self.id.as_str().contains(',') {
            return Err(RegistrationError::WorkloadName);
        }
        if self.id.document_url().is_some() != (self.origin == Origin::Document) {
            return Err(RegistrationError::LooksLikeDocument);
        }
        for uri in self
            .redirect_uris
            .iter()
            .chain(&self.logout.post_logout_redirect_uris)
        {
            uri.check(self.application)?;
        }
        if self.grants.contains(&GrantType::AuthorizationCode) && self.redirect_uris.is_empty() {
            return Err(RegistrationError::NoRedirectUri);
        }
        let service_grant = self.grants.contains(&GrantType::ClientCredentials)
            || self.grants.contains(&GrantType::JwtBearer)
            || self.grants.contains(&GrantType::TokenExchange);
        if service_grant && self.confidentiality() == Confidentiality::Public {
            return Err(RegistrationError::PublicServiceClient);
        }
        if self.grants.contains(&GrantType::Ciba)
            && self.confidentiality() == Confidentiality::Public
        {
            return Err(RegistrationError::PublicBackchannelClient);
        }
        if self.ciba != CibaRules::default() && !self.grants.contains(&GrantType::Ciba) {
            return Err(RegistrationError::CibaRulesWithoutGrant);
        }
        let of_people = [
            GrantType::AuthorizationCode,
            GrantType::Ciba,
            GrantType::DeviceCode,
        ];
        if self.grants.contains(&GrantType::RefreshToken)
            && !of_people.iter().any(|grant| self.grants.contains(grant))
        {
            return Err(RegistrationError::RefreshWithoutCode);
        }
        self.check_sector()?;
        self.check_answers()?;
        self.check_request_rules()
    }
}

impl ClientRecord {
    /// OpenID Connect Core §8.1: which clients see the same subject must not hang on the order of redirect URIs.
    fn check_sector(&self) -> Result<(), RegistrationError> {
        let clear = self.token_rules.sector.is_some()
            || self.redirect_uris.is_empty()
            || subject_identifier::only_host(self).is_some();
        match (self.token_rules.subject_type, clear, self.logout.session) {
            (SubjectType::Pairwise, false, _) => Err(RegistrationError::SectorUnclear),
            (SubjectType::Pairwise, true, SessionInLogoutToken::Required) => {
                Err(RegistrationError::SessionUntold)
            }
            (SubjectType::Pairwise, true, SessionInLogoutToken::Optional)
            | (SubjectType::Public, _, _) => Ok(()),
        }
    }
}

/// A tag that is none is no method at all: nothing verifies under no keys.
fn secret(tag: &[u8], method: fn(Tag) -> Method) -> Method {
    match <[u8; 32]>::try_from(tag) {
        Ok(tag) => method(Tag::from_bytes(tag)),
        Err(_) => Method::Keys(JwkSet::from_keys(Vec::new())),
    }
}

fn key_set(jwks: &serde_json::Value) -> JwkSet {
    match JwkSet::parse(jwks.to_string().as_bytes()) {
        Ok((keys, _skipped)) => keys,
        Err(_) => JwkSet::from_keys(Vec::new()),
    }
}

const ACCESS_TOKEN_SECONDS_MAX: u32 = 3600;

fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

fn empty_name() -> Bounded<128> {
    #[expect(
        clippy::expect_used,
        reason = "the empty text has no bytes and no control characters"
    )]
    Bounded::parse("").expect("empty text is bounded")
}

/// What kind of program a client is (OpenID Connect Registration §2, `application_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Application {
    /// Installed on a person's device: may use loopback redirect URIs with any port (RFC 8252 §7.3).
    Native,
    /// Runs on a server: `https` redirect URIs only.
    Web,
}

/// How a client authenticates at the token, PAR, introspection and revocation endpoints.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "method")]
pub enum ClientAuthentication {
    /// `self_signed_tls_client_auth` (RFC 8705 §2.2).
    Certificates {
        /// What the client may show.
        registered: RegisteredCertificates,
    },
    /// `private_key_jwt` (RFC 7523 §2.2) with one of these public keys.
    Keys {
        /// The client's JWK set (RFC 7517 §5), public members only.
        jwks: serde_json::Value,
    },
    /// `client_secret_post` (RFC 6749 §2.3.1), where the tenant allows it. Only a keyed hash of the secret is kept (R30).
    PostedSecret {
        /// The 32 bytes of the tag.
        tag: Vec<u8>,
    },
    /// `none`: a public client.
    Public,
    /// `client_secret_basic` (RFC 6749 §2.3.1). Only a keyed hash of the secret is kept (R30).
    Secret {
        /// The 32 bytes of the tag.
        tag: Vec<u8>,
    },
    /// `tls_client_auth` (RFC 8705 §2.1).
    TlsSubject {
        /// The one name of its certificates.
        subject: TlsSubject,
    },
    /// A workload identity of an issuer that the tenant trusts; the tenant's rules say which subjects are this client.
    Workload {
        /// What the configuration calls the issuer.
        issuer: IssuerName,
    },
}

impl ClientAuthentication {
    /// The name of the method (RFC 8414 §2). A workload's is that of its issuer's kind; see `countersign_authn::client::AuthenticatedBy`.
    #[must_use]
    pub const fn method(&self) -> &'static str {
        match self {
            Self::Certificates { .. } => "self_signed_tls_client_auth",
            Self::Keys { .. } => "private_key_jwt",
            Self::PostedSecret { .. } => "client_secret_post",
            Self::Public => "none",
            Self::Secret { .. } => "client_secret_basic",
            Self::TlsSubject { .. } => "tls_client_auth",
            Self::Workload { .. } => "workload",
        }
    }
}

impl fmt::Debug for ClientAuthentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.method())
    }
}

/// Whether a client can keep a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confidentiality {
    /// It authenticates.
    Confidential,
    /// It cannot.
    Public,
}

/// The grants that exist. Password and implicit do not (R26).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum GrantType {
    /// RFC 6749 §4.1.
    #[serde(rename = "authorization_code")]
    AuthorizationCode,
    /// OpenID Connect CIBA Core 1.0 §10.1.
    #[serde(rename = "urn:openid:params:grant-type:ciba")]
    Ciba,
    /// RFC 6749 §4.4.
    #[serde(rename = "client_credentials")]
    ClientCredentials,
    /// RFC 8628 §3.4.
    #[serde(rename = "urn:ietf:params:oauth:grant-type:device_code")]
    DeviceCode,
    /// RFC 7523 §2.1; identity assertions too.
    #[serde(rename = "urn:ietf:params:oauth:grant-type:jwt-bearer")]
    JwtBearer,
    /// RFC 6749 §6.
    #[serde(rename = "refresh_token")]
    RefreshToken,
    /// RFC 8693.
    #[serde(rename = "urn:ietf:params:oauth:grant-type:token-exchange")]
    TokenExchange,
}

impl GrantType {
    /// Every grant, in the order of metadata.
    pub const ALL: [Self; 7] = [
        Self::AuthorizationCode,
        Self::Ciba,
        Self::ClientCredentials,
        Self::DeviceCode,
        Self::JwtBearer,
        Self::RefreshToken,
        Self::TokenExchange,
    ];

    /// The value of the `grant_type` parameter.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::Ciba => "urn:openid:params:grant-type:ciba",
            Self::ClientCredentials => "client_credentials",
            Self::DeviceCode => "urn:ietf:params:oauth:grant-type:device_code",
            Self::JwtBearer => "urn:ietf:params:oauth:grant-type:jwt-bearer",
            Self::RefreshToken => "refresh_token",
            Self::TokenExchange => "urn:ietf:params:oauth:grant-type:token-exchange",
        }
    }

    /// The grant with this `grant_type`; short forms such as `token_exchange` are accepted in configuration only.
    #[must_use]
    pub fn from_parameter(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|grant| grant.as_str() == text)
    }
}

/// Whether a client's tokens must be bound to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BindingRule {
    /// Bound when the client proves a key, otherwise bearer.
    Optional,
    /// A request without a proven key is refused (R47, DPOP-28).
    Required,
}

/// Whether a client's authorization requests must be pushed (RFC 9126 §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PushedRequestRule {
    /// Both kinds are accepted.
    Optional,
    /// Only pushed ones are accepted (R9).
    Required,
}

/// Whether people are asked before a client gets their grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsentRule {
    /// Once for each new scope or audience; on every request if the client is public (R14).
    Ask,
    /// Never: the operator's own application. Refused for public clients, whose identity nothing assures.
    Implied,
}

/// Who manages a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Declared in the configuration directory; scripts cannot change it.
    Configuration,
    /// Made of the client's own metadata document, which its id is the address of.
    Document,
    /// It registered itself (RFC 7591).
    Registered,
    /// Made through the control API.
    Script,
}

/// Why a registration is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationError {
    /// A registration that says something of nothing.
    #[error("ciba settings need the grant ciba")]
    CibaRulesWithoutGrant,
    /// R4.
    #[error("a redirect URI must not have a fragment")]
    Fragment,
    /// R3.
    #[error(
        "a redirect URI must use https; a native client may use http on 127.0.0.1, [::1] or localhost"
    )]
    InsecureRedirectUri,
    /// The gateway calls other issuers' clients so.
    #[error(
        "a client id must not begin with `@`: that is what ids of other issuers' clients look like"
    )]
    LooksForeign,
    /// Such an id is the address of a document that says what the client is; nobody else may say it.
    #[error("a client id must not be a URL: that is what ids of metadata documents look like")]
    LooksLikeDocument,
    /// A `sub` must say for itself whether it is a person or a client (RFC 9068 §5).
    #[error("a client id must not be 32 hexadecimal digits: that is what user ids look like")]
    LooksLikeUser,
    /// Signed answers cannot be encrypted to a key that is not there.
    #[error("encrypted responses need a public key with `use` `enc` that fits the algorithm")]
    NoEncryptionKey,
    /// A registration that could never work.
    #[error("a client with grant authorization_code needs at least one redirect URI")]
    NoRedirectUri,
    /// Nothing could verify its requests.
    #[error("a client whose requests must be signed needs a JWK set")]
    NoRequestKeys,
    /// A native client's own scheme must be a reversed domain name (RFC 8252 §7.1).
    #[error(
        "a private-use redirect URI scheme must be a reversed domain name such as com.example.app"
    )]
    PrivateUseScheme,
    /// The backchannel endpoint demands authentication (CIBA Core §7.1).
    #[error("a public client cannot use ciba: register a secret or keys")]
    PublicBackchannelClient,
    /// R31.
    #[error("under FAPI 2.0 a client authenticates with private_key_jwt or mutual TLS")]
    ProfileAuthentication,
    /// FAPI 2.0 §5.3.2.2.
    #[error("under FAPI 2.0 a redirect URI uses https")]
    ProfileRedirectUri,
    /// FAPI 2.0 Message Signing §5.4.
    #[error("under FAPI 2.0 message signing a client needs response mode `jwt` or `form_post.jwt`")]
    ProfileResponseMode,
    /// A public client has no identity of its own to act with.
    #[error(
        "a public client cannot use client_credentials, jwt-bearer or token exchange: register a secret, keys or a certificate"
    )]
    PublicServiceClient,
    /// A registration that could never work.
    #[error(
        "refresh_token needs authorization_code, device_code or ciba: nothing else begins a refresh token family"
    )]
    RefreshWithoutCode,
    /// Pairwise subjects need to know for whom they are the same.
    #[error(
        "a client with pairwise subjects whose redirect URIs have several hosts must name its sector"
    )]
    SectorUnclear,
    /// Nobody is told what would join the subjects of two sectors.
    #[error(
        "a client with pairwise subjects is not told sessions: it cannot require `sid` in logout tokens"
    )]
    SessionUntold,
    /// R34.
    #[error("request objects are signed with PS256, ES256 or EdDSA")]
    RequestObjectAlgorithm,
    /// A5, A60.
    #[error("a redirect URI must not use this scheme")]
    UnsafeScheme,
    /// Userinfo in a redirect URI only ever deceives readers.
    #[error("a redirect URI must not hold a user name or password")]
    Userinfo,
    /// It does not parse.
    #[error(
        "a redirect URI must be an absolute URI of at most 512 visible ASCII characters without backslash"
    )]
    Unparsable,
    /// Transaction tokens list workloads with commas between them.
    #[error("the id of a client with trust domains must not hold a comma")]
    WorkloadName,
}

#[cfg(test)]
mod tests;
