//! 8: webhooks from the billing provider: signed, timestamped, idempotent, answered 2xx only after the durable write; a replay, a stale and a forged one refused.

use super::{Holds, Play, Recorded, expect, hold};
use crate::demo::http::{Client, Failure, Response};
use crate::demo::report::{Check, Evidence, claim};
use crate::demo::stage::Stage;
use countersign_base::{Duration, Secret, UnixTime};
use countersign_store::audit::tail;
use countersign_wire::webhook::standard::{self, SigningSecret};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};
use std::time::Instant;
use url::Url;

/// The provider, as the configuration names it.
const PROVIDER: &str = "billing-provider";
/// How far its clock may be from ours, as the configuration has it, and a minute more.
const TOO_FAR: Duration = Duration::from_secs(5 * 60 + 60);
/// How long billing may wait for what was taken in.
const PATIENCE: Duration = Duration::from_secs(30);
/// Somebody else's secret.
const FORGED: &str = "whsec_5WbX5kEWLlfzsGNjH64I8lOOqUB6e8FH";

pub(in crate::demo) async fn check(stage: &Stage, play: &mut Play) -> Check {
    let mut evidence = Evidence::default();
    let result = steps(stage, play, &mut evidence).await;
    Check::of("8", "Webhooks from the billing provider", evidence, result)
}

/// Something that happened at the provider.
struct Event {
    id: String,
    body: String,
}

impl Event {
    fn new(stage: &Stage) -> Self {
        let id = format!("evt_{}", stage.random.event_id());
        let body = json!({ "type": "invoice.paid", "data": { "event": id } }).to_string();
        Self { id, body }
    }
}

async fn steps(stage: &Stage, play: &mut Play, evidence: &mut Evidence) -> Result<(), Failure> {
    let provider = Provider::new(stage)?;
    let now = stage.clock.now();
    let event = Event::new(stage);
    let attempt = provider.attempt(&event, now)?;
    let taken = provider.send(&attempt, &event.body).await?;
    expect("a webhook of the provider", &taken, StatusCode::ACCEPTED)?;
    let request = claim(&taken.json()?, "request_id").to_owned();
    evidence.say(format!(
        "{} of {PROVIDER}, signed as Standard Webhooks has it: 202 (request {request})",
        event.id
    ));
    play.recorded.push(Recorded {
        request,
        verdict: "allowed",
    });
    let got = provider.told(&event).await?;
    evidence.say(format!(
        "billing was told, as webhook {} with the idempotency key {}",
        claim(&got, "id"),
        claim(&got, "key")
    ));
    let replayed = provider.send(&attempt, &event.body).await?;
    let expected = (StatusCode::CONFLICT, "replayed");
    refused(stage, evidence, "the very same again", &replayed, expected).await?;
    let resent = provider.attempt(&event, UnixTime(now.0 - 1))?;
    let resent = provider.send(&resent, &event.body).await?;
    expect("the provider tries again", &resent, StatusCode::OK)?;
    evidence.say(
        "signed anew, as by a provider that did not hear the answer: 200, and nothing happens twice",
    );
    wrong(stage, &provider, evidence, &event).await
}

/// What is not the provider's, or not of now, and its twin without the flaw.
async fn wrong(
    stage: &Stage,
    provider: &Provider<'_>,
    evidence: &mut Evidence,
    before: &Event,
) -> Result<(), Failure> {
    let (now, event) = (stage.clock.now(), Event::new(stage));
    let forged = fields(&secret(FORGED)?, &event, now)?;
    let good = provider.attempt(&event, now)?;
    let stale = provider.attempt(&event, now.minus(TOO_FAR))?;
    let early = provider.attempt(&event, now.plus(TOO_FAR))?;
    for (what, attempt, body, reason) in [
        ("a stale one", &stale, &event.body, "timestamp_old"),
        (
            "one from the future",
            &early,
            &event.body,
            "timestamp_future",
        ),
        ("a forged one", &forged, &event.body, "signature_wrong"),
        (
            "one with another body",
            &good,
            &before.body,
            "signature_wrong",
        ),
    ] {
        let answer = provider.send(attempt, body).await?;
        let expected = (StatusCode::UNAUTHORIZED, reason);
        refused(stage, evidence, what, &answer, expected).await?;
    }
    let other = Event {
        id: before.id.clone(),
        body: event.body.clone(),
    };
    let reused = provider.attempt(&other, now)?;
    let reused = provider.send(&reused, &other.body).await?;
    let expected = (StatusCode::CONFLICT, "id_reused");
    refused(
        stage,
        evidence,
        "an id of before with another body",
        &reused,
        expected,
    )
    .await?;
    let twin = provider.send(&good, &event.body).await?;
    expect("the twin without the flaw", &twin, StatusCode::ACCEPTED)?;
    provider.told(&event).await?;
    let all = provider.all_told().await?;
    hold(
        "billing was told of both events, each once, and of nothing else",
        Holds::from(all.len() == 2),
    )?;
    evidence
        .say("the twin of these without the flaw: 202; billing was told of two events, each once");
    Ok(())
}

/// The answer is this one, says nothing of why, and the log says it under its own name.
async fn refused(
    stage: &Stage,
    evidence: &mut Evidence,
    what: &str,
    answer: &Response,
    (status, reason): (StatusCode, &str),
) -> Result<(), Failure> {
    expect(what, answer, status)?;
    hold(
        &format!("{what}: the answer does not say why"),
        Holds::from(!answer.text().contains(reason)),
    )?;
    let request = claim(&answer.json()?, "request_id").to_owned();
    let log = stage.running.fabric().audit();
    let failed = |error: &dyn std::fmt::Display| Failure::new(error.to_string());
    log.published().await.map_err(|error| failed(&error))?;
    let (records, _) = tail(log.directory(), 0).map_err(|error| failed(&error))?;
    let found = records.iter().any(|(_, record)| {
        let record = serde_json::to_value(record).unwrap_or_default();
        let detail = record.get("detail").unwrap_or(&Value::Null);
        claim(&record, "kind") == "webhook.refused"
            && claim(&record, "request") == request
            && claim(detail, "reason") == reason
    });
    hold(
        &format!("{what}: the log says {reason}"),
        Holds::from(found),
    )?;
    evidence.say(format!("{what}: {} {reason}", status.as_u16()));
    Ok(())
}

/// The billing provider: it has a secret, and knows where to send.
struct Provider<'a> {
    stage: &'a Stage,
    secret: SigningSecret,
    url: Url,
    /// To look at what billing was told.
    billing: Client,
}

impl<'a> Provider<'a> {
    fn new(stage: &'a Stage) -> Result<Self, Failure> {
        let url = stage.gateway.join("/webhooks/billing");
        Ok(Self {
            stage,
            secret: secret(stage.secret(PROVIDER))?,
            url: url.map_err(|_| Failure::new("the address of webhooks"))?,
            billing: stage.certified("urn:countersign:exercise:billing")?,
        })
    }

    fn attempt(&self, event: &Event, at: UnixTime) -> Result<HeaderMap, Failure> {
        fields(&self.secret, event, at)
    }

    /// What billing was told of an event, as soon as it is.
    async fn told(&self, event: &Event) -> Result<Value, Failure> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let mut all = self.all_told().await?.into_iter();
            if let Some(got) = all.find(|got| claim(got, "body") == event.body) {
                return Ok(got);
            }
        }
        Err(Failure::new(format!(
            "billing was not told of {}",
            event.id
        )))
    }

    async fn all_told(&self) -> Result<Vec<Value>, Failure> {
        let url = self.stage.billing.join(&format!("/webhooks/{PROVIDER}"));
        let url = url.map_err(|_| Failure::new("billing's address"))?;
        match self.billing.get_json(&url).await? {
            Value::Array(all) => Ok(all),
            _ => Err(Failure::new("billing shows no list")),
        }
    }

    async fn send(&self, attempt: &HeaderMap, body: &str) -> Result<Response, Failure> {
        let sent =
            self.stage
                .client
                .send(Method::POST, &self.url, attempt.clone(), body.to_owned());
        sent.await
    }
}

fn secret(text: &str) -> Result<SigningSecret, Failure> {
    let secret = SigningSecret::parse(&Secret::new(text.to_owned()));
    secret.map_err(|error| Failure::new(error.to_string()))
}

/// The fields of an attempt.
fn fields(secret: &SigningSecret, event: &Event, at: UnixTime) -> Result<HeaderMap, Failure> {
    let secrets = std::slice::from_ref(secret);
    let signed = standard::headers(secrets, &event.id, at, event.body.as_bytes());
    let signed = signed.map_err(|error| Failure::new(error.to_string()))?;
    let mut fields = HeaderMap::new();
    let json = HeaderValue::from_static("application/json");
    fields.insert(header::CONTENT_TYPE, json);
    for (name, value) in signed {
        let value = HeaderValue::from_str(&value).map_err(|_| Failure::new("a field"))?;
        fields.insert(HeaderName::from_static(name), value);
    }
    Ok(fields)
}
