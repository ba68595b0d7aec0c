//! 6. Billing, over mTLS, refuses the portal's token (wrong audience) and accepts its own.

use super::exchange::billing_token;
use super::{Holds, Play, expect, expect_challenge, hold};
use crate::demo::http::Failure;
use crate::demo::portal::{as_bearer, call};
use crate::demo::report::{Check, Evidence};
use crate::demo::stage::Stage;
use http::{HeaderMap, Method, StatusCode};

pub(in crate::demo) async fn check(stage: &Stage, play: &mut Play) -> Check {
    let mut evidence = Evidence::default();
    let result = steps(stage, play, &mut evidence).await;
    Check::of(
        "6",
        "Billing over mTLS: refuses the portal's token, accepts its own",
        evidence,
        result,
    )
}

async fn steps(stage: &Stage, play: &mut Play, evidence: &mut Evidence) -> Result<(), Failure> {
    let alice = play.alice()?;
    let url = stage
        .billing
        .join("/charges/3001")
        .map_err(|_| Failure::new("a charge's address"))?;
    let billing = stage.certified("urn:countersign:exercise:billing")?;
    let token = billing_token(stage, &billing, &alice.tokens.access).await?;

    let own = as_bearer(&billing, Method::POST, &url, &token).await?;
    expect(
        "billing's own token with its certificate",
        &own,
        StatusCode::OK,
    )?;
    evidence.say(format!("accepted: {}", own.text().trim()));

    let portals = call(
        &billing,
        &alice.proofs,
        Method::POST,
        &url,
        &alice.tokens.access,
    )
    .await?;
    expect_challenge("the portal's token", &portals, "invalid_token")?;
    let other = stage.certified("urn:countersign:exercise:stranger")?;
    let stolen = as_bearer(&other, Method::POST, &url, &token).await?;
    expect_challenge(
        "billing's token with another certificate",
        &stolen,
        "invalid_token",
    )?;
    let bare = stage
        .client
        .send(Method::POST, &url, HeaderMap::new(), String::new())
        .await;
    hold(
        "a connection without a certificate is not made",
        Holds::from(bare.is_err()),
    )?;
    evidence.say("refused: the portal's token (audience), billing's token with another certificate (binding), a connection without certificate");
    Ok(())
}
