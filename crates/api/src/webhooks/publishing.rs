//! From a request to a message: who asks, what it says, whether it fits, whether it may, and then both in one transaction.

use super::answer::Failure;
use super::{AUDIENCE, SCOPE, Webhooks};
use crate::bearer::{BearerRequest, Surface, Unproven};
use crate::calls::Allowance;
use axum::body::Bytes;
use axum::extract::{OriginalUri, Request};
use countersign_audit::event::{Decision, Verdict};
use countersign_audit::{Code, Text};
use countersign_authn::Subject;
use countersign_base::{
    Bounded, EventTypeName, PartnerName, RequestId, Scope, Scopes, Tenant, UnixTime,
};
use countersign_control::webhooks::{IdempotencyKey, Publication, Publisher};
use countersign_policy::{Query, Target, decide, vocabulary};
use countersign_store::webhooks::{Accepted, Addressee, NewMessage, PAYLOAD_BYTES_MAX, Publishes};
use countersign_store::{About, Recordable};
use http::request::Parts;
use http::{HeaderMap, Method, header};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The door that records name.
const SURFACE: Code = Code::of("webhooks");
/// Bytes beside the payload.
const REST_BYTES_MAX: usize = 4 * 1024;

/// A request of a client that may publish something.
pub(super) struct Admitted {
    subject: Subject,
    request: RequestId,
    from: IpAddr,
    now: UnixTime,
    key: Option<IdempotencyKey>,
    body: Bytes,
}

/// What is asked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    r#type: EventTypeName,
    version: Option<u32>,
    partner: Option<PartnerName>,
    #[serde(default)]
    everyone: bool,
    order_key: Option<Bounded<128>>,
    data: Map<String, Value>,
}

/// That a client publishes a message.
struct Publishing {
    subject: Subject,
    message: NewMessage,
    request: RequestId,
    from: IpAddr,
    now: UnixTime,
}

impl Target for Publishing {
    fn query(&self) -> Query {
        let message = &self.message.message;
        let scopes = vocabulary::scope_set(self.subject.scopes());
        let mut context = BTreeMap::from([
            ("scopes".to_owned(), scopes),
            (
                "binding".to_owned(),
                vocabulary::binding(&self.subject).into(),
            ),
            ("source".to_owned(), self.from.into()),
            ("time".to_owned(), self.now.0.into()),
            ("version".to_owned(), i64::from(message.version).into()),
        ]);
        match &message.to {
            Addressee::Everyone => {}
            Addressee::Partner(partner) => {
                context.insert("partner".to_owned(), partner.as_str().into());
            }
        }
        Query {
            principal: vocabulary::principal(&self.subject),
            action: "publish_webhook".to_owned(),
            resource: vocabulary::event_type(&message.event_type, self.subject.tenant()),
            context,
            others: Vec::new(),
        }
    }
}

impl Recordable for Publishing {
    fn about(&self) -> About {
        let message = &self.message.message;
        About {
            request: Some(self.request),
            client: Some(self.subject.client().clone()),
            user: self.subject.user(),
            grant: self.subject.grant(),
            action: Text::of("publish_webhook"),
            resource: Text::of(&format!("EventType {}", message.event_type)),
            detail: Some(Text::of(&format!("message {}", message.id))),
            ..About::new(self.subject.tenant().clone(), SURFACE)
        }
    }
}

impl Publishes for Publishing {
    fn message(&self) -> NewMessage {
        self.message.clone()
    }
}

/// Authenticates and asks for the scope; only then is the body read.
pub(super) async fn admit(
    webhooks: &Webhooks,
    id: RequestId,
    request: Request,
) -> Result<Admitted, Failure> {
    let (parts, body) = request.into_parts();
    let from = source(&parts);
    let fabric = &webhooks.fabric;
    let now = fabric.now();
    let subject = match authenticate(webhooks, &parts, from, now).await {
        Ok(subject) => subject,
        Err(unproven) => {
            let event = Decision::new(SURFACE, Verdict::Denied, Code::of(unproven.reason()));
            fabric.metrics().decided("webhooks", "refused");
            let recorder = fabric.recorder();
            recorder.refused(from, &Tenant::default_tenant(), Some(id), event)?;
            return Err(match unproven {
                Unproven::Refused(refusal) => Failure::Caller(refusal),
                Unproven::TooMany(after) => Failure::TooManyRequests(after),
            });
        }
    };
    take(webhooks, &subject, id, from, now)?;
    if parts.method != Method::POST {
        return Err(Failure::Method);
    }
    if !says_json(&parts.headers) {
        return Err(Failure::ContentType);
    }
    let key = idempotency_key(&parts.headers)?;
    let body = axum::body::to_bytes(body, PAYLOAD_BYTES_MAX + REST_BYTES_MAX).await;
    Ok(Admitted {
        subject,
        request: id,
        from,
        now,
        key,
        body: body.map_err(|_| Failure::BodyTooLarge)?,
    })
}

/// Counts one publication of the client, or refuses.
fn take(
    webhooks: &Webhooks,
    subject: &Subject,
    id: RequestId,
    from: IpAddr,
    now: UnixTime,
) -> Result<(), Failure> {
    let fabric = &webhooks.fabric;
    let rate = fabric.webhook_rules().publishing;
    let allowance = Allowance {
        requests: rate.requests,
        per: rate.per,
    };
    let (tenant, client) = (subject.tenant(), subject.client());
    let taken = webhooks.calls.take(allowance, (tenant, client), 1, now);
    taken.map_err(|after| {
        let mut event = Decision::new(SURFACE, Verdict::Denied, Code::of("rate_limited"));
        event.client = Some(client.clone());
        fabric.metrics().decided("webhooks", "refused");
        // It is refused either way; the log's own failure is reported where it happened.
        let _ = fabric.recorder().refused(from, tenant, Some(id), event);
        Failure::RateLimited(after)
    })
}

/// Holds the publication against its event type, decides, and commits message and decision together.
pub(super) async fn publish(webhooks: &Webhooks, admitted: Admitted) -> Result<Value, Failure> {
    let asked: Asked = serde_json::from_slice(&admitted.body)
        .map_err(|_| Failure::Invalid("expected `type`, `data`, and to whom it goes"))?;
    let to = match (asked.partner, asked.everyone) {
        (Some(partner), false) => Addressee::Partner(partner),
        (None, true) => Addressee::Everyone,
        (None, false) | (Some(_), true) => {
            return Err(Failure::Invalid("say to whom: `partner`, or `everyone`"));
        }
    };
    let publication =
        Publication::new(asked.r#type, asked.version, to, asked.order_key, asked.data);
    let fabric = &webhooks.fabric;
    let Admitted {
        subject,
        request,
        from,
        now,
        key,
        body: _,
    } = admitted;
    let fitting = {
        let mut connection = fabric.store().read().await?;
        let types = &webhooks.event_types;
        let checked = types.check(&mut connection, subject.tenant(), publication);
        checked.await?.map_err(Failure::NotFitting)?
    };
    let version = fitting.version();
    let publisher = Publisher::Client(subject.client());
    let message = fitting
        .into_message(fabric, subject.tenant(), publisher, key.as_ref(), now)
        .map_err(|_| Failure::Unavailable)?;
    let id = message.message.id;
    let publishing = Publishing {
        subject,
        message,
        request,
        from,
        now,
    };
    let permitted = match decide(&fabric.policies(), publishing) {
        Ok(permitted) => permitted,
        Err(denied) => {
            fabric.metrics().decided("webhooks", "denied");
            // The answer is the same whether or not the denial could be recorded: no.
            let _ = fabric.recorder().record_denied(denied);
            return Err(Failure::Denied);
        }
    };
    fabric.metrics().decided("webhooks", "permitted");
    let store = fabric.store();
    let accepted = store.accept_permitted(fabric.recorder(), permitted, now);
    let (_recorded, accepted) = accepted.await?;
    match accepted {
        Accepted::Again => Ok(json!({ "message": id, "version": version })),
        Accepted::KeyReused => Err(Failure::KeyReused),
        Accepted::New(endpoints) => {
            Ok(json!({ "message": id, "version": version, "endpoints": endpoints }))
        }
    }
}

async fn authenticate(
    webhooks: &Webhooks,
    parts: &Parts,
    from: IpAddr,
    now: UnixTime,
) -> Result<Subject, Unproven> {
    let uri = match parts.extensions.get::<OriginalUri>() {
        Some(OriginalUri(uri)) => uri,
        None => &parts.uri,
    };
    let request = BearerRequest {
        method: &parts.method,
        target_uri: &format!("{}{}", webhooks.origin, uri.path()),
        query: uri.query(),
        headers: &parts.headers,
        peer: parts.extensions.get(),
        from,
    };
    let surface = Surface {
        fabric: &webhooks.fabric,
        audience: AUDIENCE,
        lookups: &webhooks.lookups,
    };
    let subject = surface.subject(&request, now).await?;
    let needed: Scopes = SCOPE.parse::<Scope>().into_iter().collect();
    let _held = subject.require_scopes(&needed)?;
    Ok(subject)
}

fn source(parts: &Parts) -> IpAddr {
    let remote = parts.extensions.get::<SocketAddr>();
    remote.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |remote| {
        remote.ip().to_canonical()
    })
}

/// `application/json`, whatever its parameters; once.
fn says_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let one = values.next().filter(|_| values.next().is_none());
    let kind = one
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next());
    kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// The key, quoted as the draft has it or bare: at most one, 1 to 255 visible characters.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Failure> {
    const EXPECTED: Failure = Failure::Invalid(
        "`Idempotency-Key` is one key of 1 to 255 visible characters, quoted or not",
    );
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(EXPECTED);
    }
    let text = value.to_str().map_err(|_| EXPECTED)?.trim();
    let bare = match text.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"').ok_or(EXPECTED)?,
        None => text,
    };
    let visible = |byte: u8| byte.is_ascii_graphic() && !b"\"\\".contains(&byte);
    if bare.is_empty() || !bare.bytes().all(visible) {
        return Err(EXPECTED);
    }
    IdempotencyKey::parse(bare).map(Some).map_err(|_| EXPECTED)
}
