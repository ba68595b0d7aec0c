//! 7. RBAC and ABAC: only the owner in the matching region reads an order; another user's order, another region and an unknown action are denied.

use super::{Play, Session, expect, order};
use crate::demo::http::Failure;
use crate::demo::portal::call;
use crate::demo::report::{Check, Evidence, claim, decoded};
use crate::demo::stage::Stage;
use http::{Method, StatusCode};

pub(in crate::demo) async fn check(stage: &Stage, play: &mut Play) -> Check {
    let mut evidence = Evidence::default();
    let result = steps(stage, play, &mut evidence).await;
    Check::of(
        "7",
        "RBAC and ABAC: owner, region, role, unknown action",
        evidence,
        result,
    )
}

async fn steps(stage: &Stage, play: &mut Play, evidence: &mut Evidence) -> Result<(), Failure> {
    let (bob, carol) = (
        signed_in(stage, "bob").await?,
        signed_in(stage, "carol").await?,
    );
    let alice = play.alice()?;
    let of_alice = order(stage, "eu", &alice.sub, "1001")?;
    let of_bob = order(stage, "us", &bob.sub, "2001")?;
    let abroad = order(stage, "us", &alice.sub, "1001")?;
    let (get, put, delete) = (Method::GET, Method::PUT, Method::DELETE);
    let (ok, forbidden, nowhere) = (StatusCode::OK, StatusCode::FORBIDDEN, StatusCode::NOT_FOUND);
    let cases = [
        ("alice reads her order", alice, &get, &of_alice, ok),
        ("bob reads his order", &bob, &get, &of_bob, ok),
        (
            "carol, administrator, reads alice's order",
            &carol,
            &get,
            &of_alice,
            ok,
        ),
        ("alice reads bob's order", alice, &get, &of_bob, forbidden),
        ("bob reads alice's order", &bob, &get, &of_alice, forbidden),
        (
            "alice reads in another region",
            alice,
            &get,
            &abroad,
            forbidden,
        ),
        (
            "carol writes alice's order",
            &carol,
            &put,
            &of_alice,
            forbidden,
        ),
        (
            "alice deletes: an action that no route has",
            alice,
            &delete,
            &of_alice,
            nowhere,
        ),
    ];
    let mut answers = Vec::new();
    for (what, who, method, url, status) in cases {
        let answer = call(
            &stage.client,
            &who.proofs,
            method.clone(),
            url,
            &who.tokens.access,
        )
        .await?;
        expect(what, &answer, status)?;
        answers.push((what, answer));
    }
    for (what, answer) in answers {
        let request = play.note(&answer).unwrap_or_default();
        evidence.say(format!(
            "{} {what} (request {request})",
            answer.status.as_u16()
        ));
    }
    Ok(())
}

async fn signed_in(stage: &Stage, person: &str) -> Result<Session, Failure> {
    let proofs = stage.proof_key()?;
    let scope = "openid orders.read orders.write";
    let (tokens, _) = stage
        .portal(&proofs)
        .sign_in(person, stage.password(person), scope)
        .await?;
    let sub = claim(&decoded(&tokens.access)?.1, "sub").to_owned();
    Ok(Session {
        proofs,
        tokens,
        sub,
    })
}
