//! API keys at the gateway: taken where a route says so, judged at every request, never passed on.

use crate::routes::spec;
use crate::world::{AUDIENCE, OTHER_AUDIENCE, World};
use countersign_authn::api_key::{ApiKeyField, generate};
use countersign_base::{Bounded, Duration, GrantId, Secret, Tenant};
use countersign_gateway::RouteSpec;
use countersign_gateway::routes::CallersToken;
use countersign_oauth::api_key::ApiKeyRecord;
use countersign_oauth::{ClientAuthentication, ClientRecord};
use http::{StatusCode, header};
use std::sync::atomic::Ordering;

const ID: GrantId = GrantId::from_u64(0x00c0_ffee);

fn key(id: GrantId) -> String {
    generate(id, &Secret::new([7; 32])).expose().clone()
}

/// A gateway with a route that takes keys in each of the two fields, and a key that is good for them.
fn world() -> World {
    let world = World::start();
    world.reload(|routes| routes.extend(taking()));
    add(&world, |_| {});
    world
}

fn taking() -> [RouteSpec; 2] {
    let route = |name: &str, field| {
        let mut route = spec(name, &format!("/{name}/{{*rest}}"));
        route.rules = route.rules.taking_api_keys(field);
        // Even where the upstream is passed the caller's token.
        route.callers_token = CallersToken::PassOn;
        route
    };
    [
        route("keyed", ApiKeyField::ApiKey),
        route("bearer", ApiKeyField::Authorization),
    ]
}

fn add(world: &World, change: impl FnOnce(&mut ApiKeyRecord)) {
    let now = world.now();
    let mut record = ApiKeyRecord {
        id: ID,
        client: "partner".parse().unwrap(),
        name: Bounded::parse("night batch").unwrap(),
        audience: AUDIENCE.parse().unwrap(),
        scopes: "orders.read".parse().unwrap(),
        networks: Default::default(),
        created: now,
        expires: now.plus(Duration::from_secs(3600)),
        ended: None,
        used_on: None,
    };
    change(&mut record);
    let mut client = ClientRecord::new(
        record.client.clone(),
        Tenant::default_tenant(),
        ClientAuthentication::Public,
        now,
    );
    client.audiences = [AUDIENCE.parse().unwrap(), OTHER_AUDIENCE.parse().unwrap()].into();
    client.scopes = "orders.read orders.write".parse().unwrap();
    let mut keys = world.planes.api_keys.lock().unwrap();
    keys.insert(key(record.id), (record, client));
}

async fn status(world: &World, path: &str, fields: &[(&str, &str)]) -> StatusCode {
    world.get(path, fields).await.status
}

#[tokio::test]
async fn a_key_opens_the_routes_that_take_keys_and_reaches_no_upstream() {
    let world = world();
    let key = key(ID);
    let bearer = format!("Bearer {key}");
    for (path, name, value) in [
        ("/keyed/a", "x-api-key", key.as_str()),
        ("/bearer/a", "authorization", bearer.as_str()),
    ] {
        assert_eq!(status(&world, path, &[(name, value)]).await, StatusCode::OK);
        let request = world.upstream.take_one();
        assert!(
            !format!("{:?}", request.headers).contains("csk_"),
            "{path}: {:?}",
            request.headers
        );
        assert_eq!(request.headers["countersign-client"], "partner");
    }
    // On a route that takes none it is refused, in the field of tokens; in a field that means nothing there it goes no further.
    assert_eq!(
        status(&world, "/things/a", &[("authorization", &bearer)]).await,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        status(&world, "/keyed/a", &[("authorization", &bearer)]).await,
        StatusCode::UNAUTHORIZED
    );
    assert!(world.upstream.take().is_empty());
    let token = world.bearer(|_| {});
    let fields = [("authorization", token.as_str()), ("x-api-key", &key)];
    assert_eq!(
        status(&world, "/things/a", &fields).await,
        StatusCode::UNAUTHORIZED
    );
    let misplaced = [("x-api-key", key.as_str())];
    assert_eq!(
        status(&world, "/open/a", &misplaced).await,
        StatusCode::UNAUTHORIZED,
        "a misplaced key is not nobody"
    );
    assert_eq!(status(&world, "/open/a", &[]).await, StatusCode::OK);
    let request = world.upstream.take_one();
    assert!(!format!("{:?}", request.headers).contains("csk_"));
    // An upstream's own keys are none of ours.
    let fields = [("authorization", token.as_str()), ("x-api-key", "theirs")];
    assert_eq!(status(&world, "/things/a", &fields).await, StatusCode::OK);
    assert_eq!(world.upstream.take_one().headers["x-api-key"], "theirs");
    let log = world.log_text().await;
    World::assert_logged(&log, "api_key_not_taken");
    World::assert_logged(&log, "0000000000c0ffee");
    assert!(!log.contains("csk_"), "the log names a key by its id alone");
    world.stop().await;
}

#[tokio::test]
async fn keys_beside_other_credentials_and_in_queries_are_refused() {
    let world = world();
    let key = key(ID);
    let token = world.bearer(|_| {});
    let fields = [("x-api-key", key.as_str()), ("authorization", &token)];
    assert_eq!(
        status(&world, "/keyed/a", &fields).await,
        StatusCode::BAD_REQUEST
    );
    for path in [
        format!("/keyed/a?api_key={key}"),
        format!("/things/a?x={key}"),
    ] {
        let fields = [("authorization", token.as_str())];
        assert_eq!(
            status(&world, &path, &fields).await,
            StatusCode::BAD_REQUEST,
            "{path}"
        );
    }
    assert!(world.upstream.take().is_empty());
    assert_eq!(
        status(&world, "/keyed/a", &[("x-api-key", &key)]).await,
        StatusCode::OK
    );
    assert_eq!(
        status(&world, "/keyed/a", &[("authorization", &token)]).await,
        StatusCode::OK,
        "a token is as good there as elsewhere"
    );
    world.stop().await;
}

#[tokio::test]
async fn a_revoked_key_counts_nowhere_although_its_verdict_is_known() {
    let world = world();
    let key = key(ID);
    let fields = [("x-api-key", key.as_str())];
    for _ in 0..5 {
        assert_eq!(status(&world, "/keyed/a", &fields).await, StatusCode::OK);
    }
    // A minute may have ended meanwhile, and then it was asked for anew.
    assert!(world.planes.lookups.load(Ordering::SeqCst) <= 2);
    world.planes.revoked.grants.lock().unwrap().insert(ID);
    assert_eq!(
        status(&world, "/keyed/a", &fields).await,
        StatusCode::UNAUTHORIZED
    );
    World::assert_logged(&world.log_text().await, "revoked");
    world.stop().await;
}

#[tokio::test]
async fn callers_cannot_tell_why_a_key_does_not_count() {
    let world = world();
    let other = |id: u64| GrantId::from_u64(id);
    add(&world, |key| {
        key.id = other(1);
        key.expires = key.created;
    });
    add(&world, |key| {
        key.id = other(2);
        key.networks = ["192.0.2.0/24".parse().unwrap()].into();
    });
    add(&world, |key| {
        key.id = other(3);
        key.audience = OTHER_AUDIENCE.parse().unwrap();
    });
    let mistyped = key(ID).replace("0707", "0708");
    let mut answers = Vec::new();
    for shown in [
        key(other(1)),
        key(other(2)),
        key(other(3)),
        key(other(4)),
        mistyped,
        "csk_".to_owned(),
        "letmein".to_owned(),
    ] {
        let answer = world.get("/keyed/a", &[("x-api-key", &shown)]).await;
        let challenges: Vec<_> = answer
            .headers
            .get_all(header::WWW_AUTHENTICATE)
            .iter()
            .cloned()
            .collect();
        answers.push((answer.status, challenges, answer.body.len()));
    }
    assert_eq!(answers[0].0, StatusCode::UNAUTHORIZED);
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    let log = world.log_text().await;
    for reason in ["token_unknown", "api_key_network", "audience_mismatch"] {
        World::assert_logged(&log, reason);
    }
    let good = key(ID);
    assert_eq!(
        status(&world, "/keyed/a", &[("x-api-key", &good)]).await,
        StatusCode::OK
    );
    world.stop().await;
}

#[tokio::test]
async fn what_does_not_have_the_form_of_a_key_is_not_looked_for_and_an_unknown_one_once() {
    let world = world();
    for broken in ["csk_", "csk_0000000000c0ffee_0", "letmein"] {
        let fields = [("x-api-key", broken)];
        assert_eq!(
            status(&world, "/keyed/a", &fields).await,
            StatusCode::UNAUTHORIZED
        );
    }
    assert_eq!(world.planes.lookups.load(Ordering::SeqCst), 0);
    let unknown = key(GrantId::from_u64(9));
    for _ in 0..5 {
        let fields = [("x-api-key", unknown.as_str())];
        assert_eq!(
            status(&world, "/keyed/a", &fields).await,
            StatusCode::UNAUTHORIZED
        );
    }
    assert!(world.planes.lookups.load(Ordering::SeqCst) <= 2);
    world.stop().await;
}

#[tokio::test]
async fn a_key_without_the_scope_is_denied() {
    let world = World::start();
    world.reload(|routes| {
        let mut route = spec("keyed", "/keyed/{*rest}");
        route.rules = route.rules.taking_api_keys(ApiKeyField::ApiKey);
        for action in route.actions.values_mut() {
            action.scopes = "orders.write".parse().unwrap();
        }
        routes.push(route);
    });
    add(&world, |_| {});
    let key = key(ID);
    let fields = [("x-api-key", key.as_str())];
    assert_eq!(
        status(&world, "/keyed/a", &fields).await,
        StatusCode::FORBIDDEN
    );
    add(&world, |key| {
        key.id = GrantId::from_u64(2);
        key.scopes = "orders.write".parse().unwrap();
    });
    let with_scope = self::key(GrantId::from_u64(2));
    assert_eq!(
        status(&world, "/keyed/a", &[("x-api-key", &with_scope)]).await,
        StatusCode::OK
    );
    world.stop().await;
}
