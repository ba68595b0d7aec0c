//! CIBA (OpenID Connect CIBA Core 1.0, FAPI-CIBA) from the client's request to the last poll.

use super::browser::{Browser, Form};
use super::device::DEVICE_GRANT;
use super::flow::{redeem, text};
use super::harness::{ISSUER, Key, ORDERS, Reply, Server, claims, client, escape};
use countersign_base::Tenant;
use countersign_control::DeclaredClient;
use countersign_control::deliveries::deliver_due;
use countersign_crypto::jose::{Algorithm, sign_jwt};
use countersign_crypto::signing::{self, ClientAssertion, SigningKey};
use countersign_oauth::client::{BackchannelSigning, BindingRule, DeliveryMode};
use countersign_oauth::subject_identifier::SubjectType;
use countersign_oauth::{ClientAuthentication, ClientRecord, GrantType, SecurityProfile};
use countersign_testkit::Said;
use futures_util::future::join_all;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) const CIBA_GRANT: &str = "urn:openid:params:grant-type:ciba";
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

static JTI: AtomicU64 = AtomicU64::new(0);

type ClientKey = SigningKey<ClientAssertion>;

fn new_key(algorithm: Algorithm) -> ClientKey {
    let pkcs8 = signing::generate_pkcs8(algorithm).unwrap();
    SigningKey::from_pkcs8(algorithm, "bank-1".parse().unwrap(), &pkcs8).unwrap()
}

/// The key of the client `teller`, the same in every test of this process.
fn bank_key() -> &'static ClientKey {
    static KEY: OnceLock<ClientKey> = OnceLock::new();
    KEY.get_or_init(|| new_key(Algorithm::Es256))
}

/// The key of the client `shop`.
fn shop_key() -> &'static ClientKey {
    static KEY: OnceLock<ClientKey> = OnceLock::new();
    KEY.get_or_init(|| new_key(Algorithm::Es256))
}

/// A key of the wrong algorithm that `shop` registered too.
fn rs256_key() -> &'static ClientKey {
    static KEY: OnceLock<ClientKey> = OnceLock::new();
    KEY.get_or_init(|| new_key(Algorithm::Rs256))
}

/// A teller that may send both kinds of requests, a shop whose requests must be signed, and a till whose tokens must be bound.
pub(crate) fn clients(tenant: &Tenant) -> Vec<DeclaredClient> {
    let of_ciba = |client: &mut ClientRecord, keys: &[(&ClientKey, Algorithm)]| {
        let keys: Vec<Value> = keys
            .iter()
            .map(|(key, algorithm)| key.public_jwk().to_published_json(key.kid(), *algorithm))
            .collect();
        client.authentication = ClientAuthentication::Keys {
            jwks: json!({ "keys": keys }),
        };
        client.grants = [GrantType::Ciba, GrantType::RefreshToken].into();
        client.scopes = "openid orders:read".parse().unwrap();
        client.audiences = [ORDERS.parse().unwrap()].into();
    };
    vec![
        client(tenant, "teller", None, |client| {
            of_ciba(client, &[(bank_key(), Algorithm::Es256)]);
        }),
        client(tenant, "shop", None, |client| {
            of_ciba(client, &[(shop_key(), Algorithm::Es256)]);
            client.ciba.signing = BackchannelSigning::Required;
        }),
        client(tenant, "till", Some("till-secret"), |client| {
            let authentication = client.authentication.clone();
            of_ciba(client, &[]);
            client.authentication = authentication;
            client.binding = BindingRule::Required;
        }),
    ]
}

/// An assertion's parameters.
fn assertion(server: &Server, key: &ClientKey, id: &str) -> String {
    let jti = format!("ciba-{}", JTI.fetch_add(1, Ordering::Relaxed));
    let now = server.now();
    let claims =
        json!({"iss": id, "sub": id, "aud": ISSUER, "jti": jti, "iat": now, "exp": now + 60});
    let signed = sign_jwt(key, &claims).unwrap();
    format!("client_assertion_type={ASSERTION_TYPE}&client_assertion={signed}")
}

async fn ask(server: &Server, form: &str) -> Reply {
    let form = format!("{}&{form}", assertion(server, bank_key(), "teller"));
    server.post("/bc-authorize", &[], &form).await
}

async fn asked(server: &Server, form: &str) -> String {
    let reply = ask(server, form).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    text(&reply, "auth_req_id")
}

const GOOD: &str = "scope=openid%20orders:read&login_hint=alice";

async fn poll(server: &Server, id: &str) -> Reply {
    poll_as(server, id, bank_key(), "teller").await
}

async fn poll_as(server: &Server, id: &str, key: &ClientKey, client: &str) -> Reply {
    let form = format!(
        "grant_type={CIBA_GRANT}&auth_req_id={id}&{}",
        assertion(server, key, client)
    );
    server.post("/token", &[], &form).await
}

/// The page with what waits, for somebody who signs in now.
async fn requests_of(browser: &mut Browser, server: &Server, name: &str) -> Reply {
    let page = browser.get(server, "/requests").await;
    if page.text.contains("name=\"password\"") {
        browser.sign_in(server, &page, name).await
    } else {
        page
    }
}

async fn answer(server: &Server, answer: &str) {
    let mut browser = Browser::default();
    let page = requests_of(&mut browser, server, "alice").await;
    let reply = browser
        .submit(server, &Form::of(&page), &format!("answer={answer}"))
        .await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
}

/// The claims of a signed request of the shop that is accepted.
fn request_claims(server: &Server) -> Value {
    let jti = format!("request-{}", JTI.fetch_add(1, Ordering::Relaxed));
    let now = server.now();
    json!({
        "iss": "shop", "aud": ISSUER, "exp": now + 300, "iat": now, "nbf": now, "jti": jti,
        "scope": "openid orders:read", "login_hint": "alice", "binding_message": "W4-SCT",
    })
}

async fn ask_signed(server: &Server, key: &ClientKey, change: impl FnOnce(&mut Value)) -> Reply {
    let mut claims = request_claims(server);
    change(&mut claims);
    send_signed(server, &sign_jwt(key, &claims).unwrap(), "").await
}

async fn send_signed(server: &Server, request: &str, extra: &str) -> Reply {
    let form = format!(
        "{}&request={request}{extra}",
        assertion(server, shop_key(), "shop")
    );
    server.post("/bc-authorize", &[], &form).await
}

#[tokio::test]
async fn a_client_asks_a_person_allows_and_the_client_gets_tokens() {
    let server = Server::start().await;
    let reply = ask(&server, &format!("{GOOD}&binding_message=W4-SCT")).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    assert_eq!(
        (
            reply.json()["expires_in"].as_u64(),
            reply.json()["interval"].as_u64()
        ),
        (Some(300), Some(5))
    );
    let id = text(&reply, "auth_req_id");
    assert_eq!(poll(&server, &id).await.error(), "authorization_pending");
    let mut browser = Browser::default();
    let page = requests_of(&mut browser, &server, "alice").await;
    for shown in [
        "<code>teller</code>",
        "<bdi>W4-SCT</bdi>",
        "orders:read",
        "127.0.0.1",
        ">Deny</button>",
    ] {
        assert!(page.text.contains(shown), "{shown} in {}", page.text);
    }
    // It waits for nobody else.
    let others = requests_of(&mut Browser::default(), &server, "bob").await;
    assert!(others.text.contains("Nothing waits"), "{others:?}");
    let done = browser
        .submit(&server, &Form::of(&page), "answer=allow")
        .await;
    assert!(done.text.contains("<h1>Allowed</h1>"), "{done:?}");
    let empty = browser.get(&server, "/requests").await;
    assert!(empty.text.contains("Nothing waits"), "{empty:?}");
    server.advance(5).await;
    let tokens = poll(&server, &id).await;
    assert_eq!(tokens.status, StatusCode::OK, "{tokens:?}");
    let (access, id_token) = (
        claims(&text(&tokens, "access_token")),
        claims(&text(&tokens, "id_token")),
    );
    assert_eq!(
        (access["aud"].as_str(), id_token["aud"].as_str()),
        (Some(ORDERS), Some("teller"))
    );
    assert_eq!(access["sub"], id_token["sub"]);

    // The ID token that came of it says whom to ask the next time, long after it expired.
    server.advance(3600).await;
    let hint = format!("scope=openid&id_token_hint={}", text(&tokens, "id_token"));
    let next = asked(&server, &hint).await;
    answer(&server, "allow").await;
    assert_eq!(poll(&server, &next).await.status, StatusCode::OK);
    for other in [text(&tokens, "access_token"), "a.b.c".to_owned()] {
        let reply = ask(&server, &format!("scope=openid&id_token_hint={other}")).await;
        assert_eq!(reply.error(), "unknown_user_id");
    }
}

#[tokio::test]
async fn a_pairwise_client_names_its_person_by_the_subject_it_knows() {
    let server = Server::with_declared(|declared| {
        let mut clients = declared.clients.iter_mut();
        let teller = clients.find(|client| client.record.id.as_str() == "teller");
        teller.unwrap().record.token_rules.subject_type = SubjectType::Pairwise;
    })
    .await;
    let id = asked(&server, GOOD).await;
    answer(&server, "allow").await;
    let tokens = poll(&server, &id).await;
    let id_token = text(&tokens, "id_token");
    assert_eq!(claims(&id_token)["sub"].as_str().unwrap().len(), 43);
    let next = asked(&server, &format!("scope=openid&id_token_hint={id_token}")).await;
    answer(&server, "allow").await;
    let again = poll(&server, &next).await;
    assert_eq!(
        claims(&text(&again, "id_token"))["sub"],
        claims(&id_token)["sub"]
    );
}

#[tokio::test]
async fn ciba_1_an_unsigned_request_is_refused_where_signatures_are_due() {
    let server = Server::start().await;
    let form = format!("{}&{GOOD}", assertion(&server, shop_key(), "shop"));
    let unsigned = server.post("/bc-authorize", &[], &form).await;
    assert_eq!(
        (unsigned.status, unsigned.error().as_str()),
        (StatusCode::BAD_REQUEST, "invalid_request")
    );
    let signed = ask_signed(&server, shop_key(), |_| ()).await;
    assert_eq!(signed.status, StatusCode::OK, "the twin: {signed:?}");
    let mut browser = Browser::default();
    let page = requests_of(&mut browser, &server, "alice").await;
    assert!(page.text.contains("W4-SCT"), "what is inside counts");
}

#[tokio::test]
async fn ciba_1_a_client_that_is_held_to_fapi_signs() {
    let server = Server::with_declared(|declared| {
        for client in &mut declared.clients {
            if matches!(client.record.id.as_str(), "teller" | "shop") {
                client.record.ciba.signing = BackchannelSigning::Optional;
            }
            if client.record.id.as_str() == "shop" {
                client.record.request_rules.profile = SecurityProfile::Fapi2;
            }
        }
    })
    .await;
    let form = format!("{}&{GOOD}", assertion(&server, shop_key(), "shop"));
    let unsigned = server.post("/bc-authorize", &[], &form).await;
    assert_eq!(unsigned.error(), "invalid_request");
    let signed = ask_signed(&server, shop_key(), |_| ()).await;
    assert_eq!(signed.status, StatusCode::OK, "the twin: {signed:?}");
    assert_eq!(
        ask(&server, GOOD).await.status,
        StatusCode::OK,
        "another client"
    );
}

type Flaw = Box<dyn FnOnce(&mut Value)>;

#[tokio::test]
async fn ciba_2_ciba_3_ciba_4_ciba_5_ciba_6_ciba_7_ciba_8_ciba_9_ciba_10_ciba_11_ciba_12_ciba_13_ciba_14_flawed_requests_are_refused()
 {
    let server = Server::start().await;
    let now = server.now();
    let without = |name: &'static str| -> Flaw {
        Box::new(move |claims| drop(claims.as_object_mut().unwrap().remove(name)))
    };
    let with =
        |name: &'static str, value: Value| -> Flaw { Box::new(move |claims| claims[name] = value) };
    let rows: Vec<(&str, Flaw)> = vec![
        ("ciba_2", with("id_token_hint", json!("a.b.c"))),
        ("ciba_2", with("login_hint_token", json!("t"))),
        ("ciba_3", without("iss")),
        ("ciba_4", without("aud")),
        ("ciba_5", without("exp")),
        ("ciba_6", without("iat")),
        ("ciba_7", without("nbf")),
        ("ciba_8", without("jti")),
        ("ciba_9", with("iss", json!("teller"))),
        ("ciba_10", with("aud", json!("https://elsewhere.test"))),
        ("ciba_11", with("exp", json!(now - 1))),
        ("ciba_12", with("exp", json!(now + 70 * 60))),
        ("ciba_13", with("nbf", json!(now + 600))),
        ("ciba_14", with("nbf", json!(now - 70 * 60))),
        ("a request in the request", with("request", json!("a.b.c"))),
        (
            "a claim of no parameter",
            with("login_hint", json!(["alice"])),
        ),
    ];
    for (id, flaw) in rows {
        let reply = ask_signed(&server, shop_key(), flaw).await;
        assert_eq!(
            (reply.status, reply.error().as_str()),
            (StatusCode::BAD_REQUEST, "invalid_request"),
            "{id}: {reply:?}"
        );
    }
    let twin = ask_signed(&server, shop_key(), |_| ()).await;
    assert_eq!(twin.status, StatusCode::OK, "{twin:?}");
}

#[tokio::test]
async fn ciba_15_ciba_16_ciba_17_ciba_18_only_a_signature_of_the_client_itself_counts() {
    let server = Server::start().await;
    let claims = request_claims(&server);
    let encode =
        |value: &Value| countersign_crypto::base64url::encode(value.to_string().as_bytes());
    let unsigned = format!("{}.{}.", encode(&json!({"alg": "none"})), encode(&claims));
    let symmetric = format!(
        "{}.{}.AAAA",
        encode(&json!({"alg": "HS256"})),
        encode(&claims)
    );
    for (id, request) in [
        ("ciba_15", symmetric),
        ("ciba_16", unsigned),
        ("ciba_17", sign_jwt(rs256_key(), &claims).unwrap()),
        ("ciba_18", sign_jwt(bank_key(), &claims).unwrap()),
    ] {
        let reply = send_signed(&server, &request, "").await;
        assert_eq!(
            (reply.status, reply.error().as_str()),
            (StatusCode::BAD_REQUEST, "invalid_request"),
            "{id}"
        );
    }
    let good = sign_jwt(shop_key(), &claims).unwrap();
    assert_eq!(
        send_signed(&server, &good, "").await.status,
        StatusCode::OK,
        "the twin"
    );
    assert_eq!(
        send_signed(&server, &good, "").await.error(),
        "invalid_request",
        "and it works once"
    );
}

#[tokio::test]
async fn ciba_19_ciba_24_ciba_25_a_client_id_that_differs_is_an_invalid_client() {
    let server = Server::start().await;
    let good = sign_jwt(shop_key(), &request_claims(&server)).unwrap();
    let differs = send_signed(&server, &good, "&client_id=teller").await;
    assert_eq!(
        (differs.status, differs.error().as_str()),
        (StatusCode::UNAUTHORIZED, "invalid_client")
    );
    let beside = send_signed(&server, &good, "&login_hint=bob").await;
    assert_eq!(
        beside.error(),
        "invalid_request",
        "nothing of the request stands beside it"
    );
    let same = send_signed(&server, &good, "&client_id=shop").await;
    assert_eq!(same.status, StatusCode::OK, "the twin: {same:?}");

    let id = asked(&server, GOOD).await;
    let form = format!(
        "grant_type={CIBA_GRANT}&auth_req_id={id}&client_id=shop&{}",
        assertion(&server, bank_key(), "teller")
    );
    let reply = server.post("/token", &[], &form).await;
    assert_eq!(
        (reply.status, reply.error().as_str()),
        (StatusCode::UNAUTHORIZED, "invalid_client")
    );
    assert_eq!(
        poll(&server, &id).await.error(),
        "authorization_pending",
        "the twin"
    );
}

#[tokio::test]
async fn ciba_20_ciba_21_ciba_22_ciba_23_both_endpoints_demand_an_assertion_of_a_good_algorithm() {
    let server = Server::start().await;
    let id = asked(&server, GOOD).await;
    let token = format!("grant_type={CIBA_GRANT}&auth_req_id={id}");
    for (path, form) in [("/bc-authorize", GOOD), ("/token", token.as_str())] {
        for flawed in [
            form.to_owned(),
            format!("{form}&client_id=teller"),
            format!("{form}&{}", assertion(&server, rs256_key(), "teller")),
        ] {
            let reply = server.post(path, &[], &flawed).await;
            assert_eq!(
                (reply.status, reply.error().as_str()),
                (StatusCode::UNAUTHORIZED, "invalid_client"),
                "{path}"
            );
        }
        let good = format!("{form}&{}", assertion(&server, bank_key(), "teller"));
        let reply = server.post(path, &[], &good).await;
        assert_ne!(
            reply.status,
            StatusCode::UNAUTHORIZED,
            "the twin: {reply:?}"
        );
    }
    // A public client is none that may ask.
    let reply = server
        .post("/bc-authorize", &[], &format!("client_id=tv&{GOOD}"))
        .await;
    assert_eq!(reply.error(), "unauthorized_client");
}

#[tokio::test]
async fn ciba_26_ciba_27_ciba_28_another_clients_an_expired_and_a_hasty_poll() {
    let server = Server::start().await;
    let id = asked(&server, &format!("{GOOD}&requested_expiry=60")).await;
    let stolen = poll_as(&server, &id, shop_key(), "shop").await;
    assert_eq!(stolen.error(), "invalid_grant");
    assert_eq!(poll(&server, &id).await.error(), "authorization_pending");
    assert_eq!(poll(&server, &id).await.error(), "slow_down");
    answer(&server, "allow").await;
    let stolen = poll_as(&server, &id, shop_key(), "shop").await;
    assert_eq!(
        stolen.error(),
        "invalid_grant",
        "and it costs the owner nothing"
    );
    assert_eq!(poll(&server, &id).await.status, StatusCode::OK);

    let late = asked(&server, &format!("{GOOD}&requested_expiry=60")).await;
    answer(&server, "allow").await;
    server.advance(60).await;
    let expired = poll(&server, &late).await;
    assert_eq!(
        (expired.status, expired.error().as_str()),
        (StatusCode::BAD_REQUEST, "expired_token")
    );
}

#[tokio::test]
async fn ciba_29_a_poll_without_the_certificate_or_key_that_is_due_gets_nothing() {
    let server = Server::start().await;
    let reply = server
        .client_post("/bc-authorize", ("till", "till-secret"), GOOD, None)
        .await;
    let id = text(&reply, "auth_req_id");
    answer(&server, "allow").await;
    let form = format!("grant_type={CIBA_GRANT}&auth_req_id={id}");
    let bare = server
        .client_post("/token", ("till", "till-secret"), &form, None)
        .await;
    assert_eq!(bare.status, StatusCode::BAD_REQUEST);
    assert_eq!(bare.error(), "invalid_dpop_proof");
    // The twin, with a request of its own: the first is spent by the attempt.
    let reply = server
        .client_post("/bc-authorize", ("till", "till-secret"), GOOD, None)
        .await;
    let id = text(&reply, "auth_req_id");
    answer(&server, "allow").await;
    let form = format!("grant_type={CIBA_GRANT}&auth_req_id={id}");
    let proof = Key::new().proof(&server, &Method::POST, "/token", None);
    let bound = server
        .client_post("/token", ("till", "till-secret"), &form, Some(&proof))
        .await;
    assert_eq!(bound.json()["token_type"], "DPoP", "{bound:?}");
}

#[tokio::test]
async fn ciba_33_ciba_34_ciba_35_denied_refreshed_by_another_and_used_twice() {
    let server = Server::start().await;
    let denied = asked(&server, GOOD).await;
    answer(&server, "deny").await;
    assert_eq!(poll(&server, &denied).await.error(), "access_denied");

    let id = asked(&server, GOOD).await;
    answer(&server, "allow").await;
    let tokens = poll(&server, &id).await;
    let (access, refresh) = (
        text(&tokens, "access_token"),
        text(&tokens, "refresh_token"),
    );
    let refreshed = async |key: &ClientKey, client: &str| {
        let form = format!(
            "grant_type=refresh_token&refresh_token={refresh}&{}",
            assertion(&server, key, client)
        );
        server.post("/token", &[], &form).await
    };
    assert_eq!(refreshed(shop_key(), "shop").await.error(), "invalid_grant");
    assert_eq!(
        refreshed(bank_key(), "teller").await.status,
        StatusCode::OK,
        "the twin"
    );

    assert!(server.is_active(&access).await);
    let again = poll(&server, &id).await;
    assert_eq!(again.error(), "invalid_grant");
    assert!(!server.is_active(&access).await, "the grant is revoked");
    assert_eq!(
        refreshed(bank_key(), "teller").await.error(),
        "invalid_grant"
    );
}

#[tokio::test]
async fn a84_of_many_parallel_polls_exactly_one_gets_tokens() {
    let server = Server::start().await;
    let id = asked(&server, GOOD).await;
    answer(&server, "allow").await;
    let replies = join_all((0..20).map(|_| poll(&server, &id))).await;
    let issued = replies
        .iter()
        .filter(|reply| reply.status == StatusCode::OK);
    assert_eq!(issued.count(), 1);
}

#[tokio::test]
async fn ciba_36_ciba_37_ciba_38_messages_expiries_and_scopes_as_clients_write_them() {
    let server = Server::start().await;
    let message = "確認: Überweisung an Zoë <b>";
    let form = format!("{GOOD}&binding_message={}", escape(message));
    let _id = asked(&server, &form).await;
    let mut browser = Browser::default();
    let page = requests_of(&mut browser, &server, "alice").await;
    assert!(
        page.text.contains("確認: Überweisung an Zoë &#60;b&#62;"),
        "{page:?}"
    );
    for bad in ["x".repeat(129), "a\u{202e}b".to_owned()] {
        let reply = ask(&server, &format!("{GOOD}&binding_message={}", escape(&bad))).await;
        assert_eq!(reply.error(), "invalid_binding_message");
    }
    for expiry in [json!("120"), json!(120)] {
        let reply = ask_signed(&server, shop_key(), |claims| {
            claims["requested_expiry"] = expiry
        })
        .await;
        assert_eq!(reply.json()["expires_in"], 120, "{reply:?}");
    }
    let reply = ask(&server, "scope=orders:read%20openid&login_hint=alice").await;
    assert_eq!(reply.status, StatusCode::OK);
}

/// A server on which the teller is told of answers.
async fn telling() -> Server {
    Server::with_declared(|declared| {
        let mut clients = declared.clients.iter_mut();
        let teller = clients.find(|client| client.record.id.as_str() == "teller");
        teller.unwrap().record.ciba.delivery = DeliveryMode::Ping {
            endpoint: "https://bank.test/ciba".parse().unwrap(),
        };
    })
    .await
}

const TOLD: &str = "scope=openid&login_hint=alice&client_notification_token=the-token-of-the-bank";

#[tokio::test]
async fn ciba_39_the_client_is_told_that_there_is_an_answer_and_what_it_says_has_no_meaning() {
    let server = telling().await;
    let internet = &server.fabric.internet;
    internet.host("bank.test", |_| Said::json(&json!({"error": "whatever"})));
    let untold = ask(&server, "scope=openid&login_hint=alice").await;
    assert_eq!(untold.error(), "invalid_request", "with which token?");
    let id = asked(&server, TOLD).await;
    deliver_due(&server.fabric.fabric).await.unwrap();
    assert!(internet.heard().is_empty(), "there is nothing to tell yet");
    answer(&server, "allow").await;
    deliver_due(&server.fabric.fabric).await.unwrap();
    let heard = internet.wait_for(1).await;
    assert_eq!(
        (&heard[0].method, heard[0].path.as_str()),
        (&Method::POST, "/ciba")
    );
    assert_eq!(
        heard[0].headers["authorization"],
        "Bearer the-token-of-the-bank"
    );
    let body: Value = serde_json::from_slice(&heard[0].body).unwrap();
    assert_eq!(body, json!({ "auth_req_id": id }));
    deliver_due(&server.fabric.fabric).await.unwrap();
    assert_eq!(internet.heard().len(), 1, "once");
    assert_eq!(poll(&server, &id).await.status, StatusCode::OK);
}

#[tokio::test]
async fn ciba_30_ciba_31_ciba_32_a_client_that_refuses_is_not_told_again_and_still_gets_its_tokens()
{
    for status in [
        StatusCode::UNAUTHORIZED,
        StatusCode::FORBIDDEN,
        StatusCode::MOVED_PERMANENTLY,
    ] {
        let server = telling().await;
        let internet = &server.fabric.internet;
        internet.host("elsewhere.test", |_| Said::status(StatusCode::OK));
        internet.host("bank.test", move |_| {
            Said::status(status).with(http::header::LOCATION, "https://elsewhere.test/ciba")
        });
        let id = asked(&server, TOLD).await;
        answer(&server, "allow").await;
        for _ in 0..3 {
            deliver_due(&server.fabric.fabric).await.unwrap();
            server.advance(30).await;
        }
        let heard = internet.heard();
        assert_eq!(
            heard.len(),
            1,
            "{status}: told once, and nobody was sent elsewhere"
        );
        assert_eq!(heard[0].host, "bank.test");
        assert_eq!(poll(&server, &id).await.status, StatusCode::OK, "{status}");
    }
    // The twin: a client that is away for a moment is told again.
    let server = telling().await;
    let internet = &server.fabric.internet;
    internet.host("bank.test", |_| {
        Said::status(StatusCode::SERVICE_UNAVAILABLE)
    });
    let _id = asked(&server, TOLD).await;
    answer(&server, "deny").await;
    deliver_due(&server.fabric.fabric).await.unwrap();
    internet.host("bank.test", |_| Said::status(StatusCode::NO_CONTENT));
    server.advance(30).await;
    deliver_due(&server.fabric.fabric).await.unwrap();
    assert_eq!(internet.heard().len(), 2);
}

#[tokio::test]
async fn a34_nobody_is_asked_for_more_than_the_client_may_have_nor_without_end() {
    let server = Server::start().await;
    for (form, error) in [
        ("scope=openid%20admin&login_hint=alice", "invalid_scope"),
        ("scope=openid&login_hint=nobody", "unknown_user_id"),
        ("scope=openid&login_hint=not%20a%20name", "unknown_user_id"),
        ("scope=openid&login_hint_token=x", "invalid_request"),
        (
            "scope=openid&login_hint=alice&resource=https://billing.test",
            "invalid_target",
        ),
    ] {
        assert_eq!(ask(&server, form).await.error(), error, "{form}");
    }
    let portal = server
        .client_post(
            "/bc-authorize",
            ("portal", super::harness::SECRET),
            GOOD,
            None,
        )
        .await;
    assert_eq!(portal.error(), "unauthorized_client");
    for _ in 0..20 {
        let _id = asked(&server, GOOD).await;
    }
    assert_eq!(
        ask(&server, GOOD).await.error(),
        "access_denied",
        "enough wait"
    );
    let other = ask(&server, "scope=openid&login_hint=bob").await;
    assert_eq!(other.status, StatusCode::OK);
}

#[tokio::test]
async fn a10_dev_5_an_auth_req_id_is_no_other_handle_and_no_other_is_one() {
    let server = Server::start().await;
    let id = asked(&server, GOOD).await;
    answer(&server, "allow").await;
    let device = server
        .post("/device_authorization", &[], "client_id=tv")
        .await;
    let code = Browser::default().code(&server, "").await;
    for other in [text(&device, "device_code"), code] {
        assert_eq!(poll(&server, &other).await.error(), "invalid_grant");
    }
    let form = format!("grant_type={DEVICE_GRANT}&client_id=tv&device_code={id}");
    assert_eq!(
        server.post("/token", &[], &form).await.error(),
        "invalid_grant"
    );
    assert_eq!(
        server.token(&redeem(&id), None).await.error(),
        "invalid_grant"
    );
    assert_eq!(poll(&server, &id).await.status, StatusCode::OK, "the twin");
}

#[tokio::test]
async fn a33_policy_about_a_client_is_asked_of_whoever_allows_its_back_channel_request() {
    let policy = r#"
        @id("teller") forbid (principal, action == Action::"sign_in", resource == Client::"teller")
        when { !context.source.isInRange(ip("192.0.2.0/24")) };
    "#;
    let server = Server::with_policy(policy).await;
    let id = asked(&server, GOOD).await;
    let mut browser = Browser {
        from: Some("192.0.2.7".parse().unwrap()),
        ..Browser::default()
    };
    // Shown where it is permitted, and answered from elsewhere.
    let page = requests_of(&mut browser, &server, "alice").await;
    browser.from = Some("203.0.113.9".parse().unwrap());
    let form = Form::of(&page);
    let refused = browser.submit(&server, &form, "answer=allow").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{refused:?}");
    assert_eq!(poll(&server, &id).await.error(), "authorization_pending");
    browser.from = Some("192.0.2.7".parse().unwrap());
    let allowed = browser.submit(&server, &form, "answer=allow").await;
    assert_eq!(allowed.status, StatusCode::OK, "the twin: {allowed:?}");
    assert_eq!(poll(&server, &id).await.status, StatusCode::OK, "the twin");
}

#[tokio::test]
async fn a33_a_client_at_which_nobody_may_sign_in_never_gets_tokens_of_a_back_channel_request() {
    let policy = r#"
        @id("teller") forbid (principal, action == Action::"sign_in", resource == Client::"teller");
    "#;
    let server = Server::with_policy(policy).await;
    let id = asked(&server, GOOD).await;
    let mut browser = Browser::default();
    let page = requests_of(&mut browser, &server, "alice").await;
    let refused = browser
        .submit(&server, &Form::of(&page), "answer=allow")
        .await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{refused:?}");
    assert_eq!(poll(&server, &id).await.error(), "authorization_pending");
    server.advance(301).await;
    assert_eq!(poll(&server, &id).await.error(), "expired_token");
    // The twin: without the policy the same steps end in tokens.
    let server = Server::start().await;
    let id = asked(&server, GOOD).await;
    answer(&server, "allow").await;
    assert_eq!(poll(&server, &id).await.status, StatusCode::OK);
}
