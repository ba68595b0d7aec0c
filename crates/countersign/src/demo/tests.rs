use super::dpop::ProofKey;
use super::http::value;
use super::portal::{call, call_with};
use super::stage::Stage;
use ::http::{HeaderMap, Method, header};
use countersign_control::telemetry::{AllowListed, Format};
use serde_json::json;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};
use tracing::Level;
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;

/// What must turn up nowhere: an address, a name, a card number and a token that somebody sends where it does not belong.
const CANARIES: [&str; 6] = [
    "canary-7f3a@example.com",
    "Canary-Persson-7f3a",
    "4929004412873301",
    "4929 0044 1287 3301",
    "canary-token-7f3a",
    "canary-secret-7f3a",
];

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Everything below `path`, with the file it stands in.
fn files(path: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if let Ok(bytes) = std::fs::read(&path) {
            found.push((path.display().to_string(), bytes));
        }
    }
}

fn holds(haystack: &[u8], needle: &str) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window.eq_ignore_ascii_case(needle.as_bytes()))
}

/// A card that billing takes, and shows.
async fn plant_card(stage: &Stage, proofs: &ProofKey, token: &str) {
    let [_, name, _, number, _, _] = CANARIES;
    let (_, claims) = super::report::decoded(token).unwrap();
    let path = format!("/customers/{}/cards", claims["sub"].as_str().unwrap());
    let url = stage.gateway.join(&path).unwrap();
    let body = json!({ "number": number, "holder": name, "expiry": "01/2031" }).to_string();
    for (method, body) in [(Method::POST, body.as_str()), (Method::GET, "")] {
        let kept = call_with(&stage.client, proofs, method, &url, token, body).await;
        let kept = kept.unwrap();
        assert_eq!(kept.status, 200, "{}", kept.text());
    }
}

/// Plants every canary in every door, and the real person's name and secrets besides.
async fn plant(stage: &Stage) {
    let [email, name, card, _, token, secret] = CANARIES;
    let proofs = stage.proof_key().unwrap();
    let portal = stage.portal(&proofs);
    for person in [email, name] {
        assert!(portal.authorize(person, secret, "openid").await.is_err());
    }
    let scope = "openid orders.read cards.read cards.write";
    let (tokens, _) = portal
        .sign_in("alice", stage.password("alice"), scope)
        .await
        .unwrap();
    plant_card(stage, &proofs, &tokens.access).await;
    for path in [
        format!("/regions/eu/customers/{name}/orders/{card}"),
        format!("/{email}"),
        format!("/charges/{card}?name={name}"),
    ] {
        let url = stage.gateway.join(&path).unwrap();
        let _refused = call(&stage.client, &proofs, Method::GET, &url, &tokens.access)
            .await
            .unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(
            header::AUTHORIZATION,
            value(&format!("Bearer {token}")).unwrap(),
        );
        headers.insert(header::USER_AGENT, value(name).unwrap());
        headers.insert(header::COOKIE, value(&format!("session={secret}")).unwrap());
        headers.insert("x-forwarded-user", value(email).unwrap());
        let _refused = stage
            .client
            .send(
                Method::POST,
                &url,
                headers,
                format!("{{\"card\":\"{card}\"}}"),
            )
            .await
            .unwrap();
    }
    let forms: [&[(&str, &str)]; 4] = [
        &[
            ("grant_type", "authorization_code"),
            ("code", token),
            ("redirect_uri", email),
        ],
        &[("grant_type", "refresh_token"), ("refresh_token", token)],
        &[("grant_type", name), ("state", card)],
        &[
            ("grant_type", "client_credentials"),
            ("scope", secret),
            ("resource", email),
        ],
    ];
    for form in forms {
        let _refused = portal.post(&stage.endpoints.token, form).await.unwrap();
        let _refused = stage
            .client
            .post_form(&stage.endpoints.token, HeaderMap::new(), form)
            .await
            .unwrap();
        let _refused = portal.post(&stage.endpoints.par, form).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_personal_data_and_no_secret_reaches_logs_metrics_or_the_audit_log() {
    let kept = Kept::default();
    let subscriber =
        Registry::default().with(AllowListed::new(Level::TRACE, Format::Json, kept.clone()));
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let stage = Stage::set(None, None, Box::new(|_| {})).await.unwrap();
    super::checks::vault::set_up(&stage).await.unwrap();
    plant(&stage).await;
    let fabric = stage.running().fabric();
    fabric.audit().published().await.unwrap();

    let mut searched = vec![("metrics".to_owned(), fabric.metrics().render().into_bytes())];
    files(&fabric.data().join("audit"), &mut searched);
    let records: usize = searched.iter().map(|(_, bytes)| bytes.len()).sum();
    assert!(
        records > 10_000,
        "the flows above left records: {records} bytes"
    );
    files(&stage.database_directory(), &mut searched);
    let secrets = ["alice", "bob", "carol"].map(|person| stage.password(person).to_owned());
    stage.strike().await;
    let log = kept.0.lock().unwrap().clone();
    assert!(
        holds(&log, "fabric_ready"),
        "the operational log was written"
    );
    searched.push(("the operational log".to_owned(), log));

    for (place, bytes) in &searched {
        for canary in CANARIES
            .into_iter()
            .chain(secrets.iter().map(String::as_str))
            .chain(["alice"])
        {
            assert!(!holds(bytes, canary), "`{canary}` stands in {place}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_exercise_holds() {
    let stage = Stage::set(None, None, Box::new(|_| {})).await.unwrap();
    let list = super::play(&stage, |_| {}).await;
    stage.strike().await;
    assert_eq!(
        list.failed(),
        0,
        "{}",
        list.text(super::report::Colour::Plain)
    );
    let json: serde_json::Value = serde_json::from_str(&list.json()).unwrap();
    let status = |id: &str| {
        let check = json["checks"]
            .as_array()
            .unwrap()
            .iter()
            .find(|check| check["id"] == id)
            .unwrap();
        check["status"].as_str().unwrap().to_owned()
    };
    for id in ["1", "2", "3", "4", "5", "6", "7", "8", "10", "11.log"] {
        assert_eq!(status(id), "held", "check {id}");
    }
    for id in ["9", "11.alerts"] {
        assert_eq!(
            status(id),
            "not_yet",
            "check {id}: what has not landed never holds"
        );
    }
}

/// Check 10 with billing's cards in a real PostgreSQL. Without `COUNTERSIGN_TEST_POSTGRES_PASSWORDS`, the URL of a superuser of a server that asks for passwords, there is
/// nothing to test with, and a line says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_rotate_and_cards_are_ciphertext_on_postgresql() {
    let Ok(url) = std::env::var("COUNTERSIGN_TEST_POSTGRES_PASSWORDS") else {
        eprintln!("skipped: COUNTERSIGN_TEST_POSTGRES_PASSWORDS names no PostgreSQL server");
        return;
    };
    let url = url.parse().unwrap();
    let stage = Stage::set(None, Some(&url), Box::new(|_| {}))
        .await
        .unwrap();
    let check = super::checks::vault::check(&stage, &mut super::checks::Play::default()).await;
    stage.strike().await;
    assert_eq!(
        check.status,
        super::report::Status::Held,
        "{:#?}",
        check.evidence
    );
}
