//! Every way in which a client may authenticate, and assertions as grants, in a whole process over real TLS on free ports.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod started;

use countersign::run::{Running, system_clock};
use countersign_audit::event::{Actor, UserChanged};
use countersign_audit::{Code, Record};
use countersign_base::{Duration, Tenant};
use countersign_crypto::Random;
use countersign_crypto::base64url;
use countersign_crypto::jose::Algorithm;
use countersign_crypto::signing::{self, ClientAssertion, SigningKey};
use countersign_crypto::x509::{CertificateAuthority, PeerCertificate};
use countersign_net::TlsIdentity;
use countersign_store::Write;
use countersign_store::tables::{clients, users};
use countersign_testkit::claims_of;
use http::StatusCode;
use serde_json::{Value, json};
use started::{caller, parsed, started, url};
use tempfile::TempDir;

const CLUSTER: &str = "https://kubernetes.default.svc.cluster.local";
const PARTNER: &str = "https://idp.partner.test";
const ORDERS: &str = "https://orders.test";
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const JWT_SPIFFE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

const CONFIGURATION: &str = r#"
[[tenants]]
name = "default"
client_secret_post = "allowed"

[[trusted_issuers]]
name = "cluster"
profile = "kubernetes"
issuer = "https://kubernetes.default.svc.cluster.local"
keys = { file = "foreign.json" }
uses = ["client_authentication"]
clients = [{ subject_prefix = "system:serviceaccount:batch:", client = "pod" }]

[[trusted_issuers]]
name = "mesh"
profile = "spiffe"
trust_domain = "demo.test"
keys = { file = "foreign.json" }
uses = ["client_authentication"]
clients = [{ subject = "spiffe://demo.test/orders", client = "svid" }]

[[trusted_issuers]]
name = "partner"
issuer = "https://idp.partner.test"
enabled = true
keys = { file = "foreign.json" }
uses = ["authorization_grant", "identity_assertion"]
users = [{ subject = "u-1", user = "alice" }, { email = "alice@example.com", user = "alice" }]

[[users]]
name = "alice"
password = { file = "alice.password" }

[[clients]]
id = "named"
tls_subject = "uri:spiffe://demo.test/billing"
grants = ["client_credentials"]
scopes = ["orders.read"]
audiences = ["https://orders.test"]
serves = ["https://orders.test"]

[[clients]]
id = "own"
tls_certificates = "own.pem"
grants = ["client_credentials"]
scopes = ["orders.read"]
audiences = ["https://orders.test"]

[[clients]]
id = "posted"
secret = { file = "posted.secret" }
secret_in = "body"
grants = ["client_credentials"]
scopes = ["orders.read"]
audiences = ["https://orders.test"]

[[clients]]
id = "basic"
secret = { file = "posted.secret" }
grants = ["client_credentials", "jwt_bearer"]
scopes = ["orders.read", "orders.write"]
audiences = ["https://orders.test"]

[[clients]]
id = "keyed"
jwks = "foreign.json"
grants = ["client_credentials"]
scopes = ["orders.read"]
audiences = ["https://orders.test"]

[[clients]]
id = "pod"
workload = "cluster"
grants = ["client_credentials"]
scopes = ["orders.read"]
audiences = ["https://orders.test"]

[[clients]]
id = "svid"
workload = "mesh"
grants = ["client_credentials"]
scopes = ["orders.read"]
audiences = ["https://orders.test"]
"#;

struct Server {
    running: Running,
    directory: TempDir,
    /// The key of every foreign issuer, and of the client `keyed`.
    key: SigningKey<ClientAssertion>,
    own: TlsIdentity,
}

struct Reply {
    status: StatusCode,
    json: Value,
}

impl Reply {
    fn error(&self) -> (u16, &str) {
        (
            self.status.as_u16(),
            self.json["error"].as_str().unwrap_or_default(),
        )
    }

    fn claims(&self) -> Value {
        let token = self.json["access_token"]
            .as_str()
            .unwrap_or_else(|| panic!("a token in {} {}", self.status, self.json));
        claims_of(token)
    }
}

impl Server {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text);
        write("alice.password", "correct horse").unwrap();
        write("posted.secret", "a-secret-that-is-posted").unwrap();
        let pkcs8 = signing::generate_pkcs8(Algorithm::Es256).unwrap();
        let key: SigningKey<ClientAssertion> =
            SigningKey::from_pkcs8(Algorithm::Es256, "foreign-1".parse().unwrap(), &pkcs8).unwrap();
        let jwk = key
            .public_jwk()
            .to_published_json(key.kid(), Algorithm::Es256);
        write("foreign.json", &json!({ "keys": [jwk] }).to_string()).unwrap();
        let (random, clock) = (Random::system(), system_clock());
        let own = CertificateAuthority::generate("own", &random, clock.now()).unwrap();
        write("own.pem", own.certificate_pem()).unwrap();
        let own = TlsIdentity::from_pem(
            own.certificate_pem().as_bytes(),
            own.private_key_pem().expose().as_bytes(),
        );
        Self {
            running: started(
                directory.path(),
                parsed(directory.path(), CONFIGURATION),
                None,
                system_clock(),
            )
            .await,
            directory,
            key,
            own: own.unwrap(),
        }
    }

    fn now(&self) -> i64 {
        self.running.fabric().now().0
    }

    /// A certificate of the installation's authority.
    fn certificate(&self, uri: &str) -> TlsIdentity {
        let fabric = self.running.fabric();
        let issued = fabric
            .authority()
            .client(uri, Duration::from_secs(600), fabric.now());
        TlsIdentity::from_issued(&issued.unwrap()).unwrap()
    }

    async fn post(
        &self,
        path: &str,
        identity: Option<&TlsIdentity>,
        headers: &[(&str, &str)],
        form: &[(&str, &str)],
    ) -> Reply {
        let bound = self.running.bound();
        let port = match identity {
            Some(_) => bound.identity_mtls.port(),
            None => bound.identity.port(),
        };
        let caller = caller(&self.running, identity);
        let answer = caller.post(&url(port, path), headers, form).await;
        Reply {
            status: answer.status,
            json: answer.json(),
        }
    }

    /// A client credentials request.
    async fn token(&self, identity: Option<&TlsIdentity>, form: &[(&str, &str)]) -> Reply {
        let mut form = form.to_vec();
        form.push(("grant_type", "client_credentials"));
        self.post("/token", identity, &[], &form).await
    }

    /// A JWT of the foreign key.
    fn signed(&self, typ: &str, claims: &Value) -> String {
        let header = json!({ "alg": "ES256", "typ": typ, "kid": "foreign-1" });
        let part = |value: &Value| base64url::encode(value.to_string().as_bytes());
        let signed = format!("{}.{}", part(&header), part(claims));
        let signature = base64url::encode(&self.key.sign(signed.as_bytes()).unwrap());
        format!("{signed}.{signature}")
    }

    fn service_account(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = json!({
            "iss": CLUSTER, "sub": "system:serviceaccount:batch:nightly", "aud": [self.running.issuer_base()], "iat": self.now(), "exp": self.now() + 600,
            "kubernetes.io": {"namespace": "batch", "serviceaccount": {"name": "nightly", "uid": "1"}},
        });
        change(&mut claims);
        self.signed("JWT", &claims)
    }

    fn svid(&self, typ: &str, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = json!({ "sub": "spiffe://demo.test/orders", "aud": [self.running.issuer_base()], "iat": self.now(), "exp": self.now() + 300 });
        change(&mut claims);
        self.signed(typ, &claims)
    }

    fn assertion(&self, jti: &str, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = json!({
            "iss": PARTNER, "sub": "u-1", "aud": self.running.issuer_base(), "iat": self.now(), "exp": self.now() + 120, "jti": jti,
        });
        change(&mut claims);
        self.signed("JWT", &claims)
    }

    async fn granted(&self, assertion: &str, more: &[(&str, &str)]) -> Reply {
        let mut form = vec![("grant_type", GRANT), ("assertion", assertion)];
        form.extend(more);
        self.post("/token", None, &[("authorization", &basic("basic"))], &form)
            .await
    }

    /// Every method, as the client that is registered for it uses it.
    async fn by_every_method(&self) -> Vec<(&'static str, Reply)> {
        let named = self.certificate("spiffe://demo.test/billing");
        let own_assertion = self.signed(
            "JWT",
            &json!({ "iss": "keyed", "sub": "keyed", "aud": self.running.issuer_base(), "exp": self.now() + 60, "jti": base64url::encode(&Random::system().bytes::<16>()) }),
        );
        let assertion = |kind: &'static str, assertion: String| {
            vec![
                ("client_assertion_type", kind.to_owned()),
                ("client_assertion", assertion),
            ]
        };
        let mut replies = Vec::new();
        let named_form = [("client_id", "named")];
        replies.push(("named", self.token(Some(&named), &named_form).await));
        let own_form = [("client_id", "own")];
        replies.push(("own", self.token(Some(&self.own), &own_form).await));
        let posted = [
            ("client_id", "posted"),
            ("client_secret", "a-secret-that-is-posted"),
        ];
        replies.push(("posted", self.token(None, &posted).await));
        let form = [("grant_type", "client_credentials")];
        let by_header = self
            .post("/token", None, &[("authorization", &basic("basic"))], &form)
            .await;
        replies.push(("basic", by_header));
        for (client, parameters) in [
            ("keyed", assertion(JWT_BEARER, own_assertion)),
            ("pod", assertion(JWT_BEARER, self.service_account(|_| {}))),
            ("svid", assertion(JWT_SPIFFE, self.svid("JWT", |_| {}))),
        ] {
            let form: Vec<_> = parameters
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            replies.push((client, self.token(None, &form).await));
        }
        replies
    }

    async fn write(&self, write: Write) {
        let fabric = self.running.fabric();
        let user = countersign_base::UserId::from_bytes([0; 16]);
        let event = UserChanged {
            by: Actor::System,
            change: Code::of("test"),
            user,
        };
        let record = Record {
            id: fabric.random().event_id(),
            time: fabric.clock().millis(),
            tenant: Tenant::default_tenant(),
            request: None,
            event: event.into(),
        };
        let tenant = Tenant::default_tenant();
        let _receipt = fabric
            .store()
            .change(&tenant, vec![write], record, fabric.now())
            .await
            .unwrap();
    }
}

fn basic(client: &str) -> String {
    countersign_testkit::basic(client, "a-secret-that-is-posted")
}

#[tokio::test]
async fn a30_every_method_is_taken_and_none_from_a_client_that_is_switched_off() {
    let server = Server::start().await;
    let (fabric, tenant) = (server.running.fabric(), Tenant::default_tenant());
    for (client, reply) in server.by_every_method().await {
        assert_eq!(reply.status, StatusCode::OK, "{client}: {}", reply.json);
        assert_eq!(reply.claims()["client_id"], client);
    }
    for client in ["named", "own", "posted", "basic", "keyed", "pod", "svid"] {
        let mut connection = fabric.store().read().await.unwrap();
        let id = client.parse().unwrap();
        let mut record = clients::find(&mut connection, &tenant, &id)
            .await
            .unwrap()
            .unwrap();
        drop(connection);
        record.enabled = false;
        server.write(Write::PutClient(Box::new(record))).await;
        fabric.directory().client_changed(&tenant, &id);
    }
    for (client, reply) in server.by_every_method().await {
        assert_eq!(reply.error(), (401, "invalid_client"), "{client}");
    }
}

#[tokio::test]
async fn a_client_authenticates_by_its_own_method_and_no_other() {
    let server = Server::start().await;
    let named = server.certificate("spiffe://demo.test/billing");
    let refused = async |identity: Option<&TlsIdentity>, form: &[(&str, &str)]| {
        assert_eq!(
            server.token(identity, form).await.error(),
            (401, "invalid_client"),
            "{form:?}"
        );
    };
    // Another name of the same authority, the right name of no authority, and no certificate at all.
    let other = server.certificate("spiffe://demo.test/billing2");
    refused(Some(&other), &[("client_id", "named")]).await;
    refused(Some(&server.own), &[("client_id", "named")]).await;
    refused(None, &[("client_id", "named")]).await;
    // A certificate of the authority is not one that the other client registered.
    refused(Some(&named), &[("client_id", "own")]).await;
    // A certificate stands for no secret, and a posted secret for none in the header.
    refused(Some(&named), &[("client_id", "posted")]).await;
    let secret = ("client_secret", "a-secret-that-is-posted");
    refused(None, &[("client_id", "basic"), secret]).await;
    let form = [("grant_type", "client_credentials")];
    let header = [("authorization", basic("posted"))];
    let header: Vec<_> = header
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let by_header = server.post("/token", None, &header, &form).await;
    assert_eq!(by_header.error(), (401, "invalid_client"));
    refused(
        None,
        &[("client_id", "posted"), ("client_secret", "another")],
    )
    .await;
    // The twins.
    for (client, reply) in server.by_every_method().await {
        assert_eq!(reply.status, StatusCode::OK, "{client}: {}", reply.json);
    }
}

#[tokio::test]
async fn a_certificate_binds_the_tokens_of_its_client_and_introspection_says_so() {
    let server = Server::start().await;
    let named = server.certificate("spiffe://demo.test/billing");
    let reply = server.token(Some(&named), &[("client_id", "named")]).await;
    let bound = reply.claims()["cnf"]["x5t#S256"]
        .as_str()
        .unwrap()
        .to_owned();
    let own = server
        .token(Some(&server.own), &[("client_id", "own")])
        .await;
    let pem = std::fs::read(server.directory.path().join("own.pem")).unwrap();
    let certificate = PeerCertificate::from_pem(&pem).unwrap().remove(0);
    let thumbprint = certificate.thumbprint().to_string();
    assert_eq!(own.claims()["cnf"]["x5t#S256"], thumbprint.as_str());
    assert_ne!(bound, thumbprint);
    let token = own.json["access_token"].as_str().unwrap();
    let form = [("client_id", "named"), ("token", token)];
    let answer = server.post("/introspect", Some(&named), &[], &form).await;
    assert_eq!(answer.json["active"], true, "{}", answer.json);
    assert_eq!(answer.json["cnf"]["x5t#S256"], thumbprint.as_str());
}

#[tokio::test]
async fn a_workload_is_the_client_that_its_subject_is_mapped_to() {
    let server = Server::start().await;
    let send = async |kind: &str, assertion: String, client: Option<&str>| {
        let mut form = vec![
            ("client_assertion_type", kind),
            ("client_assertion", assertion.as_str()),
        ];
        form.extend(client.map(|client| ("client_id", client)));
        server.token(None, &form).await
    };
    let account = |change: fn(&mut Value)| server.service_account(change);
    for (flaw, assertion) in [
        ("another namespace", account(|claims| claims["sub"] = json!("system:serviceaccount:web:nightly"))),
        ("a namespace that only begins alike", account(|claims| claims["sub"] = json!("system:serviceaccount:batches:nightly"))),
        ("a subject that its private claim denies", account(|claims| claims["kubernetes.io"]["namespace"] = json!("web"))),
        ("two audiences", account(|claims| claims["aud"] = json!([claims["aud"][0], "https://vault.test"]))),
        ("another audience", account(|claims| claims["aud"] = json!(["https://vault.test"]))),
        ("no expiry", account(|claims| _ = claims.as_object_mut().unwrap().remove("exp"))),
        ("a year", account(|claims| claims["exp"] = json!(claims["iat"].as_i64().unwrap() + 31_536_000))),
        ("another cluster", account(|claims| claims["iss"] = json!("https://evil.test"))),
        ("another kind of token", server.signed("at+jwt", &json!({ "iss": CLUSTER, "sub": "system:serviceaccount:batch:nightly", "aud": [server.running.issuer_base()], "exp": server.now() + 60 }))),
    ] {
        let reply = send(JWT_BEARER, assertion, None).await;
        assert_eq!(reply.error(), (401, "invalid_client"), "{flaw}");
    }
    for (flaw, assertion) in [
        (
            "another workload",
            server.svid("JWT", |claims| {
                claims["sub"] = json!("spiffe://demo.test/orders2")
            }),
        ),
        (
            "another trust domain",
            server.svid("JWT", |claims| {
                claims["sub"] = json!("spiffe://evil.test/orders")
            }),
        ),
        (
            "no expiry",
            server.svid("JWT", |claims| {
                _ = claims.as_object_mut().unwrap().remove("exp")
            }),
        ),
        ("another kind of token", server.svid("wit+jwt", |_| {})),
    ] {
        let reply = send(JWT_SPIFFE, assertion, None).await;
        assert_eq!(reply.error(), (401, "invalid_client"), "{flaw}");
    }
    // A name beside it has to be the same client's, and the token may be shown again for as long as it lives.
    let good = account(|_| {});
    assert_eq!(
        send(JWT_BEARER, good.clone(), Some("svid")).await.error(),
        (401, "invalid_client")
    );
    for _ in 0..2 {
        let reply = send(JWT_BEARER, good.clone(), Some("pod")).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.json);
    }
    let jose = server.svid("JOSE", |_| {});
    assert_eq!(send(JWT_BEARER, jose, None).await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_assertion_becomes_a_token_about_one_of_our_people_once() {
    let server = Server::start().await;
    let (fabric, tenant) = (server.running.fabric(), Tenant::default_tenant());
    let mut connection = fabric.store().read().await.unwrap();
    let name = "alice".parse().unwrap();
    let alice = users::find_by_name(&mut connection, &tenant, &name)
        .await
        .unwrap()
        .unwrap();
    drop(connection);
    let assertion = server.assertion("one", |_| {});
    let reply = server.granted(&assertion, &[]).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.json);
    let claims = reply.claims();
    assert_eq!(claims["sub"], alice.id.to_string());
    assert_eq!(
        (&claims["client_id"], &claims["aud"]),
        (&json!("basic"), &json!(ORDERS))
    );
    assert_eq!(reply.json["refresh_token"], Value::Null);
    assert_eq!(reply.json["id_token"], Value::Null);
    assert_eq!(
        server.granted(&assertion, &[]).await.error(),
        (400, "invalid_grant"),
        "again"
    );
    // What is not registered, and what belongs to a sign-in here.
    for (parameter, value, error) in [
        ("scope", "orders.delete", "invalid_scope"),
        ("scope", "openid", "invalid_scope"),
        ("resource", "https://billing.test", "invalid_target"),
    ] {
        let assertion = server.assertion(&format!("{parameter}-{value}"), |_| {});
        let reply = server.granted(&assertion, &[(parameter, value)]).await;
        assert_eq!(reply.error(), (400, error), "{parameter}={value}");
    }
    let narrowed = server
        .granted(
            &server.assertion("narrow", |_| {}),
            &[("scope", "orders.read")],
        )
        .await;
    assert_eq!(narrowed.claims()["scope"], "orders.read");
}

#[tokio::test]
async fn an_identity_assertion_is_held_to_its_client_and_limits() {
    let server = Server::start().await;
    let identity = |jti: &str, change: fn(&mut Value)| {
        let mut claims = json!({
            "iss": PARTNER, "sub": "u-1", "aud": server.running.issuer_base(), "iat": server.now(), "exp": server.now() + 120, "jti": jti,
            "client_id": "basic", "scope": "orders.read", "resource": ORDERS,
        });
        change(&mut claims);
        server.signed("oauth-id-jag+jwt", &claims)
    };
    let good = server.granted(&identity("1", |_| {}), &[]).await;
    assert_eq!(
        good.claims()["scope"],
        "orders.read",
        "not all that is registered"
    );
    let wider = server
        .granted(&identity("2", |_| {}), &[("scope", "orders.write")])
        .await;
    assert_eq!(wider.error(), (400, "invalid_scope"));
    let elsewhere = identity("3", |claims| {
        claims["resource"] = json!("https://billing.test")
    });
    assert_eq!(
        server.granted(&elsewhere, &[]).await.error(),
        (400, "invalid_target")
    );
    let of_another = identity("4", |claims| claims["client_id"] = json!("pod"));
    assert_eq!(
        server.granted(&of_another, &[]).await.error(),
        (400, "invalid_grant")
    );
    let of_nobody = identity("5", |claims| {
        _ = claims.as_object_mut().unwrap().remove("client_id")
    });
    assert_eq!(
        server.granted(&of_nobody, &[]).await.error(),
        (400, "invalid_grant")
    );
}

#[tokio::test]
async fn tx_13_tx_14_a23_a24_neither_a_disabled_issuer_nor_a_disabled_person_yields_a_token() {
    let server = Server::start().await;
    let (fabric, tenant) = (server.running.fabric(), Tenant::default_tenant());
    assert_eq!(
        server
            .granted(&server.assertion("1", |_| {}), &[])
            .await
            .status,
        StatusCode::OK
    );
    let off = CONFIGURATION.replace("enabled = true", "enabled = false");
    let config = parsed(server.directory.path(), &off);
    server.running.reload(&config).await.unwrap();
    let reply = server.granted(&server.assertion("2", |_| {}), &[]).await;
    assert_eq!(reply.error(), (400, "invalid_grant"), "the issuer");
    let config = parsed(server.directory.path(), CONFIGURATION);
    server.running.reload(&config).await.unwrap();
    assert_eq!(
        server
            .granted(&server.assertion("3", |_| {}), &[])
            .await
            .status,
        StatusCode::OK
    );
    let mut connection = fabric.store().read().await.unwrap();
    let name = "alice".parse().unwrap();
    let mut alice = users::find_by_name(&mut connection, &tenant, &name)
        .await
        .unwrap()
        .unwrap();
    drop(connection);
    alice.enabled = false;
    server.write(Write::PutUser(Box::new(alice))).await;
    let reply = server.granted(&server.assertion("4", |_| {}), &[]).await;
    assert_eq!(reply.error(), (400, "invalid_grant"), "the person");
}
