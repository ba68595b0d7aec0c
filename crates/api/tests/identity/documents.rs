//! Clients that are the address of their own metadata document.

use super::browser::{Browser, Form, query};
use super::delegation::register;
use super::harness::{CHALLENGE, ORDERS, PASSWORD, Reply, Server, VERIFIER, escape};
use countersign_oauth::tenant::registration::MetadataDocuments;
use countersign_testkit::Said;
use http::{StatusCode, header};
use serde_json::{Value, json};

const CLIENT: &str = "https://app.test/client.json";
const CALLBACK: &str = "https://app.test/cb";

async fn accepting() -> Server {
    Server::with_declared(|declared| {
        declared.tenants[0].registration.documents = MetadataDocuments::Accepted;
    })
    .await
}

fn document(change: &Value) -> Value {
    let mut document = json!({
        "client_id": CLIENT,
        "client_name": "Totally The Bank",
        "redirect_uris": [CALLBACK],
        "grant_types": ["authorization_code", "refresh_token"],
        "scope": "openid orders:read",
    });
    for (name, value) in change.as_object().unwrap() {
        document[name] = value.clone();
    }
    document
}

fn publish(server: &Server, document: Value) {
    server.fabric.internet.host("app.test", move |_| {
        Said::json(&document).with(header::CACHE_CONTROL, "max-age=60")
    });
}

fn request(client: &str, callback: &str) -> String {
    let asked = format!(
        "client_id={}&redirect_uri={}&scope=openid%20orders:read&resource={}&code_challenge={CHALLENGE}",
        escape(client),
        escape(callback),
        escape(ORDERS)
    );
    format!("/authorize?{}", query(&asked))
}

async fn redeem(server: &Server, answer: &Reply) -> Reply {
    let form = format!(
        "grant_type=authorization_code&code={}&redirect_uri={}&code_verifier={VERIFIER}&client_id={}",
        answer.redirected("code").unwrap(),
        escape(CALLBACK),
        escape(CLIENT)
    );
    server.post("/token", &[], &form).await
}

#[tokio::test]
async fn a_person_sees_the_host_of_a_document_and_allows_it() {
    let server = accepting().await;
    publish(&server, document(&json!({})));
    let mut browser = Browser::default();
    let page = browser.get(&server, &request(CLIENT, CALLBACK)).await;
    let consent = browser.sign_in(&server, &page, "alice").await;
    assert!(
        consent.text.contains("<strong>app.test</strong>"),
        "{}",
        consent.text
    );
    assert!(consent.text.contains("nobody here has checked it"));
    let answer = browser
        .submit(&server, &Form::of(&consent), "answer=allow")
        .await;
    let tokens = redeem(&server, &answer).await;
    assert_eq!(tokens.status, StatusCode::OK, "{tokens:?}");
    assert_eq!(
        server.fabric.internet.heard().len(),
        1,
        "one fetch for all of it"
    );
    let refresh = format!(
        "grant_type=refresh_token&refresh_token={}&client_id={}",
        tokens.json()["refresh_token"].as_str().unwrap(),
        escape(CLIENT)
    );
    assert_eq!(
        server.post("/token", &[], &refresh).await.status,
        StatusCode::OK
    );
    let metadata = server
        .get("/.well-known/oauth-authorization-server")
        .await
        .json();
    assert_eq!(metadata["client_id_metadata_document_supported"], true);
}

#[tokio::test]
async fn r56_documents_are_off_until_a_tenant_accepts_them() {
    let server = Server::start().await;
    publish(&server, document(&json!({})));
    let reply = server.get(&request(CLIENT, CALLBACK)).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    assert_eq!(server.fabric.internet.dialled(), [], "no connection");
    let server = accepting().await;
    publish(&server, document(&json!({})));
    assert_eq!(
        server.get(&request(CLIENT, CALLBACK)).await.status,
        StatusCode::OK,
        "the twin"
    );
}

#[tokio::test]
async fn a42_a43_r56_a_document_that_is_not_the_clients_own_is_no_client() {
    for change in [
        json!({"client_id": "https://app.test/other.json"}),
        json!({"client_secret": "x"}),
        json!({"token_endpoint_auth_method": "client_secret_basic"}),
        json!({"grant_types": ["client_credentials"]}),
        json!({"scope": "openid admin"}),
        json!({"padding": "x".repeat(6000)}),
    ] {
        let server = accepting().await;
        publish(&server, document(&change));
        let reply = server.get(&request(CLIENT, CALLBACK)).await;
        assert_eq!(
            (reply.status, reply.location()),
            (StatusCode::BAD_REQUEST, ""),
            "{change}"
        );
    }
    let server = accepting().await;
    publish(&server, document(&json!({})));
    for (client, callback) in [
        (CLIENT, "https://evil.test/cb"),
        ("https://127.0.0.1/client.json", CALLBACK),
        ("https://169.254.169.254/client.json", CALLBACK),
        ("https://[::ffff:7f00:1]/client.json", CALLBACK),
        ("https://app.test/client.json?x", CALLBACK),
        ("http://app.test/client.json", CALLBACK),
    ] {
        let reply = server.get(&request(client, callback)).await;
        assert_eq!(
            (reply.status, reply.location()),
            (StatusCode::BAD_REQUEST, ""),
            "{client}"
        );
    }
    let address = server.fabric.internet.address_of("app.test");
    let dialled = server.fabric.internet.dialled();
    assert!(
        dialled.iter().all(|dialled| dialled.ip() == address),
        "{dialled:?}"
    );
    assert_eq!(
        server.get(&request(CLIENT, CALLBACK)).await.status,
        StatusCode::OK,
        "the twin"
    );
}

#[tokio::test]
async fn a_document_is_fetched_again_when_it_is_old_and_its_change_counts() {
    let server = accepting().await;
    publish(&server, document(&json!({})));
    let answer = Browser::default()
        .approve(&server, &request(CLIENT, CALLBACK))
        .await;
    assert_eq!(redeem(&server, &answer).await.status, StatusCode::OK);
    publish(
        &server,
        document(&json!({"redirect_uris": ["https://app.test/new"]})),
    );
    assert_eq!(
        server.get(&request(CLIENT, CALLBACK)).await.status,
        StatusCode::OK,
        "still fresh"
    );
    server.advance(61).await;
    assert_eq!(
        server.get(&request(CLIENT, CALLBACK)).await.status,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        server
            .get(&request(CLIENT, "https://app.test/new"))
            .await
            .status,
        StatusCode::OK
    );
    // While it cannot be had, what was read counts for a day and no longer.
    server
        .fabric
        .internet
        .host("app.test", |_| Said::status(StatusCode::BAD_GATEWAY));
    server.advance(3600).await;
    let new = request(CLIENT, "https://app.test/new");
    assert_eq!(server.get(&new).await.status, StatusCode::OK);
    server.advance(24 * 3600).await;
    assert_eq!(server.get(&new).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn r42_a_client_that_an_administrator_disabled_stays_so_whatever_is_remembered_of_its_document()
 {
    let server = accepting().await;
    publish(&server, document(&json!({})));
    let asked = request(CLIENT, CALLBACK);
    let answer = Browser::default().approve(&server, &asked).await;
    let twin = redeem(&server, &answer).await;
    assert_eq!(twin.status, StatusCode::OK, "the twin");
    let mut waiting = Browser::default();
    let page = waiting.get(&server, &asked).await;
    register(&server, CLIENT, |client| client.enabled = false).await;
    assert_eq!(server.get(&asked).await.status, StatusCode::BAD_REQUEST);
    let credentials = format!("username=alice&password={}", escape(PASSWORD));
    let form = Form::of(&page);
    let reply = waiting.submit(&server, &form, &credentials).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{reply:?}");
    server.advance(61).await;
    assert_eq!(server.get(&asked).await.status, StatusCode::BAD_REQUEST);
    let id = CLIENT.parse().unwrap();
    let tenant = countersign_base::Tenant::default_tenant();
    let mut connection = server.fabric.fabric.store().read().await.unwrap();
    let found = countersign_store::tables::clients::find(&mut connection, &tenant, &id).await;
    assert!(!found.unwrap().unwrap().enabled);
}

/// A server at which a person allowed the client, and the tokens it got.
async fn allowed() -> (Server, Reply) {
    let server = accepting().await;
    publish(&server, document(&json!({})));
    let answer = Browser::default()
        .approve(&server, &request(CLIENT, CALLBACK))
        .await;
    let tokens = redeem(&server, &answer).await;
    assert_eq!(tokens.status, StatusCode::OK, "{tokens:?}");
    (server, tokens)
}

async fn refresh(server: &Server, tokens: &Reply) -> Reply {
    let form = format!(
        "grant_type=refresh_token&refresh_token={}&client_id={}",
        tokens.json()["refresh_token"].as_str().unwrap(),
        escape(CLIENT)
    );
    server.post("/token", &[], &form).await
}

#[tokio::test]
async fn r42_r56_a_document_that_its_server_refuses_ends_the_clients_use_at_once() {
    type Answer = fn() -> Said;
    let refusals: [(&str, Answer); 6] = [
        ("gone", || Said::status(StatusCode::GONE)),
        ("not found", || Said::status(StatusCode::NOT_FOUND)),
        ("moved", || Said::status(StatusCode::FOUND)),
        ("over size", || {
            Said::json(&document(&json!({"padding": "x".repeat(6000)})))
        }),
        ("invalid", || {
            Said::json(&document(&json!({"client_id": "x"})))
        }),
        ("a page", || Said::of("text/html", "<p>hello</p>")),
    ];
    for (name, refusal) in refusals {
        let (server, tokens) = allowed().await;
        let access = tokens.json()["access_token"].as_str().unwrap().to_owned();
        assert!(server.is_active(&access).await, "{name}: the twin");
        server.fabric.internet.host("app.test", move |_| refusal());
        let asked = request(CLIENT, CALLBACK);
        assert_eq!(
            server.get(&asked).await.status,
            StatusCode::OK,
            "{name}: still fresh"
        );
        server.advance(61).await;
        assert_eq!(
            server.get(&asked).await.status,
            StatusCode::BAD_REQUEST,
            "{name}"
        );
        assert!(!server.is_active(&access).await, "{name}: its token");
        let refreshed = refresh(&server, &tokens).await;
        assert_eq!(refreshed.error(), "invalid_client", "{name}");
        // It stays so while its server is away.
        server
            .fabric
            .internet
            .host("app.test", |_| Said::status(StatusCode::BAD_GATEWAY));
        server.advance(31).await;
        assert_eq!(
            server.get(&asked).await.status,
            StatusCode::BAD_REQUEST,
            "{name}: away"
        );
        // What is there again is a client again; the tokens from before are dead.
        publish(&server, document(&json!({})));
        server.advance(31).await;
        assert_eq!(
            server.get(&asked).await.status,
            StatusCode::OK,
            "{name}: restored"
        );
        assert!(!server.is_active(&access).await, "{name}: restored");
    }
}

#[tokio::test]
async fn r56_while_the_server_of_a_document_is_away_the_last_good_copy_counts_for_a_day() {
    type Answer = fn() -> Said;
    let absences: [(&str, Answer); 3] = [
        ("bad gateway", || Said::status(StatusCode::BAD_GATEWAY)),
        ("too many", || Said::status(StatusCode::TOO_MANY_REQUESTS)),
        ("timeout", || Said::status(StatusCode::REQUEST_TIMEOUT)),
    ];
    for (name, absence) in absences {
        let (server, tokens) = allowed().await;
        let access = tokens.json()["access_token"].as_str().unwrap().to_owned();
        server.fabric.internet.host("app.test", move |_| absence());
        let asked = request(CLIENT, CALLBACK);
        server.advance(61).await;
        assert_eq!(server.get(&asked).await.status, StatusCode::OK, "{name}");
        assert!(server.is_active(&access).await, "{name}");
        assert_eq!(
            refresh(&server, &tokens).await.status,
            StatusCode::OK,
            "{name}"
        );
        server.advance(24 * 3600 - 62).await;
        assert_eq!(server.get(&asked).await.status, StatusCode::OK, "{name}");
        server.advance(62).await;
        assert_eq!(
            server.get(&asked).await.status,
            StatusCode::BAD_REQUEST,
            "{name}: a day is over"
        );
    }
    // A name that does not resolve, or leads where nobody may go, is no word of the server either.
    let (server, _) = allowed().await;
    server
        .fabric
        .internet
        .resolves("app.test", &[&["127.0.0.1"]]);
    server.advance(61).await;
    let asked = request(CLIENT, CALLBACK);
    assert_eq!(server.get(&asked).await.status, StatusCode::OK);
}

#[tokio::test]
async fn r42_a_document_that_comes_back_restores_nothing_that_an_administrator_disabled() {
    let (server, _) = allowed().await;
    server
        .fabric
        .internet
        .host("app.test", |_| Said::status(StatusCode::GONE));
    server.advance(61).await;
    let asked = request(CLIENT, CALLBACK);
    assert_eq!(server.get(&asked).await.status, StatusCode::BAD_REQUEST);
    register(&server, CLIENT, |client| {
        client.registration.document_withdrawn = None;
    })
    .await;
    publish(&server, document(&json!({})));
    server.advance(61).await;
    assert_eq!(server.get(&asked).await.status, StatusCode::BAD_REQUEST);
}
