//! Signed and encrypted authorization requests, every response mode, and the FAPI 2.0 profiles, through the endpoints.

use super::browser::{Browser, Form};
use super::flow::text;
use super::harness::{CHALLENGE, ISSUER, Key, ORDERS, Reply, Server, VERIFIER, basic, escape};
use countersign_base::{Secret, Tenant, UnixTime};
use countersign_control::DeclaredClient;
use countersign_crypto::base64url;
use countersign_crypto::jose::{
    Algorithm, ContentEncryption, DecryptionKey, EncryptionKeySet, EncryptionKeyType, Jwe,
    JweRules, JwkSet, Jws, KeyManagement, encrypt_jwt, sign_jwt,
};
use countersign_crypto::random::Random;
use countersign_crypto::signing::{
    ClientAssertion, JwtPurpose, Purpose, RequestObject, SigningKey, generate_pkcs8,
};
use countersign_oauth::client::{Application, ConsentRule, Origin, ResponseEncryption};
use countersign_oauth::{
    ClientAuthentication, ClientRecord, GrantType, ResponseMode, SecurityProfile, TenantRecord,
};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

const SIGNER_CALLBACK: &str = "https://signer.test/cb";
const LEGACY_SECRET: &str = "a-secret-of-legacy";

static NUMBER: AtomicU64 = AtomicU64::new(0);

/// One private key of a client, in whatever role it signs.
struct ClientKey {
    algorithm: Algorithm,
    pkcs8: Secret<Vec<u8>>,
}

impl ClientKey {
    fn new(algorithm: Algorithm) -> Self {
        let pkcs8 = generate_pkcs8(algorithm).unwrap();
        Self { algorithm, pkcs8 }
    }

    fn signing<P: Purpose>(&self) -> SigningKey<P> {
        SigningKey::from_pkcs8(self.algorithm, "c1".parse().unwrap(), &self.pkcs8).unwrap()
    }

    fn sign<P: JwtPurpose>(&self, claims: &Value) -> String {
        sign_jwt(&self.signing::<P>(), claims).unwrap()
    }
}

fn es256() -> &'static ClientKey {
    static KEY: OnceLock<ClientKey> = OnceLock::new();
    KEY.get_or_init(|| ClientKey::new(Algorithm::Es256))
}

fn rsa(algorithm: Algorithm) -> ClientKey {
    static KEY: OnceLock<Vec<u8>> = OnceLock::new();
    let pkcs8 = KEY.get_or_init(|| generate_pkcs8(Algorithm::Ps256).unwrap().expose().clone());
    ClientKey {
        algorithm,
        pkcs8: Secret::new(pkcs8.clone()),
    }
}

fn encryption() -> &'static DecryptionKey {
    static KEY: OnceLock<DecryptionKey> = OnceLock::new();
    KEY.get_or_init(|| {
        let kind = EncryptionKeyType::X25519;
        let private = kind.generate().unwrap();
        DecryptionKey::from_private(kind, "e1".parse().unwrap(), &private).unwrap()
    })
}

fn fapi() -> Tenant {
    "fapi".parse().unwrap()
}

/// The tenant whose every client is held to FAPI 2.0.
pub(crate) fn tenant() -> TenantRecord {
    let mut tenant = TenantRecord::new(fapi(), format!("{ISSUER}/t/fapi").parse().unwrap());
    tenant.profile = SecurityProfile::Fapi2;
    tenant
}

fn signing_client(id: &str, change: impl FnOnce(&mut ClientRecord)) -> DeclaredClient {
    let key = es256().signing::<RequestObject>();
    let signing = key
        .public_jwk()
        .to_published_json(key.kid(), Algorithm::Es256);
    let mut rsa = rsa(Algorithm::Ps256)
        .signing::<RequestObject>()
        .public_jwk()
        .to_json();
    rsa["kid"] = "c1-rsa".into();
    let jwks = json!({ "keys": [signing, rsa, encryption().public().to_published_json()] });
    let mut record = ClientRecord::new(
        id.parse().unwrap(),
        Tenant::default_tenant(),
        ClientAuthentication::Keys { jwks },
        UnixTime(0),
    );
    record.grants = [GrantType::AuthorizationCode, GrantType::RefreshToken].into();
    record.redirect_uris = [SIGNER_CALLBACK.parse().unwrap()].into();
    record.scopes = "openid orders:read".parse().unwrap();
    record.audiences = [ORDERS.parse().unwrap()].into();
    record.consent = ConsentRule::Implied;
    record.origin = Origin::Configuration;
    record.request_rules.response_modes = ResponseMode::ALL.into();
    change(&mut record);
    record.check().unwrap();
    DeclaredClient {
        record,
        secret: None,
    }
}

/// The clients of these tests.
pub(crate) fn clients() -> Vec<DeclaredClient> {
    let legacy = ClientAuthentication::Secret { tag: Vec::new() };
    let mut legacy = ClientRecord::new("legacy".parse().unwrap(), fapi(), legacy, UnixTime(0));
    legacy.grants = [GrantType::ClientCredentials].into();
    legacy.audiences = [ORDERS.parse().unwrap()].into();
    legacy.origin = Origin::Configuration;
    vec![
        signing_client("signer", |_| {}),
        signing_client("bank", |client| {
            client.request_rules.profile = SecurityProfile::Fapi2;
        }),
        signing_client("notary", |client| {
            client.request_rules.profile = SecurityProfile::Fapi2MessageSigning;
            client.request_rules.response_modes =
                [ResponseMode::Query, ResponseMode::QueryJwt].into();
            client.request_rules.response_encryption = Some(ResponseEncryption {
                alg: KeyManagement::EcdhEsA256Kw,
                enc: ContentEncryption::A256Gcm,
            });
        }),
        signing_client("gadget", |client| {
            client.application = Application::Native;
            client.redirect_uris = ["com.example.gadget:/done".parse().unwrap()].into();
        }),
        DeclaredClient {
            record: legacy,
            secret: Some(Secret::new(LEGACY_SECRET.to_owned())),
        },
    ]
}

/// The claims of a good request object of `client`.
fn claims(server: &Server, client: &str) -> Value {
    json!({
        "iss": client, "aud": ISSUER, "nbf": server.now(), "exp": server.now() + 300,
        "client_id": client, "response_type": "code", "redirect_uri": SIGNER_CALLBACK,
        "scope": "openid orders:read", "state": "the-state", "nonce": "the-nonce",
        "code_challenge": CHALLENGE, "code_challenge_method": "S256",
    })
}

fn object(server: &Server, client: &str, change: impl FnOnce(&mut Value)) -> String {
    let mut claims = claims(server, client);
    change(&mut claims);
    es256().sign::<RequestObject>(&claims)
}

/// The same request as a query.
fn plain(client: &str, more: &str) -> String {
    format!(
        "client_id={client}&response_type=code&redirect_uri={}&scope=openid%20orders:read&state=the-state&nonce=the-nonce&code_challenge={CHALLENGE}&code_challenge_method=S256{more}",
        escape(SIGNER_CALLBACK)
    )
}

/// The client's authentication with `key`.
fn assertion(server: &Server, client: &str, key: &ClientKey) -> String {
    let claims = json!({
        "iss": client, "sub": client, "aud": ISSUER, "iat": server.now(), "exp": server.now() + 60,
        "jti": format!("object-{}", NUMBER.fetch_add(1, Ordering::Relaxed)),
    });
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let assertion = if key.algorithm == Algorithm::Es256 {
        key.sign::<ClientAssertion>(&claims)
    } else {
        // The key stands in the set under another name.
        let header = json!({"alg": key.algorithm.name(), "kid": "c1-rsa", "typ": "JWT"});
        let part = |value: &Value| base64url::encode(value.to_string().as_bytes());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let signature = key
            .signing::<ClientAssertion>()
            .sign(signed.as_bytes())
            .unwrap();
        format!("{signed}.{}", base64url::encode(&signature))
    };
    format!(
        "client_assertion_type={}&client_assertion={assertion}",
        escape(kind)
    )
}

async fn push(server: &Server, client: &str, form: &str) -> Reply {
    let body = format!("{form}&{}", assertion(server, client, es256()));
    server.post("/par", &[], &body).await
}

/// What a browser meets at `/authorize` with this query, signed in on the way.
async fn authorize(server: &Server, query: &str) -> Reply {
    let mut browser = Browser::default();
    let mut reply = browser.get(server, &format!("/authorize?{query}")).await;
    if reply.text.contains("name=\"password\"") {
        reply = browser.sign_in(server, &reply, "alice").await;
    }
    if reply.text.contains("value=\"allow\"") {
        reply = browser
            .submit(server, &Form::of(&reply), "answer=allow")
            .await;
    }
    reply
}

/// The claims of a signed answer, verified with the published keys.
async fn verified(server: &Server, response: &str) -> Value {
    let published = server.get("/.well-known/jwks.json").await;
    let (keys, skipped) = JwkSet::parse(published.text.as_bytes()).unwrap();
    assert!(skipped.is_empty(), "every published key can be used");
    let jws = Jws::parse(response).unwrap();
    let key = keys
        .find(jws.header().kid().unwrap(), jws.header().algorithm())
        .unwrap()
        .clone();
    Value::Object(jws.verify(&key).unwrap().raw().clone())
}

async fn redeemed(server: &Server, client: &str, code: &str, key: Option<&Key>) -> Reply {
    let form = format!(
        "grant_type=authorization_code&code={code}&redirect_uri={}&code_verifier={VERIFIER}&{}",
        escape(SIGNER_CALLBACK),
        assertion(server, client, es256())
    );
    token(server, &form, key).await
}

async fn token(server: &Server, form: &str, key: Option<&Key>) -> Reply {
    let proof = key.map(|key| key.proof(server, &Method::POST, "/token", None));
    let headers: Vec<(&str, &str)> = proof.iter().map(|proof| ("dpop", proof.as_str())).collect();
    server.post("/token", &headers, form).await
}

#[tokio::test]
async fn r19_jar_12_jar_14_a_signed_request_ends_in_tokens_and_only_the_inside_counts() {
    let server = Server::start().await;
    let object = object(&server, "signer", |_| {});
    let query = format!("client_id=signer&request={object}&state=outside&scope=openid");
    let answer = authorize(&server, &query).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{answer:?}");
    assert!(answer.location().starts_with(SIGNER_CALLBACK));
    assert_eq!(answer.redirected("state").as_deref(), Some("the-state"));
    let tokens = redeemed(&server, "signer", &answer.redirected("code").unwrap(), None).await;
    assert_eq!(tokens.status, StatusCode::OK, "{tokens:?}");
    assert_eq!(tokens.json()["scope"], "openid orders:read");
    let stateless = self::object(&server, "signer", |claims| {
        claims.as_object_mut().unwrap().remove("state");
    });
    let query = format!("client_id=signer&request={stateless}&state=outside");
    let answer = authorize(&server, &query).await;
    assert!(answer.redirected("code").is_some());
    assert_eq!(answer.redirected("state"), None, "jar_14");
}

#[tokio::test]
async fn r20_jar_1_jar_3_ar_14_a_refused_object_goes_nowhere_or_to_a_registered_address() {
    let server = Server::start().await;
    let good = object(&server, "signer", |_| {});
    let (signed, _signature) = good.rsplit_once('.').unwrap();
    let broken = format!("{signed}.{}", base64url::encode(&[1; 64]));
    let unsigned = format!(
        "{}.{}.",
        base64url::encode(br#"{"alg":"none"}"#),
        base64url::encode(claims(&server, "signer").to_string().as_bytes())
    );
    for object in [&broken, &unsigned] {
        let query = format!("client_id=signer&request={object}");
        let page = server.get(&format!("/authorize?{query}")).await;
        assert_eq!(
            (page.status, page.location()),
            (StatusCode::BAD_REQUEST, ""),
            "nothing says where"
        );
        let query = format!("{query}&state=s&redirect_uri={}", escape(SIGNER_CALLBACK));
        let told = server.get(&format!("/authorize?{query}")).await;
        assert_eq!(
            told.redirected("error").as_deref(),
            Some("invalid_request_object")
        );
        let query = format!("client_id=signer&request={object}&redirect_uri=https://evil.test/");
        let page = server.get(&format!("/authorize?{query}")).await;
        assert_eq!(
            (page.status, page.location()),
            (StatusCode::BAD_REQUEST, "")
        );
        let pushed = push(&server, "signer", &format!("request={object}")).await;
        assert_eq!(
            (pushed.status, pushed.error().as_str()),
            (StatusCode::BAD_REQUEST, "invalid_request_object")
        );
    }
    let pushed = push(&server, "signer", &format!("request={good}")).await;
    assert_eq!(pushed.status, StatusCode::CREATED, "the twin: {pushed:?}");
    let both = format!("client_id=signer&request={good}&request_uri=urn:x");
    let page = server.get(&format!("/authorize?{both}")).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST, "one or the other");
}

#[tokio::test]
async fn r21_jar_16_a15_an_encrypted_request_holds_a_signed_one() {
    let server = Server::start().await;
    let published = server.get("/.well-known/jwks.json").await;
    let keys = EncryptionKeySet::parse(published.text.as_bytes()).unwrap();
    let encrypted = |content: &str, management| {
        encrypt_jwt(
            &Secret::new(content.to_owned()),
            keys.find(management).unwrap(),
            management,
            ContentEncryption::A128CbcHs256,
            &Random::system(),
        )
        .unwrap()
    };
    let signed = object(&server, "signer", |_| {});
    for management in [KeyManagement::EcdhEs, KeyManagement::EcdhEsA256Kw] {
        let form = format!("request={}", encrypted(&signed, management));
        let pushed = push(&server, "signer", &form).await;
        assert_eq!(pushed.status, StatusCode::CREATED, "the twin: {pushed:?}");
        let request_uri = text(&pushed, "request_uri");
        let query = format!("client_id=signer&request_uri={}", escape(&request_uri));
        assert!(
            authorize(&server, &query)
                .await
                .redirected("code")
                .is_some()
        );
    }
    let raw = claims(&server, "signer").to_string();
    let form = format!("request={}", encrypted(&raw, KeyManagement::EcdhEs));
    let refused = push(&server, "signer", &form).await;
    assert_eq!(refused.error(), "invalid_request_object");
}

#[tokio::test]
async fn signed_answers_carry_issuer_audience_and_expiry() {
    let server = Server::start().await;
    for mode in ["jwt", "query.jwt"] {
        let query = plain("signer", &format!("&response_mode={mode}"));
        let answer = authorize(&server, &query).await;
        assert!(answer.location().starts_with(SIGNER_CALLBACK), "{answer:?}");
        assert_eq!(answer.redirected("code"), None, "only inside");
        let claims = verified(&server, &answer.redirected("response").unwrap()).await;
        assert_eq!(claims["iss"], ISSUER);
        assert_eq!(claims["aud"], "signer");
        assert_eq!(claims["state"], "the-state");
        assert_eq!(claims["exp"].as_i64().unwrap(), server.now() + 120);
        let code = claims["code"].as_str().unwrap();
        let tokens = redeemed(&server, "signer", code, None).await;
        assert_eq!(tokens.status, StatusCode::OK, "{tokens:?}");
    }
    let silent = plain("signer", "&response_mode=jwt&prompt=none");
    let answer = server.get(&format!("/authorize?{silent}")).await;
    let claims = verified(&server, &answer.redirected("response").unwrap()).await;
    assert_eq!(claims["error"], "login_required");
    assert_eq!(claims["iss"], ISSUER);
}

#[tokio::test]
async fn a_form_answer_needs_no_script_and_may_go_to_the_client_alone() {
    let server = Server::start().await;
    let query = plain("signer", "&response_mode=form_post");
    let page = authorize(&server, &query).await;
    assert_eq!(page.status, StatusCode::OK, "{page:?}");
    for part in [
        "action=\"https://signer.test/cb\"",
        "name=\"code\"",
        "name=\"state\" value=\"the-state\"",
        "name=\"iss\" value=\"https://id.test\"",
        ">Continue</button>",
    ] {
        assert!(page.text.contains(part), "{part} in {}", page.text);
    }
    assert!(!page.text.contains("<script"));
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.contains("form-action 'self' https://signer.test;"),
        "{policy}"
    );
    assert_eq!(page.headers["cache-control"], "no-store");
    let query = plain("signer", "&response_mode=form_post.jwt");
    let page = authorize(&server, &query).await;
    let response = page
        .text
        .split("name=\"response\" value=\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .unwrap_or_else(|| panic!("a response: {}", page.text));
    assert_eq!(verified(&server, response).await["state"], "the-state");
    assert!(!page.text.contains("name=\"code\""));
}

#[tokio::test]
async fn ar_6_a4_a60_no_mode_sends_an_answer_to_an_address_that_is_not_registered() {
    let server = Server::start().await;
    for mode in [
        "query",
        "form_post",
        "jwt",
        "query.jwt",
        "form_post.jwt",
        "fragment",
    ] {
        for uri in [
            "https://evil.test/",
            "javascript:alert(1)",
            "data:text/html,x",
        ] {
            let query = plain("signer", &format!("&response_mode={mode}"))
                .replace(&escape(SIGNER_CALLBACK), &escape(uri));
            let page = server.get(&format!("/authorize?{query}")).await;
            assert_eq!(
                (page.status, page.location()),
                (StatusCode::BAD_REQUEST, ""),
                "{mode} {uri}"
            );
            assert!(!page.text.contains("<form"), "{mode} {uri}");
        }
    }
    // A private-use scheme takes a redirect; a form is never sent there, whatever is registered.
    let gadget = |mode: &str| {
        plain("gadget", &format!("&prompt=none&response_mode={mode}")).replace(
            &escape(SIGNER_CALLBACK),
            &escape("com.example.gadget:/done"),
        )
    };
    let refused = server
        .get(&format!("/authorize?{}", gadget("form_post")))
        .await;
    assert!(
        refused
            .location()
            .starts_with("com.example.gadget:/done?error=invalid")
    );
    let twin = server.get(&format!("/authorize?{}", gadget("query"))).await;
    assert_eq!(twin.redirected("error").as_deref(), Some("login_required"));
}

#[tokio::test]
async fn r13_ar_20_a_mode_that_is_not_registered_is_refused() {
    let server = Server::start().await;
    for mode in [
        "form_post",
        "jwt",
        "form_post.jwt",
        "fragment",
        "web_message",
    ] {
        let query = super::browser::query(&format!("response_mode={mode}"));
        let refused = server.get(&format!("/authorize?{query}")).await;
        assert_eq!(
            refused.redirected("error").as_deref(),
            Some("invalid_request"),
            "{mode}"
        );
    }
    let query = plain("signer", "&response_mode=form_post");
    assert_eq!(
        authorize(&server, &query).await.status,
        StatusCode::OK,
        "the twin"
    );
}

#[tokio::test]
async fn r9_r47_par_10_par_16_dpop_28_a_fapi_client_pushes_binds_and_keeps_its_refresh_token() {
    let (server, key) = (Server::start().await, Key::new());
    let query = plain("bank", "");
    let refused = server.get(&format!("/authorize?{query}")).await;
    assert_eq!(
        refused.redirected("error").as_deref(),
        Some("invalid_request"),
        "par_10"
    );
    let pushed = push(&server, "bank", &plain("bank", "")).await;
    assert_eq!(pushed.status, StatusCode::CREATED, "{pushed:?}");
    assert!(
        pushed.json()["expires_in"].as_u64().unwrap() < 600,
        "par_16"
    );
    let unregistered =
        plain("bank", "").replace(&escape(SIGNER_CALLBACK), &escape("https://evil.test/cb"));
    let refused = push(&server, "bank", &unregistered).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "par_12");
    let request_uri = escape(&text(&pushed, "request_uri"));
    let answer = authorize(
        &server,
        &format!("client_id=bank&request_uri={request_uri}"),
    )
    .await;
    assert_eq!(answer.redirected("iss").as_deref(), Some(ISSUER));
    let code = answer.redirected("code").unwrap();
    let bearer = redeemed(&server, "bank", &code, None).await;
    assert_eq!(bearer.error(), "invalid_dpop_proof", "r47: {bearer:?}");

    let pushed = push(&server, "bank", &plain("bank", "")).await;
    let request_uri = escape(&text(&pushed, "request_uri"));
    let answer = authorize(
        &server,
        &format!("client_id=bank&request_uri={request_uri}"),
    )
    .await;
    let code = answer.redirected("code").unwrap();
    let tokens = redeemed(&server, "bank", &code, Some(&key)).await;
    assert_eq!(tokens.json()["token_type"], "DPoP", "{tokens:?}");
    let first = text(&tokens, "refresh_token");
    for _ in 0..2 {
        let form = format!(
            "grant_type=refresh_token&refresh_token={first}&{}",
            assertion(&server, "bank", es256())
        );
        server.advance(30).await;
        let again = token(&server, &form, Some(&key)).await;
        assert_eq!(again.status, StatusCode::OK, "{again:?}");
        assert_eq!(text(&again, "refresh_token"), first, "it stays");
    }
}

#[tokio::test]
async fn r31_a_tenant_under_fapi_takes_no_secret() {
    let server = Server::start().await;
    let basic = basic("legacy", LEGACY_SECRET);
    let form = "grant_type=client_credentials";
    for path in [
        "/t/fapi/token",
        "/t/fapi/par",
        "/t/fapi/introspect",
        "/t/fapi/revoke",
    ] {
        let refused = server.post(path, &[("authorization", &basic)], form).await;
        assert_eq!(
            (refused.status, refused.error().as_str()),
            (StatusCode::UNAUTHORIZED, "invalid_client"),
            "{path}"
        );
    }
    let twin = server.token(form, None).await;
    assert_eq!(twin.status, StatusCode::OK, "a secret does elsewhere");
    let metadata = server
        .get("/t/fapi/.well-known/openid-configuration")
        .await
        .json();
    assert_eq!(metadata["require_pushed_authorization_requests"], true);
    assert_eq!(
        metadata["token_endpoint_auth_methods_supported"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|method| method.as_str().unwrap().contains("secret") || *method == "none")
            .count(),
        0
    );
}

#[tokio::test]
async fn r34_ca_7_an_assertion_in_rs256_is_refused_under_fapi() {
    let server = Server::start().await;
    let pushed = async |algorithm| {
        let body = format!(
            "{}&{}",
            plain("bank", ""),
            assertion(&server, "bank", &rsa(algorithm))
        );
        server.post("/par", &[], &body).await
    };
    let refused = pushed(Algorithm::Rs256).await;
    assert_eq!(
        (refused.status, refused.error().as_str()),
        (StatusCode::UNAUTHORIZED, "invalid_client")
    );
    let twin = pushed(Algorithm::Ps256).await;
    assert_eq!(twin.status, StatusCode::CREATED, "{twin:?}");
}

#[tokio::test]
async fn jar_15_message_signing_takes_signed_requests_and_gives_signed_and_encrypted_answers() {
    let server = Server::start().await;
    let unsigned = push(&server, "notary", &plain("notary", "&response_mode=jwt")).await;
    assert_eq!(unsigned.error(), "invalid_request", "jar_15: {unsigned:?}");
    let signed = object(&server, "notary", |claims| {
        claims["response_mode"] = "jwt".into()
    });
    let pushed = push(&server, "notary", &format!("request={signed}")).await;
    assert_eq!(pushed.status, StatusCode::CREATED, "{pushed:?}");
    let request_uri = escape(&text(&pushed, "request_uri"));
    let answer = authorize(
        &server,
        &format!("client_id=notary&request_uri={request_uri}"),
    )
    .await;
    let rules = JweRules {
        key_management: &[KeyManagement::EcdhEsA256Kw],
        content: &[ContentEncryption::A256Gcm],
    };
    let jwe = Jwe::parse(&answer.redirected("response").unwrap(), &rules).unwrap();
    let inside = jwe.decrypt([encryption()]).unwrap();
    let claims = verified(&server, std::str::from_utf8(inside.expose()).unwrap()).await;
    assert_eq!(
        (claims["aud"].as_str(), claims["iss"].as_str()),
        (Some("notary"), Some(ISSUER))
    );
    assert!(claims["code"].is_string());
    // A mode that is registered and not signed is refused all the same.
    let query = object(&server, "notary", |claims| {
        claims["response_mode"] = "query".into()
    });
    let refused = push(&server, "notary", &format!("request={query}")).await;
    assert_eq!(refused.error(), "invalid_request");
}

#[tokio::test]
async fn metadata_offers_what_is_served() {
    let server = Server::start().await;
    let metadata = server.get("/.well-known/openid-configuration").await.json();
    assert_eq!(metadata["request_parameter_supported"], true);
    assert_eq!(metadata["request_uri_parameter_supported"], false);
    assert_eq!(
        metadata["request_object_signing_alg_values_supported"],
        json!(["EdDSA", "ES256", "PS256"])
    );
    assert_eq!(
        metadata["request_object_encryption_alg_values_supported"],
        json!(["ECDH-ES", "ECDH-ES+A256KW"])
    );
    assert_eq!(
        metadata["authorization_signing_alg_values_supported"],
        json!(["ES256"])
    );
    let offered = metadata["response_modes_supported"].as_array().unwrap();
    assert!(
        offered
            .iter()
            .all(|mode| { ResponseMode::from_parameter(mode.as_str().unwrap()).is_some() })
    );
}
