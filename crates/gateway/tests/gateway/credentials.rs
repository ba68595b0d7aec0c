//! Tokens, proofs and certificates at the gateway: what is refused, and its twin without the flaw.

use crate::world::{ALICE, FOREIGN_ISSUER, Holder, OTHER_AUDIENCE, Setup, World, key};
use bytes::Bytes;
use countersign_authn::dpop::NonceUse;
use countersign_base::Duration;
use countersign_crypto::jose::sign_jwt;
use countersign_crypto::signing::{AccessToken, IdToken, SigningKey};
use countersign_net::TlsIdentity;
use http::{Method, StatusCode, header};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

/// A token changed like this is refused with 401 and `reason` stands in the log; the unchanged one passes.
async fn refused(world: &World, reason: &str, change: impl FnOnce(&mut Value)) {
    let bad = world.bearer(change);
    let answer = world.get("/things/a", &[("authorization", &bad)]).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{reason}");
    let challenges: Vec<_> = answer
        .headers
        .get_all(header::WWW_AUTHENTICATE)
        .iter()
        .collect();
    assert!(
        challenges
            .iter()
            .any(|value| value.to_str().unwrap().contains("error=\"invalid_token\"")),
        "{reason} {challenges:?}"
    );
    assert!(world.upstream.take().is_empty(), "{reason}");
    let good = world.bearer(|_| {});
    assert_eq!(
        world
            .get("/things/a", &[("authorization", &good)])
            .await
            .status,
        StatusCode::OK
    );
    world.upstream.take_one();
    World::assert_logged(&world.log_text().await, reason);
}

#[tokio::test]
async fn tok_5_tok_9_tok_10_claims_that_do_not_fit_are_refused() {
    let world = World::start();
    let now = world.now().0;
    refused(&world, "audience_mismatch", |claims| {
        claims["aud"] = OTHER_AUDIENCE.into()
    })
    .await;
    refused(&world, "token_expired", |claims| {
        claims["exp"] = (now - 31).into()
    })
    .await;
    refused(&world, "not_yet_valid", |claims| {
        claims["nbf"] = (now + 60).into()
    })
    .await;
    refused(&world, "issuer_unknown", |claims| {
        claims["iss"] = FOREIGN_ISSUER.into()
    })
    .await;
    refused(&world, "claim_broken", |claims| {
        claims["exp"] = "soon".into()
    })
    .await;
    refused(&world, "claim_missing", |claims| {
        _ = claims.as_object_mut().unwrap().remove("exp")
    })
    .await;
    refused(&world, "confirmation_unknown", |claims| {
        claims["cnf"] = json!({ "kid": "x" })
    })
    .await;
    world.stop().await;
}

#[tokio::test]
async fn tok_1_tok_11_g38_signatures_and_types_that_do_not_fit_are_refused() {
    let world = World::start();
    let claims = world.claims();
    let good = world.token(&claims);
    let forged: SigningKey<AccessToken> = key("issuer-1");
    let unknown: SigningKey<AccessToken> = key("issuer-2");
    let identity: SigningKey<IdToken> = key("issuer-1");
    let (body, _) = good.rsplit_once('.').unwrap();
    for (bad, reason) in [
        (sign_jwt(&forged, &claims).unwrap(), "signature_invalid"),
        (sign_jwt(&unknown, &claims).unwrap(), "key_unknown"),
        (sign_jwt(&identity, &claims).unwrap(), "typ_mismatch"),
        (format!("{body}."), "signature_invalid"),
        ("e30.e30.e30".to_owned(), "token_malformed"),
    ] {
        let answer = world
            .get("/things/a", &[("authorization", &format!("Bearer {bad}"))])
            .await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{reason}");
        World::assert_logged(&world.log_text().await, reason);
    }
    assert_eq!(
        world
            .get("/things/a", &[("authorization", &format!("Bearer {good}"))])
            .await
            .status,
        StatusCode::OK
    );
    world.stop().await;
}

#[tokio::test]
async fn tok_6_g44_g45_a_warm_cache_gives_no_verdict_under_other_rules() {
    let world = World::start();
    let bearer = world.bearer(|_| {});
    let fields = [("authorization", bearer.as_str())];
    for _ in 0..3 {
        assert_eq!(world.get("/things/a", &fields).await.status, StatusCode::OK);
        // The same token where another audience, another issuer or a binding is asked for.
        for path in ["/elsewhere/a", "/foreign/a", "/bound/a"] {
            assert_eq!(
                world.get(path, &fields).await.status,
                StatusCode::UNAUTHORIZED,
                "{path}"
            );
        }
    }
    let foreign = {
        let mut claims = world.claims();
        claims["iss"] = FOREIGN_ISSUER.into();
        sign_jwt(&world.foreign, &claims).unwrap()
    };
    let foreign = format!("Bearer {foreign}");
    assert_eq!(
        world
            .get("/foreign/a", &[("authorization", &foreign)])
            .await
            .status,
        StatusCode::OK
    );
    assert_eq!(
        world
            .get("/things/a", &[("authorization", &foreign)])
            .await
            .status,
        StatusCode::UNAUTHORIZED
    );
    world.stop().await;
}

#[tokio::test]
async fn a_signature_is_verified_once_a_generation() {
    let world = World::start();
    let bearer = world.bearer(|_| {});
    let fields = [("authorization", bearer.as_str())];
    for _ in 0..5 {
        assert_eq!(world.get("/things/a", &fields).await.status, StatusCode::OK);
    }
    assert_eq!(world.planes.fetches.load(Ordering::SeqCst), 1);
    world.planes.generation.fetch_add(1, Ordering::SeqCst);
    assert_eq!(world.get("/things/a", &fields).await.status, StatusCode::OK);
    assert_eq!(world.planes.fetches.load(Ordering::SeqCst), 2);
    // A forged one is looked at once as well, and stays refused.
    let forged: SigningKey<AccessToken> = key("issuer-1");
    let forged = format!("Bearer {}", sign_jwt(&forged, &world.claims()).unwrap());
    for _ in 0..5 {
        assert_eq!(
            world
                .get("/things/a", &[("authorization", &forged)])
                .await
                .status,
            StatusCode::UNAUTHORIZED
        );
    }
    assert_eq!(world.planes.fetches.load(Ordering::SeqCst), 3);
    world.stop().await;
}

#[tokio::test]
async fn a_signature_is_verified_every_time_where_no_verdict_is_kept() {
    let world = World::start();
    let bearer = world.bearer(|_| {});
    let fields = [("authorization", bearer.as_str())];
    for (kept, fetched) in [(0, 5), (64, 6), (0, 11)] {
        world.remember_tokens(kept);
        for _ in 0..5 {
            assert_eq!(world.get("/things/a", &fields).await.status, StatusCode::OK);
        }
        assert_eq!(world.planes.fetches.load(Ordering::SeqCst), fetched);
    }
    world.stop().await;
}

#[tokio::test]
async fn revocation_is_checked_every_time() {
    let world = World::start();
    let bearer = world.bearer(|claims| claims["grant_id"] = "0000000000000007".into());
    let fields = [("authorization", bearer.as_str())];
    assert_eq!(world.get("/things/a", &fields).await.status, StatusCode::OK);
    world
        .planes
        .revoked
        .grants
        .lock()
        .unwrap()
        .insert("0000000000000007".parse().unwrap());
    assert_eq!(
        world.get("/things/a", &fields).await.status,
        StatusCode::UNAUTHORIZED
    );
    world.planes.revoked.grants.lock().unwrap().clear();
    *world.planes.revoked.stale.lock().unwrap() = Some(());
    assert_eq!(
        world.get("/things/a", &fields).await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );
    *world.planes.revoked.stale.lock().unwrap() = None;
    assert_eq!(world.get("/things/a", &fields).await.status, StatusCode::OK);
    world.stop().await;
}

#[tokio::test]
async fn g37_a_broken_credential_is_never_an_absent_one() {
    let world = World::start();
    for bad in [
        "Bearer",
        "Bearer ",
        "Bearer a b",
        "Basic YTpi",
        "Bearer e30.e30.e30",
        "nonsense",
    ] {
        let status = world.get("/open/a", &[("authorization", bad)]).await.status;
        assert!(
            status == StatusCode::UNAUTHORIZED || status == StatusCode::BAD_REQUEST,
            "{bad} {status}"
        );
    }
    let twice = world.bearer(|_| {});
    assert_eq!(
        world
            .get(
                "/open/a",
                &[("authorization", &twice), ("authorization", &twice)]
            )
            .await
            .status,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        world.get("/open/a", &[("dpop", "x")]).await.status,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        world.get("/open/a?access_token=x", &[]).await.status,
        StatusCode::BAD_REQUEST
    );
    assert!(world.upstream.take().is_empty());
    assert_eq!(
        world
            .get("/open/a", &[("authorization", &twice)])
            .await
            .status,
        StatusCode::OK
    );
    world.stop().await;
}

#[tokio::test]
async fn no_credential_gets_a_challenge_without_error() {
    let world = World::start();
    let answer = world.get("/things/a", &[]).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    let challenges: Vec<&str> = answer
        .headers
        .get_all(header::WWW_AUTHENTICATE)
        .iter()
        .map(|value| value.to_str().unwrap())
        .collect();
    assert!(
        challenges.iter().any(|value| value.starts_with("Bearer"))
            && challenges.iter().any(|value| value.starts_with("DPoP")),
        "{challenges:?}"
    );
    assert!(
        !challenges.iter().any(|value| value.contains("error")),
        "{challenges:?}"
    );
    let bound = world.get("/bound/a", &[]).await;
    assert!(
        !bound
            .headers
            .get_all(header::WWW_AUTHENTICATE)
            .iter()
            .any(|value| value.to_str().unwrap().starts_with("Bearer"))
    );
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(
        body.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["request_id"]
    );
    World::assert_logged(
        &world.log_text().await,
        body["request_id"].as_str().unwrap(),
    );
    world.stop().await;
}

#[tokio::test]
async fn insufficient_scope_is_403_and_names_the_scope() {
    let world = World::start();
    let bearer = world.bearer(|_| {});
    let answer = world.get("/admin/a", &[("authorization", &bearer)]).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let challenge = answer
        .headers
        .get(header::WWW_AUTHENTICATE)
        .unwrap()
        .to_str()
        .unwrap();
    assert!(
        challenge.contains("error=\"insufficient_scope\"")
            && challenge.contains("scope=\"admin.all\""),
        "{challenge}"
    );
    assert!(world.upstream.take().is_empty());
    let enough = world.bearer(|claims| claims["scope"] = "admin.all".into());
    assert_eq!(
        world
            .get("/admin/a", &[("authorization", &enough)])
            .await
            .status,
        StatusCode::OK
    );
    world.stop().await;
}

#[tokio::test]
async fn tok_12_g54_a_bound_token_needs_its_key() {
    let world = World::start();
    let (holder, thief) = (Holder::new(), Holder::new());
    let token = holder.token(&world, |_| {});
    let send = async |scheme: &str, proofs: &[&str]| {
        let authorization = format!("{scheme} {token}");
        let mut fields = vec![("authorization", authorization.as_str())];
        fields.extend(proofs.iter().map(|proof| ("dpop", *proof)));
        world.get("/bound/a", &fields).await.status
    };
    let proof = || holder.proof(&world, "/bound/a", &token, |_| {});
    assert_eq!(send("DPoP", &[&proof()]).await, StatusCode::OK);
    assert_eq!(send("Bearer", &[]).await, StatusCode::UNAUTHORIZED);
    assert_eq!(send("DPoP", &[]).await, StatusCode::UNAUTHORIZED);
    assert_eq!(send("Bearer", &[&proof()]).await, StatusCode::BAD_REQUEST);
    assert_eq!(
        send("DPoP", &[&thief.proof(&world, "/bound/a", &token, |_| {})]).await,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        send("DPoP", &[&proof(), &proof()]).await,
        StatusCode::UNAUTHORIZED
    );
    let now = world.now().0;
    let changes: [(&str, Value); 6] = [
        ("htm", "POST".into()),
        ("htu", world.url("/bound/b").into()),
        ("htu", "https://evil.example/bound/a".into()),
        ("iat", (now - 100).into()),
        ("iat", (now + 100).into()),
        ("ath", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".into()),
    ];
    for (name, value) in changes {
        let proof = holder.proof(&world, "/bound/a", &token, |claims| {
            claims[name] = value.clone()
        });
        assert_eq!(
            send("DPoP", &[&proof]).await,
            StatusCode::UNAUTHORIZED,
            "{name} {value}"
        );
    }
    assert_eq!(send("DPoP", &[&proof()]).await, StatusCode::OK);
    assert_eq!(world.upstream.take().len(), 2);
    world.stop().await;
}

#[tokio::test]
async fn a_proof_is_accepted_once_over_all_cores() {
    let world = World::with(Setup {
        cores: 4,
        ..Setup::default()
    });
    let holder = Holder::new();
    let token = holder.token(&world, |_| {});
    let authorization = format!("DPoP {token}");
    let proof = holder.proof(&world, "/bound/a", &token, |_| {});
    let fields = [
        ("authorization", authorization.as_str()),
        ("dpop", proof.as_str()),
    ];
    // Each has a connection of its own, so the kernel spreads them over the cores.
    let all = futures_util::future::join_all((0..64).map(|_| world.get("/bound/a", &fields))).await;
    let accepted = all
        .iter()
        .filter(|answer| answer.status == StatusCode::OK)
        .count();
    let refused = all
        .iter()
        .filter(|answer| answer.status == StatusCode::UNAUTHORIZED)
        .count();
    assert_eq!((accepted, refused), (1, 63));
    assert_eq!(world.upstream.take().len(), 1);
    World::assert_logged(&world.log_text().await, "replayed");
    // A fresh proof is accepted.
    let fresh = holder.proof(&world, "/bound/a", &token, |_| {});
    assert_eq!(
        world
            .get(
                "/bound/a",
                &[("authorization", &authorization), ("dpop", &fresh)]
            )
            .await
            .status,
        StatusCode::OK
    );
    world.stop().await;
}

#[tokio::test]
async fn after_a_start_proofs_need_a_nonce_of_this_process() {
    let started = countersign_testkit::system_clock().now();
    let world = World::with(Setup {
        started,
        nonce_use: NonceUse::AfterStart,
        ..Setup::default()
    });
    let holder = Holder::new();
    let token = holder.token(&world, |_| {});
    let authorization = format!("DPoP {token}");
    let without = holder.proof(&world, "/bound/a", &token, |_| {});
    let answer = world
        .get(
            "/bound/a",
            &[("authorization", &authorization), ("dpop", &without)],
        )
        .await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(
        answer
            .headers
            .get(header::WWW_AUTHENTICATE)
            .unwrap()
            .to_str()
            .unwrap()
            .contains("use_dpop_nonce")
    );
    let nonce = answer
        .headers
        .get("dpop-nonce")
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    let with = holder.proof(&world, "/bound/a", &token, |claims| {
        claims["nonce"] = nonce.into()
    });
    let answer = world
        .get(
            "/bound/a",
            &[("authorization", &authorization), ("dpop", &with)],
        )
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.headers.contains_key("dpop-nonce"));
    world.stop().await;
}

#[tokio::test]
async fn a_token_bound_to_a_certificate_needs_that_connection() {
    let world = World::start();
    let (ours, other) = (
        world.authority.client("spiffe://example/caller"),
        world.authority.client("spiffe://example/other"),
    );
    let thumbprint = countersign_crypto::x509::PeerCertificate::from_der(ours.chain_der[0].clone())
        .unwrap()
        .thumbprint();
    let bearer =
        world.bearer(|claims| claims["cnf"] = json!({ "x5t#S256": thumbprint.to_string() }));
    let fields = [("authorization", bearer.as_str())];
    let through = async |identity: Option<&TlsIdentity>| {
        world
            .send(
                &world.client(identity),
                Method::GET,
                "/bound/a",
                &fields,
                Bytes::new(),
            )
            .await
            .status
    };
    assert_eq!(
        through(Some(&TlsIdentity::from_issued(&ours).unwrap())).await,
        StatusCode::OK
    );
    assert_eq!(
        through(Some(&TlsIdentity::from_issued(&other).unwrap())).await,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(through(None).await, StatusCode::UNAUTHORIZED);
    assert_eq!(world.upstream.take().len(), 1);
    world.stop().await;
}

#[tokio::test]
async fn g53_clock_skew_is_tolerated_to_its_limit() {
    let world = World::start();
    let expired = |ago: u64| {
        world.bearer(|claims| claims["exp"] = world.now().minus(Duration::from_secs(ago)).0.into())
    };
    assert_eq!(
        world
            .get("/things/a", &[("authorization", &expired(20))])
            .await
            .status,
        StatusCode::OK
    );
    assert_eq!(
        world
            .get("/things/a", &[("authorization", &expired(40))])
            .await
            .status,
        StatusCode::UNAUTHORIZED
    );
    let seen = world.upstream.take_one();
    assert_eq!(seen.headers.get("countersign-subject").unwrap(), ALICE);
    world.stop().await;
}

#[tokio::test]
async fn int_4_int_6_an_opaque_token_is_looked_up_once_and_judged_every_time() {
    let world = World::start();
    let token = |letter: &str| format!("csat_{}", letter.repeat(43));
    let (mine, elsewhere) = (token("A"), token("B"));
    let mut claims = world.claims();
    claims["grant_id"] = "00000000000000aa".into();
    world
        .planes
        .opaque
        .lock()
        .unwrap()
        .insert(mine.clone(), claims.clone());
    claims["aud"] = OTHER_AUDIENCE.into();
    world
        .planes
        .opaque
        .lock()
        .unwrap()
        .insert(elsewhere.clone(), claims);
    let get = async |token: &str| {
        let bearer = format!("Bearer {token}");
        let answer = world.get("/things/a", &[("authorization", &bearer)]).await;
        answer.status
    };
    for _ in 0..3 {
        assert_eq!(get(&mine).await, StatusCode::OK);
        world.upstream.take_one();
    }
    assert_eq!(world.planes.lookups.load(Ordering::SeqCst), 1);
    assert_eq!(get(&token("C")).await, StatusCode::UNAUTHORIZED);
    assert_eq!(get(&elsewhere).await, StatusCode::UNAUTHORIZED);
    let grant = "00000000000000aa".parse().unwrap();
    world.planes.revoked.grants.lock().unwrap().insert(grant);
    assert_eq!(
        get(&mine).await,
        StatusCode::UNAUTHORIZED,
        "revoked, although its verdict is kept"
    );
    assert!(world.upstream.take().is_empty());
    let log = world.log_text().await;
    for reason in ["token_unknown", "audience_mismatch", "revoked"] {
        World::assert_logged(&log, reason);
    }
}
