//! What clients send: token requests with a secret or a key, DPoP proofs, requests to the gateway.

use crate::Failed;
use crate::load::{Script, Wanted};
use base64::Engine as _;
use bytes::Bytes;
use countersign_base::Kid;
use countersign_crypto::digest::sha256_base64url;
use countersign_crypto::jose::{Algorithm, sign_jwt};
use countersign_crypto::random::Random;
use countersign_crypto::signing::{
    ClientAssertion, DpopProof, Purpose, SigningKey, generate_pkcs8,
};
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::Full;
use serde_json::json;
use std::time::{SystemTime, UNIX_EPOCH};

/// The scope and audience of every client here.
pub const SCOPE: &str = "orders:read";
/// See [`SCOPE`].
pub const AUDIENCE: &str = "https://orders.example";

/// A new key of one purpose.
///
/// # Errors
/// When none can be made.
pub fn new_key<P: Purpose>(kid: &str) -> Result<SigningKey<P>, Failed> {
    let kid: Kid = kid.parse()?;
    Ok(SigningKey::from_pkcs8(
        Algorithm::Es256,
        kid,
        &generate_pkcs8(Algorithm::Es256)?,
    )?)
}

/// Seconds since the epoch.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// How a client authenticates.
#[derive(Clone)]
pub enum Credential {
    /// With an assertion it signs anew for each request.
    Key(SigningKey<ClientAssertion>),
    /// With its secret in the `Authorization` header.
    Secret(String),
}

/// A client that asks for tokens of its own.
#[derive(Clone)]
pub struct TokenClient {
    /// Its identifier.
    pub id: String,
    /// How it authenticates.
    pub credential: Credential,
    /// Who it asks.
    pub issuer: String,
    /// Its key, if its tokens are bound, and the nonce it was last given.
    pub proof: Option<Prover>,
    /// Where randomness for `jti` comes from.
    pub random: Random,
}

impl TokenClient {
    /// `POST /token` for client credentials.
    ///
    /// # Errors
    /// When a signature fails.
    pub fn request(&mut self) -> Result<Request<Full<Bytes>>, Failed> {
        self.request_at("/token")
    }

    /// The same at another path.
    ///
    /// # Errors
    /// When a signature fails.
    pub fn request_at(&self, path: &str) -> Result<Request<Full<Bytes>>, Failed> {
        self.post(path, client_credentials(SCOPE, AUDIENCE))
    }

    /// Posts a form with this client's authentication.
    ///
    /// # Errors
    /// When a signature fails.
    pub fn post(&self, path: &str, mut form: String) -> Result<Request<Full<Bytes>>, Failed> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        match &self.credential {
            Credential::Key(key) => {
                let claims = json!({
                    "iss": self.id, "sub": self.id, "aud": self.issuer, "iat": now(), "exp": now() + 60, "jti": self.random.token().expose(),
                });
                let kind = escape("urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
                form.push_str(&format!(
                    "&client_assertion_type={kind}&client_assertion={}",
                    sign_jwt(key, &claims)?
                ));
            }
            Credential::Secret(secret) => {
                let pair = base64::engine::general_purpose::STANDARD
                    .encode(format!("{}:{secret}", self.id));
                request = request.header(header::AUTHORIZATION, format!("Basic {pair}"));
            }
        }
        if let Some(proof) = &self.proof {
            request = request.header(
                "dpop",
                proof.proof(
                    &Method::POST,
                    &format!("{}{path}", self.issuer),
                    None,
                    &self.random,
                )?,
            );
        }
        Ok(request.body(Full::new(form.into()))?)
    }
}

impl Script for TokenClient {
    fn next(&mut self) -> Result<Request<Full<Bytes>>, Failed> {
        self.request()
    }

    fn judge(&mut self, status: StatusCode, headers: &HeaderMap, _body: &[u8]) -> Wanted {
        let retry = self
            .proof
            .as_mut()
            .is_some_and(|proof| proof.learn(headers) == Learned::Nonce);
        match status {
            StatusCode::OK => Wanted::Yes,
            StatusCode::BAD_REQUEST if retry => Wanted::Retry,
            _ => Wanted::No,
        }
    }
}

/// The form that asks for a token of the client's own.
#[must_use]
pub fn client_credentials(scope: &str, audience: &str) -> String {
    format!(
        "grant_type=client_credentials&scope={}&resource={}",
        escape(scope),
        escape(audience)
    )
}

/// A holder of a DPoP key.
#[derive(Clone)]
pub struct Prover {
    /// The key.
    pub key: SigningKey<DpopProof>,
    /// The nonce that the server asked for last.
    pub nonce: Option<String>,
}

/// Whether an answer brought a nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learned {
    /// A new one.
    Nonce,
    /// None, or the same again.
    Nothing,
}

impl Prover {
    /// A holder of a new key.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn new() -> Result<Self, Failed> {
        Ok(Self {
            key: new_key("proof")?,
            nonce: None,
        })
    }

    /// A proof for one request, and for `token` if one goes with it.
    ///
    /// # Errors
    /// When the signature fails.
    pub fn proof(
        &self,
        method: &Method,
        target: &str,
        token: Option<&str>,
        random: &Random,
    ) -> Result<String, Failed> {
        let mut claims = json!({"jti": random.token().expose(), "htm": method.as_str(), "htu": target, "iat": now()});
        if let Some(members) = claims.as_object_mut() {
            members.extend(
                token.map(|token| ("ath".to_owned(), sha256_base64url(token.as_bytes()).into())),
            );
            members.extend(
                self.nonce
                    .clone()
                    .map(|nonce| ("nonce".to_owned(), nonce.into())),
            );
        }
        Ok(sign_jwt(&self.key, &claims)?)
    }

    /// Keeps the nonce of an answer.
    pub fn learn(&mut self, headers: &HeaderMap) -> Learned {
        let Some(nonce) = headers
            .get("dpop-nonce")
            .and_then(|value| value.to_str().ok())
        else {
            return Learned::Nothing;
        };
        if self.nonce.as_deref() == Some(nonce) {
            return Learned::Nothing;
        }
        self.nonce = Some(nonce.to_owned());
        Learned::Nonce
    }
}

/// Percent-encodes everything but unreserved characters (RFC 3986 §2.3).
#[must_use]
pub fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

/// The redirect URI of the crash test's client, as a form carries it.
pub const REDIRECT_FORM: &str = "https%3A%2F%2Fportal.example%2Fcallback";
