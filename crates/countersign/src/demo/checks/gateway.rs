//! 3. The gateway checks issuer, audience, expiry, scope and key binding, and enforces a rate limit per client.

use super::{Holds, Play, Session, expect, expect_challenge, hold, order};
use crate::demo::http::{Failure, value};
use crate::demo::portal::{as_bearer, call};
use crate::demo::report::{Check, Evidence, claim, decoded};
use crate::demo::stage::Stage;
use countersign_base::Duration;
use countersign_crypto::jose::{Algorithm, sign_jwt};
use countersign_crypto::signing::{AccessToken, SigningKey, generate_pkcs8};
use http::{HeaderMap, Method, StatusCode, header};
use serde_json::Value;

/// Past a token's five minutes and every verifier's leeway.
const PAST_EXPIRY: Duration = Duration::from_secs(300 + 30 + 1);

pub(in crate::demo) async fn check(stage: &Stage, play: &mut Play) -> Check {
    let mut evidence = Evidence::default();
    let result = steps(stage, play, &mut evidence).await;
    Check::of(
        "3",
        "The gateway: issuer, audience, expiry, scope, key binding, rate limit",
        evidence,
        result,
    )
}

async fn steps(stage: &Stage, play: &mut Play, evidence: &mut Evidence) -> Result<(), Failure> {
    let Session {
        proofs,
        tokens,
        sub,
    } = play
        .alice
        .take()
        .ok_or_else(|| Failure::new("nobody is signed in"))?;
    let url = order(stage, "eu", &sub, "1001")?;
    let good = call(&stage.client, &proofs, Method::GET, &url, &tokens.access).await?;
    play.note(&good);
    expect("alice's own order", &good, StatusCode::OK)?;
    evidence.say(format!("allowed: {}", good.text().trim()));

    let none = stage
        .client
        .send(Method::GET, &url, HeaderMap::new(), String::new())
        .await?;
    play.note(&none);
    expect("no token", &none, StatusCode::UNAUTHORIZED)?;
    for (what, token) in [
        (
            "another issuer",
            forged(&tokens.access, "https://issuer.example")?,
        ),
        (
            "another key",
            forged(&tokens.access, &stage.endpoints.issuer)?,
        ),
    ] {
        let answer = call(&stage.client, &proofs, Method::GET, &url, &token).await?;
        play.note(&answer);
        expect_challenge(what, &answer, "invalid_token")?;
    }
    let analytics = client_credentials(stage, "analytics").await?;
    let answer = as_bearer(&stage.client, Method::GET, &url, &analytics).await?;
    play.note(&answer);
    expect_challenge(
        "the token of analytics, for another audience",
        &answer,
        "invalid_token",
    )?;

    let narrow = stage.proof_key()?;
    let (few, _) = stage
        .portal(&narrow)
        .sign_in("alice", stage.password("alice"), "openid billing.charge")
        .await?;
    let answer = call(&stage.client, &narrow, Method::GET, &url, &few.access).await?;
    play.note(&answer);
    expect("a token without the scope", &answer, StatusCode::FORBIDDEN)?;
    evidence
        .say("refused: no token, another issuer, another key, another audience, a missing scope");

    limited(stage, play, &narrow, &few.access, evidence).await?;

    stage.turn_clock(PAST_EXPIRY).await?;
    let expired = call(&stage.client, &proofs, Method::GET, &url, &tokens.access).await?;
    play.note(&expired);
    expect_challenge("the token after its expiry", &expired, "invalid_token")?;
    let refresh = tokens
        .refresh
        .as_deref()
        .ok_or_else(|| Failure::new("no refresh token"))?;
    let tokens = stage.portal(&proofs).refresh(refresh).await?;
    let renewed = call(&stage.client, &proofs, Method::GET, &url, &tokens.access).await?;
    play.note(&renewed);
    expect("the refreshed token", &renewed, StatusCode::OK)?;
    evidence.say(format!("expiry: with the clock turned {} s ahead the same token is refused, the refreshed one passes", PAST_EXPIRY.as_secs()));
    play.alice = Some(Session {
        proofs,
        tokens,
        sub,
    });
    Ok(())
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

async fn client_credentials(stage: &Stage, client: &str) -> Result<String, Failure> {
    let basic = base64::Engine::encode(
        &base64::engine::general_purpose::STANDARD,
        format!("{client}:{}", stage.secret(client)),
    );
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, value(&format!("Basic {basic}"))?);
    let answer = stage
        .client
        .post_form(
            &stage.endpoints.token,
            headers,
            &[("grant_type", "client_credentials")],
        )
        .await?;
    let body = answer.expect(StatusCode::OK)?.json()?;
    body.get("access_token")
        .and_then(Value::as_str)
        .map(str::to_owned)
        .ok_or_else(|| Failure::new("no access token"))
}

/// Ten a minute: the eleventh is refused, with standard fields that say so.
async fn limited(
    stage: &Stage,
    play: &mut Play,
    proofs: &crate::demo::dpop::ProofKey,
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
