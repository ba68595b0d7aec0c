//! 3. The gateway checks issuer, audience, expiry, scope and key binding, holds requests and answers to the API's document, and enforces a rate limit per client.

use super::{Holds, Play, Session, expect, expect_challenge, hold, order};
use crate::demo::dpop::{Learned, ProofKey};
use crate::demo::http::{Failure, Response, basic, value};
use crate::demo::portal::{call, call_with};
use crate::demo::report::{Check, Evidence, claim, decoded};
use crate::demo::stage::Stage;
use countersign_base::Duration;
use countersign_crypto::jose::{Algorithm, sign_jwt};
use countersign_crypto::signing::{AccessToken, SigningKey, generate_pkcs8};
use http::{HeaderMap, Method, StatusCode, header};
use serde_json::Value;
use url::Url;

/// Past a token's five minutes and every verifier's leeway.
const PAST_EXPIRY: Duration = Duration::from_secs(300 + 30 + 1);

pub(in crate::demo) async fn check(stage: &Stage, play: &mut Play) -> Check {
    let mut evidence = Evidence::default();
    let result = steps(stage, play, &mut evidence).await;
    Check::of(
        "3",
        "The gateway: issuer, audience, expiry, scope, key binding, document, rate limit",
        evidence,
        result,
    )
}

async fn steps(stage: &Stage, play: &mut Play, evidence: &mut Evidence) -> Result<(), Failure> {
    let alice = play
        .alice
        .take()
        .ok_or_else(|| Failure::new("nobody is signed in"))?;
    let url = order(stage, "eu", &alice.sub, "1001")?;
    let good = call(
        &stage.client,
        &alice.proofs,
        Method::GET,
        &url,
        &alice.tokens.access,
    )
    .await?;
    expect("alice's own order", &good, StatusCode::OK)?;
    say(play, evidence, "200 alice's own order", &good);
    documented(stage, play, &alice, &url, &good, evidence).await?;
    refused(stage, play, &alice, &url, evidence).await?;
    let alice = expired(stage, play, alice, &url, evidence).await?;
    play.alice = Some(alice);
    Ok(())
}

/// A line whose request the log resolves to its event and reason.
fn say(play: &mut Play, evidence: &mut Evidence, what: &str, answer: &Response) {
    let request = play.note(answer).unwrap_or_default();
    evidence.say(format!("{what} (request {request})"));
}

/// The API's document: what the service says beyond it does not leave, and what a caller says beyond it does not arrive.
async fn documented(
    stage: &Stage,
    play: &mut Play,
    alice: &Session,
    url: &Url,
    read: &Response,
    evidence: &mut Evidence,
) -> Result<(), Failure> {
    let told = read.json()?;
    hold(
        "what an order cost to make is nobody's to see",
        Holds::from(told.get("order").is_some() && told.get("cost").is_none()),
    )?;
    let (token, put) = (&alice.tokens.access, Method::PUT);
    for (what, body, status) in [
        (
            "a change that the document has",
            r#"{"quantity":2}"#,
            StatusCode::OK,
        ),
        (
            "the same with an owner of the caller's choice",
            r#"{"quantity":2,"owner":"mallory"}"#,
            StatusCode::BAD_REQUEST,
        ),
    ] {
        let answer = call_with(&stage.client, &alice.proofs, put.clone(), url, token, body).await?;
        expect(what, &answer, status)?;
        say(
            play,
            evidence,
            &format!("{} {what}", status.as_u16()),
            &answer,
        );
    }
    Ok(())
}

/// Each token is good but for one thing.
async fn refused(
    stage: &Stage,
    play: &mut Play,
    alice: &Session,
    url: &Url,
    evidence: &mut Evidence,
) -> Result<(), Failure> {
    let none = stage
        .client
        .send(Method::GET, url, HeaderMap::new(), String::new())
        .await?;
    expect("no token", &none, StatusCode::UNAUTHORIZED)?;
    say(play, evidence, "401 no token", &none);

    let elsewhere = forged(&alice.tokens.access, "https://issuer.example")?;
    let unsigned = forged(&alice.tokens.access, &stage.endpoints.issuer)?;
    let machine = stage.proof_key()?;
    let analytics = client_credentials(stage, &machine).await?;
    for (what, proofs, token) in [
        ("the token of another issuer", &alice.proofs, &elsewhere),
        ("a token that another key signed", &alice.proofs, &unsigned),
        ("a token for another audience", &machine, &analytics),
    ] {
        let answer = call(&stage.client, proofs, Method::GET, url, token).await?;
        expect_challenge(what, &answer, "invalid_token")?;
        say(play, evidence, &format!("401 {what}"), &answer);
    }

    let narrow = stage.proof_key()?;
    let (few, _) = stage
        .portal(&narrow)
        .sign_in("alice", stage.password("alice"), "openid billing.charge")
        .await?;
    let answer = call(&stage.client, &narrow, Method::GET, url, &few.access).await?;
    expect("a token without the scope", &answer, StatusCode::FORBIDDEN)?;
    say(play, evidence, "403 a token without the scope", &answer);
    limited(stage, play, &narrow, &few.access, evidence).await
}

/// The token that was good, once its time is over.
async fn expired(
    stage: &Stage,
    play: &mut Play,
    alice: Session,
    url: &Url,
    evidence: &mut Evidence,
) -> Result<Session, Failure> {
    let Session {
        proofs,
        tokens,
        sub,
    } = alice;
    stage.turn_clock(PAST_EXPIRY).await?;
    let late = call(&stage.client, &proofs, Method::GET, url, &tokens.access).await?;
    expect_challenge("the token after its expiry", &late, "invalid_token")?;
    say(
        play,
        evidence,
        &format!(
            "401 alice's token, with the clock turned {} s ahead",
            PAST_EXPIRY.as_secs()
        ),
        &late,
    );
    let refresh = tokens
        .refresh
        .as_deref()
        .ok_or_else(|| Failure::new("no refresh token"))?;
    let tokens = stage.portal(&proofs).refresh(refresh).await?;
    let renewed = call(&stage.client, &proofs, Method::GET, url, &tokens.access).await?;
    expect("the refreshed token", &renewed, StatusCode::OK)?;
    say(play, evidence, "200 alice's refreshed token", &renewed);
    Ok(Session {
        proofs,
        tokens,
        sub,
    })
}

/// The claims of a real token, signed by somebody who is not the issuer.
fn forged(token: &str, issuer: &str) -> Result<String, Failure> {
    let (header, mut claims) = decoded(token)?;
    if let Some(iss) = claims.get_mut("iss") {
        *iss = Value::from(issuer);
    }
    let failed = |error: countersign_crypto::jose::JoseError| Failure::new(error.to_string());
    let pkcs8 = generate_pkcs8(Algorithm::Es256).map_err(failed)?;
    let kid = claim(&header, "kid")
        .parse()
        .map_err(|_| Failure::new("the token names no key"))?;
    let key: SigningKey<AccessToken> =
        SigningKey::from_pkcs8(Algorithm::Es256, kid, &pkcs8).map_err(failed)?;
    sign_jwt(&key, &claims).map_err(failed)
}

/// Analytics' own token, bound to its own key: good for analytics, and for nothing else.
async fn client_credentials(stage: &Stage, proofs: &ProofKey) -> Result<String, Failure> {
    let url = &stage.endpoints.token;
    let mut answer = ask(stage, proofs, url).await?;
    if proofs.learn(url, answer.header("dpop-nonce")) == Learned::Nonce
        && answer.status == StatusCode::BAD_REQUEST
    {
        answer = ask(stage, proofs, url).await?;
    }
    let body = answer.expect(StatusCode::OK)?.json()?;
    body.get("access_token")
        .and_then(Value::as_str)
        .map(str::to_owned)
        .ok_or_else(|| Failure::new("no access token"))
}

async fn ask(stage: &Stage, proofs: &ProofKey, url: &Url) -> Result<Response, Failure> {
    let mut headers = HeaderMap::new();
    headers.insert(
        header::AUTHORIZATION,
        basic("analytics", stage.secret("analytics"))?,
    );
    headers.insert("dpop", value(&proofs.proof(&Method::POST, url, None)?)?);
    stage
        .client
        .post_form(url, headers, &[("grant_type", "client_credentials")])
        .await
}

/// Ten a minute: the eleventh is refused, with standard fields that say so.
async fn limited(
    stage: &Stage,
    play: &mut Play,
    proofs: &ProofKey,
    token: &str,
    evidence: &mut Evidence,
) -> Result<(), Failure> {
    let url = stage
        .gateway
        .join("/charges/2001")
        .map_err(|_| Failure::new("a charge's address"))?;
    for sent in 1..=20 {
        let answer = call(&stage.client, proofs, Method::POST, &url, token).await?;
        play.note(&answer);
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            hold(
                "the limit is not reached before ten",
                Holds::from(sent > 10),
            )?;
            let fields = answer
                .header("ratelimit-policy")
                .zip(answer.header("retry-after"));
            let (policy, retry) = fields.ok_or_else(|| Failure::new("no RateLimit fields"))?;
            evidence.say(format!("rate limit: request {sent} of the minute got 429, RateLimit-Policy {policy}, Retry-After {retry}"));
            return Ok(());
        }
        expect("a charge below the limit", &answer, StatusCode::OK)?;
    }
    Err(Failure::new("twenty charges in a minute, and no limit"))
}
