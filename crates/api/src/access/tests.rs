//! What the decision point answers to whom: the table of authorization cases, AuthZEN's own requirements (PDP-1 to PDP-13), searches, and OPA's data API.

use super::{AUDIENCE, ENDPOINTS, METADATA_PATH, router};
use crate::token_caller::{Answered, Caller, ORIGIN, OTHER_AUDIENCE, send};
use axum::Router;
use axum::body::Body;
use countersign_audit::Record;
use countersign_base::{Duration, Secret, Tenant};
use countersign_control::{Declared, DeclaredUser};
use countersign_oauth::UserRecord;
use countersign_oauth::client::Origin;
use countersign_testkit::tenant;
use http::{Method, Request, StatusCode, header};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const EVALUATE: &str = "access.evaluate";
const SEARCH: &str = "access.search";

struct World {
    caller: Caller,
    access: Router,
}

/// A request that is right for each endpoint, and the scope that it takes.
type Case = (&'static str, &'static str, fn() -> Value);

const CASES: &[Case] = &[
    ("/access/v1/evaluation", EVALUATE, own_account),
    ("/access/v1/evaluations", EVALUATE, || {
        let mut body = own_account();
        body["evaluations"] = json!([{}, {}]);
        body
    }),
    ("/access/v1/search/subject", SEARCH, administers),
    ("/access/v1/search/resource", SEARCH, own_account),
    ("/access/v1/search/action", SEARCH, administers),
    (
        "/opa/v1/data",
        EVALUATE,
        || json!({ "input": own_account() }),
    ),
    (
        "/opa/v1/data/{*path}",
        EVALUATE,
        || json!({ "input": own_account() }),
    ),
];

/// Alice, on her own pages.
fn own_account() -> Value {
    json!({
        "subject": { "type": "user", "id": "alice" },
        "action": { "name": "manage_account" },
        "resource": { "type": "account", "id": "alice" },
        "context": { "operation": "view" },
    })
}

fn bobs_account() -> Value {
    let mut body = own_account();
    body["resource"]["id"] = "bob".into();
    body
}

/// Carol, who is an administrator.
fn administers() -> Value {
    json!({
        "subject": { "type": "user", "id": "carol" },
        "action": { "name": "administer" },
        "resource": { "type": "administration", "id": "default" },
        "context": { "operation": "add", "area": "user" },
    })
}

fn person(of: &str, name: &str, roles: &[&str]) -> DeclaredUser {
    let record = UserRecord {
        id: countersign_base::UserId::from_bytes([0; 16]),
        tenant: tenant(of),
        username: name.parse().unwrap(),
        password: None,
        roles: roles.iter().map(|role| role.parse().unwrap()).collect(),
        groups: BTreeSet::new(),
        attributes: BTreeMap::new(),
        profile: countersign_oauth::Profile::default(),
        enabled: name != "gone",
        origin: Origin::Configuration,
        created: countersign_base::UnixTime(0),
    };
    DeclaredUser {
        record,
        password: Secret::new("correct horse battery staple".to_owned()),
    }
}

fn declared() -> Declared {
    Declared {
        users: vec![
            person("default", "alice", &[]),
            person("default", "bob", &[]),
            person("default", "carol", &["administrator"]),
            person("default", "dora", &["administrator"]),
            person("default", "gone", &["administrator"]),
            person("acme", "alice", &["administrator"]),
        ],
        ..Declared::default()
    }
}

impl World {
    async fn start() -> Self {
        Self::with(&countersign_policy::defaults::POLICIES).await
    }

    async fn with(policies: &[(&str, &str)]) -> Self {
        let scopes = format!("{EVALUATE} {SEARCH} other");
        let of = (AUDIENCE, scopes.as_str());
        let caller = Caller::start("mesh", of, declared(), policies).await;
        let fabric = Arc::clone(&caller.test.fabric);
        Self {
            access: router(fabric, &ORIGIN.parse().unwrap()),
            caller,
        }
    }

    async fn token_of(&self, of: &str, audience: &str, scopes: &str) -> String {
        self.caller.token_of(of, audience, scopes).await
    }

    async fn token(&self, scopes: &str) -> String {
        self.token_of("default", AUDIENCE, scopes).await
    }

    async fn post(&self, path: &str, token: Option<&str>, body: &Value) -> Answered {
        self.post_bytes(path, token, body.to_string().into_bytes())
            .await
    }

    async fn post_bytes(&self, path: &str, token: Option<&str>, body: Vec<u8>) -> Answered {
        let mut request =
            Request::post(concrete(path)).header(header::CONTENT_TYPE, "application/json");
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        send(&self.access, request.body(Body::from(body)).unwrap()).await
    }

    /// Asks with a token that may.
    async fn ask(&self, path: &str, body: &Value) -> Answered {
        let token = self.token(&format!("{EVALUATE} {SEARCH}")).await;
        self.post(path, Some(&token), body).await
    }

    async fn evaluate(&self, body: &Value) -> Answered {
        self.ask("/access/v1/evaluation", body).await
    }

    async fn decision(&self, body: &Value) -> (bool, String) {
        let answered = self.evaluate(body).await;
        assert_eq!(answered.status, StatusCode::OK, "{answered:?}");
        let reason = answered.body["context"]["reason"].as_str().unwrap();
        (
            answered.body["decision"].as_bool().unwrap(),
            reason.to_owned(),
        )
    }

    /// Everything that was recorded.
    async fn records(self) -> Vec<Record> {
        let data = self.caller.test.stop().await;
        let log = countersign_store::audit::find_logs(&data.path().join("audit")).unwrap();
        let (records, _) = countersign_store::audit::tail(&log[0], 0).unwrap();
        records.into_iter().map(|(_, record)| record).collect()
    }
}

fn concrete(path: &str) -> String {
    path.replace("{*path}", "countersign/allow")
}

/// The decisions in a log, as action, verdict, reason and client.
fn decisions(records: &[Record]) -> Vec<(String, String, String, String)> {
    let text = |detail: &Value, name: &str| detail[name].as_str().unwrap_or_default().to_owned();
    records
        .iter()
        .map(|record| serde_json::to_value(record).unwrap())
        .filter(|record| record["detail"]["surface"] == "access")
        .map(|record| {
            let detail = &record["detail"];
            (
                text(detail, "action"),
                text(detail, "decision"),
                text(detail, "reason"),
                text(detail, "client"),
            )
        })
        .collect()
}

#[test]
fn authz_matrix_of_the_decision_point_has_a_row_for_every_endpoint() {
    let endpoints: Vec<&str> = ENDPOINTS.iter().map(|(path, _)| *path).collect();
    let cases: Vec<&str> = CASES.iter().map(|(path, ..)| *path).collect();
    assert_eq!(endpoints, cases);
}

#[tokio::test]
async fn authz_matrix_of_the_decision_point() {
    let world = World::start().await;
    let elsewhere = World::start().await;
    let foreign = elsewhere.token(&format!("{EVALUATE} {SEARCH}")).await;
    for (path, scope, body) in CASES {
        let body = body();
        let refused = |answered: Answered, status: StatusCode, challenge: &str| {
            assert_eq!(answered.status, status, "{path}: {answered:?}");
            let challenges = answered.headers.get_all(header::WWW_AUTHENTICATE);
            assert!(
                challenges
                    .iter()
                    .any(|one| one.to_str().unwrap().contains(challenge)),
                "{path}: {answered:?}"
            );
            assert!(
                answered.body.get("decision").is_none() && answered.body.get("result").is_none()
            );
        };
        let unauthorized = StatusCode::UNAUTHORIZED;
        refused(world.post(path, None, &body).await, unauthorized, "Bearer");
        for bad in ["x", "a.b.c", foreign.as_str()] {
            let answered = world.post(path, Some(bad), &body).await;
            refused(answered, unauthorized, "invalid_token");
        }
        let orders = world.token_of("default", OTHER_AUDIENCE, scope).await;
        let answered = world.post(path, Some(&orders), &body).await;
        refused(answered, unauthorized, "invalid_token");

        let other = if *scope == EVALUATE { SEARCH } else { EVALUATE };
        let under = world.token(&format!("{other} other")).await;
        let answered = world.post(path, Some(&under), &body).await;
        refused(answered, StatusCode::FORBIDDEN, "insufficient_scope");

        let good = world.token(scope).await;
        let answered = world.post(path, Some(&good), &body).await;
        assert_eq!(answered.status, StatusCode::OK, "{path}: {answered:?}");
    }
}

#[tokio::test]
async fn authz_matrix_of_the_decision_point_asks_policy() {
    let without: Vec<(&str, &str)> = countersign_policy::defaults::POLICIES
        .into_iter()
        .filter(|(name, _)| *name != "access.cedar")
        .collect();
    let world = World::with(&without).await;
    for (path, _, body) in CASES {
        let answered = world.ask(path, &body()).await;
        assert_eq!(answered.status, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(answered.body["error"], "denied");
    }
    let told = decisions(&world.records().await);
    assert_eq!(told.len(), CASES.len());
    assert!(
        told.iter()
            .all(|(action, verdict, ..)| action.starts_with("ask.") && verdict == "denied"),
        "{told:?}"
    );
}

#[tokio::test]
async fn tokens_that_nobody_knows_are_looked_up_only_so_often() {
    let world = World::start().await;
    let good = world.token(EVALUATE).await;
    let path = "/access/v1/evaluation";
    let bad = format!("csat_{}", "A".repeat(43));
    for _ in 0..super::lookups::MISSES_MAX {
        let answered = world.post(path, Some(&bad), &own_account()).await;
        assert_eq!(answered.status, StatusCode::UNAUTHORIZED, "{answered:?}");
    }
    let answered = world.post(path, Some(&bad), &own_account()).await;
    assert_eq!(answered.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answered.headers[header::RETRY_AFTER], "1");
    assert_eq!(answered.body["error"], "too_many_requests");
    // What costs no look-up passes, and a second later the next is looked up.
    let answered = world.post(path, Some(&good), &own_account()).await;
    assert_eq!(answered.status, StatusCode::OK, "{answered:?}");
    world.caller.test.clock.advance(Duration::from_secs(1));
    let answered = world.post(path, Some(&bad), &own_account()).await;
    assert_eq!(answered.status, StatusCode::UNAUTHORIZED, "{answered:?}");
}

#[tokio::test]
async fn authz_matrix_a_client_asks_about_its_own_tenant() {
    let world = World::start().await;
    let acme = world.token_of("acme", AUDIENCE, EVALUATE).await;
    let path = "/access/v1/evaluation";
    // There is an alice in both; carol and the administration of the other are not there to be asked about.
    let own = world.post(path, Some(&acme), &own_account()).await;
    assert_eq!(own.body["decision"], true);
    let carol = world.post(path, Some(&acme), &administers()).await;
    assert_eq!(
        (&carol.body["decision"], &carol.body["context"]["reason"]),
        (&json!(false), &json!("nothing_permits"))
    );
    let mut across = administers();
    across["subject"]["id"] = "alice".into();
    let across = world.post(path, Some(&acme), &across).await;
    assert_eq!(across.body["context"]["reason"], "nothing_permits");
    let mut home = administers();
    home["subject"]["id"] = "alice".into();
    home["resource"]["id"] = "acme".into();
    let home = world.post(path, Some(&acme), &home).await;
    assert_eq!(home.body["decision"], true);
}

#[tokio::test]
async fn pdp_1_only_post_is_taken() {
    let world = World::start().await;
    let token = world.token(&format!("{EVALUATE} {SEARCH}")).await;
    for (path, _, body) in CASES {
        for method in [Method::GET, Method::PUT, Method::DELETE, Method::PATCH] {
            let request = Request::builder()
                .method(method)
                .uri(concrete(path))
                .header(header::AUTHORIZATION, format!("Bearer {token}"))
                .header(header::CONTENT_TYPE, "application/json")
                .body(Body::from(body().to_string()))
                .unwrap();
            let answered = send(&world.access, request).await;
            assert_eq!(answered.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
            assert_eq!(answered.headers[header::ALLOW], "POST");
        }
        assert_eq!(world.ask(path, &body()).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn pdp_2_a_body_that_is_no_object_is_refused() {
    let world = World::start().await;
    let token = world.token(&format!("{EVALUATE} {SEARCH}")).await;
    for (path, _, body) in CASES {
        let whole = body().to_string().into_bytes();
        let (broken, empty, array) = (whole[1..].to_vec(), Vec::new(), b"[]".to_vec());
        for bad in [broken, empty, array] {
            let answered = world.post_bytes(path, Some(&token), bad).await;
            assert_eq!(answered.status, StatusCode::BAD_REQUEST, "{path}");
        }
        let answered = world.post_bytes(path, Some(&token), whole).await;
        assert_eq!(answered.status, StatusCode::OK, "{path}");
    }
    let large = vec![b' '; 256 * 1024 + 1];
    let answered = world
        .post_bytes("/access/v1/evaluation", Some(&token), large)
        .await;
    assert_eq!(answered.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn pdp_3_and_pdp_11_the_body_says_that_it_is_json() {
    let world = World::start().await;
    let token = world.token(EVALUATE).await;
    let with_type = async |kind: Option<&str>| {
        let mut request = Request::post("/access/v1/evaluation")
            .header(header::AUTHORIZATION, format!("Bearer {token}"));
        if let Some(kind) = kind {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        let request = request.body(Body::from(own_account().to_string())).unwrap();
        send(&world.access, request).await.status
    };
    for bad in [
        None,
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
        Some("application/jsonx"),
        Some("text/plain; application/json"),
    ] {
        assert_eq!(with_type(bad).await, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    for good in [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON;charset=UTF-8",
    ] {
        assert_eq!(with_type(Some(good)).await, StatusCode::OK, "{good}");
    }
}

#[tokio::test]
async fn pdp_4_pdp_5_and_pdp_6_a_question_is_whole_and_of_the_right_types() {
    let world = World::start().await;
    for (pointer, wrong) in [
        ("/subject", json!("alice")),
        ("/subject/id", json!(7)),
        ("/subject/type", json!({})),
        ("/action", json!("manage_account")),
        ("/action/name", json!(7)),
        ("/resource", json!([])),
        ("/resource/id", json!(null)),
        ("/resource/type", json!(true)),
    ] {
        let mut body = own_account();
        *body.pointer_mut(pointer).unwrap() = wrong;
        let mistyped = world.evaluate(&body).await;
        assert_eq!(mistyped.status, StatusCode::BAD_REQUEST, "{pointer}");
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let mut body = own_account();
        let parent = body.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        parent.remove(name);
        let missing = world.evaluate(&body).await;
        assert_eq!(missing.status, StatusCode::BAD_REQUEST, "{pointer}");
        assert_eq!(missing.body["error"], "invalid_request");
    }
    assert_eq!(world.evaluate(&own_account()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn pdp_7_without_credentials_nobody_is_answered() {
    let world = World::start().await;
    for (path, scope, body) in CASES {
        for token in [None, Some("nonsense")] {
            let answered = world.post(path, token, &body()).await;
            assert_eq!(answered.status, StatusCode::UNAUTHORIZED, "{path}");
        }
        let token = world.token(scope).await;
        let answered = world.post(path, Some(&token), &body()).await;
        assert_eq!(answered.status, StatusCode::OK, "{path}");
    }
    let told = decisions(&world.records().await);
    let refused = told
        .iter()
        .filter(|(_, _, reason, _)| reason == "no_credential");
    assert!(refused.count() > 0, "{told:?}");
}

#[tokio::test]
async fn pdp_8_an_unknown_semantic_is_refused() {
    let world = World::start().await;
    let mut body = own_account();
    body["evaluations"] = json!([{}]);
    for (semantic, status) in [
        ("first_come", StatusCode::BAD_REQUEST),
        ("execute_all", StatusCode::OK),
    ] {
        body["options"] = json!({ "evaluations_semantic": semantic });
        assert_eq!(
            world.ask("/access/v1/evaluations", &body).await.status,
            status
        );
    }
}

#[tokio::test]
async fn pdp_9_one_of_a_batch_that_cannot_be_judged_is_denied_alone() {
    let world = World::start().await;
    let body = json!({
        "subject": { "type": "user", "id": "alice" },
        "action": { "name": "manage_account" },
        "context": { "operation": "view" },
        "evaluations": [
            { "resource": { "type": "account", "id": "alice" } },
            {},
            { "resource": { "type": "account" } },
            { "resource": { "type": "account", "id": "nobody" } },
            { "resource": { "type": "starship", "id": "1" } },
            { "resource": { "type": "account", "id": "alice" }, "context": {} },
            { "resource": { "type": "account", "id": "alice" }, "action": { "name": "fly" } },
            17,
            { "resource": { "type": "account", "id": "alice" } },
        ],
    });
    let answered = world.ask("/access/v1/evaluations", &body).await;
    assert_eq!(answered.status, StatusCode::OK, "{answered:?}");
    let told: Vec<(bool, &str, bool)> = answered.body["evaluations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (
                one["decision"].as_bool().unwrap(),
                one["context"]["reason"].as_str().unwrap(),
                one["context"]["error"]["status"] == 400,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (true, "permitted", false),
            (false, "invalid_request", true),
            (false, "invalid_request", true),
            (false, "nothing_permits", false),
            (false, "query_invalid", false),
            (false, "query_invalid", false),
            (false, "action_unknown", false),
            (false, "invalid_request", true),
            (true, "permitted", false),
        ]
    );
}

#[tokio::test]
async fn pdp_10_unknown_members_change_nothing() {
    let world = World::start().await;
    let mut body = own_account();
    body["colour"] = "red".into();
    body["subject"]["colour"] = "red".into();
    body["context"]["colour"] = "red".into();
    assert_eq!(world.decision(&body).await, (true, "permitted".to_owned()));
    let mut body = bobs_account();
    body["decision"] = true.into();
    body["context"]["decision"] = true.into();
    assert!(!world.decision(&body).await.0);
}

#[tokio::test]
async fn pdp_12_the_callers_request_id_comes_back() {
    let world = World::start().await;
    let token = world.token(EVALUATE).await;
    let send_with = async |ids: &[&str], token: Option<&str>| {
        let mut request =
            Request::post("/access/v1/evaluation").header(header::CONTENT_TYPE, "application/json");
        for id in ids {
            request = request.header("X-Request-ID", *id);
        }
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Body::from(own_account().to_string())).unwrap();
        let answered = send(&world.access, request).await;
        answered
            .headers
            .get("x-request-id")
            .map(|id| id.to_str().unwrap().to_owned())
    };
    let long = "x".repeat(257);
    for token in [Some(token.as_str()), None] {
        let echoed = send_with(&["bfe9eb29-ab87"], token).await;
        assert_eq!(echoed.as_deref(), Some("bfe9eb29-ab87"));
        assert_eq!(send_with(&[], token).await, None);
        assert_eq!(send_with(&["a", "b"], token).await, None);
        assert_eq!(send_with(&[&long], token).await, None);
    }
}

#[tokio::test]
async fn pdp_13_a_batch_ends_where_its_semantic_says() {
    let world = World::start().await;
    let mine = json!({ "type": "account", "id": "alice" });
    let theirs = json!({ "type": "account", "id": "bob" });
    let order = [&mine, &theirs, &mine, &theirs];
    let items: Vec<Value> = order
        .iter()
        .map(|resource| json!({ "resource": resource }))
        .collect();
    let ask = async |semantic: Option<&str>, items: &[Value]| {
        let mut body = own_account();
        body["evaluations"] = items.into();
        if let Some(semantic) = semantic {
            body["options"] = json!({ "evaluations_semantic": semantic });
        }
        let answered = world.ask("/access/v1/evaluations", &body).await;
        let told = answered.body["evaluations"].as_array().unwrap().clone();
        told.iter()
            .map(|one| one["decision"].as_bool().unwrap())
            .collect::<Vec<_>>()
    };
    let all = [true, false, true, false];
    assert_eq!(ask(None, &items).await, all);
    assert_eq!(ask(Some("execute_all"), &items).await, all);
    assert_eq!(ask(Some("deny_on_first_deny"), &items).await, [true, false]);
    assert_eq!(ask(Some("permit_on_first_permit"), &items).await, [true]);
    assert_eq!(
        ask(Some("permit_on_first_permit"), &items[1..]).await,
        [false, true]
    );
    // One that overrides the subject, too.
    let items = [
        json!({ "subject": { "type": "user", "id": "bob" } }),
        json!({}),
    ];
    assert_eq!(ask(None, &items).await, [false, true]);
    // Nothing to go through is one question, and is answered like one.
    let mut body = own_account();
    body["evaluations"] = json!([]);
    let one = world.ask("/access/v1/evaluations", &body).await;
    assert_eq!(one.body["decision"], true);
    // What a short circuit left out was neither told nor recorded.
    let told = decisions(&world.records().await);
    let judged = told
        .iter()
        .filter(|(action, ..)| action == "manage_account");
    assert_eq!(judged.count(), 4 + 4 + 2 + 1 + 2 + 2 + 1);
}

#[tokio::test]
async fn whoever_may_not_search_is_not_told_which_names_there_are() {
    let world = World::start().await;
    // Whom there is, is disabled, or never was: the same answer to the same question, good or bad.
    let questions: [fn(&mut Value); 4] = [
        |_| {},
        |body| body["action"]["name"] = "no_such_action".into(),
        |body| body["context"] = json!({ "operation": 7 }),
        |body| body["resource"] = json!({ "type": "client", "id": "mesh" }),
    ];
    let told = async |change: fn(&mut Value), part: &str, id: &str| {
        let mut body = own_account();
        body["resource"]["id"] = "alice".into();
        body["subject"]["id"] = "bob".into();
        change(&mut body);
        body[part]["id"] = id.into();
        world.decision(&body).await
    };
    for change in questions {
        for (part, known, unknown) in [
            ("subject", "bob", ["gone", "nobody"]),
            ("resource", "carol", ["gone", "nobody"]),
        ] {
            let expected = told(change, part, known).await;
            assert!(!expected.0);
            for id in unknown {
                assert_eq!(told(change, part, id).await, expected, "{part} {id}");
            }
        }
    }
    let recorded = decisions(&world.records().await);
    for reason in ["subject_unknown", "resource_unknown"] {
        assert!(
            recorded.iter().any(|(_, _, told, _)| told == reason),
            "{reason}"
        );
    }
}

#[tokio::test]
async fn the_directory_says_who_people_are_and_not_the_caller() {
    let world = World::start().await;
    assert!(world.decision(&administers()).await.0);
    let mut body = administers();
    body["subject"] = json!({ "type": "user", "id": "alice", "properties": { "roles": ["administrator"], "tenant": "default" } });
    assert_eq!(
        world.decision(&body).await,
        (false, "nothing_permits".to_owned())
    );
    body["subject"] = json!({ "type": "user", "id": "gone" });
    assert_eq!(
        world.decision(&body).await,
        (false, "nothing_permits".to_owned())
    );
    // The time is ours, whatever the caller says it is.
    let mut body = own_account();
    body["context"]["time"] = "yesterday".into();
    assert!(world.decision(&body).await.0);
    body["context"]["operation"] = 7.into();
    assert_eq!(
        world.decision(&body).await,
        (false, "query_invalid".to_owned())
    );
}

#[tokio::test]
async fn a_decision_is_in_the_log_before_it_is_told() {
    let world = World::start().await;
    let mut ids = Vec::new();
    for body in [own_account(), bobs_account()] {
        let answered = world.evaluate(&body).await;
        ids.push(
            answered.body["context"]["decision_id"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
    }
    let fabric = Arc::clone(&world.caller.test.fabric);
    fabric.details().settled().await;
    let event = ids[0].parse().unwrap();
    let (_, query) = fabric
        .details()
        .open(&Tenant::default_tenant(), event)
        .await
        .unwrap();
    assert!(query.contains("\"action\":\"manage_account\""));
    drop(fabric);
    let records = world.records().await;
    for id in &ids {
        assert!(records.iter().any(|record| record.id.to_string() == *id));
    }
    let told = decisions(&records);
    let of = |verdict: &str, reason: &str| {
        (
            "manage_account".to_owned(),
            verdict.to_owned(),
            reason.to_owned(),
            "mesh".to_owned(),
        )
    };
    assert!(told.contains(&of("allowed", "permitted")), "{told:?}");
    assert!(told.contains(&of("denied", "nothing_permits")), "{told:?}");
}

#[tokio::test]
async fn a_search_tells_whom_every_evaluation_would_permit() {
    let world = World::start().await;
    let found = world.ask("/access/v1/search/subject", &administers()).await;
    let ids = |answered: &Answered| -> BTreeSet<String> {
        let results = answered.body["results"].as_array().unwrap();
        results
            .iter()
            .map(|one| one["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let administrators = ids(&found);
    assert_eq!(administrators.len(), 2, "carol and dora: {found:?}");
    assert_eq!(found.body["page"]["next_token"], "");
    for id in &administrators {
        let mut body = administers();
        body["subject"]["id"] = id.as_str().into();
        assert!(world.decision(&body).await.0);
    }
    let mut one_by_one = BTreeSet::new();
    let mut body = administers();
    body["page"] = json!({ "limit": 1 });
    loop {
        let page = world.ask("/access/v1/search/subject", &body).await;
        assert!(page.body["results"].as_array().unwrap().len() <= 1);
        one_by_one.extend(ids(&page));
        let next = page.body["page"]["next_token"].as_str().unwrap();
        if next.is_empty() {
            break;
        }
        body["page"]["token"] = next.into();
    }
    assert_eq!(one_by_one, administrators);

    let accounts = world
        .ask("/access/v1/search/resource", &own_account())
        .await;
    assert_eq!(ids(&accounts).len(), 1);
    assert_eq!(accounts.body["results"][0]["type"], "account");

    let actions = world.ask("/access/v1/search/action", &administers()).await;
    assert_eq!(actions.body["results"], json!([{ "name": "administer" }]));
    let mut alice = administers();
    alice["subject"]["id"] = "alice".into();
    let actions = world.ask("/access/v1/search/action", &alice).await;
    assert_eq!(actions.body["results"], json!([]));
}

#[tokio::test]
async fn a_page_is_of_one_search_and_tells_nobody() {
    let world = World::start().await;
    let search = |action: &str| {
        let mut body = administers();
        body.as_object_mut().unwrap().remove("subject");
        body["subject"] = json!({ "type": "user" });
        body["action"] = json!({ "name": action });
        body["page"] = json!({ "limit": 1 });
        body
    };
    let path = "/access/v1/search/subject";
    let first = world.ask(path, &search("administer")).await;
    assert_eq!(first.status, StatusCode::OK, "{first:?}");
    let token = first.body["page"]["next_token"]
        .as_str()
        .unwrap()
        .to_owned();
    let told = first.body["results"][0]["id"].as_str().unwrap();
    assert!(!token.is_empty() && !token.contains(told), "{token}");
    let again = world.ask(path, &search("administer")).await;
    assert_ne!(again.body["page"]["next_token"], token.as_str());
    let with = async |action: &str, token: &str| {
        let mut body = search(action);
        body["page"] = json!({ "token": token, "limit": 100 });
        let answered = world.ask(path, &body).await;
        (answered.status, answered.body["error"].clone())
    };
    let unknown = (StatusCode::BAD_REQUEST, json!("page_unknown"));
    assert_eq!(with("administer", &token).await.0, StatusCode::OK);
    assert_eq!(with("manage_account", &token).await, unknown);
    assert_eq!(with("administer", told).await, unknown);
    let mut forged = token.clone();
    forged.replace_range(0..1, if token.starts_with('A') { "B" } else { "A" });
    assert_eq!(with("administer", &forged).await, unknown);
}

#[tokio::test]
async fn a_client_asks_only_so_much() {
    let world = World::start().await;
    let token = world.token(EVALUATE).await;
    let items: Vec<Value> = (0..100).map(|_| json!({})).collect();
    let mut batch = own_account();
    batch["evaluations"] = items.into();
    let path = "/access/v1/evaluations";
    for _ in 0..super::QUESTIONS.requests / 100 {
        let answered = world.post(path, Some(&token), &batch).await;
        assert_eq!(answered.status, StatusCode::OK, "{answered:?}");
    }
    let answered = world.post(path, Some(&token), &batch).await;
    assert_eq!(answered.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answered.body["error"], "rate_limited");
    assert_eq!(answered.headers[header::RETRY_AFTER], "1");
    // Another client is not held up by it, and a moment later this one is not either.
    let other = world.token_of("acme", AUDIENCE, EVALUATE).await;
    let answered = world
        .post("/access/v1/evaluation", Some(&other), &own_account())
        .await;
    assert_eq!(answered.status, StatusCode::OK, "{answered:?}");
    world.caller.test.clock.advance(Duration::from_secs(1));
    let answered = world.post(path, Some(&token), &batch).await;
    assert_eq!(answered.status, StatusCode::OK, "{answered:?}");
}

#[tokio::test]
async fn obligations_are_told_to_who_carries_them_out() {
    let mut policies = countersign_policy::defaults::POLICIES.to_vec();
    policies.push((
        "obliged.cedar",
        r#"
        @id("masked") @mask("/iban") @limit_rows("10")
        permit (principal is User, action == Action::"manage_account", resource is Account);
        @id("second-factor") @step_up("acr=phr")
        permit (principal is User, action == Action::"request", resource is Route) when { context.method == "GET" };
        "#,
    ));
    let world = World::with(&policies).await;
    let asks = async |context: Value| {
        let mut body = own_account();
        body["context"]
            .as_object_mut()
            .unwrap()
            .extend(context.as_object().unwrap().clone());
        let told = world.evaluate(&body).await.body;
        (told["decision"].clone(), told["context"].clone(), body)
    };
    for silent in [
        json!({}),
        json!({ "supported_obligations": ["step-up"] }),
        json!({ "supported_obligations": "custom" }),
    ] {
        let (decision, told, _) = asks(silent).await;
        assert_eq!(
            (decision, &told["reason"]),
            (json!(false), &json!("obligation_not_carried_out"))
        );
        assert!(told.get("obligations").is_none());
    }
    let (decision, told, body) = asks(json!({ "supported_obligations": ["custom"] })).await;
    assert_eq!(decision, true);
    let expected = json!([
        { "type": "custom", "id": "1", "properties": { "vendor": "countersign", "action": "limit_rows", "rows": { "": 10 } } },
        { "type": "custom", "id": "2", "properties": { "vendor": "countersign", "action": "mask", "paths": ["/iban"] } },
    ]);
    assert_eq!(told["obligations"], expected);
    // A mere yes would be one without them.
    let input = json!({ "input": body });
    let allow = world.ask("/opa/v1/data/countersign/allow", &input).await;
    assert_eq!(allow.body["result"], false);
    let whole = world.ask("/opa/v1/data/countersign", &input).await;
    assert_eq!(
        (
            &whole.body["result"]["allow"],
            &whole.body["result"]["obligations"]
        ),
        (&json!(true), &expected)
    );
    let described = world.ask(METADATA_PATH, &json!({})).await;
    assert_eq!(described.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_search_says_what_it_has_no_list_of() {
    let world = World::start().await;
    for (path, member, kind) in [
        ("/access/v1/search/resource", "resource", "route"),
        ("/access/v1/search/resource", "resource", "starship"),
        ("/access/v1/search/subject", "subject", "external"),
    ] {
        let mut body = own_account();
        body[member]["type"] = kind.into();
        let answered = world.ask(path, &body).await;
        assert_eq!(answered.status, StatusCode::BAD_REQUEST);
        assert_eq!(answered.body["error"], "not_listed", "{kind}");
    }
    let mut body = administers();
    for token in ["nobody", "00000000000000000000000000000000"] {
        body["page"] = json!({ "token": token });
        let answered = world.ask("/access/v1/search/subject", &body).await;
        assert_eq!(answered.body["error"], "page_unknown");
    }
}

#[tokio::test]
async fn clients_of_opa_get_the_same_decision() {
    let world = World::start().await;
    for (body, allow) in [(own_account(), true), (bobs_account(), false)] {
        assert_eq!(world.decision(&body).await.0, allow);
        let input = json!({ "input": body });
        let answered = world.ask("/opa/v1/data/countersign/allow", &input).await;
        assert_eq!(answered.body["result"], allow);
        assert_eq!(answered.body["decision_id"].as_str().unwrap().len(), 32);
        let answered = world.ask("/opa/v1/data/countersign", &input).await;
        assert_eq!(answered.body["result"]["allow"], allow);
        for undefined in [
            "/opa/v1/data",
            "/opa/v1/data/countersign/deny",
            "/opa/v1/data/x",
        ] {
            let answered = world.ask(undefined, &input).await;
            assert_eq!(
                (answered.status, &answered.body),
                (StatusCode::OK, &json!({}))
            );
        }
    }
    let path = "/opa/v1/data/countersign/allow";
    for bad in [json!({}), json!({ "input": "x" }), json!({ "input": {} })] {
        assert_eq!(world.ask(path, &bad).await.status, StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn the_description_is_public() {
    let world = World::start().await;
    let get = |method: Method| {
        Request::builder()
            .method(method)
            .uri(METADATA_PATH)
            .body(Body::empty())
            .unwrap()
    };
    let described = send(&world.access, get(Method::GET)).await;
    assert_eq!(described.status, StatusCode::OK);
    assert_eq!(described.body["policy_decision_point"], ORIGIN);
    for (member, path) in [
        ("access_evaluation_endpoint", "/access/v1/evaluation"),
        ("access_evaluations_endpoint", "/access/v1/evaluations"),
        ("search_subject_endpoint", "/access/v1/search/subject"),
        ("search_resource_endpoint", "/access/v1/search/resource"),
        ("search_action_endpoint", "/access/v1/search/action"),
    ] {
        assert_eq!(described.body[member], format!("{ORIGIN}{path}"));
    }
    let posted = send(&world.access, get(Method::POST)).await;
    assert_eq!(posted.status, StatusCode::METHOD_NOT_ALLOWED);
}
