//! A fabric with two tenants, a few people and clients, and the means to ask it.

use axum::Router;
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_api::identity::{Door, IdentityOptions, router};
use countersign_audit::Code;
use countersign_audit::event::{Actor, KeyCreated, UserChanged};
use countersign_base::{Audience, Duration, Secret, Tenant};
use countersign_control::{Declared, DeclaredClient, DeclaredUser, TraceOptions};
use countersign_crypto::digest::sha256_base64url;
use countersign_crypto::jose::{Algorithm, sign_jwt};
use countersign_crypto::signing::{self, ClientAssertion, DpopProof, SigningKey};
use countersign_oauth::authentication::AuthenticationRules;
use countersign_oauth::client::{Application, ConsentRule, Origin};
use countersign_oauth::registration::InitialAccess;
use countersign_oauth::tenant::registration::RegistrationMode;
use countersign_oauth::{
    ClientAuthentication, ClientRecord, GrantType, StoredPassword, TenantRecord, UserRecord,
};
use countersign_policy::defaults;
use countersign_store::tables::users;
use countersign_store::{InitialAccessToken, NewOneTime, Write};
use countersign_testkit::TestFabric;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use tower::ServiceExt;

pub(crate) const ISSUER: &str = "https://id.test";
pub(crate) const CALLBACK: &str = "https://portal.test/cb";
pub(crate) const ORDERS: &str = "https://orders.test";
pub(crate) const BILLING: &str = "https://billing.test";
pub(crate) const SECRET: &str = "a-secret-of-the-portal";
pub(crate) const PASSWORD: &str = "correct horse battery staple";
/// RFC 7636 appendix B.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// The server under test.
pub(crate) struct Server {
    pub(crate) fabric: TestFabric,
    pub(crate) router: Router,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    pub(crate) fn error(&self) -> String {
        self.json()["error"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn location(&self) -> &str {
        self.headers
            .get(header::LOCATION)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// A parameter of the redirect's query.
    pub(crate) fn redirected(&self, name: &str) -> Option<String> {
        let url = url::Url::parse(self.location()).ok()?;
        url.query_pairs()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::on(TestFabric::start(declared()).await.unwrap()).await
    }

    /// A server with what `change` declares beside the rest.
    pub(crate) async fn with_declared(change: impl FnOnce(&mut Declared)) -> Self {
        let mut declared = declared();
        change(&mut declared);
        Self::on(TestFabric::start(declared).await.unwrap()).await
    }

    /// Stops such a server and starts it again on the same data.
    pub(crate) async fn restart_declared(self, change: impl FnOnce(&mut Declared)) -> Self {
        let mut declared = declared();
        change(&mut declared);
        let clock = self.fabric.clock.clone();
        let data = self.fabric.stop().await;
        let fabric = TestFabric::resume(data, clock, declared, &defaults::POLICIES);
        Self::on(fabric.await.unwrap()).await
    }

    /// A server that has these policies beside the default ones.
    pub(crate) async fn with_policy(text: &str) -> Self {
        let mut policies = countersign_policy::defaults::POLICIES.to_vec();
        policies.push(("more.cedar", text));
        Self::on(
            TestFabric::with_policies(declared(), &policies)
                .await
                .unwrap(),
        )
        .await
    }

    /// A server that has these rules of signing in, in the place of the default ones.
    pub(crate) async fn with_sign_in_policy(text: &str) -> Self {
        let mut policies = countersign_policy::defaults::POLICIES.to_vec();
        policies.retain(|(name, _)| *name != "sign_in.cedar");
        policies.push(("sign_in.cedar", text));
        Self::on(
            TestFabric::with_policies(declared(), &policies)
                .await
                .unwrap(),
        )
        .await
    }

    /// As both [`Server::with`] and [`Server::with_policy`].
    pub(crate) async fn with_policy_and(text: &str, change: impl FnOnce(&mut Declared)) -> Self {
        let mut declared = declared();
        change(&mut declared);
        let mut policies = countersign_policy::defaults::POLICIES.to_vec();
        policies.push(("more.cedar", text));
        Self::on(
            TestFabric::with_policies(declared, &policies)
                .await
                .unwrap(),
        )
        .await
    }

    /// Stops the server and starts it again on the same data.
    pub(crate) async fn restart(self) -> Self {
        let clock = self.fabric.clock.clone();
        let data = self.fabric.stop().await;
        Self::on(
            TestFabric::resume(
                data,
                clock,
                declared(),
                &countersign_policy::defaults::POLICIES,
            )
            .await
            .unwrap(),
        )
        .await
    }

    pub(crate) async fn with_traces(traces: TraceOptions) -> Self {
        let fabric = TestFabric::with_traces(declared(), &defaults::POLICIES, traces);
        Self::on(fabric.await.unwrap()).await
    }

    async fn on(fabric: TestFabric) -> Self {
        let options = IdentityOptions {
            door: Door::Browser,
            mtls_origin: Some("https://id.test:8446".to_owned()),
        };
        let router = router(fabric.fabric.clone(), options);
        let server = Self { fabric, router };
        // Past the time in which proofs need a nonce of this start (RFC 9449 §8).
        server.advance(120).await;
        server
    }

    /// Turns the clock, and lets the node hear of revocations as its background job would.
    pub(crate) async fn advance(&self, seconds: u64) {
        self.fabric.clock.advance(Duration::from_secs(seconds));
        let fabric = &self.fabric.fabric;
        fabric
            .revocations()
            .refresh(fabric.store(), fabric.now())
            .await
            .unwrap();
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        send(&self.router, request).await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(Request::get(path).body(Body::empty()).unwrap())
            .await
    }

    pub(crate) async fn post(&self, path: &str, headers: &[(&str, &str)], form: &str) -> Reply {
        self.send(post(path, headers, form)).await
    }

    /// A token request of the portal.
    pub(crate) async fn token(&self, form: &str, proof: Option<&str>) -> Reply {
        self.client_post("/token", ("portal", SECRET), form, proof)
            .await
    }

    pub(crate) async fn client_post(
        &self,
        path: &str,
        (id, secret): (&str, &str),
        form: &str,
        proof: Option<&str>,
    ) -> Reply {
        let basic = basic(id, secret);
        let mut headers = vec![("authorization", basic.as_str())];
        headers.extend(proof.map(|proof| ("dpop", proof)));
        self.post(path, &headers, form).await
    }

    /// Whether introspection by the orders service calls a token active.
    pub(crate) async fn is_active(&self, token: &str) -> bool {
        let reply = self
            .client_post(
                "/introspect",
                ("orders", "orders-secret"),
                &format!("token={token}"),
                None,
            )
            .await;
        assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
        reply.json()["active"].as_bool().unwrap()
    }

    /// A JSON request.
    pub(crate) async fn json(
        &self,
        method: Method,
        path: &str,
        bearer: Option<&str>,
        body: &Value,
    ) -> Reply {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(token) = bearer {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        self.send(request.body(Body::from(body.to_string())).unwrap())
            .await
    }

    /// A token for one registration, as an administrator makes it.
    pub(crate) async fn initial_access_token(&self, tenant: &str) -> String {
        let (fabric, tenant) = (&self.fabric.fabric, tenant.parse::<Tenant>().unwrap());
        let (token, now) = (fabric.random().token(), fabric.now());
        let handle = fabric
            .secrets()
            .handle::<InitialAccessToken>(&tenant, token.expose());
        let expires = now.plus(Duration::from_secs(600));
        let record = InitialAccess {
            tenant: tenant.clone(),
            expires,
        };
        let row = NewOneTime::new::<InitialAccessToken>(&handle, &record, expires).unwrap();
        let event = KeyCreated {
            algorithm: Code::of("test"),
            kid: "test".parse().unwrap(),
            purpose: Code::of("test"),
        };
        let event = fabric.recorder().about_event(&tenant, None, event);
        let writes = vec![Write::AddOneTime(row)];
        let _receipt = fabric
            .store()
            .change(&tenant, writes, event, now)
            .await
            .unwrap();
        token.expose().clone()
    }

    /// Somebody of the default tenant, as they are stored.
    pub(crate) async fn user(&self, name: &str) -> UserRecord {
        let (fabric, tenant) = (&self.fabric.fabric, Tenant::default_tenant());
        let mut connection = fabric.store().read().await.unwrap();
        let name = name.parse().unwrap();
        let found = users::find_by_name(&mut connection, &tenant, &name).await;
        found.unwrap().unwrap()
    }

    /// Changes somebody of the default tenant, as an administrator would.
    pub(crate) async fn change_user(&self, name: &str, change: impl FnOnce(&mut UserRecord)) {
        let (fabric, tenant) = (&self.fabric.fabric, Tenant::default_tenant());
        let mut user = self.user(name).await;
        change(&mut user);
        let event = UserChanged {
            by: Actor::LocalAdministrator,
            change: Code::of("test"),
            user: user.id,
        };
        let event = fabric.recorder().about_event(&tenant, None, event);
        let writes = vec![Write::PutUser(Box::new(user))];
        let change = fabric.store().change(&tenant, writes, event, fabric.now());
        let _receipt = change.await.unwrap();
    }

    /// A password of this text, hashed to be stored.
    pub(crate) async fn hashed(&self, name: &str, password: &str) -> StoredPassword {
        let passwords = self.fabric.fabric.passwords();
        let rules = AuthenticationRules::default().passwords();
        let text = Secret::new(password.to_owned());
        let chosen = passwords.judge(text, &name.parse().unwrap(), rules);
        let hash = passwords.create(chosen.unwrap()).await.unwrap().unwrap();
        StoredPassword::new(hash.to_string())
    }

    pub(crate) fn now(&self) -> i64 {
        self.fabric.fabric.now().0
    }
}

pub(crate) async fn send(router: &Router, mut request: Request<Body>) -> Reply {
    request
        .extensions_mut()
        .get_or_insert_with(|| SocketAddr::from(([127, 0, 0, 1], 40_000)));
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Reply {
        status: parts.status,
        headers: parts.headers,
        text: String::from_utf8(body.to_vec()).unwrap(),
    }
}

pub(crate) fn post(path: &str, headers: &[(&str, &str)], form: &str) -> Request<Body> {
    let mut request =
        Request::post(path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::from(form.to_owned())).unwrap()
}

pub(crate) fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

pub(crate) fn escape(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// A client's DPoP key.
pub(crate) struct Key(SigningKey<DpopProof>);

static JTI: AtomicU64 = AtomicU64::new(0);

impl Key {
    pub(crate) fn new() -> Self {
        let pkcs8 = signing::generate_pkcs8(Algorithm::Es256).unwrap();
        Self(SigningKey::from_pkcs8(Algorithm::Es256, "dpop".parse().unwrap(), &pkcs8).unwrap())
    }

    pub(crate) fn thumbprint(&self) -> String {
        self.0.public_jwk().thumbprint().to_string()
    }

    /// A proof for one request; with the token it stands beside, if it does.
    pub(crate) fn proof(
        &self,
        server: &Server,
        method: &Method,
        path: &str,
        token: Option<&str>,
    ) -> String {
        let jti = format!("jti-{}", JTI.fetch_add(1, Ordering::Relaxed));
        let mut claims = json!({"htm": method.as_str(), "htu": format!("{ISSUER}{path}"), "jti": jti, "iat": server.now()});
        if let Some(token) = token {
            claims["ath"] = sha256_base64url(token.as_bytes()).into();
        }
        sign_jwt(&self.0, &claims).unwrap()
    }
}

/// The claims of a JWT, unverified: what a test wants to look at.
pub(crate) fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&countersign_crypto::base64url::decode(payload).unwrap()).unwrap()
}

/// The key with which the client `batch` signs its assertions, the same in every test of this process.
pub(crate) fn batch_key() -> &'static SigningKey<ClientAssertion> {
    static KEY: OnceLock<SigningKey<ClientAssertion>> = OnceLock::new();
    KEY.get_or_init(assertion_key)
}

/// A key that nobody registered.
pub(crate) fn assertion_key() -> SigningKey<ClientAssertion> {
    assertion_key_named("batch-1")
}

pub(crate) fn assertion_key_named(kid: &str) -> SigningKey<ClientAssertion> {
    let pkcs8 = signing::generate_pkcs8(Algorithm::Es256).unwrap();
    SigningKey::from_pkcs8(Algorithm::Es256, kid.parse().unwrap(), &pkcs8).unwrap()
}

pub(crate) fn audience(text: &str) -> Audience {
    text.parse().unwrap()
}

pub(crate) fn client(
    tenant: &Tenant,
    id: &str,
    secret: Option<&str>,
    change: impl FnOnce(&mut ClientRecord),
) -> DeclaredClient {
    let authentication = match secret {
        Some(_) => ClientAuthentication::Secret { tag: Vec::new() },
        None => ClientAuthentication::Public,
    };
    let mut record = ClientRecord::new(
        id.parse().unwrap(),
        tenant.clone(),
        authentication,
        countersign_base::UnixTime(0),
    );
    record.origin = Origin::Configuration;
    change(&mut record);
    DeclaredClient {
        record,
        secret: secret.map(|secret| Secret::new(secret.to_owned())),
    }
}

pub(crate) fn portal(tenant: &Tenant, secret: &str) -> DeclaredClient {
    client(tenant, "portal", Some(secret), |client| {
        client.grants = [
            GrantType::AuthorizationCode,
            GrantType::RefreshToken,
            GrantType::ClientCredentials,
        ]
        .into();
        client.redirect_uris = [CALLBACK.parse().unwrap()].into();
        client.scopes = "openid profile orders:read billing:read".parse().unwrap();
        client.audiences = [audience(ORDERS)].into();
        client.consent = ConsentRule::Ask;
    })
}

pub(crate) fn declared() -> Declared {
    let default = Tenant::default_tenant();
    let acme: Tenant = "acme".parse().unwrap();
    let mut clients = vec![
        portal(&default, SECRET),
        portal(&acme, "the-secret-at-acme"),
        client(&default, "orders", Some("orders-secret"), |client| {
            client.serves = [audience(ORDERS)].into();
            client.grants = [GrantType::TokenExchange].into();
            client.audiences = [audience(BILLING)].into();
            client.scopes = "billing:read orders:read".parse().unwrap();
        }),
        client(&default, "batch", None, |client| {
            let key = batch_key();
            let jwks =
                json!({"keys": [key.public_jwk().to_published_json(key.kid(), Algorithm::Es256)]});
            client.authentication = ClientAuthentication::Keys { jwks };
            client.grants = [GrantType::ClientCredentials].into();
            client.scopes = "orders:read".parse().unwrap();
            client.audiences = [audience(ORDERS)].into();
        }),
        client(&default, "app", None, |client| {
            client.application = Application::Native;
            client.grants = [GrantType::AuthorizationCode, GrantType::RefreshToken].into();
            client.redirect_uris = ["http://127.0.0.1/done".parse().unwrap()].into();
            client.scopes = "openid orders:read".parse().unwrap();
            client.audiences = [audience(ORDERS)].into();
        }),
    ];
    clients.extend(super::ciba::clients(&default));
    clients.extend(super::device::clients(&default));
    clients.extend(super::request_objects::clients());
    Declared {
        tenants: vec![
            tenant_with(&default, |tenant| {
                tenant.registration.mode = RegistrationMode::InitialAccessToken;
                tenant.registration.scopes = "openid orders:read".parse().unwrap();
                tenant.registration.audiences = [audience(ORDERS)].into();
            }),
            TenantRecord::new(acme.clone(), format!("{ISSUER}/t/acme").parse().unwrap()),
            super::request_objects::tenant(),
        ],
        groups: Vec::new(),
        users: vec![
            person(&default, "alice"),
            person(&default, "bob"),
            person(&acme, "alice"),
        ],
        clients,
        ..Declared::default()
    }
}

fn tenant_with(name: &Tenant, change: impl FnOnce(&mut TenantRecord)) -> TenantRecord {
    let mut tenant = TenantRecord::new(name.clone(), ISSUER.parse().unwrap());
    change(&mut tenant);
    tenant
}

pub(crate) fn person(tenant: &Tenant, name: &str) -> DeclaredUser {
    let record = UserRecord {
        id: countersign_base::UserId::from_bytes([0; 16]),
        tenant: tenant.clone(),
        username: name.parse().unwrap(),
        password: None,
        roles: BTreeSet::new(),
        groups: BTreeSet::new(),
        attributes: BTreeMap::new(),
        profile: countersign_oauth::Profile::default(),
        enabled: true,
        origin: Origin::Configuration,
        created: countersign_base::UnixTime(0),
    };
    DeclaredUser {
        record,
        password: Secret::new(PASSWORD.to_owned()),
    }
}
