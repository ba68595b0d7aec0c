//! 7. RBAC and ABAC: only the owner in the matching region reads an order; another user's order, another region and an unknown action are denied.

use super::{Play, expect, order};
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
    let scope = "openid orders.read orders.write";
    let (bobs, carols) = (stage.proof_key()?, stage.proof_key()?);
    let (bob, _) = stage
        .portal(&bobs)
        .sign_in("bob", stage.password("bob"), scope)
        .await?;
    let (carol, _) = stage
        .portal(&carols)
        .sign_in("carol", stage.password("carol"), scope)
        .await?;
    let bob_sub = claim(&decoded(&bob.access)?.1, "sub").to_owned();
    let alice = play.alice()?;
    let (of_alice, of_bob) = (
        order(stage, "eu", &alice.sub, "1001")?,
        order(stage, "us", &bob_sub, "2001")?,
    );
    let alice_abroad = order(stage, "us", &alice.sub, "1001")?;
    let cases = [
        (
            "alice reads her order",
            &alice.proofs,
            &alice.tokens.access,
            Method::GET,
            &of_alice,
            StatusCode::OK,
        ),
        (
            "bob reads his order",
            &bobs,
            &bob.access,
            Method::GET,
            &of_bob,
            StatusCode::OK,
        ),
        (
            "carol, administrator, reads alice's order",
            &carols,
            &carol.access,
            Method::GET,
            &of_alice,
            StatusCode::OK,
        ),
        (
            "alice reads bob's order",
            &alice.proofs,
            &alice.tokens.access,
            Method::GET,
            &of_bob,
            StatusCode::FORBIDDEN,
        ),
        (
            "bob reads alice's order",
            &bobs,
            &bob.access,
            Method::GET,
            &of_alice,
            StatusCode::FORBIDDEN,
        ),
        (
            "alice reads in another region",
            &alice.proofs,
            &alice.tokens.access,
            Method::GET,
            &alice_abroad,
            StatusCode::FORBIDDEN,
        ),
        (
            "carol writes alice's order",
            &carols,
            &carol.access,
            Method::PUT,
            &of_alice,
            StatusCode::FORBIDDEN,
        ),
        (
            "alice deletes: no route has that action",
            &alice.proofs,
            &alice.tokens.access,
            Method::DELETE,
            &of_alice,
            StatusCode::NOT_FOUND,
        ),
    ];
    let mut answers = Vec::new();
    for (what, proofs, token, method, url, status) in cases {
        let answer = call(&stage.client, proofs, method, url, token).await?;
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
