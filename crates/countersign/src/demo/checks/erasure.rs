//! The end of a customer: erased here with a receipt in the audit log, erased at billing with their key, and unreadable on every node from then on.

use super::cards::{Holder, signed_in};
use super::{Holds, Play, expect, hold};
use crate::demo::admin;
use crate::demo::http::{Client, Failure};
use crate::demo::portal::call;
use crate::demo::report::{Evidence, claim};
use crate::demo::stage::Stage;
use countersign_audit::Record;
use countersign_base::{Duration, EventId, Tenant, UserId};
use countersign_control::erasure::commitment;
use countersign_crypto::base64url;
use countersign_guard::sealed::CacheLimits;
use countersign_store::audit::{prove, tail};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::Row as _;
use std::path::Path;

/// Who leaves. Nobody declares them in the configuration: who is declared there cannot be erased, since the next start would make them anew.
const LEAVER: &str = "dave";

pub(super) async fn erased(
    stage: &Stage,
    play: &mut Play,
    alice: &Holder,
    evidence: &mut Evidence,
) -> Result<(), Failure> {
    let password = stage.random.token();
    let person = json!({ "username": LEAVER, "password": password.expose() });
    let made = admin::post(stage, "users", &person).await?;
    let dave = Holder::new(stage, play, LEAVER, password.expose()).await?;
    hold(
        "the person who was added is the one who signed in",
        Holds::from(claim(&made, "user_id") == dave.session.sub),
    )?;

    // Both nodes have the key at hand, and a token that was given before stays good for minutes.
    let billing = stage.certified("urn:countersign:exercise:billing")?;
    let token = dave.token(stage, &billing, "cards.read").await?;
    for node in [&stage.billing, &stage.billing_other] {
        dave.has_stated(&dave.statement(node, &billing, &token).await?)?;
    }
    let wrapped = wrapped_key(stage, &dave.session.sub).await?;
    hold(
        "the customer's wrapped key lies in the database's files",
        Holds::from(stage.ledger.written().await?.holds(&wrapped).is_some()),
    )?;

    let erase = format!("subjects/{}/erase", dave.session.sub);
    let erased = admin::post(stage, &erase, &Value::Null).await?;
    receipt(stage, &dave, &erased, evidence).await?;
    at_billing(stage, play, &dave, evidence).await?;
    unreadable(stage, &dave, &billing, &token, evidence).await?;
    if stage.ledger.overwrites() {
        hold(
            "the wrapped key is gone from the database's files",
            Holds::from(stage.ledger.written().await?.holds(&wrapped).is_none()),
        )?;
        evidence.say("the customer's wrapped key, which lay in the database's files, is in none of them any more");
    }
    others_stay(stage, alice, &billing, evidence).await
}

/// The customer's key as it lies in billing's table.
async fn wrapped_key(stage: &Stage, customer: &str) -> Result<String, Failure> {
    let failed = |error: sqlx::Error| Failure::new(format!("billing's keys: {error}"));
    let mut connection = stage.connections.connection().await.map_err(failed)?;
    let query = sqlx::query("SELECT wrapped FROM data_keys WHERE subject = $1").bind(customer);
    let row = query.fetch_one(&mut *connection).await.map_err(failed)?;
    row.try_get("wrapped").map_err(failed)
}

/// The receipt is in the log, proven to be under its signed checkpoint, and its commitment is to this person.
async fn receipt(
    stage: &Stage,
    dave: &Holder,
    answer: &Value,
    evidence: &mut Evidence,
) -> Result<(), Failure> {
    let text = |pointer: &str| {
        let value = answer.pointer(pointer).and_then(Value::as_str);
        value.unwrap_or_default().to_owned()
    };
    let failed = |what: &str| Failure::new(format!("the receipt of the erasure: {what}"));
    let id: EventId = text("/receipt/event_id")
        .parse()
        .map_err(|_| failed("no event"))?;
    let salt = base64url::decode(&text("/receipt/salt")).ok();
    let salt: [u8; 16] = salt
        .and_then(|salt| salt.try_into().ok())
        .ok_or_else(|| failed("no salt"))?;
    let user: UserId = dave.session.sub.parse().map_err(|_| failed("no person"))?;
    let tenant: Tenant = "demo".parse().map_err(|_| failed("no tenant"))?;

    let log = stage.running.fabric().audit();
    let published = log.published().await;
    published.map_err(|error| failed(&error.to_string()))?;
    let record = record(log.directory(), id)?.ok_or_else(|| failed("it is not in the log"))?;
    let committed = record.pointer("/detail/subject").and_then(Value::as_str);
    let expected = serde_json::to_value(commitment(&salt, &tenant, user)).unwrap_or_default();
    hold(
        "the salt of the receipt opens its commitment to the person",
        Holds::from(committed.is_some() && committed == expected.as_str()),
    )?;
    hold(
        "the log does not name the person",
        Holds::from(!record.to_string().contains(&dave.session.sub)),
    )?;
    let proven = prove(log.directory(), id).map_err(|error| failed(&error.to_string()))?;
    let proven = proven.ok_or_else(|| failed("it is not under the checkpoint"))?;
    evidence.say(format!(
        "{LEAVER} is erased: event {id}, leaf {} of {} under the signed checkpoint; the salt in the receipt opens its commitment",
        proven.index, proven.checkpoint.size
    ));
    Ok(())
}

/// A record as readers see it.
fn record(log: &Path, id: EventId) -> Result<Option<Value>, Failure> {
    let (records, _) = tail(log, 0).map_err(|error| Failure::new(error.to_string()))?;
    let found = records
        .into_iter()
        .find(|(_, record): &(u64, Record)| record.id == id);
    Ok(found.map(|(_, record)| serde_json::to_value(&record).unwrap_or_default()))
}

/// An administrator has billing, which was told of the person, do the same. The person is nobody any more: neither their password nor their token is taken.
async fn at_billing(
    stage: &Stage,
    play: &mut Play,
    dave: &Holder,
    evidence: &mut Evidence,
) -> Result<(), Failure> {
    let carol = signed_in(
        stage,
        "carol",
        stage.password("carol"),
        "openid customers.erase",
    )
    .await?;
    let path = format!("/customers/{}", dave.session.sub);
    let url = stage
        .gateway
        .join(&path)
        .map_err(|_| Failure::new("a customer's address"))?;
    let (client, session) = (&stage.client, &dave.session);
    let late = call(
        client,
        &session.proofs,
        Method::DELETE,
        &url,
        &session.tokens.access,
    )
    .await?;
    expect(
        "the token of somebody who was erased",
        &late,
        StatusCode::UNAUTHORIZED,
    )?;
    play.note(&late);
    let again = call(
        client,
        &carol.proofs,
        Method::DELETE,
        &url,
        &carol.tokens.access,
    )
    .await?;
    expect(
        "carol has billing erase the customer",
        &again,
        StatusCode::OK,
    )?;
    let request = play.note(&again).unwrap_or_default();
    evidence.say(format!(
        "200 carol has billing erase them too (request {request})"
    ));
    Ok(())
}

/// At once on the node that did it, and on the other one once its copy of the key is too old.
async fn unreadable(
    stage: &Stage,
    dave: &Holder,
    billing: &Client,
    token: &str,
    evidence: &mut Evidence,
) -> Result<(), Failure> {
    let gone = dave.statement(&stage.billing, billing, token).await?;
    expect(
        "the card on the node that was told",
        &gone,
        StatusCode::GONE,
    )?;
    let age = CacheLimits::default().age_max;
    let over = Duration::from_secs(age.as_secs().saturating_add(1));
    stage.turn_clock(over).await?;
    let gone = dave.statement(&stage.billing_other, billing, token).await?;
    expect(
        "the card on the node that nobody told",
        &gone,
        StatusCode::GONE,
    )?;
    evidence.say(format!(
        "410 their card: at once on the node that was told, {} s later on the one that was not",
        age.as_secs()
    ));
    Ok(())
}

async fn others_stay(
    stage: &Stage,
    alice: &Holder,
    billing: &Client,
    evidence: &mut Evidence,
) -> Result<(), Failure> {
    let token = alice.token(stage, billing, "cards.read").await?;
    for node in [&stage.billing, &stage.billing_other] {
        alice.has_stated(&alice.statement(node, billing, &token).await?)?;
    }
    evidence.say("200 alice's card, on both");
    Ok(())
}
