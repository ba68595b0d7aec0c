//! What callers are told: the upstream's answer, or a status, the RFC's challenge, and an id to ask with. Why exactly is in the log alone.

mod body;
mod own;

use crate::attributes::AttributeError;
use crate::canonical::TargetError;
use crate::content::ContentError;
use crate::cors::PreflightError;
use crate::exchange::ExchangeError;
use crate::forward_auth::ForwardError;
use crate::headers::FieldError;
use crate::idempotency::KeyError;
use crate::messages::MessageDenial;
use crate::pipeline::SessionDenial;
use crate::planes::Seen;
use crate::routes::NoRoute;
use crate::schema::Fault;
use crate::threats::ThreatRefusal;
use crate::threats::work::Posed;
use crate::upstream::{PassError, RETRY_AFTER};
use crate::webhooks::{AGAIN_SECONDS, DeniedKind, WebhookDenied};
use crate::websocket::{UpgradeError, VERSION_13};
pub use body::{GatewayBody, Unfinished};
use bytes::Bytes;
use countersign_authn::Refusal;
use countersign_authn::dpop::DPOP_NONCE_HEADER;
use countersign_authn::{Binding, Challenge};
use countersign_base::RequestId;
use countersign_policy::DenialReason;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
pub(crate) use own::describe_key;
use own::{challenge, described, write_own};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Why a request was not answered by its upstream.
#[derive(Debug, thiserror::Error)]
pub enum Denial {
    /// What policy needs to know of the object cannot be had.
    #[error("{0}")]
    Attributes(AttributeError),
    /// Policy permits it to who does some work first.
    #[error("proof_of_work_required")]
    Challenge(Box<Posed>),
    /// The body is larger than the route allows.
    #[error("body_too_large")]
    BodyTooLarge,
    /// What it carries, where that has to be seen before it is decided about.
    #[error("{0}")]
    Content(ContentError),
    /// The credential, its proof or its scopes.
    #[error("{0}")]
    Credential(Refusal),
    /// The upstream's token.
    #[error("exchange: {0}")]
    Exchange(ExchangeError),
    /// The header fields could be read in two ways.
    #[error("{0}")]
    Fields(FieldError),
    /// What a proxy says of the request that it holds.
    #[error("{0}")]
    Forwarded(ForwardError),
    /// The request's `Idempotency-Key`, or what it was used for.
    #[error("idempotency: {0}")]
    Key(KeyError),
    /// The counts that processes share are away, and the route is closed then.
    #[error("limiter_away")]
    LimiterAway,
    /// Too many requests at this moment from callers of this kind.
    #[error("limiter_full")]
    LimiterFull,
    /// A partner's message, or the one that the answer should be.
    #[error("{}", .0.code())]
    Message(MessageDenial),
    /// No route.
    #[error("{0}")]
    NoRoute(NoRoute),
    /// The upstream.
    #[error("{0}")]
    Pass(PassError),
    /// Too many requests are under way.
    #[error("overloaded")]
    Overloaded,
    /// Policy.
    #[error("{0}")]
    Policy(DenialReason),
    /// A page of another origin asks for what it may not do.
    #[error("{0}")]
    Preflight(PreflightError),
    /// A limit of the route lets nothing through at the moment.
    #[error("rate_limited")]
    RateLimited {
        /// Seconds until one request would be let through.
        retry_after_seconds: u64,
    },
    /// The decision could not be recorded: then the doors are closed.
    #[error("record_unavailable")]
    Record,
    /// Policy permits it after a stronger or later sign-in: the challenge of RFC 9470.
    #[error("{0}")]
    StepUp(Refusal),
    /// It is not what the route's document says.
    #[error("{0}")]
    Schema(Box<Fault>),
    /// A session of a browser: its cookie, its beginning, its end.
    #[error("{}", .0.code())]
    Session(Box<SessionDenial>),
    /// The target has no canonical form.
    #[error("{0}")]
    Target(TargetError),
    /// A handshake of a WebSocket.
    #[error("{0}")]
    Upgrade(UpgradeError),
    /// Where it comes from, or what it looks like.
    #[error("{0}")]
    Threat(ThreatRefusal),
    /// A webhook.
    #[error("{}", .0.reason)]
    Webhook(WebhookDenied),
}

impl Denial {
    /// A denial by policy; one that another sign-in would lift is a challenge.
    pub(crate) fn by_policy(reason: &DenialReason) -> Self {
        match reason.step_up() {
            Some(demand) => Self::StepUp(Refusal::insufficient_authentication(demand)),
            None => Self::Policy(reason.clone()),
        }
    }

    /// The reason as records name it.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Attributes(error) => error.code(),
            Self::BodyTooLarge => "body_too_large",
            Self::Challenge(_) => "proof_of_work_required",
            Self::Content(error) => error.code(),
            Self::Credential(refusal) => refusal.reason().as_str(),
            Self::Exchange(ExchangeError::Denied) => "exchange_denied",
            Self::Exchange(ExchangeError::Unavailable) => "exchange_unavailable",
            Self::Fields(FieldError::Repeated) => "field_repeated",
            Self::Fields(FieldError::Spelling) => "field_spelling",
            Self::Forwarded(ForwardError::Body) => "forward_body",
            Self::Forwarded(ForwardError::Description) => "forward_description",
            Self::Forwarded(ForwardError::Field) => "forward_field",
            Self::Forwarded(ForwardError::Plaintext) => "forward_plaintext",
            Self::Forwarded(ForwardError::Untrusted) => "proxy_untrusted",
            Self::Key(KeyError::Away) => "idempotency_away",
            Self::Key(KeyError::Broken) => "idempotency_key_broken",
            Self::Key(KeyError::InProgress) => "idempotency_in_progress",
            Self::Key(KeyError::Mismatch) => "idempotency_mismatch",
            Self::Key(KeyError::Missing) => "idempotency_key_missing",
            Self::Key(KeyError::NoRoom) => "idempotency_no_room",
            Self::Key(KeyError::NotKept) => "idempotency_not_kept",
            Self::Key(KeyError::Short) => "idempotency_key_short",
            Self::Key(KeyError::Unknown) => "idempotency_outcome_unknown",
            Self::LimiterAway => "limiter_away",
            Self::LimiterFull => "limiter_full",
            Self::Message(denial) => denial.code(),
            Self::NoRoute(NoRoute::Host) => "no_route_host",
            Self::NoRoute(NoRoute::Method) => "no_route_method",
            Self::NoRoute(NoRoute::Path) => "no_route_path",
            Self::Overloaded => "overloaded",
            Self::Pass(PassError::Body) => "body_broken",
            Self::Pass(PassError::BodyTooLarge) => "body_too_large",
            Self::Pass(PassError::Busy) => "upstream_busy",
            Self::Pass(PassError::Connect(_)) => "upstream_connect",
            Self::Pass(PassError::Ejected { .. }) => "upstream_ejected",
            Self::Pass(PassError::Handshake(_)) => "upstream_handshake",
            Self::Pass(PassError::CutShort(_) | PassError::Http(_)) => "upstream_broke_off",
            Self::Pass(PassError::NoRoom) => "body_no_room",
            Self::Pass(PassError::Projection(error)) => error.code(),
            Self::Pass(PassError::RefusedStream) => "upstream_refused_stream",
            Self::Pass(PassError::Switch) => "upstream_switch",
            Self::Pass(PassError::Timeout) => "upstream_timeout",
            Self::Policy(reason) => reason.as_str(),
            Self::Preflight(PreflightError::Field) => "preflight_field",
            Self::Preflight(PreflightError::Origin) => "preflight_origin",
            Self::RateLimited { .. } => "rate_limited",
            Self::Record => "record_unavailable",
            Self::StepUp(_) => "step_up_required",
            Self::Schema(fault) => fault.code(),
            Self::Session(denial) => denial.code(),
            Self::Target(TargetError::Authority) => "target_authority",
            Self::Target(TargetError::Control) => "target_control",
            Self::Target(TargetError::DotSegment) => "target_dot_segment",
            Self::Target(TargetError::EmptySegment) => "target_empty_segment",
            Self::Target(TargetError::Escape) => "target_escape",
            Self::Target(TargetError::Form) => "target_form",
            Self::Target(TargetError::Scheme) => "target_scheme",
            Self::Target(TargetError::Separator) => "target_separator",
            Self::Target(TargetError::TooLong) => "target_too_long",
            Self::Target(TargetError::TrailingDotOrSpace) => "target_trailing_dot_or_space",
            Self::Target(TargetError::Utf8) => "target_utf8",
            Self::Upgrade(UpgradeError::Broken) => "upgrade_broken",
            Self::Upgrade(UpgradeError::NotTaken) => "upgrade_not_taken",
            Self::Upgrade(UpgradeError::Origin) => "upgrade_origin",
            Self::Upgrade(UpgradeError::Version) => "upgrade_version",
            Self::Threat(refusal) => refusal.code(),
            Self::Webhook(denied) => denied.reason,
        }
    }

    /// What exactly was wrong, for the record: nothing that a caller wrote.
    pub(crate) fn detail(&self) -> Option<String> {
        match self {
            Self::Schema(fault) => Some(fault.detail()),
            Self::Threat(refusal) => refusal.detail(),
            _ => None,
        }
    }

    /// What became of the request, for metrics.
    pub(crate) const fn seen(&self) -> Seen {
        match self {
            Self::Challenge(_) | Self::Policy(_) | Self::StepUp(_) => Seen::Denied,
            Self::Webhook(WebhookDenied {
                kind: DeniedKind::Forbidden,
                ..
            }) => Seen::Denied,
            Self::Exchange(_) | Self::Key(_) | Self::Pass(_) => Seen::Permitted,
            Self::Message(denial) => denial.seen(),
            Self::Attributes(_)
            | Self::BodyTooLarge
            | Self::Content(_)
            | Self::Credential(_)
            | Self::Fields(_)
            | Self::Forwarded(_)
            | Self::LimiterAway
            | Self::LimiterFull
            | Self::NoRoute(_)
            | Self::Preflight(_)
            | Self::Overloaded
            | Self::RateLimited { .. }
            | Self::Record
            | Self::Schema(_)
            | Self::Session(_)
            | Self::Target(_)
            | Self::Threat(_)
            | Self::Upgrade(_)
            | Self::Webhook(_) => Seen::Refused,
        }
    }

    /// The status that the caller sees.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Attributes(error) => error.status(),
            Self::BodyTooLarge
            | Self::Content(ContentError::TooLarge)
            | Self::Pass(PassError::BodyTooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Content(ContentError::Encoded | ContentError::MediaType) => {
                StatusCode::UNSUPPORTED_MEDIA_TYPE
            }
            Self::Credential(refusal) | Self::StepUp(refusal) => refusal.status(),
            Self::Schema(fault) => fault.status(),
            Self::Challenge(_)
            | Self::Content(ContentError::Attribute)
            | Self::Exchange(ExchangeError::Denied)
            | Self::Forwarded(ForwardError::Untrusted)
            | Self::Policy(_)
            | Self::Preflight(_)
            | Self::Threat(_) => StatusCode::FORBIDDEN,
            Self::Forwarded(
                ForwardError::Body
                | ForwardError::Description
                | ForwardError::Field
                | ForwardError::Plaintext,
            ) => StatusCode::BAD_REQUEST,
            Self::Content(ContentError::NoRoom)
            | Self::Exchange(ExchangeError::Unavailable)
            | Self::Key(KeyError::Away | KeyError::NoRoom)
            | Self::LimiterAway
            | Self::LimiterFull
            | Self::Overloaded
            | Self::Pass(PassError::Busy | PassError::Ejected { .. } | PassError::NoRoom)
            | Self::Record => StatusCode::SERVICE_UNAVAILABLE,
            Self::Message(denial) => denial.status(),
            Self::NoRoute(_) => StatusCode::NOT_FOUND,
            Self::Session(denial) => denial.status(),
            Self::Content(
                ContentError::Broken | ContentError::Json(_) | ContentError::Unexpected,
            )
            | Self::Fields(_)
            | Self::Key(KeyError::Broken | KeyError::Missing | KeyError::Short)
            | Self::Pass(PassError::Body)
            | Self::Target(_) => StatusCode::BAD_REQUEST,
            Self::Key(KeyError::InProgress | KeyError::NotKept | KeyError::Unknown) => {
                StatusCode::CONFLICT
            }
            Self::Key(KeyError::Mismatch) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Pass(
                PassError::Connect(_)
                | PassError::CutShort(_)
                | PassError::Handshake(_)
                | PassError::Http(_)
                | PassError::Projection(_)
                | PassError::RefusedStream
                | PassError::Switch,
            ) => StatusCode::BAD_GATEWAY,
            Self::Pass(PassError::Timeout) => StatusCode::GATEWAY_TIMEOUT,
            Self::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Upgrade(UpgradeError::Broken) => StatusCode::BAD_REQUEST,
            Self::Upgrade(UpgradeError::NotTaken | UpgradeError::Origin) => StatusCode::FORBIDDEN,
            Self::Upgrade(UpgradeError::Version) => StatusCode::UPGRADE_REQUIRED,
            Self::Webhook(denied) => denied.kind.status(),
        }
    }

    /// The answer: status, challenge, and a body that holds the request's id and nothing else.
    pub(crate) fn answer(&self, request: RequestId, binding: Binding) -> Response<GatewayBody> {
        if let Self::Challenge(posed) = self {
            return challenge(posed, request);
        }
        let body = Bytes::from(match self {
            Self::Schema(fault) => described(fault, request),
            _ => format!("{{\"request_id\":\"{request}\"}}\n"),
        });
        let mut response = Response::new(GatewayBody::whole(body));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        write_own(headers);
        if let Self::Credential(refusal) | Self::StepUp(refusal) = self {
            refusal.write_headers(Challenge { binding }, headers);
        }
        if let Self::Upgrade(UpgradeError::Version) = self {
            // RFC 6455 §4.4.
            headers.insert(header::SEC_WEBSOCKET_VERSION, VERSION_13);
        }
        if let Self::Session(denial) = self
            && let SessionDenial::SignIn { location } = denial.as_ref()
        {
            crate::headers::set(headers, header::LOCATION, location);
        }
        if let Some(seconds) = self.retry_after_seconds() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }

    /// When to come back, of refusals that time heals.
    const fn retry_after_seconds(&self) -> Option<u64> {
        match self {
            Self::RateLimited {
                retry_after_seconds,
            }
            | Self::Pass(PassError::Ejected {
                retry_after_seconds,
            }) => Some(*retry_after_seconds),
            Self::Webhook(WebhookDenied {
                kind: DeniedKind::Unavailable,
                ..
            }) => Some(AGAIN_SECONDS),
            Self::Content(ContentError::NoRoom)
            | Self::Key(KeyError::Away | KeyError::InProgress | KeyError::NoRoom)
            | Self::LimiterAway
            | Self::Overloaded
            | Self::Pass(PassError::Busy | PassError::NoRoom) => Some(RETRY_AFTER.as_secs()),
            Self::Attributes(_)
            | Self::BodyTooLarge
            | Self::Challenge(_)
            | Self::Content(
                ContentError::Attribute
                | ContentError::Broken
                | ContentError::Encoded
                | ContentError::Json(_)
                | ContentError::MediaType
                | ContentError::TooLarge
                | ContentError::Unexpected,
            )
            | Self::Credential(_)
            | Self::Exchange(_)
            | Self::Fields(_)
            | Self::Forwarded(_)
            | Self::Key(
                KeyError::Broken
                | KeyError::Mismatch
                | KeyError::Missing
                | KeyError::NotKept
                | KeyError::Short
                | KeyError::Unknown,
            )
            | Self::LimiterFull
            | Self::Message(_)
            | Self::NoRoute(_)
            | Self::Pass(
                PassError::Body
                | PassError::BodyTooLarge
                | PassError::Connect(_)
                | PassError::CutShort(_)
                | PassError::Handshake(_)
                | PassError::Http(_)
                | PassError::Projection(_)
                | PassError::RefusedStream
                | PassError::Switch
                | PassError::Timeout,
            )
            | Self::Policy(_)
            | Self::Preflight(_)
            | Self::Record
            | Self::StepUp(_)
            | Self::Schema(_)
            | Self::Session(_)
            | Self::Target(_)
            | Self::Threat(_)
            | Self::Upgrade(_)
            | Self::Webhook(_) => None,
        }
    }
}

impl Denial {
    /// The answer to whoever sends webhooks (RFC 9457): status and the request's id, and nothing of what was wrong.
    pub(crate) fn problem(&self, request: RequestId) -> Response<GatewayBody> {
        let status = self.status();
        let mut response = short(status, Bytes::from(own::problem(status, request)));
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if status == StatusCode::UNAUTHORIZED {
            // RFC 9110 §15.5.2 asks for a challenge, and no registered one says that a signature is wanted.
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Signature realm=\"webhooks\""),
            );
        }
        if let Some(seconds) = self.retry_after_seconds() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// An answer of the gateway's own without a word: a preflight's.
pub(crate) fn no_content() -> Response<GatewayBody> {
    let mut response = Response::new(GatewayBody::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    write_own(response.headers_mut());
    response
}

/// An answer of the gateway's own that sends a browser on with `GET`, whatever it came with, and sets these cookies.
pub(crate) fn redirect(location: &str, cookies: &[String]) -> Response<GatewayBody> {
    let mut response = short(StatusCode::SEE_OTHER, Bytes::new());
    let headers = response.headers_mut();
    crate::headers::set(headers, header::LOCATION, location);
    for cookie in cookies {
        if let Ok(value) = HeaderValue::from_str(cookie) {
            headers.append(header::SET_COOKIE, value);
        }
    }
    response
}

/// A short answer of the gateway's own.
pub(crate) fn short(status: StatusCode, body: Bytes) -> Response<GatewayBody> {
    let mut response = Response::new(GatewayBody::whole(body));
    *response.status_mut() = status;
    write_own(response.headers_mut());
    response
}

/// The fields that every answer of a route with a limit carries.
pub(crate) struct LimitFields {
    pub(crate) policy: HeaderValue,
    pub(crate) left: HeaderValue,
}

impl LimitFields {
    pub(crate) fn write(self, headers: &mut HeaderMap) {
        headers.insert(RATE_LIMIT, self.left);
        headers.insert(RATE_LIMIT_POLICY, self.policy);
    }
}

/// Hands out the nonce that the next proof must carry (RFC 9449 §8.2).
pub(crate) fn write_nonce(headers: &mut HeaderMap, nonce: &str) {
    crate::headers::set(headers, DPOP_NONCE_HEADER, nonce);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_learn_a_status_and_an_id() {
        let denial = Denial::Policy(DenialReason::QueryInvalid("secret detail".to_owned()));
        let response = denial.answer(RequestId::from_bytes([7; 16]), Binding::Required);
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        let body = response.body().text();
        assert_eq!(
            body.as_ref(),
            b"{\"request_id\":\"07070707070707070707070707070707\"}\n"
        );
    }

    #[test]
    fn a_limit_says_when_to_come_back() {
        let response = Denial::RateLimited {
            retry_after_seconds: 7,
        }
        .answer(RequestId::from_bytes([0; 16]), Binding::Any);
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers().get(header::RETRY_AFTER).unwrap(), "7");
    }

    #[test]
    fn own_answers_are_no_pages() {
        let denial = Denial::Record.answer(RequestId::from_bytes([0; 16]), Binding::Any);
        for response in [denial, no_content()] {
            let value = |name: HeaderName| response.headers().get(name).unwrap().to_str().unwrap();
            assert!(value(header::CONTENT_SECURITY_POLICY).starts_with("default-src 'none'"));
            assert_eq!(value(header::X_CONTENT_TYPE_OPTIONS), "nosniff");
            assert_eq!(value(header::CACHE_CONTROL), "no-store");
            assert_eq!(value(header::REFERRER_POLICY), "no-referrer");
        }
    }
}
