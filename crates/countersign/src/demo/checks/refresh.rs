//! 2. Refresh: rotation; the old token played again revokes the family.

use super::{Holds, Play, expect, expect_challenge, hold, order};
use crate::demo::http::Failure;
use crate::demo::portal::call;
use crate::demo::report::{Check, Evidence, claim, decoded};
use crate::demo::stage::Stage;
use http::{Method, StatusCode};

pub(in crate::demo) async fn check(stage: &Stage, play: &mut Play) -> Check {
    let mut evidence = Evidence::default();
    let result = steps(stage, play, &mut evidence).await;
    Check::of(
        "2",
        "Refresh: rotation; an old token played again revokes the family",
        evidence,
        result,
    )
}

async fn steps(stage: &Stage, play: &mut Play, evidence: &mut Evidence) -> Result<(), Failure> {
    let sub = play.alice()?.sub.clone();
    let proofs = stage.proof_key()?;
    let portal = stage.portal(&proofs);
    let (tokens, _) = portal
        .sign_in("alice", stage.password("alice"), "openid orders.read")
        .await?;
    let oldest = tokens
        .refresh
        .clone()
        .ok_or_else(|| Failure::new("no refresh token"))?;

    let second = portal.refresh(&oldest).await?;
    let next = second
        .refresh
        .clone()
        .ok_or_else(|| Failure::new("no next refresh token"))?;
    hold("the refresh token rotates", Holds::from(next != oldest))?;
    let repeated = portal.refresh(&oldest).await?;
    hold(
        "a lost answer is answered with the same successor again",
        Holds::from(repeated.refresh.as_ref() == Some(&next)),
    )?;
    let third = portal.refresh(&next).await?;
    let newest = third
        .refresh
        .clone()
        .ok_or_else(|| Failure::new("no third refresh token"))?;
    let url = order(stage, "eu", &sub, "1001")?;
    let before = call(&stage.client, &proofs, Method::GET, &url, &third.access).await?;
    play.note(&before);
    expect(
        "the access token before the replay",
        &before,
        StatusCode::OK,
    )?;

    portal
        .try_refresh(&oldest)
        .await?
        .refused(StatusCode::BAD_REQUEST, "invalid_grant")?;
    portal
        .try_refresh(&newest)
        .await?
        .refused(StatusCode::BAD_REQUEST, "invalid_grant")?;
    let after = call(&stage.client, &proofs, Method::GET, &url, &third.access).await?;
    play.note(&after);
    expect_challenge("the access token after the replay", &after, "invalid_token")?;

    let (_, claims) = decoded(&third.access)?;
    play.grants.push(claim(&claims, "grant_id").to_owned());
    evidence.say("three generations, each used once; the lost answer got the same successor within the grace period");
    evidence.say(format!("the first played again: invalid_grant, and grant {} ended with its newest refresh token and its access token", claim(&claims, "grant_id")));
    Ok(())
}
