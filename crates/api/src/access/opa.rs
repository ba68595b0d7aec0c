//! `POST /opa/v1/data/PATH`: the same questions in the form that clients of OPA send.
//!
//! `{"input": ...}` holds a question as AuthZEN writes it. The document `countersign/allow` is the decision alone, `countersign` an object that holds it as
//! `allow`. Any other document is undefined, which is an answer without `result`; clients of OPA take that for a denial, as they should.
//!
//! Not here: policies in Rego, data that is read or written by path, partial evaluation (`/v1/compile`), bundles and decision logs of OPA.

use super::Access;
use super::answer::{Failure, Reply};
use super::caller::{self, Admitted, Right};
use super::question::{Answered, Asking};
use axum::extract::{Request, State};
use axum::response::Response;
use countersign_base::RequestId;
use countersign_policy::authzen::{Evaluation, RequestError, input};
use serde_json::{Value, json};

/// The documents that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Document {
    /// `countersign/allow`
    Allow,
    /// `countersign`
    Whole,
    /// Everything else.
    Undefined,
}

impl Document {
    fn of(path: &str) -> Self {
        let below = path.strip_prefix("/opa/v1/data").unwrap_or_default();
        match below.trim_matches('/') {
            "countersign" => Self::Whole,
            "countersign/allow" => Self::Allow,
            _ => Self::Undefined,
        }
    }
}

pub(super) async fn data(State(access): State<Access>, request: Request) -> Response {
    let reply = Reply::to(&access, &request);
    let result = answered(&access, reply.id(), request).await;
    reply.with(result)
}

async fn answered(access: &Access, id: RequestId, request: Request) -> Result<Value, Failure> {
    let document = Document::of(request.uri().path());
    let Admitted { asker, body } = caller::admit(access, id, request, Right::Evaluate).await?;
    let input = input(&body)?;
    if document == Document::Undefined {
        return Ok(json!({}));
    }
    let input = input.ok_or(Failure::Request(RequestError::Missing("input")))?;
    let answered = Asking::new(access, &asker)
        .ask(&Evaluation::of(&input)?)
        .await?;
    Ok(to_json(document, &answered))
}

fn to_json(document: Document, answered: &Answered) -> Value {
    let result = match document {
        // Who reads this document alone carries nothing out, whatever it says.
        Document::Allow => answered.is_plain_permit().into(),
        Document::Whole => {
            let mut whole = answered.explanation();
            whole.insert("allow".to_owned(), answered.decision.into());
            Value::Object(whole)
        }
        Document::Undefined => return json!({}),
    };
    json!({ "result": result, "decision_id": answered.event().to_string() })
}
