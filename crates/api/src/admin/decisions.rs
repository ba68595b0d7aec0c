//! Decisions that were recorded: what was asked, what the policies of now say to it, and what others would.
//!
//! The question is opened from where it is sealed; a person whose key was erased has none any more. What was decided then is in the log, which everybody who
//! administers has at hand; it is not repeated here.

use super::Admin;
use super::answer::{AdminError, Answer};
use super::described::Described;
use super::request::Called;
use axum::extract::State;
use countersign_audit::Digest;
use countersign_base::{EventId, Tenant};
use countersign_policy::obligation::Duty;
use countersign_policy::{PolicyId, PolicySet, Query, Target, decide, recorded};
use countersign_store::{DetailError, commitment};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// Decisions in one call.
const EVENTS_MAX: usize = 500;
/// Bytes of other policies with their schema, as JSON.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// What policies say to a question.
#[derive(Serialize)]
pub(crate) struct Said {
    decision: &'static str,
    reason: &'static str,
    policies: Vec<PolicyId>,
    bundle: String,
    /// What a permit asks for; as a line of text each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    obligations: Vec<String>,
}

struct Asked<'a>(&'a Query);

impl Target for Asked<'_> {
    fn query(&self) -> Query {
        self.0.clone()
    }

    /// Nobody acts on it.
    fn carries_out(&self) -> &[Duty] {
        &Duty::ALL
    }
}

impl Said {
    fn by(policies: &PolicySet, query: &Query) -> Self {
        let mut obligations = Vec::new();
        let (decision, reason, by) = match decide(policies, Asked(query)) {
            Ok(permitted) => {
                obligations.extend(permitted.obligations().iter().flat_map(|all| all.lines()));
                (
                    "allowed",
                    "permitted",
                    permitted.decision().policies().to_vec(),
                )
            }
            Err(denied) => (
                "denied",
                denied.reason().as_str(),
                denied.decision().policies().to_vec(),
            ),
        };
        Self {
            decision,
            reason,
            policies: by,
            bundle: policies.digest().to_string(),
            obligations,
        }
    }
}

/// The question behind a decision.
#[derive(Serialize)]
pub(crate) struct Shown {
    event: EventId,
    /// What the record commits to: the digest of salt and question.
    commitment: Digest,
    question: Value,
    /// What the policies of now say to it.
    now: Said,
}

pub(crate) async fn show(State(admin): State<Admin>, called: Called) -> Answer<Shown> {
    called.answered(|called| shown(&admin, called)).await
}

async fn shown(admin: &Admin, called: Called) -> Result<Shown, AdminError> {
    let named = called.named::<EventId>("event");
    let (permit, _body) = called.permit(admin, "decision", "show").await?;
    let event = named.ok_or(AdminError::Unknown("decision"))?;
    let opened = open(admin, permit.tenant(), event).await;
    let (salt, text) = opened.map_err(|error| match error {
        Unread::Erased | Unread::Unknown => AdminError::Unknown("question"),
        Unread::Unavailable => AdminError::Unavailable,
    })?;
    let query = recorded::question(&text).map_err(|_| AdminError::Unknown("question"))?;
    let now = Said::by(&admin.fabric.policies(), &query);
    Ok(Shown {
        event,
        commitment: commitment(&salt, &text),
        question: serde_json::from_str(&text).map_err(|_| AdminError::Unknown("question"))?,
        now,
    })
}

/// Why a question cannot be asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unread {
    Erased,
    Unavailable,
    Unknown,
}

async fn open(
    admin: &Admin,
    tenant: &Tenant,
    event: EventId,
) -> Result<([u8; 16], String), Unread> {
    let opened = admin.fabric.details().open(tenant, event).await;
    opened.map_err(|error| match error {
        DetailError::Erased => Unread::Erased,
        DetailError::Unknown => Unread::Unknown,
        DetailError::Key(_) | DetailError::Sealed(_) | DetailError::Store(_) => Unread::Unavailable,
    })
}

/// The body of `POST .../decisions/replay`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Replay {
    /// The decisions whose questions are asked again.
    events: Vec<EventId>,
    /// The policies that are asked; without them, those of now.
    policies: Option<Other>,
}

impl Described for Replay {
    const SCHEMA: &'static str = "Replay";
}

/// Other policies, as they are written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Other {
    schema: String,
    sources: Vec<(String, String)>,
}

/// What the policies say to each of the questions.
#[derive(Serialize)]
pub(crate) struct Replayed {
    decisions: Vec<One>,
}

#[derive(Serialize)]
struct One {
    event: EventId,
    #[serde(flatten)]
    outcome: Outcome,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Said(Said),
    /// `erased` or `not_kept`
    Unread(&'static str),
}

pub(crate) async fn replay(State(admin): State<Admin>, called: Called) -> Answer<Replayed> {
    called.answered(|called| replayed(&admin, called)).await
}

async fn replayed(admin: &Admin, called: Called) -> Result<Replayed, AdminError> {
    let (permit, body) = called.permit(admin, "decision", "replay").await?;
    let body: Replay = body.json_up_to(BODY_BYTES_MAX).await?;
    if body.events.len() > EVENTS_MAX {
        let message = "at most 500 decisions at once";
        return Err(AdminError::Invalid(message.to_owned()));
    }
    let policies = match body.policies {
        None => admin.fabric.policies(),
        Some(other) => loaded(other).await?,
    };
    let mut decisions = Vec::with_capacity(body.events.len());
    for event in body.events {
        let outcome = match open(admin, permit.tenant(), event).await {
            Ok((_, text)) => match recorded::question(&text) {
                Ok(query) => Outcome::Said(Said::by(&policies, &query)),
                Err(_) => Outcome::Unread("not_kept"),
            },
            Err(Unread::Erased) => Outcome::Unread("erased"),
            Err(Unread::Unknown) => Outcome::Unread("not_kept"),
            Err(Unread::Unavailable) => return Err(AdminError::Unavailable),
        };
        decisions.push(One { event, outcome });
    }
    Ok(Replayed { decisions })
}

/// Loading checks every policy, which takes longer than a request's turn on its thread.
async fn loaded(other: Other) -> Result<Arc<PolicySet>, AdminError> {
    let load = move || PolicySet::load(&other.schema, &other.sources);
    let set = tokio::task::spawn_blocking(load)
        .await
        .map_err(|_| AdminError::Unavailable)?;
    set.map(Arc::new)
        .map_err(|error| AdminError::Invalid(error.to_string()))
}
