//! 1. Sign in to the portal: authorization code with PKCE through PAR; ID token; access token of minutes, DPoP-bound.

use super::{Holds, Play, Session, expect, hold};
use crate::demo::http::Failure;
use crate::demo::report::{Check, Evidence, claim, decoded};
use crate::demo::stage::Stage;
use countersign_crypto::jose::{JwkSet, Jws};
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;

pub(in crate::demo) async fn check(stage: &Stage, play: &mut Play) -> Check {
    let mut evidence = Evidence::default();
    let result = steps(stage, play, &mut evidence).await;
    Check::of(
        "1",
        "Sign in: code with PKCE through PAR, ID token, DPoP-bound access token",
        evidence,
        result,
    )
}

async fn steps(stage: &Stage, play: &mut Play, evidence: &mut Evidence) -> Result<(), Failure> {
    play.checkpoint = checkpoint(stage).await?;
    let proofs = stage.proof_key()?;
    let portal = stage.portal(&proofs);
    let scope = "openid orders.read orders.write billing.charge";
    let (tokens, code) = portal
        .sign_in("alice", stage.password("alice"), scope)
        .await?;
    let (header, claims) = decoded(&tokens.access)?;
    let seconds = claims
        .get("exp")
        .and_then(Value::as_i64)
        .unwrap_or_default()
        - claims
            .get("iat")
            .and_then(Value::as_i64)
            .unwrap_or_default();
    hold(
        "the access token is of type at+jwt",
        Holds::from(claim(&header, "typ") == "at+jwt"),
    )?;
    hold(
        "the access token has exactly one audience",
        Holds::from(claim(&claims, "aud") == "https://api.demo.example"),
    )?;
    hold(
        "the access token lives five minutes at most",
        Holds::from((1..=300).contains(&seconds)),
    )?;
    let jkt = claims.pointer("/cnf/jkt").and_then(Value::as_str);
    hold(
        "the access token is bound to the portal's key",
        Holds::from(jkt == Some(&proofs.thumbprint())),
    )?;
    evidence.say(format!(
        "access token (without signature) {header} {claims}"
    ));

    let id = tokens
        .id
        .as_deref()
        .ok_or_else(|| Failure::new("no ID token"))?;
    let id_claims = verified(stage, id).await?;
    hold(
        "the ID token is for the portal",
        Holds::from(claim(&id_claims, "aud") == "portal"),
    )?;
    hold(
        "the ID token is from the issuer",
        Holds::from(claim(&id_claims, "iss") == stage.endpoints.issuer),
    )?;
    hold(
        "the ID token repeats the nonce",
        Holds::from(claim(&id_claims, "nonce") == code.nonce),
    )?;
    evidence.say(format!(
        "ID token: signature verified against the published keys, sub {}",
        claim(&id_claims, "sub")
    ));

    refused(stage, evidence).await?;
    play.grants.push(claim(&claims, "grant_id").to_owned());
    play.alice = Some(Session {
        proofs,
        tokens,
        sub: claim(&id_claims, "sub").to_owned(),
    });
    Ok(())
}

/// The log's checkpoint of this moment: the one at the end must extend it.
async fn checkpoint(stage: &Stage) -> Result<Option<Vec<u8>>, Failure> {
    let log = stage.running.fabric().audit();
    log.published()
        .await
        .map_err(|error| Failure::new(error.to_string()))?;
    Ok(std::fs::read(log.directory().join("checkpoint")).ok())
}

/// The signature holds under a key that the issuer publishes.
async fn verified(stage: &Stage, token: &str) -> Result<Value, Failure> {
    let keys = stage
        .client
        .send(
            Method::GET,
            &stage.endpoints.jwks,
            HeaderMap::new(),
            String::new(),
        )
        .await?;
    let (keys, _) =
        JwkSet::parse(keys.text().as_bytes()).map_err(|error| Failure::new(error.to_string()))?;
    let jws = Jws::parse(token).map_err(|error| Failure::new(error.to_string()))?;
    let _verified = jws
        .verify_with_any(keys.iter())
        .map_err(|error| Failure::new(format!("the ID token: {error}")))?;
    decoded(token).map(|(_, claims)| claims)
}

/// What must not work beside it.
async fn refused(stage: &Stage, evidence: &mut Evidence) -> Result<(), Failure> {
    let mut unpushed = stage.endpoints.authorize.clone();
    unpushed.set_query(Some("response_type=code&client_id=portal&redirect_uri=https%3A%2F%2Fportal.demo.example%2Fcallback&scope=openid&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256"));
    let answer = stage
        .client
        .send(Method::GET, &unpushed, HeaderMap::new(), String::new())
        .await?;
    let page = answer
        .location()
        .is_none_or(|location| location.contains("error="));
    hold(
        "a request that was not pushed gets no sign-in page",
        Holds::from(page && !answer.text().contains("name=\"password\"")),
    )?;

    let proofs = stage.proof_key()?;
    let portal = stage.portal(&proofs);
    let code = portal
        .authorize("alice", stage.password("alice"), "openid")
        .await?;
    portal
        .redeem_with(&code, "another-verifier-another-verifier-another-verifier")
        .await?
        .refused(StatusCode::BAD_REQUEST, "invalid_grant")?;

    let code = portal
        .authorize("alice", stage.password("alice"), "openid")
        .await?;
    let first = portal.redeem(&code).await?;
    expect("a fresh code", &first, StatusCode::OK)?;
    portal
        .redeem(&code)
        .await?
        .refused(StatusCode::BAD_REQUEST, "invalid_grant")?;

    let wrong = portal
        .authorize("alice", "not her password", "openid")
        .await;
    hold(
        "a wrong password signs nobody in",
        Holds::from(wrong.is_err()),
    )?;
    evidence.say("refused: a request that was not pushed, another PKCE verifier, a code used twice, a wrong password");
    Ok(())
}
