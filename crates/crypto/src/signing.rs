//! Private keys, each for one purpose that its type names: a key for access tokens cannot sign an ID token or a checkpoint.
//!
//! The private part lives in aws-lc, which wipes it; what leaves this module is signatures and the public key.
//! `cargo xtask tidy` holds the list of functions that may call [`SigningKey::sign`] and [`crate::jose::sign_jwt`].

use crate::base64url;
use crate::jose::{Algorithm, JoseError, PublicJwk, VerifyingKey};
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256, RsaKeyPair,
};
use countersign_base::{Kid, Secret};
use serde_json::json;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

mod sealed {
    pub trait Sealed {}
}

/// What a key may sign. Only the types of this module are purposes.
pub trait Purpose: sealed::Sealed + 'static {
    /// What errors and records call it.
    const NAME: &'static str;
    /// `typ` of the tokens that are signed, if tokens are.
    const TYP: Option<&'static str>;
    /// How a token tells its verifier the key.
    const KEY_IN_HEADER: KeyInHeader;
}

/// A purpose whose signatures are tokens.
pub trait JwtPurpose: Purpose {}

/// How the header of a token tells its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyInHeader {
    /// `jwk`: the public key itself.
    Jwk,
    /// `kid`: the name under which the verifier has it.
    Kid,
}

/// A purpose whose signatures are over any content, with what they state in the protected header.
pub trait ContentPurpose: Purpose {}

macro_rules! purposes {
    ($($(#[$doc:meta])* $name:ident: $typ:expr, $key:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub enum $name {}

        impl sealed::Sealed for $name {}

        impl Purpose for $name {
            const NAME: &'static str = stringify!($name);
            const TYP: Option<&'static str> = $typ;
            const KEY_IN_HEADER: KeyInHeader = KeyInHeader::$key;
        }
    )+};
}

purposes! {
    /// Access tokens (RFC 9068).
    AccessToken: Some("at+jwt"), Kid;
    /// Authorization responses as JWTs (JARM §2.1).
    AuthorizationResponse: Some("JWT"), Kid;
    /// A client's own JWTs for authentication (RFC 7523).
    ClientAssertion: Some("JWT"), Kid;
    /// DPoP proofs (RFC 9449).
    DpopProof: Some("dpop+jwt"), Jwk;
    /// A client's signed authorization requests (RFC 9101).
    RequestObject: Some("oauth-authz-req+jwt"), Kid;
    /// ID tokens (OpenID Connect Core §2).
    IdToken: Some("JWT"), Kid;
    /// Signed answers to introspection (RFC 9701 §5).
    IntrospectionResponse: Some("token-introspection+jwt"), Kid;
    /// Identity assertions for another authorization server (draft-ietf-oauth-identity-assertion-authz-grant).
    IdentityAssertion: Some("oauth-id-jag+jwt"), Kid;
    /// Checkpoints of the audit log, as signed notes.
    LogCheckpoint: None, Kid;
    /// Receipts of messages between partners. The type is ours: no RFC names one, and a receipt must be readable as nothing else.
    MessageReceipt: Some("receipt+jwt"), Kid;
    /// Messages between partners: any content, with its statements in the header. The type is ours, so that neither a token nor a webhook's signature by the
    /// same key can be given out as a message; the suffix is not `+jwt`, because the payload is no claims set.
    PartnerMessage: Some("message+jws"), Kid;
    /// Policy bundles.
    PolicyBundle: None, Kid;
    /// What was revoked, for services that check tokens themselves.
    RevocationList: Some("revocations+jwt"), Kid;
    /// Transaction tokens (draft-ietf-oauth-transaction-tokens).
    TransactionToken: Some("txntoken+jwt"), Kid;
    /// Signed userinfo (OpenID Connect Core §5.3.2). The type is ours: an ID token is `JWT`, and this is none.
    UserInfoResponse: Some("userinfo+jwt"), Kid;
    /// Logout tokens (OpenID Connect Back-Channel Logout 1.0 §2.4).
    LogoutToken: Some("logout+jwt"), Kid;
}

impl JwtPurpose for AccessToken {}
impl JwtPurpose for AuthorizationResponse {}
impl JwtPurpose for ClientAssertion {}
impl JwtPurpose for DpopProof {}
impl JwtPurpose for IdToken {}
impl JwtPurpose for IntrospectionResponse {}
impl JwtPurpose for MessageReceipt {}
impl JwtPurpose for RequestObject {}
impl JwtPurpose for IdentityAssertion {}
impl JwtPurpose for RevocationList {}
impl JwtPurpose for TransactionToken {}
impl JwtPurpose for UserInfoResponse {}
impl JwtPurpose for LogoutToken {}

impl ContentPurpose for PartnerMessage {}

/// A private key for one purpose. Cloning it is cheap and copies no key.
pub struct SigningKey<P: Purpose> {
    inner: Arc<Inner>,
    purpose: PhantomData<fn() -> P>,
}

struct Inner {
    algorithm: Algorithm,
    kid: Kid,
    public: PublicJwk,
    private: Private,
    /// The encoded header of every token this key signs; empty when it signs none.
    header: String,
}

enum Private {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

impl<P: Purpose> SigningKey<P> {
    /// Takes a private key in PKCS#8 (RFC 5958), as it was unsealed.
    ///
    /// # Errors
    /// When the bytes are no key for `algorithm`, or RSA outside 2048 to 4096 bits.
    pub fn from_pkcs8(
        algorithm: Algorithm,
        kid: Kid,
        pkcs8: &Secret<Vec<u8>>,
    ) -> Result<Self, JoseError> {
        let refused =
            |_| JoseError::Key("its private part is not a key of the algorithm in PKCS#8");
        let der = pkcs8.expose();
        let (private, public) = match algorithm {
            Algorithm::EdDsa => {
                let pair = Ed25519KeyPair::from_pkcs8(der).map_err(refused)?;
                let x = pair
                    .public_key()
                    .as_ref()
                    .try_into()
                    .map_err(|_| JoseError::Key("its public part is not 32 bytes"))?;
                (Private::Ed25519(pair), PublicJwk::from_ed25519(x))
            }
            Algorithm::Es256 => {
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der)
                    .map_err(refused)?;
                let public = PublicJwk::from_p256_point(pair.public_key().as_ref())?;
                (Private::Ecdsa(pair), public)
            }
            Algorithm::Ps256 | Algorithm::Rs256 => {
                let pair = RsaKeyPair::from_pkcs8(der).map_err(refused)?;
                let public = PublicJwk::from_rsa_der(pair.public_key().as_ref())?;
                (Private::Rsa(pair), public)
            }
        };
        let header = P::TYP
            .map(|typ| encoded_header(typ, P::KEY_IN_HEADER, algorithm, &kid, &public))
            .unwrap_or_default();
        Ok(Self {
            inner: Arc::new(Inner {
                algorithm,
                kid,
                public,
                private,
                header,
            }),
            purpose: PhantomData,
        })
    }

    /// The public key.
    #[must_use]
    pub fn public_jwk(&self) -> &PublicJwk {
        &self.inner.public
    }

    /// The one algorithm it signs with.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.inner.algorithm
    }

    /// Its name.
    #[must_use]
    pub fn kid(&self) -> &Kid {
        &self.inner.kid
    }

    /// The key that verifies what this one signs.
    ///
    /// # Errors
    /// Never for a key that was parsed here; the type keeps the caller from assuming it.
    pub fn verifying_key(&self) -> Result<VerifyingKey, JoseError> {
        VerifyingKey::new(
            &self.inner.public,
            self.inner.algorithm,
            Some(self.inner.kid.clone()),
        )
    }

    /// Signs `message`. Signatures of EdDSA are deterministic, those of the others are not.
    ///
    /// # Errors
    /// When aws-lc cannot sign (no memory, no randomness).
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, JoseError> {
        let failed = |_| JoseError::Signing("the key does not sign");
        match (&self.inner.private, self.inner.algorithm) {
            (Private::Ed25519(pair), _) => {
                Ok(pair.try_sign(message).map_err(failed)?.as_ref().to_vec())
            }
            (Private::Ecdsa(pair), _) => Ok(pair
                .sign(&SystemRandom::new(), message)
                .map_err(failed)?
                .as_ref()
                .to_vec()),
            (Private::Rsa(pair), algorithm) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let signed = match algorithm {
                    Algorithm::Ps256 => pair.sign(
                        &RSA_PSS_SHA256,
                        &SystemRandom::new(),
                        message,
                        &mut signature,
                    ),
                    Algorithm::EdDsa | Algorithm::Es256 | Algorithm::Rs256 => pair.sign(
                        &RSA_PKCS1_SHA256,
                        &SystemRandom::new(),
                        message,
                        &mut signature,
                    ),
                };
                signed.map_err(failed)?;
                Ok(signature)
            }
        }
    }
}

impl<P: JwtPurpose> SigningKey<P> {
    pub(crate) fn header(&self) -> &str {
        &self.inner.header
    }
}

impl<P: Purpose> Clone for SigningKey<P> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            purpose: PhantomData,
        }
    }
}

impl<P: Purpose> fmt::Debug for SigningKey<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey<{}>({})", P::NAME, self.inner.kid)
    }
}

fn encoded_header(
    typ: &str,
    key: KeyInHeader,
    algorithm: Algorithm,
    kid: &Kid,
    public: &PublicJwk,
) -> String {
    let header = match key {
        KeyInHeader::Jwk => json!({ "alg": algorithm.name(), "typ": typ, "jwk": public.to_json() }),
        KeyInHeader::Kid => json!({ "alg": algorithm.name(), "typ": typ, "kid": kid.as_str() }),
    };
    base64url::encode(header.to_string().as_bytes())
}

/// A new private key for `algorithm` in PKCS#8, ready to be sealed. RSA keys have 2048 bits. aws-lc draws the randomness itself.
///
/// # Errors
/// When aws-lc cannot make one (no memory, no randomness).
pub fn generate_pkcs8(algorithm: Algorithm) -> Result<Secret<Vec<u8>>, JoseError> {
    let failed = |_| JoseError::Signing("no key could be made");
    let document = match algorithm {
        Algorithm::EdDsa => Ed25519KeyPair::generate()
            .and_then(|pair| pair.to_pkcs8())
            .map_err(failed)?
            .as_ref()
            .to_vec(),
        Algorithm::Es256 => {
            let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(failed)?;
            pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec()
        }
        Algorithm::Ps256 | Algorithm::Rs256 => RsaKeyPair::generate(KeySize::Rsa2048)
            .and_then(|pair| pair.as_der())
            .map_err(failed)?
            .as_ref()
            .to_vec(),
    };
    Ok(Secret::new(document))
}

#[cfg(test)]
mod tests;
