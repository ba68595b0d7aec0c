//! Makes tokens of what was decided and recorded: the only caller of `sign` for access and ID tokens, and for the [`logout`] tokens of deliveries.
//!
//! It takes a [`Recorded`] permit by value, so one decision mints one set of tokens, and only after the transaction that recorded it was committed.

mod authorization_response;
pub mod logout;
pub mod revocation_list;

pub use authorization_response::deliver;

use crate::KeyRing;
use countersign_authn::access_token::AuthorizationDetails;
use countersign_base::{Issuer, Scopes, Secret, UnixTime};
use countersign_crypto::jose::{JoseError, sign_jwt};
use countersign_oauth::client::{AccessTokenFormat, Envelope, EnvelopeError};
use countersign_oauth::introspection::{Introspection, IntrospectionClaims};
use countersign_oauth::issuance::{AudienceKind, Issued};
use countersign_oauth::userinfo::{UserInfo, UserInfoClaims};
use countersign_oauth::{ClientRecord, Issuance};
use countersign_policy::Permitted;
use countersign_store::Recorded;

/// What a token response is made of.
pub struct TokenSet {
    /// The access token (RFC 9068).
    pub access_token: Secret<String>,
    /// `Bearer`, `DPoP`, or `N_A` for what is not an access token.
    pub token_type: &'static str,
    /// Seconds until the access token expires.
    pub expires_in: u64,
    /// The scopes that were granted.
    pub scopes: Scopes,
    /// The refresh token, if one is due.
    pub refresh_token: Option<Secret<String>>,
    /// The ID token, if one is due.
    pub id_token: Option<Secret<String>>,
    /// The `issued_token_type` of an exchange (RFC 8693 §2.2.1).
    pub issued_token_type: Option<&'static str>,
    /// What the access token allows beyond scopes (RFC 9396 §7).
    pub authorization_details: AuthorizationDetails,
    /// What the access token looks like.
    pub format: AccessTokenFormat,
    /// Whom the access token is for.
    pub audience_kind: AudienceKind,
}

/// Why nothing was minted.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// An authorization response of another client.
    #[error("the response is another client's")]
    AnotherClient,
    /// What has to be encrypted to the client could not be.
    #[error(transparent)]
    Encryption(#[from] EnvelopeError),
    /// The tenant has no key to sign with.
    #[error("the tenant has no signing key")]
    NoKey,
    /// The signature could not be made.
    #[error("a token could not be signed")]
    Signing(#[from] JoseError),
}

/// Signs what was permitted and recorded.
///
/// What is recorded is minted, once:
///
/// ```no_run
/// use countersign_control::{KeyRing, mint};
/// # use countersign_oauth::Issuance;
/// # use countersign_policy::{Denied, Permitted};
/// # use countersign_store::Recorded;
/// fn answer(permit: Recorded<Permitted<Issuance>>, keys: &KeyRing, now: countersign_base::UnixTime) {
///     let _tokens = mint(permit, keys, now);
/// }
/// ```
///
/// A permit that is not recorded, a recorded denial, a permit for something else, or the same permit twice mint nothing:
///
/// ```compile_fail,E0308
/// # use countersign_control::{KeyRing, mint};
/// # use countersign_oauth::Issuance;
/// # use countersign_policy::{Denied, Permitted};
/// # use countersign_store::Recorded;
/// fn answer(permit: Permitted<Issuance>, keys: &KeyRing, now: countersign_base::UnixTime) {
///     let _tokens = mint(permit, keys, now);
/// }
/// ```
///
/// ```compile_fail,E0308
/// # use countersign_control::{KeyRing, mint};
/// # use countersign_oauth::Issuance;
/// # use countersign_policy::{Denied, Permitted};
/// # use countersign_store::Recorded;
/// fn answer(denial: Recorded<Denied<Issuance>>, keys: &KeyRing, now: countersign_base::UnixTime) {
///     let _tokens = mint(denial, keys, now);
/// }
/// ```
///
/// ```compile_fail,E0308
/// # use countersign_control::{KeyRing, mint};
/// # use countersign_policy::Permitted;
/// # use countersign_store::Recorded;
/// fn answer(of_something_else: Recorded<Permitted<String>>, keys: &KeyRing, now: countersign_base::UnixTime) {
///     let _tokens = mint(of_something_else, keys, now);
/// }
/// ```
///
/// ```compile_fail,E0382
/// # use countersign_control::{KeyRing, mint};
/// # use countersign_oauth::Issuance;
/// # use countersign_policy::Permitted;
/// # use countersign_store::Recorded;
/// fn answer(permit: Recorded<Permitted<Issuance>>, keys: &KeyRing, now: countersign_base::UnixTime) {
///     let _tokens = mint(permit, keys, now);
///     let _again = mint(permit, keys, now);
/// }
/// ```
///
/// # Errors
/// When the tenant has no current key, or aws-lc refuses to sign.
pub fn mint(
    issuance: Recorded<Permitted<Issuance>>,
    keys: &KeyRing,
    now: UnixTime,
) -> Result<TokenSet, MintError> {
    let issuance = issuance.into_target();
    let signer = keys.signer(issuance.tenant()).ok_or(MintError::NoKey)?;
    let jwt = match issuance.issued_as() {
        Issued::AccessToken => match issuance.access_token_format() {
            AccessTokenFormat::Jwt => Some(sign_jwt(
                &signer.access_token,
                &issuance.access_token_claims(),
            )?),
            AccessTokenFormat::Opaque => None,
        },
        Issued::IdentityAssertion(claims) => Some(sign_jwt(&signer.identity_assertion, &**claims)?),
        Issued::TransactionToken(claims) => Some(sign_jwt(&signer.transaction_token, &**claims)?),
    };
    let access_token = match jwt {
        Some(jwt) => Secret::new(jwt),
        None => keys.opaque_token(issuance.tenant(), issuance.token_id()),
    };
    let id_token = issuance.id_token_claims(&keys.pairwise_key(issuance.tenant()));
    let id_token = match id_token.zip(issuance.id_token_envelope()) {
        Some((claims, envelope)) => {
            let signed = Secret::new(sign_jwt(&signer.id_token, &claims)?);
            Some(envelope.close(signed, keys.random())?)
        }
        None => None,
    };
    let refresh_token = issuance
        .refresh()
        .map(|order| order.derive(&keys.refresh_key(issuance.tenant())));
    Ok(TokenSet {
        access_token,
        token_type: issuance.token_type(),
        expires_in: issuance.expires().since(now).as_secs(),
        scopes: issuance.scopes().clone(),
        refresh_token,
        id_token,
        issued_token_type: issuance.issued_token_type(),
        authorization_details: issuance.authorization_details().clone(),
        format: issuance.access_token_format(),
        audience_kind: issuance.audience_kind(),
    })
}

/// Signs an answer to introspection for the client that asked (RFC 9701), and encrypts it if the client is registered so. It is an answer and no permission:
/// nothing takes it for a token.
///
/// # Errors
/// When the tenant has no current key, the client no key that fits, or aws-lc fails.
pub fn sign_introspection(
    answer: &Introspection,
    asker: &ClientRecord,
    issuer: &Issuer,
    keys: &KeyRing,
    now: UnixTime,
) -> Result<Secret<String>, MintError> {
    let signer = keys.signer(&asker.tenant).ok_or(MintError::NoKey)?;
    let claims = IntrospectionClaims {
        iss: issuer,
        aud: &asker.id,
        iat: now,
        token_introspection: answer,
    };
    let signed = Secret::new(sign_jwt(&signer.introspection, &claims)?);
    Ok(asker
        .introspection_envelope()
        .close(signed, keys.random())?)
}

/// Signs what `client` is told about a person (OpenID Connect Core §5.3.2), and encrypts it if the client is registered so.
///
/// # Errors
/// When the tenant has no current key, the client no key that fits, or aws-lc fails.
pub fn sign_userinfo(
    told: &UserInfo,
    (client, envelope): (&ClientRecord, &Envelope),
    issuer: &Issuer,
    keys: &KeyRing,
) -> Result<Secret<String>, MintError> {
    let signer = keys.signer(&client.tenant).ok_or(MintError::NoKey)?;
    let claims = UserInfoClaims {
        iss: issuer,
        aud: &client.id,
        told,
    };
    let signed = Secret::new(sign_jwt(&signer.userinfo, &claims)?);
    Ok(envelope.close(signed, keys.random())?)
}
