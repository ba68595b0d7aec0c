//! The client's own keys: proofs of possession (RFC 9449) and assertions (RFC 7523), as any client would make them.

use super::http::Failure;
use countersign_base::{Clock, Kid};
use countersign_crypto::Random;
use countersign_crypto::digest::sha256_base64url;
use countersign_crypto::jose::{Algorithm, sign_jwt};
use countersign_crypto::signing::{ClientAssertion, DpopProof, SigningKey, generate_pkcs8};
use http::Method;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use url::Url;

/// A client's DPoP key, with the nonces that servers gave it.
pub(super) struct ProofKey {
    key: SigningKey<DpopProof>,
    nonces: Mutex<BTreeMap<String, String>>,
    random: Random,
    clock: Clock,
}

impl ProofKey {
    pub(super) fn generate(random: &Random, clock: &Clock) -> Result<Self, Failure> {
        Ok(Self {
            key: generate()?,
            nonces: Mutex::default(),
            random: random.clone(),
            clock: clock.clone(),
        })
    }

    /// The RFC 7638 thumbprint, as `cnf.jkt` has it.
    pub(super) fn thumbprint(&self) -> String {
        self.key.public_jwk().thumbprint().to_string()
    }

    /// Remembers the nonce of an answer; `true` if there was one.
    pub(super) fn learn(&self, url: &Url, nonce: Option<String>) -> Learned {
        let Some(nonce) = nonce else {
            return Learned::Nothing;
        };
        self.nonces
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(url.origin().ascii_serialization(), nonce);
        Learned::Nonce
    }

    /// A proof for one request; with a token, bound to it by `ath`.
    pub(super) fn proof(
        &self,
        method: &Method,
        url: &Url,
        token: Option<&str>,
    ) -> Result<String, Failure> {
        let mut target = url.clone();
        target.set_query(None);
        let mut claims = Map::new();
        claims.insert(
            "jti".to_owned(),
            self.random.token().expose().as_str().into(),
        );
        claims.insert("htm".to_owned(), method.as_str().into());
        claims.insert("htu".to_owned(), target.as_str().into());
        claims.insert("iat".to_owned(), self.clock.now().0.into());
        let nonce = self
            .nonces
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&url.origin().ascii_serialization())
            .cloned();
        if let Some(nonce) = nonce {
            claims.insert("nonce".to_owned(), nonce.into());
        }
        if let Some(token) = token {
            claims.insert("ath".to_owned(), sha256_base64url(token.as_bytes()).into());
        }
        sign_jwt(&self.key, &Value::Object(claims)).map_err(signing)
    }
}

/// Whether an answer taught a nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Learned {
    Nonce,
    Nothing,
}

/// The portal's key for client authentication.
pub(super) struct AssertionKey {
    key: SigningKey<ClientAssertion>,
    random: Random,
    clock: Clock,
}

impl AssertionKey {
    pub(super) fn generate(random: &Random, clock: &Clock) -> Result<Self, Failure> {
        Ok(Self {
            key: generate()?,
            random: random.clone(),
            clock: clock.clone(),
        })
    }

    /// The public half as a JWK set, for the client's registration.
    pub(super) fn jwks(&self) -> Value {
        json!({ "keys": [self.key.public_jwk().to_published_json(self.key.kid(), self.key.algorithm())] })
    }

    /// An assertion for `audience`, good for a minute and once.
    pub(super) fn assertion(&self, client: &str, audience: &str) -> Result<String, Failure> {
        let now = self.clock.now().0;
        let claims = json!({
            "iss": client,
            "sub": client,
            "aud": audience,
            "jti": self.random.token().expose().as_str(),
            "iat": now,
            "exp": now + 60,
        });
        sign_jwt(&self.key, &claims).map_err(signing)
    }
}

fn generate<P: countersign_crypto::signing::Purpose>() -> Result<SigningKey<P>, Failure> {
    let pkcs8 = generate_pkcs8(Algorithm::Es256).map_err(signing)?;
    let kid: Kid = "exercise".parse().map_err(|_| Failure::new("a key id"))?;
    SigningKey::from_pkcs8(Algorithm::Es256, kid, &pkcs8).map_err(signing)
}

fn signing(error: countersign_crypto::jose::JoseError) -> Failure {
    Failure::new(format!("the client cannot sign: {error}"))
}
