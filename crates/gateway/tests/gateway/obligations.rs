//! What permits ask of the gateway: fields of answers, stronger sign-ins, purposes.

use crate::forward_auth::{ask, described, proxy};
use crate::world::World;
use bytes::Bytes;
use countersign_gateway::forward_auth::Answers;
use countersign_net::ClientResponse;
use http::{Method, StatusCode, header};
use serde_json::json;

const ACCOUNT: &str = r#"{"iban":"DE02-secret","name":"A","items":[{"price":41,"internal":"secret"},{"price":"42-secret"},{"price":43}],"internal":{"note":"secret"}}"#;
const REDACTED: &str = r#"{"iban":"***","name":"A","items":[{"price":null},{"price":"***"}]}"#;

/// The upstream's answer `body` through the gateway, with these fields of the request.
async fn answered(
    world: &World,
    path: &str,
    body: &'static str,
    more: &[(&str, &str)],
) -> ClientResponse {
    let bearer = world.bearer(|_| {});
    let mut fields = vec![("authorization", bearer.as_str())];
    fields.extend(more);
    let client = world.client(None);
    let body = Bytes::from_static(body.as_bytes());
    world.send(&client, Method::POST, path, &fields, body).await
}

const JSON: (&str, &str) = ("x-answer-type", "application/json");

fn text(answer: &ClientResponse) -> &str {
    std::str::from_utf8(&answer.body).unwrap()
}

#[tokio::test]
async fn fields_of_an_answer_are_masked_dropped_and_cut() {
    let world = World::start();
    let coding = ("accept-encoding", "gzip");
    let part = ("range", "bytes=0-9");
    let plain = answered(&world, "/things/echo", ACCOUNT, &[JSON, coding]).await;
    assert_eq!(text(&plain), ACCOUNT);
    assert!(plain.headers.contains_key(header::ETAG));
    let sent = world.upstream.take_one();
    assert_eq!(sent.headers["accept-encoding"], "gzip");
    for media_type in [
        "application/json",
        "application/problem+json; charset=utf-8",
    ] {
        let fields = [("x-answer-type", media_type), coding, part];
        let answer = answered(&world, "/obliged/echo", ACCOUNT, &fields).await;
        assert_eq!((answer.status, text(&answer)), (StatusCode::OK, REDACTED));
        // What speaks of the bytes before would tell what they were.
        assert!(!answer.headers.contains_key(header::ETAG));
        assert!(!answer.headers.contains_key("content-digest"));
        assert_eq!(answer.headers["x-from-upstream"], "yes");
        let sent = world.upstream.take_one();
        assert_eq!(sent.headers["accept-encoding"], "identity");
        assert!(!sent.headers.contains_key("range"));
    }
    let log = world.log_text().await;
    World::assert_logged(&log, "test.cedar#masked");
    world.stop().await;
}

#[tokio::test]
async fn an_answer_that_cannot_be_masked_is_not_passed_on() {
    let world = World::start();
    let refused = async |body: &'static str, fields: &[(&str, &str)], code: &str| {
        let answer = answered(&world, "/obliged/echo", body, fields).await;
        assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{code}");
        assert!(
            !text(&answer).contains("secret"),
            "{code}: {}",
            text(&answer)
        );
    };
    refused(ACCOUNT, &[], "answer_media_type").await;
    refused(
        ACCOUNT,
        &[("x-answer-type", "text/plain")],
        "answer_media_type",
    )
    .await;
    refused(
        ACCOUNT,
        &[("x-answer-type", "application/x-ndjson")],
        "answer_media_type",
    )
    .await;
    refused(
        ACCOUNT,
        &[JSON, ("x-answer-encoding", "gzip")],
        "answer_encoded",
    )
    .await;
    refused("<html>secret</html>", &[JSON], "answer_json").await;
    refused("{\"iban\":\"secret\"}\n{}", &[JSON], "answer_json").await;
    refused(r#"{"items":{"0":"secret"}}"#, &[JSON], "answer_no_array").await;
    refused(
        ACCOUNT,
        &[JSON, ("x-answer-status", "206")],
        "answer_partial",
    )
    .await;
    let huge = r#"{"a":"0123456789012345678901234567890123456789"}"#;
    refused(
        huge,
        &[JSON, ("x-answer-times", "100000")],
        "answer_too_large",
    )
    .await;
    // An error is an answer, too: its fields are masked, and it has no rows.
    let failed = [JSON, ("x-answer-status", "404")];
    let error = answered(
        &world,
        "/obliged/echo",
        r#"{"iban":"secret","items":"none"}"#,
        &failed,
    )
    .await;
    assert_eq!(error.status, StatusCode::NOT_FOUND);
    assert_eq!(text(&error), r#"{"iban":"***","items":"none"}"#);
    let log = world.log_text().await;
    assert!(log.contains("\"status\":502"), "{log}");
    world.stop().await;
}

#[tokio::test]
async fn an_answer_without_a_body_passes() {
    let world = World::start();
    let bearer = world.bearer(|_| {});
    let fields = [("authorization", bearer.as_str())];
    let client = world.client(None);
    for (path, fields) in [
        ("/obliged/echo", vec![JSON]),
        ("/obliged/echo", vec![("x-answer-status", "204")]),
        ("/obliged/echo", vec![("x-answer-status", "304")]),
    ] {
        let answer = answered(&world, path, "", &fields).await;
        assert!(answer.body.is_empty() && answer.status != StatusCode::BAD_GATEWAY);
    }
    let head = world
        .send(
            &client,
            Method::HEAD,
            "/obliged/echo",
            &fields,
            Bytes::new(),
        )
        .await;
    assert_eq!(head.status, StatusCode::OK);
    world.stop().await;
}

#[tokio::test]
async fn an_answer_that_is_given_again_is_masked_again() {
    let world = World::start();
    let keyed = [JSON, ("idempotency-key", "\"k\"")];
    for _ in 0..2 {
        let answer = answered(&world, "/obliged/echo", ACCOUNT, &keyed).await;
        assert_eq!(text(&answer), REDACTED);
    }
    assert_eq!(world.upstream.take().len(), 1);
    world.stop().await;
}

#[tokio::test]
async fn a_proxy_that_holds_the_request_masks_nothing_and_is_denied() {
    let world = World::start();
    world.trust(vec![proxy(Answers::Exact)]);
    let bearer = world.bearer(|_| {});
    let asked = async |path: &str| {
        let mut fields = described(&world, path);
        fields.push(("authorization".to_owned(), bearer.clone()));
        ask(&world, &fields).await.status
    };
    assert_eq!(asked("/things/a").await, StatusCode::OK);
    assert_eq!(asked("/obliged/a").await, StatusCode::FORBIDDEN);
    World::assert_logged(&world.log_text().await, "obligation_not_carried_out");
    world.stop().await;
}

#[tokio::test]
async fn a_sign_in_that_is_too_weak_or_too_old_is_challenged() {
    let world = World::start();
    let now = world.now().0;
    let get = async |acr: Option<&str>, auth_time: Option<i64>| {
        let bearer = world.bearer(|claims| {
            if let Some(acr) = acr {
                claims["acr"] = acr.into();
            }
            if let Some(auth_time) = auth_time {
                claims["auth_time"] = auth_time.into();
            }
        });
        world.get("/stepped/a", &[("authorization", &bearer)]).await
    };
    let two = "urn:countersign:acr:2";
    for (acr, auth_time) in [
        (None, None),
        (Some(two), None),
        (Some("urn:countersign:acr:1"), Some(now)),
        (Some("urn:elsewhere"), Some(now)),
        (Some(two), Some(now - 400)),
    ] {
        let answer = get(acr, auth_time).await;
        assert_eq!(
            answer.status,
            StatusCode::UNAUTHORIZED,
            "{acr:?} {auth_time:?}"
        );
        let challenges: Vec<&str> = answer
            .headers
            .get_all(header::WWW_AUTHENTICATE)
            .iter()
            .map(|challenge| challenge.to_str().unwrap())
            .collect();
        assert_eq!(challenges.len(), 2, "{challenges:?}");
        for challenge in challenges {
            assert!(challenge.contains("error=\"insufficient_user_authentication\""));
            assert!(challenge.contains("max_age=\"300\""), "{challenge}");
        }
    }
    let weak = get(None, None).await;
    let challenge = weak.headers[header::WWW_AUTHENTICATE].to_str().unwrap();
    assert!(
        challenge.contains("acr_values=\"urn:countersign:acr:2\""),
        "{challenge}"
    );
    assert!(world.upstream.take().is_empty());
    assert_eq!(get(Some(two), Some(now - 5)).await.status, StatusCode::OK);
    assert_eq!(get(Some("phr"), Some(now)).await.status, StatusCode::OK);
    World::assert_logged(&world.log_text().await, "step_up_required");
    world.stop().await;
}

#[tokio::test]
async fn a_purpose_is_one_of_the_routes_and_is_recorded() {
    let world = World::start();
    let get = async |path: &str, fields: &[&str], claim: Option<&str>| {
        let bearer = world.bearer(|claims| {
            if let Some(purpose) = claim {
                claims["attrs"] = json!({ "region": "eu", "purpose": purpose });
            }
        });
        let mut all = vec![("authorization", bearer.as_str())];
        all.extend(fields.iter().map(|purpose| ("request-purpose", *purpose)));
        world.get(path, &all).await.status
    };
    let at = "/purposed/a";
    for (fields, claim) in [
        (&[][..], None),
        (&["support"], None),
        (&["research"], None),
        (&["Billing"], None),
        (&["billing, support"], None),
        (&["billing", "billing"], None),
        (&["billing"], Some("support")),
        (&[], Some("research")),
    ] {
        assert_eq!(
            get(at, fields, claim).await,
            StatusCode::FORBIDDEN,
            "{fields:?} {claim:?}"
        );
    }
    assert_eq!(get(at, &["billing"], None).await, StatusCode::OK);
    assert_eq!(get(at, &["billing"], Some("billing")).await, StatusCode::OK);
    assert_eq!(get(at, &[], Some("billing")).await, StatusCode::OK);
    let log = world.log_text().await;
    World::assert_logged(&log, "purpose_required");
    World::assert_logged(&log, "\"detail\":\"purpose billing\"");
    world.stop().await;
}
