//! 5. Token exchange: billing receives a token for its own audience and scope, the user and the actor named, no personal data.

use super::{Holds, Play, expect, hold};
use crate::demo::http::{Client, Failure, Response, basic};
use crate::demo::portal::call;
use crate::demo::report::{Check, Evidence, claim, decoded};
use crate::demo::stage::Stage;
use http::{HeaderMap, Method, StatusCode, header};
use serde_json::Value;

pub(in crate::demo) async fn check(stage: &Stage, play: &mut Play) -> Check {
    let mut evidence = Evidence::default();
    let result = steps(stage, play, &mut evidence).await;
    Check::of(
        "5",
        "Token exchange: billing's own audience and scope, user and actor named",
        evidence,
        result,
    )
}

async fn steps(stage: &Stage, play: &mut Play, evidence: &mut Evidence) -> Result<(), Failure> {
    let alice = play.alice()?;
    let (sub, subject_token) = (alice.sub.clone(), alice.tokens.access.clone());
    let billing = stage.certified("urn:countersign:exercise:billing")?;
    let granted = exchange(stage, &billing, &subject_token, "billing.charge")
        .await?
        .expect(StatusCode::OK)?
        .json()?;
    let token = claim(&granted, "access_token");
    let (_, claims) = decoded(token)?;
    hold(
        "the token is for billing alone",
        Holds::from(claim(&claims, "aud") == "https://billing.demo.example"),
    )?;
    hold(
        "it has billing's scope alone",
        Holds::from(claim(&claims, "scope") == "billing.charge"),
    )?;
    hold("it names alice", Holds::from(claim(&claims, "sub") == sub))?;
    hold(
        "it names the actor",
        Holds::from(claims.pointer("/act/sub").and_then(Value::as_str) == Some("billing")),
    )?;
    hold(
        "it is bound to billing's certificate",
        Holds::from(claims.pointer("/cnf/x5t#S256").is_some()),
    )?;
    hold(
        "it holds no personal data",
        Holds::from(personal(&claims).is_none()),
    )?;
    evidence.say(format!("exchanged token (without signature) {claims}"));

    exchange(
        stage,
        &billing,
        &subject_token,
        "billing.charge orders.write",
    )
    .await?
    .refused(StatusCode::BAD_REQUEST, "invalid_scope")?;
    exchange(stage, &stage.client, &subject_token, "billing.charge")
        .await
        .and_then(|answer| {
            let refused = answer.status == StatusCode::BAD_REQUEST
                || answer.status == StatusCode::UNAUTHORIZED;
            hold(
                "a bound token does not become an unbound one",
                Holds::from(refused),
            )
        })?;

    evidence.say("refused: a wider scope, a bound token exchanged for an unbound one");
    through_the_gateway(stage, play, evidence).await
}

/// Nobody asks for this exchange: the gateway does it before every request it passes on.
async fn through_the_gateway(
    stage: &Stage,
    play: &mut Play,
    evidence: &mut Evidence,
) -> Result<(), Failure> {
    let alice = play.alice()?;
    let url = super::order(stage, "eu", &alice.sub, "1001")?;
    let seen = call(
        &stage.client,
        &alice.proofs,
        Method::GET,
        &url,
        &alice.tokens.access,
    )
    .await?;
    play.note(&seen);
    expect("through the gateway", &seen, StatusCode::OK)?;
    let saw = seen.json()?.get("saw").cloned().unwrap_or_default();
    hold(
        "the service sees the gateway as actor",
        Holds::from(saw.pointer("/act/0").and_then(Value::as_str) == Some("gateway")),
    )?;
    evidence.say(format!("the gateway exchanges by itself: orders saw {saw}"));
    Ok(())
}

/// RFC 8693 §2.1, as billing, at the endpoint for clients with certificates.
async fn exchange(
    stage: &Stage,
    client: &Client,
    subject_token: &str,
    scope: &str,
) -> Result<Response, Failure> {
    let mut headers = HeaderMap::new();
    headers.insert(
        header::AUTHORIZATION,
        basic("billing", stage.secret("billing"))?,
    );
    let url = stage
        .endpoints
        .mtls_token
        .as_ref()
        .ok_or_else(|| Failure::new("the metadata has no alias for certificates"))?;
    let form = [
        (
            "grant_type",
            "urn:ietf:params:oauth:grant-type:token-exchange",
        ),
        ("subject_token", subject_token),
        (
            "subject_token_type",
            "urn:ietf:params:oauth:token-type:access_token",
        ),
        ("resource", "https://billing.demo.example"),
        ("scope", scope),
    ];
    client.post_form(url, headers, &form).await
}

/// A claim that tells of a person more than their id.
fn personal(claims: &Value) -> Option<&String> {
    let allowed = [
        "iss",
        "sub",
        "aud",
        "exp",
        "iat",
        "nbf",
        "jti",
        "client_id",
        "scope",
        "grant_id",
        "sid",
        "auth_time",
        "acr",
        "amr",
        "act",
        "cnf",
    ];
    claims
        .as_object()?
        .keys()
        .find(|name| !allowed.contains(&name.as_str()))
}

pub(super) async fn billing_token(
    stage: &Stage,
    client: &Client,
    subject_token: &str,
) -> Result<String, Failure> {
    billing_token_with(stage, client, subject_token, "billing.charge").await
}

/// The same with another scope.
pub(super) async fn billing_token_with(
    stage: &Stage,
    client: &Client,
    subject_token: &str,
    scope: &str,
) -> Result<String, Failure> {
    let granted = exchange(stage, client, subject_token, scope)
        .await?
        .expect(StatusCode::OK)?
        .json()?;
    Ok(claim(&granted, "access_token").to_owned())
}
