//! Signing out: begun by a client, told to clients.

use super::browser::{Browser, Form, query};
use super::delegation::register;
use super::flow::{redeem, text};
use super::harness::{ISSUER, Key, Reply, Server, claims, escape};
use countersign_base::{Bounded, Duration, SessionId};
use countersign_control::deliveries::deliver_due;
use countersign_crypto::jose::{Algorithm, sign_jwt};
use countersign_crypto::signing::{self, IdToken, SigningKey};
use countersign_oauth::client::LogoutRules;
use countersign_oauth::logout::{BACKCHANNEL_LOGOUT, LogoutDelivery};
use countersign_oauth::subject_identifier::SubjectType;
use countersign_store::tables::deliveries;
use countersign_store::{DeliveryId, NewDelivery, Write};
use countersign_testkit::Said;
use http::{Method, StatusCode};
use serde_json::json;

const HOUR: Duration = Duration::from_secs(3600);
const BYE: &str = "https://portal.test/bye";

async fn server() -> Server {
    Server::with_declared(|declared| {
        declared.clients[0].record.logout = LogoutRules {
            post_logout_redirect_uris: [BYE.parse().unwrap()].into(),
            backchannel_uri: Some("https://portal.test/backchannel".parse().unwrap()),
            ..LogoutRules::default()
        };
    })
    .await
}

/// A browser in which alice is signed in to the portal, and what the portal got.
async fn signed_in(server: &Server) -> (Browser, Reply) {
    let mut browser = Browser::default();
    let code = browser.code(server, "").await;
    let tokens = server.token(&redeem(&code), None).await;
    assert_eq!(tokens.status, StatusCode::OK, "{tokens:?}");
    (browser, tokens)
}

fn logout(parameters: &[(&str, &str)]) -> String {
    let fields: Vec<String> = parameters
        .iter()
        .map(|(name, value)| format!("{name}={}", escape(value)))
        .collect();
    format!("/logout?{}", fields.join("&"))
}

async fn is_signed_in(browser: &mut Browser, server: &Server) -> bool {
    let reply = browser
        .get(server, &format!("/authorize?{}", query("prompt=none")))
        .await;
    match reply.redirected("error").as_deref() {
        None => true,
        Some("login_required") => false,
        Some(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn lo_6_lo_10_r58_a_client_signs_its_person_out_and_gets_them_back() {
    let server = server().await;
    for state in [None, Some("a state")] {
        let (mut browser, tokens) = signed_in(&server).await;
        assert!(is_signed_in(&mut browser, &server).await);
        let hint = text(&tokens, "id_token");
        let mut parameters = vec![
            ("id_token_hint", hint.as_str()),
            ("post_logout_redirect_uri", BYE),
        ];
        parameters.extend(state.map(|state| ("state", state)));
        let reply = browser.get(&server, &logout(&parameters)).await;
        assert_eq!(reply.status, StatusCode::SEE_OTHER, "{reply:?}");
        let expected = match state {
            None => BYE.to_owned(),
            Some(_) => format!("{BYE}?state=a%20state"),
        };
        assert_eq!(reply.location(), expected);
        assert!(!is_signed_in(&mut browser, &server).await, "LO-6");
        let refreshed = server
            .token(
                &format!(
                    "grant_type=refresh_token&refresh_token={}",
                    text(&tokens, "refresh_token")
                ),
                None,
            )
            .await;
        assert_eq!(refreshed.error(), "invalid_grant");
    }
}

#[tokio::test]
async fn lo_9_without_parameters_or_with_state_alone_a_person_is_asked_and_signed_out() {
    let server = server().await;
    for path in ["/logout".to_owned(), logout(&[("state", "x")])] {
        let (mut browser, _) = signed_in(&server).await;
        let page = browser.get(&server, &path).await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(page.text.contains(">Sign out</button>"));
        assert!(
            is_signed_in(&mut browser, &server).await,
            "nobody is signed out by a link"
        );
        let done = browser.submit(&server, &Form::of(&page), "").await;
        assert_eq!(
            (done.status, done.location()),
            (StatusCode::SEE_OTHER, "/logout")
        );
        assert!(!is_signed_in(&mut browser, &server).await);
    }
}

#[tokio::test]
async fn lo_1_lo_2_lo_3_lo_4_lo_5_r5_r58_nobody_is_sent_to_an_address_that_a_link_names() {
    let server = server().await;
    let (mut browser, tokens) = signed_in(&server).await;
    let hint = text(&tokens, "id_token");
    let pkcs8 = signing::generate_pkcs8(Algorithm::Es256).unwrap();
    let foreign: SigningKey<IdToken> =
        SigningKey::from_pkcs8(Algorithm::Es256, "foreign".parse().unwrap(), &pkcs8).unwrap();
    let forged = sign_jwt(&foreign, &claims(&hint)).unwrap();
    let none = format!(
        "{}.{}.",
        countersign_crypto::base64url::encode(br#"{"alg":"none"}"#),
        hint.split('.').nth(1).unwrap()
    );
    let with_query = format!("{BYE}?x=1");
    let rows = [
        vec![
            ("id_token_hint", forged.as_str()),
            ("post_logout_redirect_uri", BYE),
        ],
        vec![
            ("id_token_hint", none.as_str()),
            ("post_logout_redirect_uri", BYE),
        ],
        vec![
            ("id_token_hint", hint.as_str()),
            ("post_logout_redirect_uri", BYE),
            ("client_id", "orders"),
        ],
        vec![("post_logout_redirect_uri", BYE)],
        vec![("post_logout_redirect_uri", BYE), ("client_id", "portal")],
    ];
    for row in rows {
        let page = browser.get(&server, &logout(&row)).await;
        assert_eq!(
            (page.status, page.location()),
            (StatusCode::OK, ""),
            "{row:?}"
        );
        assert!(is_signed_in(&mut browser, &server).await, "{row:?}");
        let stranger = Browser::default().get(&server, &logout(&row)).await;
        assert_eq!(
            (stranger.status, stranger.location()),
            (StatusCode::OK, ""),
            "{row:?}"
        );
    }
    for address in ["https://evil.test/", with_query.as_str()] {
        let row = [
            ("id_token_hint", hint.as_str()),
            ("post_logout_redirect_uri", address),
        ];
        let stranger = Browser::default().get(&server, &logout(&row)).await;
        assert_eq!(
            (stranger.status, stranger.location()),
            (StatusCode::OK, ""),
            "{address}"
        );
        let (mut fresh, tokens) = signed_in(&server).await;
        let hint = text(&tokens, "id_token");
        let row = [
            ("id_token_hint", hint.as_str()),
            ("post_logout_redirect_uri", address),
        ];
        let reply = fresh.get(&server, &logout(&row)).await;
        assert!(
            !reply.location().contains("evil") && !reply.location().contains("x=1"),
            "{reply:?}"
        );
    }
}

#[tokio::test]
async fn r58_a_hint_of_another_session_asks_and_then_returns() {
    let server = server().await;
    let (_, tokens) = signed_in(&server).await;
    let hint = text(&tokens, "id_token");
    let (mut other, _) = signed_in(&server).await;
    let page = other
        .get(
            &server,
            &logout(&[
                ("id_token_hint", &hint),
                ("post_logout_redirect_uri", BYE),
                ("state", "s"),
            ]),
        )
        .await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(
        page.text
            .contains("<strong>portal</strong> asks to sign you out"),
        "{}",
        page.text
    );
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.contains("form-action 'self' https://portal.test;"),
        "{policy}"
    );
    assert!(is_signed_in(&mut other, &server).await);
    let done = other.submit(&server, &Form::of(&page), "").await;
    assert_eq!(done.location(), format!("{BYE}?state=s"));
    assert!(!is_signed_in(&mut other, &server).await);
}

#[tokio::test]
async fn lo_7_lo_8_r59_the_client_is_told_with_a_logout_token() {
    let server = server().await;
    server
        .fabric
        .internet
        .host("portal.test", |_| Said::status(StatusCode::OK));
    let (mut browser, tokens) = signed_in(&server).await;
    let id_token = claims(&text(&tokens, "id_token"));
    let page = browser.get(&server, "/logout").await;
    browser.submit(&server, &Form::of(&page), "").await;
    deliver_due(&server.fabric.fabric).await.unwrap();
    let heard = server.fabric.internet.wait_for(1).await;
    assert_eq!(heard.len(), 1, "one client, one token");
    assert_eq!(
        (&heard[0].method, heard[0].path.as_str()),
        (&Method::POST, "/backchannel")
    );
    assert_eq!(
        heard[0].headers["content-type"],
        "application/x-www-form-urlencoded"
    );
    let body = String::from_utf8(heard[0].body.to_vec()).unwrap();
    let token = body.strip_prefix("logout_token=").unwrap();
    let header: serde_json::Value = serde_json::from_slice(
        &countersign_crypto::base64url::decode(token.split('.').next().unwrap()).unwrap(),
    )
    .unwrap();
    assert_eq!(header["typ"], "logout+jwt");
    let said = claims(token);
    assert_eq!(
        (&said["iss"], &said["aud"], &said["sub"], &said["sid"]),
        (
            &json!(ISSUER),
            &json!("portal"),
            &id_token["sub"],
            &id_token["sid"]
        )
    );
    assert_eq!(
        said["events"],
        json!({"http://schemas.openid.net/event/backchannel-logout": {}})
    );
    assert!(said.get("nonce").is_none() && said["jti"].is_string());
    let lifetime = said["exp"].as_i64().unwrap() - said["iat"].as_i64().unwrap();
    assert!((1..=120).contains(&lifetime));
    // It verifies under the published keys, and is good for nothing else here.
    let published = server
        .fabric
        .fabric
        .keys()
        .jwks(&"default".parse().unwrap())
        .unwrap();
    let jws = countersign_crypto::jose::Jws::parse(token).unwrap();
    assert!(jws.verify_with_any(published.set.iter()).is_ok());
    assert!(!server.is_active(token).await);
    let reply = server
        .get(&logout(&[
            ("id_token_hint", token),
            ("post_logout_redirect_uri", BYE),
        ]))
        .await;
    assert_eq!(reply.location(), "", "a logout token is no hint");
}

#[tokio::test]
async fn r59_a_pairwise_client_hears_of_its_own_subject_and_of_no_session() {
    let server = Server::with_declared(|declared| {
        let portal = &mut declared.clients[0].record;
        portal.token_rules.subject_type = SubjectType::Pairwise;
        portal.logout = LogoutRules {
            post_logout_redirect_uris: [BYE.parse().unwrap()].into(),
            backchannel_uri: Some("https://portal.test/backchannel".parse().unwrap()),
            ..LogoutRules::default()
        };
    })
    .await;
    let internet = &server.fabric.internet;
    internet.host("portal.test", |_| Said::status(StatusCode::OK));
    let (mut browser, tokens) = signed_in(&server).await;
    let hint = text(&tokens, "id_token");
    let known = claims(&hint);
    assert_eq!(
        (known["sub"].as_str().unwrap().len(), known.get("sid")),
        (43, None),
        "the twin: what the client knows"
    );
    // Another person's browser is asked.
    let mut other = Browser::default();
    let page = other.get(&server, "/account").await;
    other.sign_in(&server, &page, "bob").await;
    let parameters = [
        ("id_token_hint", hint.as_str()),
        ("post_logout_redirect_uri", BYE),
    ];
    let asked = other.get(&server, &logout(&parameters)).await;
    assert_eq!(asked.status, StatusCode::OK);
    // The person's own is not: the grant of the hint leads to its session.
    let reply = browser.get(&server, &logout(&parameters)).await;
    assert_eq!(
        (reply.status, reply.location()),
        (StatusCode::SEE_OTHER, BYE)
    );
    assert!(!is_signed_in(&mut browser, &server).await);
    deliver_due(&server.fabric.fabric).await.unwrap();
    let heard = internet.wait_for(1).await;
    let body = String::from_utf8(heard[0].body.to_vec()).unwrap();
    let said = claims(body.strip_prefix("logout_token=").unwrap());
    assert_eq!(said["sub"], known["sub"]);
    assert_eq!(said.get("sid"), None, "it is the same for every client");
}

#[tokio::test]
async fn lo_8_r59_the_jti_of_a_logout_token_cannot_be_computed_from_what_other_clients_know() {
    let server = server().await;
    let internet = &server.fabric.internet;
    internet.host("portal.test", |_| Said::status(StatusCode::BAD_GATEWAY));
    let (mut browser, tokens) = signed_in(&server).await;
    let known = claims(&text(&tokens, "id_token"));
    let session: SessionId = known["sid"].as_str().unwrap().parse().unwrap();
    let page = browser.get(&server, "/logout").await;
    browser.submit(&server, &Form::of(&page), "").await;
    let tenant = "default".parse().unwrap();
    let mut connection = server.fabric.fabric.store().read().await.unwrap();
    let rows = deliveries::list(&mut connection, &tenant, None, 10)
        .await
        .unwrap();
    drop(connection);
    // Whoever is told `sid` computes the row's id; what the client hears is something else.
    let computed = DeliveryId::of(
        BACKCHANNEL_LOGOUT,
        &[b"default", b"portal", &session.as_u64().to_be_bytes()],
    );
    assert_eq!(rows[0].id, computed, "the twin: a digest of known parts");
    deliver_due(&server.fabric.fabric).await.unwrap();
    server.advance(10).await;
    deliver_due(&server.fabric.fabric).await.unwrap();
    let heard = internet.wait_for(2).await;
    let jti = |body: &[u8]| claims(std::str::from_utf8(body).unwrap())["jti"].clone();
    let said = jti(&heard[0].body);
    assert_eq!(said, jti(&heard[1].body), "a retry repeats it");
    let said = said.as_str().unwrap();
    assert_eq!(said.len(), 43);
    assert!(!said.contains(&computed.to_string()));
}

/// Logout tokens of as many sessions that wait for a client.
async fn queue(server: &Server, client: &str, sessions: std::ops::Range<u64>) {
    let (fabric, tenant) = (&server.fabric.fabric, "default".parse().unwrap());
    let user = server.user("alice").await.id;
    let waiting = |session: u64| {
        let what = LogoutDelivery {
            client: client.parse().unwrap(),
            user,
            session: Some(SessionId::from_u64(session)),
        };
        let id = DeliveryId::of("test", &[client.as_bytes(), &session.to_be_bytes()]);
        let (to, until) = (Bounded::parse(client).unwrap(), fabric.now().plus(HOUR));
        let new = NewDelivery::new(id, BACKCHANNEL_LOGOUT, to, &what, until);
        Write::Deliver(Box::new(new.unwrap()))
    };
    let event = countersign_audit::event::ClientChanged {
        by: countersign_audit::event::Actor::System,
        change: "test".into(),
        client: client.parse().unwrap(),
    };
    let event = fabric.recorder().about_event(&tenant, None, event);
    let writes = sessions.map(waiting).collect();
    let changed = fabric.store().change(&tenant, writes, event, fabric.now());
    let _receipt = changed.await.unwrap();
}

/// A server with a client at `slow.test` and one at `quick.test`.
async fn slow_and_quick() -> Server {
    let server = Server::with_declared(|declared| {
        for (client, host) in [(0, "slow"), (2, "quick")] {
            let uri = format!("https://{host}.test/backchannel").parse().unwrap();
            declared.clients[client].record.logout.backchannel_uri = Some(uri);
        }
    })
    .await;
    let internet = &server.fabric.internet;
    internet.host("quick.test", |_| Said::status(StatusCode::OK));
    internet.host("slow.test", |_| Said::status(StatusCode::OK));
    server
}

fn heard_at(server: &Server, host: &str) -> usize {
    let heard = server.fabric.internet.heard();
    heard.iter().filter(|heard| heard.host == host).count()
}

#[tokio::test]
async fn lo_7_a_client_that_does_not_answer_keeps_nobody_else_waiting() {
    let server = slow_and_quick().await;
    let held = server.fabric.internet.hold("slow.test", Method::POST);
    queue(&server, "portal", 0..70).await;
    queue(&server, "orders", 0..6).await;
    let fabric = std::sync::Arc::clone(&server.fabric.fabric);
    let round = tokio::spawn(async move { deliver_due(&fabric).await.unwrap() });
    // One attempt is under way at the one; the other hears all of its own meanwhile.
    server.fabric.internet.wait_for(7).await;
    assert_eq!(
        (
            heard_at(&server, "slow.test"),
            heard_at(&server, "quick.test")
        ),
        (1, 6)
    );
    drop(held);
    assert_eq!(round.await.unwrap(), 76, "and in the end everybody");
    assert_eq!(heard_at(&server, "slow.test"), 70);
}

#[tokio::test]
async fn lo_7_a_client_that_fails_is_tried_once_and_the_rest_of_its_tokens_count_no_attempt() {
    let server = slow_and_quick().await;
    server.fabric.internet.host("slow.test", |_| {
        Said::status(StatusCode::SERVICE_UNAVAILABLE)
    });
    queue(&server, "portal", 0..20).await;
    deliver_due(&server.fabric.fabric).await.unwrap();
    assert_eq!(heard_at(&server, "slow.test"), 1);
    let mut connection = server.fabric.fabric.store().read().await.unwrap();
    let rows = deliveries::list(&mut connection, &"default".parse().unwrap(), None, 100)
        .await
        .unwrap();
    let attempts: u32 = rows.iter().map(|row| row.attempts).sum();
    assert_eq!((rows.len(), attempts), (20, 1));
}

#[tokio::test]
async fn lo_7_a_row_that_cannot_be_read_keeps_no_delivery_waiting() {
    let server = slow_and_quick().await;
    let sql = |text: &str| {
        let store = rusqlite::Connection::open(server.fabric.data.path().join("state.db"));
        store.unwrap().execute(text, []).unwrap()
    };
    sql(
        "INSERT INTO logout_fanouts VALUES ('default', x'00112233445566778899aabbccddeeff', '{', 0)",
    );
    queue(&server, "orders", 0..6).await;
    let round = deliver_due(&server.fabric.fabric).await;
    assert!(round.is_err(), "it is reported");
    assert_eq!(heard_at(&server, "quick.test"), 6);
    assert_eq!(sql("DELETE FROM logout_fanouts"), 1);
    queue(&server, "orders", 6..7).await;
    let twin = deliver_due(&server.fabric.fabric).await;
    assert_eq!(twin.unwrap(), 1, "the twin");
}

#[tokio::test]
async fn lo_7_a_client_that_is_away_is_told_when_it_is_back() {
    let server = server().await;
    server.fabric.internet.host("portal.test", |_| {
        Said::status(StatusCode::SERVICE_UNAVAILABLE)
    });
    let (mut browser, _) = signed_in(&server).await;
    let page = browser.get(&server, "/logout").await;
    browser.submit(&server, &Form::of(&page), "").await;
    deliver_due(&server.fabric.fabric).await.unwrap();
    server.fabric.internet.wait_for(1).await;
    let waiting = async || {
        let mut connection = server.fabric.fabric.store().read().await.unwrap();
        deliveries::list(&mut connection, &"default".parse().unwrap(), None, 10)
            .await
            .unwrap()
    };
    server
        .fabric
        .internet
        .host("portal.test", |_| Said::status(StatusCode::NO_CONTENT));
    server.advance(10).await;
    deliver_due(&server.fabric.fabric).await.unwrap();
    let heard = server.fabric.internet.wait_for(2).await;
    let jti = |body: &[u8]| claims(std::str::from_utf8(body).unwrap())["jti"].clone();
    assert_eq!(jti(&heard[0].body), jti(&heard[1].body), "the same saying");
    server.advance(3600).await;
    deliver_due(&server.fabric.fabric).await.unwrap();
    assert_eq!(
        server.fabric.internet.heard().len(),
        2,
        "told once it was heard"
    );
    assert_eq!(waiting().await, []);
}

#[tokio::test]
async fn lo_7_r42_a_disabled_client_hears_of_no_logout() {
    for enabled in [false, true] {
        let server = server().await;
        let internet = &server.fabric.internet;
        internet.host("portal.test", |_| Said::status(StatusCode::OK));
        let (mut browser, _) = signed_in(&server).await;
        register(&server, "portal", |client| client.enabled = enabled).await;
        let page = browser.get(&server, "/logout").await;
        browser.submit(&server, &Form::of(&page), "").await;
        deliver_due(&server.fabric.fabric).await.unwrap();
        let mut connection = server.fabric.fabric.store().read().await.unwrap();
        let left = deliveries::list(&mut connection, &"default".parse().unwrap(), None, 10)
            .await
            .unwrap();
        let left: Vec<_> = left
            .iter()
            .map(|row| (row.state.as_str(), row.reason.as_deref()))
            .collect();
        if enabled {
            assert_eq!((internet.heard().len(), left), (1, vec![]), "the twin");
        } else {
            assert_eq!(internet.dialled(), [], "no connection");
            assert_eq!(left, [("dead", Some("client_disabled"))]);
        }
    }
}

#[tokio::test]
async fn dpop_32_a36_revoking_and_logging_out_with_a_bound_refresh_token_works() {
    let server = server().await;
    let key = Key::new();
    for proven in [true, false] {
        let mut browser = Browser::default();
        let code = browser.code(&server, "").await;
        let proof = key.proof(&server, &Method::POST, "/token", None);
        let tokens = server.token(&redeem(&code), Some(&proof)).await;
        assert_eq!(tokens.json()["token_type"], "DPoP", "{tokens:?}");
        let refresh = text(&tokens, "refresh_token");
        let proof = proven.then(|| key.proof(&server, &Method::POST, "/revoke", None));
        let form = format!("token={refresh}&token_type_hint=refresh_token");
        let revoked = server
            .client_post(
                "/revoke",
                ("portal", super::harness::SECRET),
                &form,
                proof.as_deref(),
            )
            .await;
        assert_eq!(revoked.status, StatusCode::OK);
        let proof = key.proof(&server, &Method::POST, "/token", None);
        let again = server
            .token(
                &format!("grant_type=refresh_token&refresh_token={refresh}"),
                Some(&proof),
            )
            .await;
        assert_eq!(again.error(), "invalid_grant");
        let hint = text(&tokens, "id_token");
        let reply = browser
            .get(
                &server,
                &logout(&[("id_token_hint", &hint), ("post_logout_redirect_uri", BYE)]),
            )
            .await;
        assert_eq!(reply.location(), BYE);
    }
}
