//! Routes that take tokens of issuers that are not ours: whose key, whose name, and what such a token cannot do.

use crate::routes::spec;
use crate::world::{ALICE, AUDIENCE, Holder, ISSUER, PARTNER, World};
use bytes::Bytes;
use countersign_authn::{
    Anonymous, Binding, LEEWAY_DEFAULT, OtherIssuer, OtherIssuerSpec, ResourceRules, TokenForm,
    TrustedIssuer,
};
use countersign_crypto::digest::sha256_base64url;
use countersign_crypto::jose::{Algorithm, sign_jwt};
use countersign_crypto::signing::{AccessToken, SigningKey};
use countersign_gateway::idempotency::{IdempotencySpec, KeyNeed, UpstreamKeys};
use countersign_gateway::limiter::{Algorithm as Counts, Dimension, LimitSpec, Sharing, Strangers};
use countersign_gateway::routes::RouteSpec;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

const THEIRS: &str = "https://login.partner.example 0123456789abcdef0123456789abcdef";

pub(crate) fn partner(change: impl FnOnce(&mut OtherIssuerSpec)) -> Arc<OtherIssuer> {
    let mut spec = OtherIssuerSpec {
        name: "partner".to_owned(),
        iss: PARTNER.to_owned(),
        audience: None,
        algorithms: [Algorithm::Es256].into(),
        leeway: LEEWAY_DEFAULT,
        form: TokenForm::AccessToken,
        believed: Default::default(),
        scopes: None,
    };
    change(&mut spec);
    Arc::new(OtherIssuer::new(spec).unwrap())
}

pub(crate) fn rules(own: bool, other: Option<Arc<OtherIssuer>>) -> ResourceRules {
    let own = own.then(|| TrustedIssuer {
        issuer: ISSUER.parse().unwrap(),
        tenant: "demo".parse().unwrap(),
        algorithms: vec![Algorithm::Es256],
    });
    let rules = ResourceRules::new(
        AUDIENCE.parse().unwrap(),
        own.into_iter().collect(),
        Binding::Any,
        Anonymous::Refused,
    );
    rules.trusting("demo".parse().unwrap(), other.into_iter().collect())
}

/// A route that takes tokens of ours and of the partner.
fn both(id: &str) -> RouteSpec {
    RouteSpec {
        rules: rules(true, Some(partner(|_| ()))),
        ..spec(id, &format!("/{id}/{{*rest}}"))
    }
}

fn world(routes: impl FnOnce() -> Vec<RouteSpec>) -> World {
    let world = World::start();
    world.reload(|specs| specs.extend(routes()));
    world
}

pub(crate) fn claims(world: &World) -> Value {
    let mut claims = world.claims();
    claims["iss"] = PARTNER.into();
    claims
}

pub(crate) fn signed(key: &SigningKey<AccessToken>, claims: &Value) -> String {
    format!("Bearer {}", sign_jwt(key, claims).unwrap())
}

async fn status(world: &World, path: &str, bearer: &str) -> StatusCode {
    let answer = world.get(path, &[("authorization", bearer)]).await;
    world.upstream.take();
    answer.status
}

#[tokio::test]
async fn tok_5_tok_6_g38_a_partners_token_is_taken_where_a_route_names_its_issuer_and_nowhere_else()
{
    let world = world(|| vec![both("both")]);
    let theirs = signed(&world.partner, &claims(&world));
    // Cold, and then with a verdict that is kept.
    for _ in 0..2 {
        assert_eq!(
            status(&world, "/things/a", &theirs).await,
            StatusCode::UNAUTHORIZED
        );
        assert_eq!(status(&world, "/both/a", &theirs).await, StatusCode::OK);
    }
    let ours = world.bearer(|_| {});
    assert_eq!(status(&world, "/both/a", &ours).await, StatusCode::OK);
    // The keys of both are called alike.
    let mut ours = world.claims();
    assert_eq!(
        status(&world, "/both/a", &signed(&world.partner, &ours)).await,
        StatusCode::UNAUTHORIZED,
        "our name under their key"
    );
    assert_eq!(
        status(&world, "/both/a", &signed(&world.issuer, &claims(&world))).await,
        StatusCode::UNAUTHORIZED,
        "their name under ours"
    );
    ours["iss"] = "https://login.unknown.example".into();
    assert_eq!(
        status(&world, "/both/a", &signed(&world.partner, &ours)).await,
        StatusCode::UNAUTHORIZED
    );
    let log = world.log_text().await;
    World::assert_logged(&log, "issuer_unknown");
    World::assert_logged(&log, "signature_invalid");
    world.stop().await;
}

#[tokio::test]
async fn whoever_they_are_is_told_with_their_issuer_upstream_and_in_the_record() {
    let world = world(|| vec![both("both")]);
    let theirs = signed(&world.partner, &claims(&world));
    let answer = world.get("/both/a", &[("authorization", &theirs)]).await;
    assert_eq!(answer.status, StatusCode::OK);
    let seen = world.upstream.take_one();
    let field = |name: &str| seen.headers.get(name).unwrap().to_str().unwrap().to_owned();
    assert_eq!(field("countersign-subject"), THEIRS);
    assert_eq!(field("countersign-client"), "@partner/portal");
    let ours = world.bearer(|_| {});
    world.get("/both/a", &[("authorization", &ours)]).await;
    let seen = world.upstream.take_one();
    assert_eq!(seen.headers.get("countersign-subject").unwrap(), ALICE);
    let log = world.log_text().await;
    let digest = sha256_base64url(THEIRS.as_bytes());
    World::assert_logged(&log, &format!("subject of partner: {digest}"));
    World::assert_logged(&log, "@partner/portal");
    assert!(!log.contains(THEIRS), "who it is stands there as a digest");
    world.stop().await;
}

#[tokio::test]
async fn people_of_two_issuers_share_neither_limits_nor_idempotency_keys() {
    let world = world(|| {
        let limit = LimitSpec {
            name: "mine".to_owned(),
            algorithm: Counts::TokenBucket { burst: 1 },
            requests: 1,
            per: Duration::from_secs(3_600),
            by: [Dimension::Subject].into(),
            strangers: Strangers::Together,
            sharing: Sharing::Process,
        };
        let keys = IdempotencySpec {
            key_bytes_min: 1,
            described_by: None,
            need: KeyNeed::Required,
            keep: Duration::from_secs(60),
            upstream: UpstreamKeys::Ignored,
        };
        let limited = RouteSpec {
            limits: vec![limit],
            ..both("often")
        };
        let keyed = RouteSpec {
            idempotency: Some(keys),
            ..both("keyed")
        };
        vec![limited, keyed]
    });
    let (ours, theirs) = (
        world.bearer(|_| {}),
        signed(&world.partner, &claims(&world)),
    );
    // Both are `sub` Alice of a client `portal`.
    assert_eq!(status(&world, "/often/a", &ours).await, StatusCode::OK);
    assert_eq!(
        status(&world, "/often/a", &ours).await,
        StatusCode::TOO_MANY_REQUESTS
    );
    assert_eq!(status(&world, "/often/a", &theirs).await, StatusCode::OK);

    let post = async |bearer: &str| {
        let fields = [("authorization", bearer), ("idempotency-key", "one")];
        let body = Bytes::from_static(b"{}");
        let answer = world
            .send(&world.client(None), Method::POST, "/keyed/a", &fields, body)
            .await;
        let replayed = answer.headers.contains_key("idempotency-replayed");
        (answer.status, replayed, world.upstream.take().len())
    };
    assert_eq!(post(&ours).await, (StatusCode::OK, false, 1));
    assert_eq!(post(&theirs).await, (StatusCode::OK, false, 1));
    assert_eq!(post(&ours).await, (StatusCode::OK, true, 0), "the twin");
    world.stop().await;
}

#[tokio::test]
async fn tok_12_g54_a_partners_bound_token_needs_its_proof() {
    let world = world(|| vec![both("both")]);
    let holder = Holder::new();
    let mut claims = claims(&world);
    claims["cnf"] = json!({ "jkt": holder.thumbprint() });
    let token = sign_jwt(&world.partner, &claims).unwrap();
    let bearer = format!("Bearer {token}");
    for _ in 0..2 {
        assert_eq!(
            status(&world, "/both/a", &bearer).await,
            StatusCode::UNAUTHORIZED
        );
    }
    let proof = holder.proof(&world, "/both/a", &token, |_| {});
    let shown = format!("DPoP {token}");
    let fields = [("authorization", shown.as_str()), ("dpop", proof.as_str())];
    assert_eq!(world.get("/both/a", &fields).await.status, StatusCode::OK);
    assert_eq!(
        world.get("/both/a", &fields).await.status,
        StatusCode::UNAUTHORIZED,
        "a proof is spent once"
    );
    world.stop().await;
}

#[tokio::test]
async fn tok_6_when_their_keys_change_their_verdicts_go_and_those_of_other_routes_stay() {
    let world = world(|| vec![both("both")]);
    let (ours, theirs) = (
        world.bearer(|_| {}),
        signed(&world.partner, &claims(&world)),
    );
    let fetched = async |path: &str, bearer: &str| {
        let before = world.planes.fetches.load(Ordering::SeqCst);
        assert_eq!(status(&world, path, bearer).await, StatusCode::OK);
        world.planes.fetches.load(Ordering::SeqCst) - before
    };
    for (path, bearer) in [("/both/a", &theirs), ("/things/a", &ours)] {
        assert_eq!(fetched(path, bearer).await, 1);
        assert_eq!(fetched(path, bearer).await, 0);
    }
    world.planes.other_generation.fetch_add(1, Ordering::SeqCst);
    assert_eq!(fetched("/both/a", &theirs).await, 1, "judged anew");
    assert_eq!(
        fetched("/things/a", &ours).await,
        0,
        "nobody else's keys count there"
    );
    // Keys that went take the trust with them, whatever was kept.
    world.planes.other_generation.fetch_add(1, Ordering::SeqCst);
    world.planes.away.store(true, Ordering::SeqCst);
    assert_eq!(
        status(&world, "/both/a", &theirs).await,
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(status(&world, "/things/a", &ours).await, StatusCode::OK);
    world.stop().await;
}

#[tokio::test]
async fn tok_6_a_reload_that_changes_what_is_believed_withdraws_what_was_kept() {
    let world = world(|| vec![both("both")]);
    let theirs = signed(&world.partner, &claims(&world));
    assert_eq!(status(&world, "/both/a", &theirs).await, StatusCode::OK);
    let narrower = |scopes: &'static str| {
        move |specs: &mut Vec<RouteSpec>| {
            let other = partner(|spec| spec.scopes = Some(scopes.parse().unwrap()));
            specs.push(RouteSpec {
                rules: rules(true, Some(other)),
                ..both("both")
            });
        }
    };
    world.reload(narrower("billing.read"));
    assert_eq!(
        status(&world, "/both/a", &theirs).await,
        StatusCode::FORBIDDEN,
        "the scope is not theirs to give any more"
    );
    world.reload(narrower("orders.read"));
    assert_eq!(status(&world, "/both/a", &theirs).await, StatusCode::OK);
    world.reload(|_| ());
    assert_ne!(status(&world, "/both/a", &theirs).await, StatusCode::OK);
    world.stop().await;
}

#[tokio::test]
async fn int_2_opaque_tokens_are_our_own_issuers_alone() {
    let alone = || RouteSpec {
        rules: rules(false, Some(partner(|_| ()))),
        ..spec("theirs", "/theirs/{*rest}")
    };
    let world = world(|| vec![both("both"), alone()]);
    let token = format!("csat_{}", "A".repeat(43));
    let mut claims = world.claims();
    let opaque = &world.planes.opaque;
    opaque.lock().unwrap().insert(token.clone(), claims.clone());
    let bearer = format!("Bearer {token}");
    assert_eq!(status(&world, "/both/a", &bearer).await, StatusCode::OK);
    assert_eq!(
        status(&world, "/theirs/a", &bearer).await,
        StatusCode::UNAUTHORIZED
    );
    claims["iss"] = PARTNER.into();
    let theirs = signed(&world.partner, &claims);
    assert_eq!(status(&world, "/theirs/a", &theirs).await, StatusCode::OK);
    world.stop().await;
}
