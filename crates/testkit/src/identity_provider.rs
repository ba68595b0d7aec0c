//! An OpenID Connect provider in the test's process, over TLS on a free port: it signs in whom a test says, and can lie in every way a test needs.

use crate::{TestAuthority, system_clock};
use bytes::Bytes;
use countersign_base::{Bounded, Secret, Tenant, UnixTime};
use countersign_control::{UpstreamCredential, UpstreamOptions};
use countersign_crypto::digest::sha256_base64url;
use countersign_crypto::jose::{Algorithm, sign_jwt};
use countersign_crypto::signing::{self, IdToken, SigningKey};
use countersign_federation::ProviderRecord;
use countersign_net::tls::Alpn;
use countersign_net::{
    ClientCertificates, ClientOptions, Drain, DrainTrigger, EgressPolicy, HttpClient, Limits,
    Listener, ServerTls, TlsClient, TlsIdentity, Transport, TrustRoots, serve,
};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use url::Url;

type Change = dyn Fn(&mut Value) + Send + Sync;

struct State {
    issuer: String,
    key: SigningKey<IdToken>,
    /// What is promised for each code: the nonce and the challenge of its request, and the claims.
    codes: BTreeMap<String, (String, String, Value)>,
    heard: Vec<String>,
    change_claims: Arc<Change>,
    change_metadata: Arc<Change>,
    sign_with: Option<SigningKey<IdToken>>,
}

/// The provider. Its listener ends with it.
pub struct FakeIdentityProvider {
    authority: TestAuthority,
    state: Arc<Mutex<State>>,
    _drain: DrainTrigger,
}

#[expect(
    clippy::expect_used,
    reason = "a test without its setting has nothing to test"
)]
impl FakeIdentityProvider {
    /// Starts one, within a runtime.
    ///
    /// # Panics
    /// When there is no socket or no key.
    #[must_use]
    pub fn start() -> Self {
        let authority = TestAuthority::new(system_clock().now());
        let listener =
            Listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a socket");
        let identity = TlsIdentity::from_issued(&authority.server()).expect("a certificate");
        let tls = ServerTls::new(&identity, ClientCertificates::None).expect("TLS");
        let state = Arc::new(Mutex::new(State {
            issuer: format!("https://localhost:{}", listener.address().port()),
            key: key("fake-1"),
            codes: BTreeMap::new(),
            heard: Vec::new(),
            change_claims: Arc::new(|_| {}),
            change_metadata: Arc::new(|_| {}),
            sign_with: None,
        }));
        let (trigger, drain) = Drain::new();
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            let make = move |_connection: &Arc<countersign_net::Connection>| {
                let state = Arc::clone(&shared);
                service_fn(move |request| answer(Arc::clone(&state), request))
            };
            let transport = Transport::Tls(tls);
            let _ended = serve(listener, transport, Limits::default(), make, drain).await;
        });
        Self {
            authority,
            state,
            _drain: trigger,
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its issuer.
    #[must_use]
    pub fn issuer(&self) -> String {
        self.state().issuer.clone()
    }

    /// What it is to a tenant, under this name, with the strict defaults.
    ///
    /// # Panics
    /// When the name is none.
    #[must_use]
    pub fn record(&self, tenant: &Tenant, name: &str) -> ProviderRecord {
        ProviderRecord::new(
            tenant.clone(),
            name.parse().expect("a name"),
            Bounded::parse(name).expect("a label"),
            self.issuer().parse().expect("an issuer"),
            Bounded::parse("countersign").expect("a client id"),
        )
    }

    /// The way to it, with a secret.
    ///
    /// # Panics
    /// When TLS cannot be set up.
    #[must_use]
    pub fn options(&self, record: ProviderRecord) -> UpstreamOptions {
        let roots = TrustRoots::from_pem(self.authority.certificate_pem().as_bytes());
        let tls = TlsClient::new(&roots.expect("roots"), None, Alpn::Http1).expect("TLS");
        let egress = EgressPolicy::public_only().allowing("localhost");
        UpstreamOptions {
            record,
            credential: UpstreamCredential::Secret(Secret::new("our secret".to_owned())),
            http: HttpClient::new(tls, egress, ClientOptions::default()),
        }
    }

    /// What the provider does when `subject` signs in there and agrees: the query that their browser brings back.
    ///
    /// # Panics
    /// When the address is no authorization request of a sign-in.
    #[must_use]
    pub fn approve(&self, address: &Url, subject: &str, now: UnixTime) -> String {
        let pairs: BTreeMap<String, String> = address.query_pairs().into_owned().collect();
        let value = |name: &str| pairs.get(name).expect("a parameter").clone();
        let mut state = self.state();
        let code = format!("code-{}", state.codes.len());
        let claims = json!({
            "iss": state.issuer, "aud": value("client_id"), "sub": subject, "nonce": value("nonce"),
            "iat": now.0, "exp": now.0 + 300, "auth_time": now.0,
            "email": format!("{subject}@corp.example"), "email_verified": true,
        });
        let promised = (value("redirect_uri"), value("code_challenge"), claims);
        state.codes.insert(code.clone(), promised);
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("code", &code)
            .append_pair("state", &value("state"))
            .append_pair("iss", &state.issuer);
        query.finish()
    }

    /// Changes the claims of the ID tokens that it gives from now on.
    pub fn claims(&self, change: impl Fn(&mut Value) + Send + Sync + 'static) {
        self.state().change_claims = Arc::new(change);
    }

    /// Changes what it says of itself from now on.
    pub fn metadata(&self, change: impl Fn(&mut Value) + Send + Sync + 'static) {
        self.state().change_metadata = Arc::new(change);
    }

    /// Signs with a key that it does not publish from now on.
    ///
    /// # Panics
    /// When no key can be made.
    pub fn sign_with_another_key(&self) {
        self.state().sign_with = Some(key("fake-1"));
    }

    /// The paths that were asked for.
    #[must_use]
    pub fn heard(&self) -> Vec<String> {
        self.state().heard.clone()
    }
}

#[expect(
    clippy::expect_used,
    reason = "a test without its setting has nothing to test"
)]
fn key(kid: &str) -> SigningKey<IdToken> {
    let pkcs8 = signing::generate_pkcs8(Algorithm::Es256).expect("a key");
    let kid = kid.parse().expect("a key id");
    SigningKey::from_pkcs8(Algorithm::Es256, kid, &pkcs8).expect("a key")
}

async fn answer(
    state: Arc<Mutex<State>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let body = match request.into_body().collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => Bytes::new(),
    };
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    state.heard.push(path.clone());
    let said = match path.as_str() {
        "/.well-known/openid-configuration" => Some(state.document()),
        "/jwks" => Some(json!({"keys": [state
            .key
            .public_jwk()
            .to_published_json(state.key.kid(), Algorithm::Es256)]})),
        "/token" => state.token(&body),
        _ => None,
    };
    let mut response = Response::new(Full::new(Bytes::new()));
    match said {
        Some(value) => *response.body_mut() = Full::new(Bytes::from(value.to_string())),
        None => *response.status_mut() = StatusCode::BAD_REQUEST,
    }
    Ok(response)
}

impl State {
    fn document(&self) -> Value {
        let issuer = &self.issuer;
        let mut document = json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/jwks"),
        });
        (self.change_metadata)(&mut document);
        document
    }

    /// As a provider does that is careful itself: the code once, for the address and the verifier of its request.
    fn token(&mut self, body: &[u8]) -> Option<Value> {
        let form: BTreeMap<String, String> =
            url::form_urlencoded::parse(body).into_owned().collect();
        let (redirect_uri, challenge, mut claims) = self.codes.remove(form.get("code")?)?;
        let proven = sha256_base64url(form.get("code_verifier")?.as_bytes()) == challenge;
        if !proven || form.get("redirect_uri") != Some(&redirect_uri) {
            return None;
        }
        (self.change_claims)(&mut claims);
        let key = self.sign_with.as_ref().unwrap_or(&self.key);
        let id_token = sign_jwt(key, &claims).ok()?;
        Some(json!({"access_token": "theirs", "token_type": "bearer", "id_token": id_token}))
    }
}
