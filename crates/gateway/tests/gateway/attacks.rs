//! Attacks on gateways that fit no other file: what is kept, what dependencies do when they fail, what errors tell.

use crate::world::{Holder, World, status};
use countersign_crypto::base64url;
use countersign_crypto::jose::sign_jwt;
use countersign_crypto::mac::MacKey;
use countersign_crypto::signing::{AccessToken, SigningKey};
use http::{Method, StatusCode, header};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::Ordering;

/// A token put together by hand.
fn assembled(header: &Value, claims: &Value, signature: &str) -> String {
    let part = |value: &Value| base64url::encode(value.to_string().as_bytes());
    format!("{}.{}.{signature}", part(header), part(claims))
}

#[tokio::test]
async fn g40_tok_1_tok_2_tok_3_tok_4_tok_7_tok_8_the_token_does_not_say_how_it_is_checked() {
    let world = World::start();
    let claims = world.claims();
    let jwk = serde_json::to_value(world.issuer.public_jwk()).unwrap();
    let public = serde_json::to_vec(&jwk).unwrap();
    let hmac = {
        let unsigned = assembled(
            &json!({ "alg": "HS256", "typ": "at+jwt", "kid": "issuer-1" }),
            &claims,
            "",
        );
        let key = MacKey::new(countersign_base::Secret::new(
            countersign_crypto::digest::sha256(&public),
        ));
        let tag = key.tag("", &[unsigned.as_bytes()]);
        format!("{unsigned}{}", base64url::encode(tag.as_bytes()))
    };
    let good = world.token(&claims);
    let signature = good.rsplit('.').next().unwrap().to_owned();
    let with = |member: &str, value: Value| {
        let mut header = json!({ "alg": "ES256", "typ": "at+jwt", "kid": "issuer-1" });
        header[member] = value;
        assembled(&header, &claims, &signature)
    };
    let twice = {
        let header =
            base64url::encode(br#"{"alg":"ES256","alg":"ES256","typ":"at+jwt","kid":"issuer-1"}"#);
        let (_, rest) = good.split_once('.').unwrap();
        format!("{header}.{rest}")
    };
    let fetches = world.planes.fetches.load(Ordering::SeqCst);
    for bad in [
        assembled(&json!({ "alg": "none", "typ": "at+jwt" }), &claims, ""),
        assembled(
            &json!({ "alg": "none", "typ": "at+jwt", "kid": "issuer-1" }),
            &claims,
            &signature,
        ),
        hmac,
        with("kid", json!("../../dev/null")),
        with("kid", json!("issuer-1' OR '1'='1")),
        with("jwk", jwk.clone()),
        with("jku", json!("https://evil.example/keys")),
        with("x5u", json!("https://evil.example/chain")),
        with("crit", json!(["x"])),
        twice,
    ] {
        let answer = world
            .get("/things/a", &[("authorization", &format!("Bearer {bad}"))])
            .await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{bad}");
    }
    assert!(world.upstream.take().is_empty());
    assert!(world.planes.fetches.load(Ordering::SeqCst) - fetches <= 10);
    let bearer = format!("Bearer {good}");
    assert_eq!(
        world
            .get("/things/a", &[("authorization", &bearer)])
            .await
            .status,
        StatusCode::OK
    );
    world.stop().await;
}

#[tokio::test]
async fn g38_only_a_token_of_a_trusted_issuer_for_this_audience_is_a_login() {
    let world = World::start();
    let foreign = sign_jwt(&world.foreign, &{
        let mut claims = world.claims();
        claims["iss"] = crate::world::FOREIGN_ISSUER.into();
        claims
    })
    .unwrap();
    for token in [
        "x".to_owned(),
        "a".repeat(43),
        format!("csat_{}", "A".repeat(43)),
        foreign.clone(),
        base64url::encode(b"portal:secret"),
    ] {
        let bearer = format!("Bearer {token}");
        let answer = world.get("/things/a", &[("authorization", &bearer)]).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{token}");
    }
    assert!(world.upstream.take().is_empty());
    let at_home = format!("Bearer {foreign}");
    let fields = [("authorization", at_home.as_str())];
    assert_eq!(
        world.get("/foreign/a", &fields).await.status,
        StatusCode::OK
    );
    world.stop().await;
}

#[tokio::test]
async fn g41_an_encrypted_token_is_no_token() {
    let world = World::start();
    let part = |text: &str| base64url::encode(text.as_bytes());
    let header = part(r#"{"alg":"ECDH-ES","enc":"A256GCM","typ":"at+jwt"}"#);
    for token in [
        format!("{header}..{}.{}.{}", part("iv"), part("text"), part("tag")),
        format!("{header}....."),
        format!("{header}...."),
    ] {
        let bearer = format!("Bearer {token}");
        for path in ["/things/a", "/open/a"] {
            let answer = world.get(path, &[("authorization", &bearer)]).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path} {token}");
        }
    }
    assert!(world.upstream.take().is_empty());
    let bearer = world.bearer(|_| {});
    assert_eq!(
        world
            .get("/things/a", &[("authorization", &bearer)])
            .await
            .status,
        StatusCode::OK
    );
    world.stop().await;
}

#[tokio::test]
async fn g42_a_session_of_one_door_opens_no_other() {
    let world = World::start();
    for cookie in [
        "__Host-session-demo=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "__Host-session-default=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "authorization=Bearer x",
    ] {
        let answer = world.get("/things/a", &[("cookie", cookie)]).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{cookie}");
    }
    assert!(world.upstream.take().is_empty());
    world.stop().await;
}

#[tokio::test]
async fn g43_no_error_tells_a_token_or_a_key() {
    let world = World::start();
    let forged: SigningKey<AccessToken> = crate::world::key("issuer-1");
    let jwk = serde_json::to_value(world.issuer.public_jwk()).unwrap();
    let now = world.now().0;
    let mut tokens = vec![sign_jwt(&forged, &world.claims()).unwrap()];
    for (name, value) in [
        ("exp", json!(now - 100)),
        ("exp", json!("soon")),
        ("nbf", json!(now + 100)),
        ("aud", json!("https://elsewhere.example")),
        ("iss", json!("https://evil.example")),
        ("cnf", json!({ "jkt": "canary-thumbprint" })),
        ("scope", json!(7)),
    ] {
        let mut claims = world.claims();
        claims["canary"] = "canary-claim".into();
        claims[name] = value;
        tokens.push(world.token(&claims));
    }
    let mut told = String::new();
    for token in &tokens {
        let bearer = format!("Bearer {token}");
        let answer = world.get("/things/a", &[("authorization", &bearer)]).await;
        assert_ne!(answer.status, StatusCode::OK);
        told.push_str(&format!(
            "{:?} {}",
            answer.headers,
            String::from_utf8_lossy(&answer.body)
        ));
    }
    told.push_str(&world.log_text().await);
    for token in &tokens {
        let (claims, signature) = {
            let mut parts = token.split('.').skip(1);
            (parts.next().unwrap(), parts.next().unwrap())
        };
        assert!(!told.contains(claims) && !told.contains(signature));
    }
    for secret in ["canary", jwk["x"].as_str().unwrap()] {
        assert!(!told.contains(secret), "{secret}");
    }
    world.stop().await;
}

#[tokio::test]
async fn g26_no_answer_is_kept_for_anybody_else() {
    let world = World::start();
    let (one, other) = (
        world.bearer(|_| {}),
        world.bearer(|claims| claims["sub"] = crate::world::BOB.into()),
    );
    for (bearer, host) in [
        (&one, "localhost"),
        (&one, "localhost"),
        (&other, "localhost"),
        (&one, "second.example"),
        (&other, "second.example"),
    ] {
        let head = format!(
            "GET /things/cached HTTP/1.1\r\nHost: {host}\r\nAuthorization: {bearer}\r\nConnection: close\r\n\r\n"
        );
        assert_eq!(status(&world.raw(head.as_bytes()).await), 200);
        let seen = world.upstream.take_one().headers;
        assert_eq!(seen.get("x-forwarded-host").unwrap(), host);
    }
    world.stop().await;
}

#[tokio::test]
async fn g55_without_keys_or_store_tokens_are_refused_and_anonymous_requests_go_on() {
    let world = World::start();
    world.planes.away.store(true, Ordering::SeqCst);
    let opaque = format!("Bearer csat_{}", "A".repeat(43));
    for bearer in [world.bearer(|_| {}), opaque] {
        let fields = [("authorization", bearer.as_str())];
        for path in ["/things/a", "/open/a"] {
            let answer = world.get(path, &fields).await;
            assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        }
    }
    assert!(world.upstream.take().is_empty());
    World::assert_logged(&world.log_text().await, "keys_unavailable");
    assert_eq!(world.get("/open/a", &[]).await.status, StatusCode::OK);
    world.planes.away.store(false, Ordering::SeqCst);
    let bearer = world.bearer(|_| {});
    let fields = [("authorization", bearer.as_str())];
    assert_eq!(world.get("/things/a", &fields).await.status, StatusCode::OK);
    world.stop().await;
}

#[tokio::test]
async fn g22_no_spoofed_identity_by_any_method_on_any_way() {
    let world = World::start();
    let holder = Holder::new();
    let bound = holder.token(&world, |_| {});
    let opaque = format!("csat_{}", "A".repeat(43));
    world.planes.opaque.lock().unwrap().insert(opaque.clone(), {
        let mut claims = world.claims();
        claims["grant_id"] = "00000000000000aa".into();
        claims
    });
    let spoofed = [
        ("countersign-subject", "evil"),
        ("countersign-client", "evil"),
        ("countersign-scopes", "evil"),
        ("countersign-tenant", "evil"),
        ("x-forwarded-user", "evil"),
        ("remote-user", "evil"),
        ("connection", "countersign-subject, countersign-tenant"),
    ];
    let proof = || holder.proof(&world, "/things/a", &bound, |_| {});
    for (path, credential, proof, expected) in [
        ("/things/a", world.bearer(|_| {}), None, 200),
        ("/things/a", format!("Bearer {opaque}"), None, 200),
        ("/things/a", format!("DPoP {bound}"), Some(proof()), 200),
        ("/passed/a", world.bearer(|_| {}), None, 200),
        ("/exchanged/a", world.bearer(|_| {}), None, 200),
        // Denied by scope, by policy, for a broken token, by its proof, for want of an upstream.
        ("/admin/a", world.bearer(|_| {}), None, 403),
        ("/things/private/a", world.bearer(|_| {}), None, 403),
        ("/things/a", "Bearer x".to_owned(), None, 401),
        ("/things/a", format!("DPoP {bound}"), None, 401),
        ("/gone/a", world.bearer(|_| {}), None, 502),
    ] {
        let mut fields = spoofed.to_vec();
        fields.push(("authorization", credential.as_str()));
        if let Some(proof) = &proof {
            fields.push(("dpop", proof));
        }
        let answer = world.get(path, &fields).await;
        assert_eq!(answer.status.as_u16(), expected, "{path} {credential}");
        assert!(!format!("{:?}", answer.headers).contains("evil"), "{path}");
        let seen = world.upstream.take();
        assert_eq!(seen.len(), usize::from(expected == 200), "{path}");
        for seen in seen {
            assert!(
                !format!("{:?}", seen.headers).contains("evil"),
                "{path} {seen:?}"
            );
            let subjects = seen.headers.get_all("countersign-subject");
            assert_eq!(subjects.iter().collect::<Vec<_>>(), [crate::world::ALICE]);
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn frm_16_g36_a_limit_of_the_answer_after_a_limit_of_the_request() {
    let world = World::start();
    let bearer = world.bearer(|_| {});
    let chunk = format!("{:x}\r\n{}\r\n", 600, "x".repeat(600));
    let post = |rest: String| {
        let head = format!(
            "POST /limited/a HTTP/1.1\r\nHost: localhost:{}\r\nAuthorization: {bearer}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
            world.port()
        );
        format!("{head}{rest}0\r\n\r\n")
    };
    // The bucket lets it pass and is charged; then its body is too large while the upstream is answering.
    let mut statuses = Vec::new();
    for _ in 0..2 {
        let answer = world.raw(post(format!("{chunk}{chunk}")).as_bytes()).await;
        assert!(
            answer.to_ascii_lowercase().contains("ratelimit: "),
            "{answer}"
        );
        statuses.push(status(&answer));
    }
    for _ in 0..2 {
        statuses.push(status(&world.raw(post(chunk.clone()).as_bytes()).await));
    }
    assert_eq!(statuses, [413, 413, 200, 429]);
    let whole = world
        .upstream
        .take()
        .iter()
        .filter(|seen| seen.body.is_ok())
        .count();
    assert_eq!(whole, 1);
    world.stop().await;
}

#[test]
fn g33_g34_dependencies_are_past_their_flaws() {
    let lock =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.lock"))
            .unwrap();
    let version = |name: &str| {
        let (_, after) = lock
            .split_once(&format!("name = \"{name}\"\nversion = \""))
            .unwrap();
        let (version, _) = after.split_once('"').unwrap();
        version
            .split('.')
            .map(|part| part.parse().unwrap())
            .collect::<Vec<u32>>()
    };
    for (name, floor) in [
        ("h2", vec![0, 4, 12]),
        ("hyper", vec![1, 6, 0]),
        ("httparse", vec![1, 10, 1]),
    ] {
        assert!(version(name) >= floor, "{name} {:?}", version(name));
    }
}

#[test]
fn g57_unverified_claims_reach_neither_policy_nor_fields() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let listed = std::fs::read_to_string(root.join("src/evidence.rs")).unwrap();
    let files: BTreeSet<String> = std::fs::read_dir(root.join("tests/compile_fail"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    // Each of them is compiled as a documentation test, and must fail for the reason that stands there.
    for file in &files {
        let line = listed
            .lines()
            .find(|line| line.contains(&format!("\"compile_fail/{file}\"")));
        assert!(
            line.is_some_and(|line| line.contains("\"compile_fail,E")),
            "{file}"
        );
    }
    assert!(files.contains("principal_of_unverified_claims.rs"));
    assert!(files.contains("caller_of_unverified_claims.rs"));
}

#[tokio::test]
async fn frm_11_g23_every_local_answer_drains_or_closes() {
    let world = World::start();
    let bearer = world.bearer(|_| {});
    let smuggled = "GET /open/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";
    // Twice past the limit of three: the fourth and later answers are the limiter's.
    for target in [
        "/nowhere",
        "/things/private/a",
        "/admin/a",
        "/things/a;b",
        "/limited/a",
        "/limited/a",
        "/limited/a",
        "/limited/a",
        "/gone/a",
        "/things/early",
    ] {
        let bytes = format!(
            "POST {target} HTTP/1.1\r\nHost: localhost:{}\r\nAuthorization: {bearer}\r\nContent-Length: {}\r\n\r\n{smuggled}GET /open/next HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
            world.port(),
            smuggled.len()
        );
        world.raw(bytes.as_bytes()).await;
        let read: Vec<(Method, String)> = world
            .upstream
            .take()
            .into_iter()
            .map(|seen| (seen.method, seen.target))
            .collect();
        assert!(
            !read.iter().any(|(_, target)| target.contains("smuggled")),
            "{target} {read:?}"
        );
    }
    let answer = world.get("/nowhere", &[]).await;
    assert_eq!(
        answer.headers.get(header::CACHE_CONTROL).unwrap(),
        "no-store"
    );
    world.stop().await;
}
