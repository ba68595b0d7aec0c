//! Who asks: a client of a tenant of ours, by an access token for the decision point, with the scope for what it does, and by policy.

use super::answer::Failure;
use super::{AUDIENCE, Access, QUESTIONS};
use crate::bearer::{BearerRequest, Surface, Unproven};
use axum::body::Bytes;
use axum::extract::{OriginalUri, Request};
use countersign_audit::event::{Decision, Verdict};
use countersign_audit::{Code, Text};
use countersign_authn::Subject;
use countersign_base::{ClientId, RequestId, Scope, Scopes, Tenant, UnixTime};
use countersign_policy::{Permitted, Query, Target, decide, vocabulary};
use countersign_store::{About, Durability, Recordable, Recorded};
use http::request::Parts;
use http::{Method, header};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The door that records name.
pub(super) const SURFACE: Code = Code::of("access");
/// Bytes of a request's body.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// What a caller needs a scope for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Right {
    /// To ask about somebody and something that it names.
    Evaluate,
    /// To be told whom or what a permit is for.
    Search,
}

impl Right {
    const fn operation(self) -> &'static str {
        match self {
            Self::Evaluate => "evaluate",
            Self::Search => "search",
        }
    }

    /// What a call counts for, against what its client may ask.
    const fn questions(self) -> u32 {
        match self {
            Self::Evaluate => 1,
            Self::Search => 20,
        }
    }

    fn scopes(self) -> Scopes {
        let name = match self {
            Self::Evaluate => "access.evaluate",
            Self::Search => "access.search",
        };
        name.parse::<Scope>().into_iter().collect()
    }
}

/// That a client asks its decision point.
pub(super) struct Ask {
    subject: Subject,
    right: Right,
    request: RequestId,
    from: IpAddr,
    now: UnixTime,
}

impl Target for Ask {
    fn query(&self) -> Query {
        let mut context = BTreeMap::from([
            ("operation".to_owned(), self.right.operation().into()),
            (
                "scopes".to_owned(),
                vocabulary::scope_set(self.subject.scopes()),
            ),
            (
                "binding".to_owned(),
                vocabulary::binding(&self.subject).into(),
            ),
            ("time".to_owned(), self.now.0.into()),
        ]);
        context.insert("source".to_owned(), self.from.into());
        Query {
            principal: vocabulary::principal(&self.subject),
            action: "ask".to_owned(),
            resource: vocabulary::decision_point(self.subject.tenant()),
            context,
            others: Vec::new(),
        }
    }
}

impl Recordable for Ask {
    fn about(&self) -> About {
        About {
            request: Some(self.request),
            client: Some(self.subject.client().clone()),
            user: self.subject.user(),
            grant: self.subject.grant(),
            action: Text::of(&format!("ask.{}", self.right.operation())),
            resource: Text::of("DecisionPoint"),
            ..About::new(self.subject.tenant().clone(), SURFACE)
        }
    }
}

/// Evidence that a client may ask, which is recorded.
pub(super) struct Asker(Recorded<Permitted<Ask>>);

impl Asker {
    fn ask(&self) -> &Ask {
        self.0.decision().target()
    }

    pub(super) fn tenant(&self) -> &Tenant {
        self.ask().subject.tenant()
    }

    pub(super) fn client(&self) -> &ClientId {
        self.ask().subject.client()
    }

    pub(super) fn request(&self) -> RequestId {
        self.ask().request
    }

    pub(super) fn now(&self) -> UnixTime {
        self.ask().now
    }
}

impl From<Unproven> for Failure {
    fn from(unproven: Unproven) -> Self {
        match unproven {
            Unproven::Refused(refusal) => Self::Caller(refusal),
            Unproven::TooMany(after) => Self::TooManyRequests(after),
        }
    }
}

/// A call that may be answered.
pub(super) struct Admitted {
    pub(super) asker: Asker,
    pub(super) body: Bytes,
}

/// Authenticates, decides and records; only then is the body read.
pub(super) async fn admit(
    access: &Access,
    id: RequestId,
    request: Request,
    right: Right,
) -> Result<Admitted, Failure> {
    let (parts, body) = request.into_parts();
    let from = source(&parts);
    let fabric = &access.fabric;
    let now = fabric.now();
    let subject = match authenticate(access, &parts, right, from, now).await {
        Ok(subject) => subject,
        Err(unproven) => {
            let reason = Code::of(unproven.reason());
            let event = Decision::new(SURFACE, Verdict::Denied, reason);
            fabric.metrics().decided("access", "refused");
            fabric
                .recorder()
                .refused(from, &Tenant::default_tenant(), Some(id), event)?;
            return Err(unproven.into());
        }
    };
    let ask = Ask {
        subject,
        right,
        request: id,
        from,
        now,
    };
    let asker = match decide(&fabric.policies(), ask) {
        Ok(permitted) => Asker(
            fabric
                .recorder()
                .record(permitted, Durability::Queued)
                .await?,
        ),
        Err(denied) => {
            fabric.metrics().decided("access", "denied");
            // The answer is the same whether or not the denial could be recorded: no.
            let _ = fabric.recorder().record_denied(denied);
            return Err(Failure::Denied);
        }
    };
    take(access, &asker, right.questions())?;
    if parts.method != Method::POST {
        return Err(Failure::Method("POST"));
    }
    if !says_json(&parts) {
        return Err(Failure::ContentType);
    }
    let body = axum::body::to_bytes(body, BODY_BYTES_MAX).await;
    let body = body.map_err(|_| Failure::BodyTooLarge)?;
    Ok(Admitted { asker, body })
}

/// Takes so many questions of what the client may ask, or refuses.
pub(super) fn take(access: &Access, asker: &Asker, questions: u32) -> Result<(), Failure> {
    let (tenant, client) = (asker.tenant(), asker.client());
    let of = (tenant, client);
    let taken = access.calls.take(QUESTIONS, of, questions, asker.now());
    taken.map_err(|after| {
        let mut event = Decision::new(SURFACE, Verdict::Denied, Code::of("rate_limited"));
        event.client = Some(client.clone());
        let (from, request) = (asker.ask().from, Some(asker.request()));
        access.fabric.metrics().decided("access", "refused");
        let recorder = access.fabric.recorder();
        // It is refused either way; the log's own failure is reported where it happened.
        let _ = recorder.refused(from, tenant, request, event);
        Failure::RateLimited(after)
    })
}

fn source(parts: &Parts) -> IpAddr {
    let remote = parts.extensions.get::<SocketAddr>();
    remote.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |remote| {
        remote.ip().to_canonical()
    })
}

/// `application/json`, whatever its parameters; once.
fn says_json(parts: &Parts) -> bool {
    let mut values = parts.headers.get_all(header::CONTENT_TYPE).iter();
    let one = values.next().filter(|_| values.next().is_none());
    let kind = one
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next());
    kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

async fn authenticate(
    access: &Access,
    parts: &Parts,
    right: Right,
    from: IpAddr,
    now: UnixTime,
) -> Result<Subject, Unproven> {
    let uri = match parts.extensions.get::<OriginalUri>() {
        Some(OriginalUri(uri)) => uri,
        None => &parts.uri,
    };
    let request = BearerRequest {
        method: &parts.method,
        target_uri: &format!("{}{}", access.origin, uri.path()),
        query: uri.query(),
        headers: &parts.headers,
        peer: parts.extensions.get(),
        from,
    };
    let surface = Surface {
        fabric: &access.fabric,
        audience: AUDIENCE,
        lookups: &access.lookups,
    };
    let subject = surface.subject(&request, now).await?;
    let _held = subject.require_scopes(&right.scopes())?;
    Ok(subject)
}
