//! ACME (RFC 8555) over the roles of a mount: whoever holds an account and shows that a name leads to them has a certificate for it.
//!
//! `acme/directory` issues by the role that `config/acme` names, `roles/ROLE/acme/directory` by that role. Each directory has accounts of its own. Nothing of it
//! is on until `config/acme` and `config/cluster` say so; accounts take an external binding (RFC 8555 §7.3.4) that somebody with a token made, unless the
//! configuration waives it; and a name has to be one that the role allows before anybody is asked for proof of it.
//!
//! Every answer, refusals too, has a fresh nonce, and whatever was signed has spent one. A refusal is an answer here, so that what it spent is committed: handlers
//! write only after everything was checked.
//!
//! Here is who sent a message, and how answers are written. Not here: `dns-01`, `tls-alpn-01` and with them wildcards, key change, pre-authorization, orders lists.

mod account;
mod challenge;
mod nonce;
mod order;
mod revoke;
mod settings;

pub(super) use settings::{cluster, configuration, named};

use super::role::{self, Role};
use crate::VaultError;
use crate::answer::{Answer, Effect, Form, Outcome, Raw};
use crate::call::{Call, Cx, Operation};
use crate::engine;
use crate::entry::EntryName;
use crate::work::{EffectResult, Stop, Then, Work};
use account::Account;
use countersign_crypto::base64url;
use countersign_crypto::jose::{Algorithm, FlattenedJws, PublicJwk};
use serde_json::{Map, Value as Json, json};
use settings::Settings;
use std::borrow::Cow;

/// One directory: where it is, and what it issues by.
struct Directory<'a> {
    call: &'a Call,
    settings: Settings,
    /// `https://vault.example/v1/pki/acme`.
    base: String,
    role: Role,
    /// Under which its accounts and orders stand.
    space: String,
}

impl Directory<'_> {
    fn entry(&self, parts: &[&str]) -> EntryName {
        let all: Vec<&str> = ["pki", "acme", &self.space]
            .into_iter()
            .chain(parts.iter().copied())
            .collect();
        self.call.entry(&all)
    }

    fn url(&self, parts: &[&str]) -> String {
        format!("{}/{}", self.base, parts.join("/"))
    }
}

/// Why a request is refused, as RFC 8555 §6.7 says it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Problem {
    kind: &'static str,
    status: u16,
    detail: Cow<'static, str>,
}

fn problem(kind: &'static str, status: u16, detail: impl Into<Cow<'static, str>>) -> Refusal {
    Refusal::Problem(Problem {
        kind,
        status,
        detail: detail.into(),
    })
}

/// How a handler ends that does not answer.
enum Refusal {
    Problem(Problem),
    Stop(Stop),
}

impl From<Stop> for Refusal {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Need(need) => Self::Stop(Stop::Need(need)),
            Stop::Refused(error) => error.into(),
        }
    }
}

impl From<VaultError> for Refusal {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Invalid(text) => problem("malformed", 400, text),
            VaultError::Denied => problem("unauthorized", 403, "permission denied"),
            VaultError::NotFound | VaultError::NotFoundWith(_) => {
                problem("malformed", 404, "not found")
            }
            VaultError::Corrupt
            | VaultError::InvalidWith(_)
            | VaultError::Outside(_)
            | VaultError::Sealed
            | VaultError::TooLarge
            | VaultError::Unsupported => Self::Stop(Stop::Refused(error)),
        }
    }
}

/// An answer of a handler.
struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    content: Content,
}

enum Content {
    Chain(String),
    Empty,
    Json(Json),
}

/// How a handler goes on.
enum Handled {
    Effect(Box<Then>),
    Reply(Reply),
}

impl From<Reply> for Handled {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

impl Reply {
    const fn json(status: u16, body: Json) -> Self {
        Self {
            status,
            headers: Vec::new(),
            content: Content::Json(body),
        }
    }

    fn at(mut self, location: String) -> Self {
        self.headers.push(("location", location));
        self
    }

    fn linked(mut self, url: &str, relation: &str) -> Self {
        self.headers
            .push(("link", format!("<{url}>;rel=\"{relation}\"")));
        self
    }

    fn write(self, base: &str, mount: &str, cx: &Cx<'_>) -> Answer {
        let mut reply = self.linked(&format!("{base}/directory"), "index");
        reply
            .headers
            .push(("replay-nonce", nonce::fresh(mount, cx)));
        let (content_type, body) = match reply.content {
            Content::Chain(pem) => ("application/pem-certificate-chain", pem.into_bytes()),
            Content::Empty => ("application/octet-stream", Vec::new()),
            Content::Json(json) if reply.status >= 400 => {
                ("application/problem+json", json.to_string().into_bytes())
            }
            Content::Json(json) => ("application/json", json.to_string().into_bytes()),
        };
        Answer {
            form: Form::Raw(Box::new(Raw {
                status: reply.status,
                content_type,
                headers: reply.headers,
                body,
            })),
            ..Answer::default()
        }
    }
}

impl Problem {
    fn reply(&self) -> Reply {
        let mut body = json!({
            "type": format!("urn:ietf:params:acme:error:{}", self.kind),
            "detail": self.detail,
            "status": self.status,
        });
        if self.kind == "badSignatureAlgorithm" {
            let names = json!(Algorithm::ALL.map(Algorithm::name));
            body = with(body, "algorithms", names);
        }
        Reply::json(self.status, body)
    }
}

/// Whether what follows `acme/` is asked for without a token: all but the making of bindings.
pub(super) fn is_public(rest: &str, operation: Operation) -> bool {
    match rest {
        "directory" | "new-nonce" => operation == Operation::Read,
        "new-account" | "new-order" | "revoke-cert" => operation == Operation::Update,
        _ => {
            let mut parts = rest.split('/');
            operation == Operation::Update
                && matches!(
                    parts.next(),
                    Some("account" | "authorization" | "challenge" | "order")
                )
                && parts.next().is_some()
        }
    }
}

/// What a directory does.
///
/// # Errors
/// [`Stop::Need`], and what is not this protocol's to refuse: everything else is answered.
pub(super) fn run(
    call: &Call,
    role: Option<&str>,
    rest: &[&str],
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Outcome, Stop> {
    use Operation::{Create, Read, Update};
    let directory = directory(call, role, work)?;
    let answer = |reply: Reply| Ok(reply.write(&directory.base, &call.mount.uuid, cx).into());
    match (rest, call.operation) {
        (["directory"], Read) => answer(Reply::json(200, listed(&directory))),
        (["new-nonce"], Read) => {
            let mut reply = Reply {
                status: 200,
                headers: Vec::new(),
                content: Content::Empty,
            };
            reply.headers.push(("cache-control", "no-store".to_owned()));
            answer(reply)
        }
        (["new-eab"], Create | Update) => Ok(account::new_binding(&directory, work, cx)?.into()),
        (_, Create | Update) => match handle(&directory, rest, work, cx) {
            Ok(Handled::Reply(reply)) => answer(reply),
            Ok(Handled::Effect(then)) => Ok(Outcome::Then(then)),
            Err(Refusal::Problem(problem)) => answer(problem.reply()),
            Err(Refusal::Stop(stop)) => Err(stop),
        },
        _ => Err(VaultError::Unsupported.into()),
    }
}

fn listed(directory: &Directory<'_>) -> Json {
    json!({
        "newNonce": directory.url(&["new-nonce"]),
        "newAccount": directory.url(&["new-account"]),
        "newOrder": directory.url(&["new-order"]),
        "revokeCert": directory.url(&["revoke-cert"]),
        "meta": { "externalAccountRequired": directory.settings.binding_required },
    })
}

fn directory<'a>(
    call: &'a Call,
    role: Option<&str>,
    work: &mut Work<'_>,
) -> Result<Directory<'a>, Stop> {
    let settings = Settings::read(call, work)?;
    let cluster = settings::cluster_path(call, work)?;
    let (true, Some(cluster)) = (settings.enabled, cluster) else {
        // As if it were not there; who configures it sees in `config/acme` and `config/cluster` what is missing.
        return Err(VaultError::NotFound.into());
    };
    let (name, space, path) = match role {
        Some(name) => (
            name.to_owned(),
            format!("role:{name}"),
            format!("roles/{name}/acme"),
        ),
        None => (
            settings.default_role.clone().ok_or(VaultError::NotFound)?,
            "default".to_owned(),
            "acme".to_owned(),
        ),
    };
    if !settings.allows(&name) {
        return Err(VaultError::NotFound.into());
    }
    let mut role = role::find(call, &name, work)?;
    // The common name of an ACME certificate is one of its proven names, or none.
    role.require_cn = false;
    Ok(Directory {
        call,
        settings,
        base: format!("{cluster}/{path}"),
        role,
        space,
    })
}

/// A message whose signature held, and whose nonce is spent.
struct Message {
    sender: Sender,
    key: PublicJwk,
    /// Nothing where the payload is empty: the message reads (RFC 8555 §6.3).
    payload: Option<Map<String, Json>>,
}

enum Sender {
    /// An account of the directory that is in good standing.
    Account(String, Account),
    /// Whoever holds the key that came along.
    Key,
}

impl Message {
    fn account(&self) -> Result<(&str, &Account), Refusal> {
        match &self.sender {
            Sender::Account(id, account) => Ok((id, account)),
            Sender::Key => Err(problem(
                "malformed",
                400,
                "the message has to name its account by `kid`",
            )),
        }
    }

    fn payload(&self) -> Result<&Map<String, Json>, Refusal> {
        self.payload
            .as_ref()
            .ok_or_else(|| problem("malformed", 400, "the message has no payload"))
    }
}

fn handle(
    directory: &Directory<'_>,
    rest: &[&str],
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Handled, Refusal> {
    let message = received(directory, rest, work, cx)?;
    Ok(match rest {
        ["new-account"] => account::new(directory, &message, work, cx)?.into(),
        ["account", id] => account::change(directory, id, &message, work)?.into(),
        ["new-order"] => order::new(directory, &message, work, cx)?.into(),
        ["order", id] => order::read(directory, id, &message, work, cx)?.into(),
        ["order", id, "finalize"] => order::finalize(directory, id, &message, work, cx)?.into(),
        ["order", id, "cert"] => order::certificate(directory, id, &message, work)?.into(),
        ["authorization", id] => challenge::authorization(directory, id, &message, work)?.into(),
        ["challenge", id, "http-01"] => challenge::begin(directory, id, &message, work)?,
        ["revoke-cert"] => revoke::revoke(directory, &message, work, cx)?.into(),
        _ => return Err(problem("malformed", 404, "not found")),
    })
}

/// Reads a message and checks everything that makes it its sender's: form, address, nonce, key, signature.
fn received(
    directory: &Directory<'_>,
    rest: &[&str],
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Message, Refusal> {
    let call = directory.call;
    let jws = flattened(call.body.members())?;
    if Algorithm::from_name(jws.algorithm_name()).is_none() {
        return Err(problem(
            "badSignatureAlgorithm",
            400,
            "`alg` is not accepted",
        ));
    }
    if jws.text("url") != Some(directory.url(rest).as_str()) {
        return Err(problem(
            "unauthorized",
            403,
            "`url` is not the address that was asked",
        ));
    }
    let bad_nonce = || {
        problem(
            "badNonce",
            400,
            "the nonce is not one of ours, too old, or was used",
        )
    };
    let shown = jws.text("nonce").ok_or_else(bad_nonce)?;
    let nonce = nonce::check(shown, call, cx).ok_or_else(bad_nonce)?;
    if nonce.is_spent(work)? {
        return Err(bad_nonce());
    }
    let (sender, key) = match (jws.has("jwk"), jws.text("kid")) {
        (true, None) if !jws.has("kid") => {
            let key = jws
                .jwk()
                .map_err(|error| problem("badPublicKey", 400, error.to_string()))?;
            (Sender::Key, key)
        }
        (false, Some(kid)) => {
            let (id, account) = account::of_kid(directory, kid, work)?;
            let key = account.key()?;
            (Sender::Account(id, account), key)
        }
        _ => {
            return Err(problem(
                "malformed",
                400,
                "exactly one of `jwk` and `kid` is needed",
            ));
        }
    };
    let payload = jws
        .verify(&key)
        .map_err(|_| problem("malformed", 400, "the signature does not hold"))?;
    let payload = if payload.is_empty() {
        None
    } else {
        let members = countersign_crypto::jose::strict_object(payload)
            .map_err(|error| problem("malformed", 400, error.to_string()))?;
        Some(members)
    };
    nonce.spend(work)?;
    Ok(Message {
        sender,
        key,
        payload,
    })
}

/// Three members and no other: what stands beside them is signed by nobody.
fn flattened(members: &Map<String, Json>) -> Result<FlattenedJws, Refusal> {
    let text = |name: &str| members.get(name).and_then(Json::as_str);
    let (3, Some(protected), Some(payload), Some(signature)) = (
        members.len(),
        text("protected"),
        text("payload"),
        text("signature"),
    ) else {
        return Err(problem("malformed", 400, "the body is not a flattened JWS"));
    };
    FlattenedJws::parse(protected, payload, signature)
        .map_err(|error| problem("malformed", 400, error.to_string()))
}

/// An object with one member more.
fn with(mut object: Json, name: &str, value: Json) -> Json {
    if let Json::Object(members) = &mut object {
        members.insert(name.to_owned(), value);
    }
    object
}

/// A new name for something of the protocol.
fn id(cx: &Cx<'_>) -> String {
    base64url::encode(&cx.random.bytes::<16>())
}

/// What follows an effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// A challenge was looked at.
    Challenge(challenge::Looked),
}

/// Goes on after an effect.
///
/// # Errors
/// As [`Work::read`].
pub(super) fn resume(
    next: &Next,
    result: &EffectResult,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Outcome, Stop> {
    let Next::Challenge(looked) = next;
    let reply = match challenge::end(looked, result, work, cx) {
        Ok(reply) => reply,
        Err(Refusal::Problem(problem)) => problem.reply(),
        Err(Refusal::Stop(stop)) => return Err(stop),
    };
    Ok(reply.write(&looked.base, &looked.mount, cx).into())
}

fn then(effect: Effect, next: Next) -> Handled {
    Handled::Effect(Box::new(Then {
        effect,
        next: engine::Next::Pki(next),
    }))
}

#[cfg(test)]
mod tests;
