//! Authorizations and their one challenge, `http-01` (RFC 8555 §7.5, §8.3): whoever answers at a name shows that they hold the account's key.
//!
//! The name was judged by the role before. Looking at it is an effect: the shell connects to public addresses, and to those networks that the mount lists, and to
//! nothing else (CVE-2026-5052). What it met is told to nobody but the log, so that a challenge is no way to look around in a network. One look decides.

use super::account::is_id;
use super::{Directory, Handled, Message, Next, Refusal, Reply, problem, then, with};
use crate::VaultError;
use crate::answer::{Effect, HttpChallenge};
use crate::call::Cx;
use crate::entry::EntryName;
use crate::timestamp;
use crate::work::{EffectResult, Work};
use countersign_base::UnixTime;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use std::net::IpAddr;

/// What is to be proven.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "type", content = "value", rename_all = "lowercase")]
pub(super) enum Identifier {
    /// A host name, in lower case.
    Dns(String),
    /// An address (RFC 8738).
    Ip(IpAddr),
}

impl Identifier {
    fn host(&self) -> String {
        match self {
            Self::Dns(name) => name.clone(),
            Self::Ip(IpAddr::V4(address)) => address.to_string(),
            Self::Ip(IpAddr::V6(address)) => format!("[{address}]"),
        }
    }
}

/// How far a proof has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Deactivated,
    Invalid,
    Pending,
    Valid,
}

/// An authorization.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Authorization {
    pub(super) account: String,
    pub(super) identifier: Identifier,
    pub(super) status: Status,
    pub(super) expires: UnixTime,
    pub(super) token: String,
    pub(super) validated: Option<UnixTime>,
}

impl Authorization {
    /// How far it is now: what has ended proves nothing.
    pub(super) fn status(&self, now: UnixTime) -> Status {
        if now < self.expires {
            self.status
        } else {
            Status::Invalid
        }
    }

    fn shown(&self, base: &str, name: &str) -> Json {
        json!({
            "challenges": [self.challenge(base, name)],
            "expires": timestamp::text(self.expires),
            "identifier": self.identifier,
            "status": self.status,
        })
    }

    fn challenge(&self, base: &str, name: &str) -> Json {
        let status = match self.status {
            Status::Deactivated => Status::Invalid,
            status => status,
        };
        let shown = json!({
            "status": status,
            "token": self.token,
            "type": "http-01",
            "url": format!("{base}/challenge/{name}/http-01"),
        });
        match (self.status, self.validated) {
            (Status::Valid, Some(validated)) => {
                with(shown, "validated", timestamp::text(validated).into())
            }
            (Status::Invalid, _) => with(
                shown,
                "error",
                json!({
                    "type": "urn:ietf:params:acme:error:unauthorized",
                    "detail": "the name could not be asked, or did not answer with the key authorization",
                    "status": 403,
                }),
            ),
            (Status::Deactivated | Status::Pending | Status::Valid, _) => shown,
        }
    }
}

/// A challenge that is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    authorization: EntryName,
    name: String,
    pub(super) base: String,
    pub(super) mount: String,
}

fn find(
    directory: &Directory<'_>,
    name: &str,
    message: &Message,
    work: &mut Work<'_>,
) -> Result<(EntryName, Authorization), Refusal> {
    let (own, _) = message.account()?;
    let entry = directory.entry(&["authorization", name]);
    let found: Option<Authorization> = if is_id(name) {
        work.read(&entry)?
    } else {
        None
    };
    // Another's is as if it were not there.
    match found.filter(|found| found.account == own) {
        Some(found) => Ok((entry, found)),
        None => Err(problem("malformed", 404, "there is no such authorization")),
    }
}

/// `authorization/ID`: shows it, or gives it up.
///
/// # Errors
/// When it is another's.
pub(super) fn authorization(
    directory: &Directory<'_>,
    name: &str,
    message: &Message,
    work: &mut Work<'_>,
) -> Result<Reply, Refusal> {
    let (entry, mut found) = find(directory, name, message, work)?;
    if let Some(payload) = &message.payload {
        if payload.get("status").and_then(Json::as_str) != Some("deactivated") {
            return Err(problem("malformed", 400, "`status` can become deactivated"));
        }
        found.status = Status::Deactivated;
        work.put_until(&entry, &found, Some(found.expires))?;
    }
    Ok(Reply::json(200, found.shown(&directory.base, name)))
}

/// `challenge/ID/http-01`: shows it, or, with a payload, has it looked at.
///
/// # Errors
/// When it is another's.
pub(super) fn begin(
    directory: &Directory<'_>,
    name: &str,
    message: &Message,
    work: &mut Work<'_>,
) -> Result<Handled, Refusal> {
    let (entry, found) = find(directory, name, message, work)?;
    if message.payload.is_none() || found.status != Status::Pending {
        let up = directory.url(&["authorization", name]);
        let reply = Reply::json(200, found.challenge(&directory.base, name));
        return Ok(reply.linked(&up, "up").into());
    }
    let effect = Effect::HttpChallenge(HttpChallenge {
        host: found.identifier.host(),
        path: format!("/.well-known/acme-challenge/{}", found.token),
        expected: format!("{}.{}", found.token, message.key.thumbprint()),
        networks: directory.settings.networks.clone(),
    });
    let looked = Looked {
        authorization: entry,
        name: name.to_owned(),
        base: directory.base.clone(),
        mount: directory.call.mount.uuid.clone(),
    };
    Ok(then(effect, Next::Challenge(looked)))
}

/// What the look showed.
///
/// # Errors
/// When the authorization has gone meanwhile.
pub(super) fn end(
    looked: &Looked,
    result: &EffectResult,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Reply, Refusal> {
    let found: Option<Authorization> = work.read(&looked.authorization)?;
    let mut found = found.ok_or(VaultError::NotFound)?;
    // What was given up or decided meanwhile stays so.
    if found.status(cx.now) == Status::Pending {
        match result {
            EffectResult::Done | EffectResult::DataKey(_) => {
                found.status = Status::Valid;
                found.validated = Some(cx.now);
            }
            EffectResult::Failed(_) => found.status = Status::Invalid,
        }
        work.put_until(&looked.authorization, &found, Some(found.expires))?;
    }
    let up = format!("{}/authorization/{}", looked.base, looked.name);
    Ok(Reply::json(200, found.challenge(&looked.base, &looked.name)).linked(&up, "up"))
}
