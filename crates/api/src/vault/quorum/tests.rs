//! What a quorum may do, and what nobody may without one.

use crate::vault::router;
use axum::Router;
use axum::body::Body;
use countersign_base::{Duration, Secret, Tenant};
use countersign_control::Declared;
use countersign_control::seal::held::HeldSeal;
use countersign_control::vault::{Vault, VaultSeal};
use countersign_keys::seal::{SealPlan, SealRow, SealStatus, UnsealKey, adopt};
use countersign_keys::shamir::{Share, ShareRule};
use countersign_store::tables::settings::{self, Setting};
use countersign_testkit::{TestFabric, tenant};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::sync::Arc;
use tower::ServiceExt;

const REKEY: &str = "sys/rekey";
const ATTEMPT: &str = "sys/generate-root/attempt";

struct Held {
    test: TestFabric,
    vault: Arc<Vault>,
    router: Router,
    shares: Vec<Share>,
}

fn root_bytes() -> Secret<[u8; 32]> {
    Secret::new([7; 32])
}

impl Held {
    /// An open vault under a plan's seal.
    async fn under(plan: SealPlan) -> Self {
        let declared = Declared {
            tenants: vec![countersign_oauth::TenantRecord::new(
                tenant("default"),
                "https://id.example".parse().unwrap(),
            )],
            ..Declared::default()
        };
        let test = TestFabric::start(declared).await.unwrap();
        let fabric = &test.fabric;
        let keks = fabric.secrets().keks();
        let made = adopt(plan, &root_bytes(), &keks, fabric.random()).unwrap();
        let stored = serde_json::to_vec(&made.row).unwrap();
        fabric
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    settings::put_first(tx, Setting::Seal, stored)
                        .await
                        .map(drop)
                })
            })
            .await
            .unwrap();
        let status = SealStatus::unsealed(&made.row);
        let seal = VaultSeal::Held(Arc::new(HeldSeal::new(status)));
        let vault = Vault::start(fabric, seal).await.unwrap();
        let origin = "https://localhost:8445".parse().unwrap();
        let router = router(Arc::clone(fabric), Arc::clone(&vault), &origin);
        let shares = made.shares.into_iter().chain(made.recovery_shares);
        let shares = shares.collect();
        Self {
            test,
            vault,
            router,
            shares,
        }
    }

    async fn by_shares() -> Self {
        Self::under(SealPlan::Shamir(ShareRule::new(3, 2).unwrap())).await
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        token: Option<&Secret<String>>,
        body: Value,
    ) -> (StatusCode, Value) {
        let mut request = Request::builder().method(method).uri(format!("/v1/{path}"));
        if let Some(token) = token {
            request = request.header("x-vault-token", token.expose());
        }
        let body = match body {
            Value::Null => Body::empty(),
            body => Body::from(body.to_string()),
        };
        let sent = self.router.clone().oneshot(request.body(body).unwrap());
        let response = sent.await.unwrap();
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (
            status,
            serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        )
    }

    async fn put(&self, path: &str, body: Value) -> Value {
        let (status, said) = self.send("PUT", path, None, body).await;
        assert_eq!(status, StatusCode::OK, "{path}: {said}");
        said
    }

    async fn get(&self, path: &str) -> Value {
        self.send("GET", path, None, Value::Null).await.1
    }

    async fn give(&self, path: &str, nonce: &Value, share: &Share) -> (StatusCode, Value) {
        let body = json!({ "key": share.to_hex().expose(), "nonce": nonce });
        self.send("PUT", path, None, body).await
    }

    /// Gives two shares; what the second is answered.
    async fn give_two(&self, path: &str, nonce: &Value, shares: &[Share]) -> (StatusCode, Value) {
        let (status, said) = self.give(path, nonce, &shares[0]).await;
        assert_eq!(status, StatusCode::OK, "{said}");
        assert_eq!(said["progress"], 1, "{said}");
        self.give(path, nonce, &shares[2]).await
    }

    async fn stored(&self) -> SealRow {
        let mut connection = self.test.fabric.store().read().await.unwrap();
        let stored = settings::find(&mut connection, Setting::Seal).await;
        serde_json::from_slice(&stored.unwrap().unwrap()).unwrap()
    }

    async fn root_token(&self) -> Secret<String> {
        let lives = Duration::from_secs(86_400);
        let tenant = Tenant::default_tenant();
        self.vault.root_token(&tenant, lives).await.unwrap()
    }

    /// Every step of the log by operation, step and reason; it is closed by this.
    async fn steps(self) -> Vec<String> {
        let Self {
            test,
            vault,
            router,
            shares: _,
        } = self;
        drop((vault, router));
        let data = test.stop().await;
        let logs = countersign_store::audit::find_logs(&data.path().join("audit")).unwrap();
        let (records, _) = countersign_store::audit::tail(&logs[0], 0).unwrap();
        let said = records.iter().filter_map(|(_, record)| {
            let countersign_audit::Event::SealOperation(event) = &record.event else {
                return None;
            };
            let reason = event.reason.as_ref().map(|reason| reason.as_str());
            let parts = [event.operation.as_str(), event.step.as_str()];
            Some(
                parts
                    .into_iter()
                    .chain(reason)
                    .collect::<Vec<_>>()
                    .join(" "),
            )
        });
        said.collect()
    }
}

fn shares_of(said: &Value) -> Vec<Share> {
    let keys = said["keys"].as_array().unwrap().iter();
    keys.map(|key| Share::parse(&Secret::new(key.as_str().unwrap().to_owned())).unwrap())
        .collect()
}

fn new_shares(verified: &str) -> Value {
    json!({ "secret_shares": 5, "secret_threshold": 2, "require_verification": verified == "verified" })
}

fn decoded(encoded: &Value, pad: &Value) -> Secret<String> {
    let encoded = encoded
        .as_str()
        .unwrap()
        .replace('+', "-")
        .replace('/', "_");
    let bytes = countersign_crypto::base64url::decode(&encoded).unwrap();
    let pad = pad.as_str().unwrap().bytes();
    let token = bytes.iter().zip(pad).map(|(one, two)| one ^ two).collect();
    Secret::new(String::from_utf8(token).unwrap())
}

#[tokio::test]
async fn a_quorum_makes_new_shares_and_the_old_ones_stop_counting() {
    let held = Held::by_shares().await;
    let started = held.put("sys/rekey/init", new_shares("at once")).await;
    assert_eq!(
        (&started["t"], &started["n"], &started["required"]),
        (&json!(2), &json!(5), &json!(2))
    );
    let (status, done) = held
        .give_two("sys/rekey/update", &started["nonce"], &held.shares)
        .await;
    assert_eq!(status, StatusCode::OK, "{done}");
    assert_eq!(done["complete"], true);
    assert_eq!(done["keys_base64"].as_array().unwrap().len(), 5);
    assert_eq!(held.get("sys/seal-status").await["n"], 5);
    assert_eq!(held.stored().await.generation(), 2);

    let again = held.put("sys/rekey/init", new_shares("at once")).await;
    let (status, _) = held
        .give_two("sys/rekey/update", &again["nonce"], &held.shares)
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "an old quorum is none");
    let (status, done) = held
        .give_two("sys/rekey/update", &again["nonce"], &shares_of(&done))
        .await;
    assert_eq!(status, StatusCode::OK, "{done}");
    // What is committed with the row takes another way into the log than what is recorded beside it.
    let mut steps = held.steps().await;
    steps.sort_unstable();
    assert_eq!(
        steps,
        [
            "rekey done",
            "rekey done",
            "rekey refused wrong_shares",
            "rekey started",
            "rekey started",
        ]
    );
}

#[tokio::test]
async fn new_shares_that_have_to_be_shown_count_only_then() {
    let held = Held::by_shares().await;
    let started = held.put("sys/rekey/init", new_shares("verified")).await;
    let (_, done) = held
        .give_two("sys/rekey/update", &started["nonce"], &held.shares)
        .await;
    assert_eq!(done["verification_required"], true);
    let (fresh, nonce) = (shares_of(&done), &done["verification_nonce"]);
    assert_eq!(held.stored().await.generation(), 1, "nothing counts yet");
    let (status, _) = held
        .give("sys/rekey/verify", &started["nonce"], &fresh[0])
        .await;
    assert_eq!(
        status,
        StatusCode::BAD_REQUEST,
        "the nonce of the rekey is not that of the verification"
    );
    let (_, one) = held.give("sys/rekey/verify", nonce, &fresh[1]).await;
    assert_eq!(one["progress"], 1);
    let body = json!({ "nonce": nonce });
    let (status, again) = held.send("DELETE", "sys/rekey/verify", None, body).await;
    assert_eq!((status, &again["progress"]), (StatusCode::OK, &json!(0)));
    let (status, _) = held.give("sys/rekey/verify", nonce, &fresh[1]).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "the nonce is another");
    let (status, verified) = held
        .give_two("sys/rekey/verify", &again["nonce"], &fresh)
        .await;
    assert_eq!(status, StatusCode::OK, "{verified}");
    assert_eq!(verified["complete"], true);
    assert_eq!(held.stored().await.generation(), 2);
}

#[tokio::test]
async fn cve_2025_4656_a_stranger_cancels_nothing() {
    let held = Held::by_shares().await;
    let root = held.root_token().await;
    let limited = json!({ "policies": ["default"] });
    let (_, made) = held
        .send("POST", "auth/token/create", Some(&root), limited)
        .await;
    let limited = made["auth"]["client_token"].as_str().unwrap();
    let limited = Secret::new(limited.to_owned());
    for (path, start) in [
        ("sys/rekey/init", new_shares("at once")),
        (ATTEMPT, Value::Null),
    ] {
        let started = held.put(path, start.clone()).await;
        let shown = held.get(path).await;
        assert_eq!(
            (&shown["started"], &shown["nonce"]),
            (&json!(true), &json!(""))
        );
        let other = json!({ "nonce": "00000000-0000-4000-8000-000000000000" });
        for (token, body) in [
            (None, Value::Null),
            (None, json!({ "nonce": "" })),
            (None, other),
            (Some(&limited), Value::Null),
            (Some(&limited), json!({ "nonce": started["nonce"] })),
        ] {
            let (status, said) = held.send("DELETE", path, token, body).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{path} {said}");
            assert_eq!(held.get(path).await["started"], true, "it goes on");
        }
        let (status, _) = held.send("PUT", path, None, start.clone()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "starting replaces nothing");
        let nonce = json!({ "nonce": started["nonce"] });
        let (status, _) = held.send("DELETE", path, None, nonce).await;
        assert_eq!(status, StatusCode::NO_CONTENT);
        assert_eq!(held.get(path).await["started"], false);
        let _started = held.put(path, start).await;
        let (status, said) = held.send("DELETE", path, Some(&root), Value::Null).await;
        assert_eq!(status, StatusCode::NO_CONTENT, "{said}");
        assert_eq!(held.get(path).await["started"], false);
    }
    let steps = held.steps().await;
    for expected in [
        "rekey refused without_nonce",
        "rekey cancelled nonce",
        "rekey cancelled permitted",
        "generate-root refused without_nonce",
        "generate-root cancelled nonce",
        "generate-root cancelled permitted",
    ] {
        assert!(
            steps.iter().any(|step| step == expected),
            "{expected}: {steps:?}"
        );
    }
}

#[tokio::test]
async fn a_quorum_makes_a_root_token_and_earlier_ones_end_only_if_asked() {
    let held = Held::by_shares().await;
    let earlier = held.root_token().await;
    let looks = async |token: &Secret<String>| {
        held.send("GET", "auth/token/lookup-self", Some(token), Value::Null)
            .await
            .0
    };
    let mut before = None;
    for (ends, then) in [(false, StatusCode::OK), (true, StatusCode::FORBIDDEN)] {
        let started = held.put(ATTEMPT, json!({ "revoke_earlier": ends })).await;
        assert_eq!(started["otp_length"], 47);
        let (status, done) = held
            .give_two("sys/generate-root/update", &started["nonce"], &held.shares)
            .await;
        assert_eq!(status, StatusCode::OK, "{done}");
        assert_eq!(done["complete"], true);
        let token = decoded(&done["encoded_token"], &started["otp"]);
        assert_eq!(looks(&token).await, StatusCode::OK);
        assert_eq!(looks(&earlier).await, then, "earlier ones end: {ends}");
        if let Some(before) = before.replace(token) {
            assert_eq!(looks(&before).await, StatusCode::FORBIDDEN);
        }
    }
    let (status, _) = held
        .send(
            "PUT",
            ATTEMPT,
            None,
            json!({ "otp": "too short to be a pad" }),
        )
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(
        held.steps().await,
        [
            "generate-root started",
            "generate-root authorized",
            "generate-root done",
            "generate-root started",
            "generate-root authorized",
            "generate-root done earlier_ended",
        ]
    );
}

#[tokio::test]
async fn a_share_counts_for_the_nonce_it_was_given_for_and_wrong_sets_end_the_operation() {
    let held = Held::by_shares().await;
    let rekey = held.put("sys/rekey/init", new_shares("at once")).await;
    let token = held.put(ATTEMPT, Value::Null).await;
    let (status, _) = held
        .give("sys/generate-root/update", &rekey["nonce"], &held.shares[0])
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(held.get(ATTEMPT).await["progress"], 0);
    let foreign = Held::by_shares().await;
    for set in 1..=5 {
        let (status, said) = held
            .give_two("sys/generate-root/update", &token["nonce"], &foreign.shares)
            .await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{said}");
        assert_eq!(held.get(ATTEMPT).await["started"], set < 5, "set {set}");
    }
    assert_eq!(held.get("sys/rekey/init").await["started"], true);
    let steps = held.steps().await;
    assert_eq!(steps.last().unwrap(), "generate-root failed wrong_shares");
}

#[tokio::test]
async fn a_quorum_counts_for_the_seal_that_is_stored_alone() {
    let held = Held::by_shares().await;
    let token = held.put(ATTEMPT, Value::Null).await;
    let rekey = held.put("sys/rekey/init", new_shares("at once")).await;
    let (status, _) = held
        .give_two("sys/rekey/update", &rekey["nonce"], &held.shares)
        .await;
    assert_eq!(status, StatusCode::OK);
    let (status, said) = held
        .give_two("sys/generate-root/update", &token["nonce"], &held.shares)
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{said}");
    assert_eq!(held.get(ATTEMPT).await["started"], false);
}

#[tokio::test]
async fn starts_without_a_credential_are_bounded_until_somebody_who_may_looks() {
    let held = Held::by_shares().await;
    let root = held.root_token().await;
    let mut started = 0;
    loop {
        let (status, said) = held.send("PUT", ATTEMPT, None, Value::Null).await;
        if status == StatusCode::TOO_MANY_REQUESTS {
            break;
        }
        assert_eq!(status, StatusCode::OK, "{said}");
        started += 1;
        assert!(started <= 32);
        let nonce = json!({ "nonce": said["nonce"] });
        let (status, _) = held.send("DELETE", ATTEMPT, None, nonce).await;
        assert_eq!(status, StatusCode::NO_CONTENT);
    }
    assert_eq!(started, 32);
    held.test.clock.advance(Duration::from_secs(3601));
    let _again = held.put(ATTEMPT, Value::Null).await;
    let (status, _) = held.send("DELETE", ATTEMPT, Some(&root), Value::Null).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn recovery_keys_authorize_and_open_nothing() {
    let random = countersign_crypto::Random::system();
    let held = Held::under(SealPlan::Auto {
        source: countersign_keys::seal::AutoSource::File,
        key: UnsealKey::generate(&random),
        recovery: Some(ShareRule::new(3, 2).unwrap()),
    })
    .await;
    let status = held.get("sys/seal-status").await;
    assert_eq!(
        (&status["type"], &status["recovery_seal"]),
        (&json!("file"), &json!(true))
    );
    let (status, _) = held
        .send("PUT", "sys/rekey/init", None, new_shares("at once"))
        .await;
    assert_eq!(
        status,
        StatusCode::BAD_REQUEST,
        "nobody holds the seal's shares"
    );
    let path = format!("{REKEY}-recovery-key/init");
    let started = held.put(&path, new_shares("at once")).await;
    let path = format!("{REKEY}-recovery-key/update");
    let (status, done) = held.give_two(&path, &started["nonce"], &held.shares).await;
    assert_eq!(status, StatusCode::OK, "{done}");
    let token = held.put(ATTEMPT, Value::Null).await;
    let (status, _) = held
        .give_two("sys/generate-root/update", &token["nonce"], &held.shares)
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "the old recovery keys");
    let (status, _) = held
        .give_two(
            "sys/generate-root/update",
            &token["nonce"],
            &shares_of(&done),
        )
        .await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn the_seal_is_nobodys_in_another_namespace_and_pgp_is_refused() {
    let held = Held::by_shares().await;
    let request = Request::builder()
        .method("PUT")
        .uri("/v1/sys/rekey/init")
        .header("x-vault-namespace", "other");
    let sent = held
        .router
        .clone()
        .oneshot(request.body(Body::empty()).unwrap());
    assert_eq!(sent.await.unwrap().status(), StatusCode::FORBIDDEN);
    for (path, body) in [
        ("sys/rekey/init", json!({ "pgp_keys": ["x"] })),
        ("sys/rekey/init", json!({ "backup": true })),
        (
            "sys/rekey/init",
            json!({ "secret_shares": 1, "secret_threshold": 2 }),
        ),
        (ATTEMPT, json!({ "pgp_key": "x" })),
    ] {
        let (status, said) = held.send("PUT", path, None, body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path} {said}");
    }
}
