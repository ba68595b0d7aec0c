//! The checks, one file each. A check plays its steps in order; the first that does not come out as it must fails it.

pub(super) mod billing;
mod cards;
mod erasure;
pub(super) mod exchange;
pub(super) mod gateway;
pub(super) mod log;
pub(super) mod orders;
pub(super) mod refresh;
pub(super) mod sign_in;
pub(super) mod stolen;
pub(super) mod vault;
pub(super) mod webhooks;

use super::dpop::ProofKey;
use super::http::{Failure, Response};
use super::portal::Tokens;
use super::stage::Stage;
use http::StatusCode;
use serde_json::Value;
use std::collections::BTreeMap;
use url::Url;

/// What one check leaves to the next.
#[derive(Default)]
pub(super) struct Play {
    /// Alice's session at the portal.
    pub(super) alice: Option<Session>,
    /// What every answer said of its record: a request id or an event id that must be in the log.
    pub(super) recorded: Vec<Recorded>,
    /// Grants whose token requests must be in the log.
    pub(super) grants: Vec<String>,
    /// What the log says of each noted request: its event, its verdict, the policies that decided.
    pub(super) decisions: BTreeMap<String, String>,
    /// The checkpoint from before the first check.
    pub(super) checkpoint: Option<Vec<u8>>,
}

/// What an answer said of its record, and what the record must say.
pub(super) struct Recorded {
    pub(super) request: String,
    pub(super) verdict: &'static str,
}

/// A person at the portal.
pub(super) struct Session {
    pub(super) proofs: ProofKey,
    pub(super) tokens: Tokens,
    pub(super) sub: String,
}

impl Play {
    pub(super) fn alice(&self) -> Result<&Session, Failure> {
        self.alice
            .as_ref()
            .ok_or_else(|| Failure::new("nobody is signed in: the first check did not hold"))
    }

    /// Notes the record of an answer of the gateway, allowed or denied.
    pub(super) fn note(&mut self, response: &Response) -> Option<String> {
        let body = response.json().ok()?;
        let denied = body.get("request_id").and_then(Value::as_str);
        let allowed = body.pointer("/saw/request").and_then(Value::as_str);
        let (request, verdict) = match (denied, allowed) {
            (Some(request), _) => (request, "denied"),
            (None, Some(request)) => (request, "allowed"),
            (None, None) => return None,
        };
        self.recorded.push(Recorded {
            request: request.to_owned(),
            verdict,
        });
        Some(request.to_owned())
    }
}

/// The address of an order at the gateway.
pub(super) fn order(stage: &Stage, region: &str, owner: &str, order: &str) -> Result<Url, Failure> {
    stage
        .gateway
        .join(&format!(
            "/regions/{region}/customers/{owner}/orders/{order}"
        ))
        .map_err(|_| Failure::new("an order's address"))
}

/// The answer's status must be this one.
pub(super) fn expect(what: &str, response: &Response, status: StatusCode) -> Result<(), Failure> {
    if response.status == status {
        return Ok(());
    }
    let challenge = response.header("www-authenticate").unwrap_or_default();
    Err(Failure::new(format!(
        "{what}: expected {status}, got {} {challenge} {}",
        response.status,
        response.text().trim()
    )))
}

/// The answer must be refused with this status and this error in its challenge.
pub(super) fn expect_challenge(
    what: &str,
    response: &Response,
    error: &str,
) -> Result<(), Failure> {
    let challenge = response.header("www-authenticate").unwrap_or_default();
    if response.status == StatusCode::UNAUTHORIZED && challenge.contains(error) {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{what}: expected 401 {error}, got {} {challenge}",
        response.status
    )))
}

/// Something that must be so.
pub(super) fn hold(what: &str, holds: Holds) -> Result<(), Failure> {
    match holds {
        Holds::Yes => Ok(()),
        Holds::No => Err(Failure::new(what.to_owned())),
    }
}

/// Whether something is so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    Yes,
    No,
}

impl From<bool> for Holds {
    fn from(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}
