//! 4. A stolen access token replayed with another key, from another connection, or as a plain bearer is refused.

use super::{Play, expect, expect_challenge, order};
use crate::demo::http::Failure;
use crate::demo::portal::{as_bearer, call, with_proof};
use crate::demo::report::{Check, Evidence};
use crate::demo::stage::Stage;
use http::{Method, StatusCode};

pub(in crate::demo) async fn check(stage: &Stage, play: &mut Play) -> Check {
    let mut evidence = Evidence::default();
    let result = steps(stage, play, &mut evidence).await;
    Check::of(
        "4",
        "A stolen token: another key, another connection, a plain bearer",
        evidence,
        result,
    )
}

async fn steps(stage: &Stage, play: &mut Play, evidence: &mut Evidence) -> Result<(), Failure> {
    let alice = play.alice()?;
    let (url, other) = (
        order(stage, "eu", &alice.sub, "1001")?,
        order(stage, "eu", &alice.sub, "1002")?,
    );
    let token = alice.tokens.access.clone();
    let mut answers = Vec::new();

    let proof = alice.proofs.proof(&Method::GET, &url, Some(&token))?;
    let once = with_proof(&stage.client, Method::GET, &url, &token, &proof).await?;
    expect("the portal's own proof", &once, StatusCode::OK)?;
    // Another connection: a fresh client, with the token and the proof as they were seen on the wire.
    let thief =
        crate::demo::http::Client::new(stage.running.fabric().authority().certificate_pem(), None)?;
    let replay = with_proof(&thief, Method::GET, &url, &token, &proof).await?;
    expect_challenge(
        "the same proof again, from another connection",
        &replay,
        "invalid_dpop_proof",
    )?;
    answers.extend([once, replay]);

    let elsewhere = with_proof(
        &thief,
        Method::GET,
        &other,
        &token,
        &alice.proofs.proof(&Method::GET, &url, Some(&token))?,
    )
    .await?;
    expect_challenge(
        "a proof for another address",
        &elsewhere,
        "invalid_dpop_proof",
    )?;
    let own_key = stage.proof_key()?;
    let another = call(&thief, &own_key, Method::GET, &url, &token).await?;
    expect_challenge("a proof of the thief's key", &another, "invalid_dpop_proof")?;
    let bearer = as_bearer(&thief, Method::GET, &url, &token).await?;
    expect(
        "the token as a plain bearer",
        &bearer,
        StatusCode::UNAUTHORIZED,
    )?;
    answers.extend([elsewhere, another, bearer]);
    for answer in &answers {
        play.note(answer);
    }
    evidence.say("refused: the captured proof from another connection (invalid_dpop_proof), a proof for another address, the thief's own key, a plain bearer");
    Ok(())
}
