//! Proofs of work through the front door: challenge, answer, cookie, and everybody who cannot be asked for one.

use crate::forward_auth::{ask, described, proxy};
use crate::world::World;
use countersign_crypto::digest::sha256;
use countersign_gateway::forward_auth::Answers;
use countersign_net::ClientResponse;
use http::{StatusCode, header};
use serde_json::Value;

/// Does the work of 10 bits.
fn solved(challenge: &str) -> String {
    let mut tried = (0_u64..).map(|nonce| format!("{challenge}.{nonce}"));
    let enough = |answer: &String| {
        let digest = sha256(answer.as_bytes());
        digest[0] == 0 && digest[1] < 64
    };
    tried.find(enough).unwrap()
}

fn document(answer: &ClientResponse) -> Value {
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(
        answer.headers[header::CONTENT_TYPE],
        "application/problem+json"
    );
    assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
    serde_json::from_slice(&answer.body).unwrap()
}

fn challenge(answer: &ClientResponse) -> String {
    let document = document(answer);
    assert_eq!(document["bits"], 10);
    document["challenge"].as_str().unwrap().to_owned()
}

/// The cookie of an answer, as a browser sends it.
fn cookie(answer: &ClientResponse) -> String {
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    let cookie = answer.headers[header::SET_COOKIE].to_str().unwrap();
    for attribute in ["; Secure", "; HttpOnly", "; Path=/", "; SameSite=Lax"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert!(cookie.starts_with("__Host-work-"), "{cookie}");
    cookie.split_once(';').unwrap().0.to_owned()
}

#[tokio::test]
async fn who_worked_is_let_in_and_nobody_else() {
    let world = World::start();
    let bearer = world.bearer(|_| {});
    let get = async |path: &str, more: &[(&str, &str)]| {
        let fields = [&[("authorization", bearer.as_str())], more].concat();
        world.get(path, &fields).await
    };
    let asked = get("/worked/a", &[]).await;
    let right = solved(&challenge(&asked));
    assert!(world.upstream.take().is_empty());

    let taken = get("/worked/a", &[("proof-of-work", &right)]).await;
    let cookie = cookie(&taken);
    assert!(
        world.upstream.take().is_empty(),
        "the answer is the whole of its request"
    );
    let fields = [("cookie", cookie.as_str())];
    assert_eq!(get("/worked/a", &fields).await.status, StatusCode::OK);
    let both = format!("own=1; {cookie}");
    let shared = get("/worked-too/a", &[("cookie", &both)]).await;
    assert_eq!(shared.status, StatusCode::OK, "a route of the same name");
    let seen = world.upstream.take();
    assert_eq!(seen.len(), 2);
    let text = format!("{seen:?}");
    assert!(
        !text.contains("__Host-work-"),
        "no upstream sees it: {text}"
    );
    assert!(text.contains("own=1"), "{text}");

    // A route of another name, and one that poses none.
    let renamed = cookie.replacen("work-door", "work-apart", 1);
    let apart = get("/worked-apart/a", &[("cookie", &renamed)]).await;
    let _other = challenge(&apart);
    let unposed = get("/worked-unposed/a", &fields).await;
    assert_eq!(unposed.status, StatusCode::FORBIDDEN);
    assert!(!String::from_utf8_lossy(&unposed.body).contains("challenge"));
    // It is no credential.
    let nobody = world.get("/worked/a", &fields).await;
    assert_eq!(nobody.status, StatusCode::UNAUTHORIZED);
    let forged = format!("{}A", cookie.get(..cookie.len() - 1).unwrap());
    let forged = if forged == cookie {
        cookie.replace('A', "B")
    } else {
        forged
    };
    let _again = challenge(&get("/worked/a", &[("cookie", &forged)]).await);

    let log = world.log_text().await;
    World::assert_logged(&log, "proof_of_work_required");
    World::assert_logged(&log, "\"detail\":\"proof of work 10\"");
    world.stop().await;
}

#[tokio::test]
async fn an_answer_that_is_none_is_refused_and_recorded() {
    let world = World::start();
    let bearer = world.bearer(|_| {});
    let asked = world
        .get("/worked/a", &[("authorization", bearer.as_str())])
        .await;
    let challenge = challenge(&asked);
    let right = solved(&challenge);
    let answer = async |path: &str, answer: &str| {
        let answered = world.get(path, &[("proof-of-work", answer)]).await;
        (
            answered.status,
            answered.headers.contains_key(header::SET_COOKIE),
        )
    };
    let refused = (StatusCode::FORBIDDEN, false);
    let mut lazy = (0_u64..).map(|nonce| format!("{challenge}.{nonce}"));
    let lazy = lazy
        .find(|answer| sha256(answer.as_bytes())[0] != 0)
        .unwrap();
    let cut = right.get(1..).unwrap();
    for wrong in [lazy.as_str(), "", "x.1", &challenge, cut] {
        assert_eq!(answer("/worked/a", wrong).await, refused, "{wrong}");
    }
    assert_eq!(answer("/worked-apart/a", &right).await, refused);
    assert_eq!(
        answer("/worked/a", &right).await,
        (StatusCode::NO_CONTENT, true)
    );
    // Where nobody asks, the field is one like any other.
    assert_eq!(
        answer("/things/a", &right).await,
        (StatusCode::UNAUTHORIZED, false)
    );
    assert_eq!(answer("/nowhere", &right).await.0, StatusCode::NOT_FOUND);
    let log = world.log_text().await;
    World::assert_logged(&log, "proof_of_work_too_little");
    World::assert_logged(&log, "proof_of_work_broken");
    world.stop().await;
}

#[tokio::test]
async fn a_browser_gets_a_page_that_speaks_with_nobody_else() {
    let world = World::start();
    let bearer = world.bearer(|_| {});
    let browser = [
        ("authorization", bearer.as_str()),
        ("sec-fetch-mode", "navigate"),
        ("accept", "text/html"),
    ];
    let page = world.get("/worked/a?b=c", &browser).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert_eq!(
        page.headers[header::CONTENT_TYPE],
        "text/html; charset=utf-8"
    );
    let policy = page.headers[header::CONTENT_SECURITY_POLICY]
        .to_str()
        .unwrap();
    assert!(
        policy.contains("default-src 'none'; script-src 'sha256-"),
        "{policy}"
    );
    assert!(policy.contains("connect-src 'self'"), "{policy}");
    let text = String::from_utf8(page.body.to_vec()).unwrap();
    let (_, rest) = text.split_once("data-challenge=\"").unwrap();
    let (challenge, _) = rest.split_once('"').unwrap();
    // What its script then does.
    let shown = [
        ("sec-fetch-mode", "cors"),
        ("proof-of-work", &solved(challenge)),
    ];
    let cookie = cookie(&world.get("/worked/a?b=c", &shown).await);
    let fields = [&browser[..], &[("cookie", cookie.as_str())]].concat();
    assert_eq!(
        world.get("/worked/a?b=c", &fields).await.status,
        StatusCode::OK
    );
    let program = [browser[0], ("sec-fetch-mode", "cors")];
    let _document = document(&world.get("/worked/a", &program).await);
    world.stop().await;
}

#[tokio::test]
async fn a_request_that_a_proxy_holds_is_denied_without_a_challenge() {
    let world = World::start();
    world.trust(vec![proxy(Answers::Exact)]);
    let bearer = world.bearer(|_| {});
    let asked = world
        .get("/worked/a", &[("authorization", bearer.as_str())])
        .await;
    let right = solved(&challenge(&asked));
    let cookie = cookie(&world.get("/worked/a", &[("proof-of-work", &right)]).await);
    let held = async |path: &str, more: &[(&str, &str)]| {
        let mut fields = described(&world, path);
        let own = [("authorization", bearer.as_str()), ("accept", "text/html")];
        let all = own.iter().chain(more);
        fields.extend(all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        ask(&world, &fields).await
    };
    // The cookie is bound to a connection that the proxy does not show, and would be the proxy's to set.
    for more in [
        &[][..],
        &[("cookie", cookie.as_str())],
        &[("proof-of-work", right.as_str())],
    ] {
        let denied = held("/worked/a", more).await;
        assert_eq!(denied.status, StatusCode::FORBIDDEN, "{more:?}");
        let told = String::from_utf8_lossy(&denied.body).into_owned();
        assert!(!told.contains("challenge"), "{told}");
        assert!(!denied.headers.contains_key(header::SET_COOKIE));
    }
    assert_eq!(held("/things/a", &[]).await.status, StatusCode::OK);
    let at_the_door = [
        ("authorization", bearer.as_str()),
        ("cookie", cookie.as_str()),
    ];
    assert_eq!(
        world.get("/worked/a", &at_the_door).await.status,
        StatusCode::OK
    );
    world.stop().await;
}
