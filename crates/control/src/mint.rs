//! Makes tokens of what was decided and recorded: the only caller of `sign` for access and ID tokens.
//!
//! It takes a [`Recorded`] permit by value, so one decision mints one set of tokens, and only after the transaction that recorded it was committed.

mod authorization_response;
pub mod revocation_list;

pub use authorization_response::deliver;

use crate::KeyRing;
use countersign_authn::access_token::AuthorizationDetails;
use countersign_base::{ClientId, Issuer, Scopes, Secret, Tenant, UnixTime};
use countersign_crypto::jose::{JoseError, sign_jwt};
use countersign_oauth::Issuance;
use countersign_oauth::client::AccessTokenFormat;
use countersign_oauth::introspection::{Introspection, IntrospectionClaims};
use countersign_oauth::issuance::{AudienceKind, Issued};
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
    /// The client's answers are encrypted and it has no key for it.
    #[error("the client has no key to encrypt to")]
    NoClientKey,
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
    let id_token = issuance
        .id_token_claims(&keys.pairwise_key(issuance.tenant()))
        .map(|claims| sign_jwt(&signer.id_token, &claims))
        .transpose()?;
    let refresh_token = issuance
        .refresh()
        .map(|order| order.derive(&keys.refresh_key(issuance.tenant())));
    Ok(TokenSet {
        access_token,
        token_type: issuance.token_type(),
        expires_in: issuance.expires().since(now).as_secs(),
        scopes: issuance.scopes().clone(),
        refresh_token,
        id_token: id_token.map(Secret::new),
        issued_token_type: issuance.issued_token_type(),
        authorization_details: issuance.authorization_details().clone(),
        format: issuance.access_token_format(),
        audience_kind: issuance.audience_kind(),
    })
}

/// Signs an answer to introspection for the client that asked (RFC 9701). It is an answer and no permission: nothing takes it for a token.
///
/// # Errors
/// When the tenant has no current key, or aws-lc refuses to sign.
pub fn sign_introspection(
    answer: &Introspection,
    asker: &ClientId,
    tenant: (&Tenant, &Issuer),
    keys: &KeyRing,
    now: UnixTime,
) -> Result<String, MintError> {
    let (tenant, issuer) = tenant;
    let signer = keys.signer(tenant).ok_or(MintError::NoKey)?;
    let claims = IntrospectionClaims {
        iss: issuer,
        aud: asker,
        iat: now,
        token_introspection: answer,
    };
    Ok(sign_jwt(&signer.introspection, &claims)?)
}
