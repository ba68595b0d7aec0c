//! The decision point over HTTP: the OpenID AuthZEN Authorization API 1.0 (`/access/v1/*`) and a data API as OPA's clients speak it (`/opa/v1/data/*`), for
//! gateways and services that are not ours.
//!
//! Whoever asks is a client with an access token for [`AUDIENCE`] and a scope for what it does; policy decides whether it may ask (`Action::"ask"`), and only
//! about its own tenant. What it asks is decided by the same function and the same policies as every other request, and recorded before it is told. Facts about
//! people and clients come from the directory; the rest is the word of the one who asks.
//!
//! `/.well-known/authzen-configuration` describes it and is the one thing that anybody may read.
//!
//! Obligations are told as the AuthZEN profile for obligations has them, to who says that it takes them; to everybody else such a permit is a denial.
//!
//! Not here: the form of requests ([`countersign_policy::authzen`]), signed metadata, other gateways' own protocols (`ext_authz`).

mod answer;
mod caller;
mod directory;
pub(crate) mod lookups;
mod opa;
mod pages;
mod question;
mod search;

pub(crate) use directory::entity_of;

use crate::calls::{Allowance, Calls};
use answer::{Failure, Reply};
use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{MethodRouter, any};
use caller::{Admitted, Right};
use countersign_base::{Duration, RequestId};
use countersign_control::Fabric;
use countersign_policy::authzen::{Batch, Evaluation, Sought};
use http::Method;
use lookups::LookUps;
use pages::Pages;
use question::{Answered, Asking, Prepared};
use serde_json::{Value, json};
use std::sync::Arc;
use url::Url;

/// The audience of tokens with which the decision point is asked.
pub const AUDIENCE: &str = "urn:countersign:access";
/// Where the description is.
pub const METADATA_PATH: &str = "/.well-known/authzen-configuration";
const EVALUATION: &str = "/access/v1/evaluation";
const EVALUATIONS: &str = "/access/v1/evaluations";
const SEARCH_SUBJECT: &str = "/access/v1/search/subject";
const SEARCH_RESOURCE: &str = "/access/v1/search/resource";
const SEARCH_ACTION: &str = "/access/v1/search/action";

/// Questions that a client may ask: a search is as many as it may look at for one tenth, because its candidates come from one list.
const QUESTIONS: Allowance = Allowance {
    requests: 10_000,
    per: Duration::from_secs(5),
};

/// What every handler shares.
#[derive(Clone)]
pub(crate) struct Access {
    fabric: Arc<Fabric>,
    /// `https://localhost:8445`: the decision point's identifier.
    origin: Arc<str>,
    lookups: Arc<LookUps>,
    calls: Arc<Calls>,
    pages: Arc<Pages>,
}

type Endpoint = (&'static str, fn() -> MethodRouter<Access>);

/// The endpoints. The table of authorization cases in the tests holds a row for each.
const ENDPOINTS: &[Endpoint] = &[
    (EVALUATION, || any(evaluation)),
    (EVALUATIONS, || any(evaluations)),
    (SEARCH_SUBJECT, || {
        any(async |access, request| search(access, request, Sought::Subject).await)
    }),
    (SEARCH_RESOURCE, || {
        any(async |access, request| search(access, request, Sought::Resource).await)
    }),
    (SEARCH_ACTION, || {
        any(async |access, request| search(access, request, Sought::Action).await)
    }),
    ("/opa/v1/data", || any(opa::data)),
    ("/opa/v1/data/{*path}", || any(opa::data)),
];

/// The decision point. `origin` is the address that its listener is reached under; the connection's address is expected as an extension of each request, as
/// `net::from_tower` puts it there.
pub fn router(fabric: Arc<Fabric>, origin: &Url) -> Router {
    let access = Access {
        pages: Arc::new(Pages::new(fabric.random())),
        calls: Arc::default(),
        fabric,
        origin: origin.as_str().trim_end_matches('/').into(),
        lookups: Arc::default(),
    };
    ENDPOINTS
        .iter()
        .fold(Router::new(), |router, (path, endpoint)| {
            router.route(path, endpoint())
        })
        .route(METADATA_PATH, any(metadata))
        .with_state(access)
}

async fn evaluation(State(access): State<Access>, request: Request) -> Response {
    let reply = Reply::to(&access, &request);
    let result = evaluated(&access, reply.id(), request).await;
    reply.with(result)
}

async fn evaluated(access: &Access, id: RequestId, request: Request) -> Result<Value, Failure> {
    let Admitted { asker, body } = caller::admit(access, id, request, Right::Evaluate).await?;
    let evaluation = Evaluation::parse(&body)?;
    let mut asking = Asking::new(access, &asker);
    let answered = asking.ask(&evaluation).await?;
    Ok(answered.to_json())
}

async fn evaluations(State(access): State<Access>, request: Request) -> Response {
    let reply = Reply::to(&access, &request);
    let result = all_evaluated(&access, reply.id(), request).await;
    reply.with(result)
}

async fn all_evaluated(access: &Access, id: RequestId, request: Request) -> Result<Value, Failure> {
    let Admitted { asker, body } = caller::admit(access, id, request, Right::Evaluate).await?;
    let mut asking = Asking::new(access, &asker);
    let (semantic, questions) = match Batch::parse(&body)? {
        Batch::One(evaluation) => return Ok(asking.ask(&evaluation).await?.to_json()),
        Batch::Many(semantic, questions) => (semantic, questions),
    };
    // The first was taken with the call.
    let more = u32::try_from(questions.len().saturating_sub(1)).unwrap_or(u32::MAX);
    caller::take(access, &asker, more)?;
    let mut judged = Vec::with_capacity(questions.len());
    for question in questions {
        let prepared = match question {
            Ok(evaluation) => asking.prepare(&evaluation).await?,
            Err(error) => Prepared::Unreadable(error),
        };
        let one = asking.judge(prepared);
        let ends = semantic.ends_with(one.decision());
        judged.push(one);
        if ends {
            break;
        }
    }
    // What is not told is not recorded; what is told is, all of it, before.
    let answers = asking.record_all(judged).await?;
    let answers: Vec<Value> = answers.iter().map(Answered::to_json).collect();
    Ok(json!({ "evaluations": answers }))
}

async fn search(State(access): State<Access>, request: Request, sought: Sought) -> Response {
    let reply = Reply::to(&access, &request);
    let found = search::found(&access, reply.id(), request, sought).await;
    reply.with(found)
}

/// The description (AuthZEN §9): the same for everybody, and of nobody's data.
async fn metadata(State(access): State<Access>, request: Request) -> Response {
    let reply = Reply::to(&access, &request);
    if request.method() != Method::GET {
        return reply.with(Err(Failure::Method("GET")));
    }
    let at = |path: &str| format!("{}{path}", access.origin);
    reply.with(Ok(json!({
        "policy_decision_point": &*access.origin,
        "access_evaluation_endpoint": at(EVALUATION),
        "access_evaluations_endpoint": at(EVALUATIONS),
        "search_subject_endpoint": at(SEARCH_SUBJECT),
        "search_resource_endpoint": at(SEARCH_RESOURCE),
        "search_action_endpoint": at(SEARCH_ACTION),
        "supported_obligations": ["custom", "step-up"],
    })))
}

#[cfg(test)]
mod tests;
