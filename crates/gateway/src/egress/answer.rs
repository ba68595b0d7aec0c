//! What workloads are told: the destination's answer, or a status, a reason in this program's vocabulary, and an id to ask with.
//!
//! A workload is no stranger: it is told which check refused it, so that its owner finds the line of the configuration; what was compared is in the log alone.

use super::standing::ASKED_EVERY;
use super::tail::Tail;
use crate::canonical::TargetError;
use bytes::Bytes;
use countersign_authn::Refusal;
use countersign_base::RequestId;
use countersign_net::egress::{DestinationError, EgressError};
use http::header::{self, HeaderValue};
use http::{Method, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// What a workload without a credential may show.
const CHALLENGES: [&str; 2] = [
    "Bearer realm=\"countersign egress\"",
    "Basic realm=\"countersign egress\", charset=\"UTF-8\"",
];

/// Why a request was not answered by its destination.
#[derive(Debug)]
pub enum EgressRefusal {
    /// An address that is not public and not excepted, or a listener of our own.
    Address(EgressError),
    /// The workload has as many tunnels and requests as it may.
    Busy,
    /// Nobody configured this certificate.
    CertificateUnknown,
    /// The destination does not take a connection.
    Connect,
    /// The destination took too long.
    ConnectTimeout,
    /// Content where none can be.
    Content,
    /// The access token.
    Credential(Refusal),
    /// `Proxy-Authorization` is repeated, too long or has no form.
    CredentialBroken,
    /// A scheme that is not taken here.
    CredentialScheme,
    /// The destination's authorization server gave no token.
    CredentialSource,
    /// Where to has no canonical form.
    Destination(DestinationError),
    /// The exchange with the destination broke off.
    Exchange,
    /// Fields that two readers could read differently.
    Fields,
    /// The host is listed, but not in this form: a tunnel where requests are, or the reverse.
    FormNotListed,
    /// No workload of this name has this key.
    KeyUnknown,
    /// It went through this proxy before.
    Loop,
    /// The host is listed, but not this method.
    MethodNotListed,
    /// No credential.
    NoCredential,
    /// No rule of the workload is about this host.
    NotListed,
    /// The host is listed, but not this path.
    PathNotListed,
    /// The destination's key is none of those that are pinned.
    Pin,
    /// Policy.
    Policy(&'static str),
    /// The host is listed, but not this port.
    PortNotListed,
    /// The log does not take the record.
    Record,
    /// The target is no URL and no authority, or has no canonical form.
    Target(TargetError),
    /// The destination's certificate or its TLS.
    Tls,
}

impl From<TargetError> for EgressRefusal {
    fn from(error: TargetError) -> Self {
        Self::Target(error)
    }
}

impl From<DestinationError> for EgressRefusal {
    fn from(error: DestinationError) -> Self {
        Self::Destination(error)
    }
}

impl EgressRefusal {
    /// The reason as records and answers name it.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Address(EgressError::Forbidden(_, special)) => special.code(),
            Self::Address(EgressError::Own(_)) => "address_own",
            Self::Address(EgressError::Unknown(..)) => "host_unknown",
            Self::Busy => "workload_busy",
            Self::CertificateUnknown => "workload_certificate_unknown",
            Self::Connect => "destination_unreachable",
            Self::ConnectTimeout => "destination_timeout",
            Self::Content => "tunnel_content",
            Self::Credential(refusal) => refusal.reason().as_str(),
            Self::CredentialBroken => "proxy_authorization_broken",
            Self::CredentialScheme => "proxy_authorization_scheme",
            Self::CredentialSource => "credential_source",
            Self::Destination(error) => error.code(),
            Self::Exchange => "destination_exchange",
            Self::Fields => "field_spelling",
            Self::FormNotListed => "form_not_listed",
            Self::KeyUnknown => "workload_key_unknown",
            Self::Loop => "proxy_loop",
            Self::MethodNotListed => "method_not_listed",
            Self::NoCredential => "no_credential",
            Self::NotListed => "host_not_listed",
            Self::PathNotListed => "path_not_listed",
            Self::Pin => "pin_mismatch",
            Self::Policy(reason) => reason,
            Self::PortNotListed => "port_not_listed",
            Self::Record => "record_unavailable",
            Self::Target(_) => "target_form",
            Self::Tls => "destination_tls",
        }
    }

    /// The status of the answer.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Content | Self::Destination(_) | Self::Fields | Self::Target(_) => {
                StatusCode::BAD_REQUEST
            }
            Self::CertificateUnknown
            | Self::Credential(_)
            | Self::CredentialBroken
            | Self::CredentialScheme
            | Self::KeyUnknown
            | Self::NoCredential => StatusCode::PROXY_AUTHENTICATION_REQUIRED,
            Self::Address(EgressError::Forbidden(..) | EgressError::Own(_))
            | Self::FormNotListed
            | Self::MethodNotListed
            | Self::NotListed
            | Self::PathNotListed
            | Self::Policy(_)
            | Self::PortNotListed => StatusCode::FORBIDDEN,
            Self::Busy => StatusCode::TOO_MANY_REQUESTS,
            Self::Address(EgressError::Unknown(..))
            | Self::Connect
            | Self::CredentialSource
            | Self::Exchange
            | Self::Pin
            | Self::Tls => StatusCode::BAD_GATEWAY,
            Self::ConnectTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Loop => StatusCode::LOOP_DETECTED,
            Self::Record => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The answer. After a `CONNECT` the connection ends: what its peer already sent behind it was meant for somebody else.
    pub(super) fn answer(&self, request: RequestId, method: &Method) -> Response<EgressBody> {
        let text = format!(
            "{{\"error\":\"{}\",\"request_id\":\"{request}\"}}\n",
            self.code()
        );
        let mut response = Response::new(EgressBody::whole(text.into()));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        for (name, value) in [
            (header::CONTENT_TYPE, "application/json"),
            (header::CACHE_CONTROL, "no-store"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if self.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
            for challenge in CHALLENGES {
                headers.append(
                    header::PROXY_AUTHENTICATE,
                    HeaderValue::from_static(challenge),
                );
            }
        }
        if *method == Method::CONNECT || self.status() == StatusCode::BAD_REQUEST {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// The answer to a `CONNECT` whose destination is connected.
pub(super) fn established() -> Response<EgressBody> {
    Response::new(EgressBody::whole(Bytes::new()))
}

/// The body of an answer.
pub(crate) struct EgressBody(Content);

enum Content {
    Streamed(Box<Streamed>),
    Whole(Option<Bytes>),
}

/// The destination's body under a limit of bytes, patience and time.
pub(super) struct Streamed {
    pub(super) body: Incoming,
    pub(super) left: u64,
    pub(super) idle: Duration,
    pub(super) until: Instant,
    pub(super) timer: Pin<Box<Sleep>>,
    /// Ready once what permitted it does so no longer.
    pub(super) withdrawn: Pin<Box<dyn Future<Output = &'static str> + Send>>,
    pub(super) began: Instant,
    pub(super) tail: Tail,
}

/// Why the body of an answer ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EgressBodyError {
    /// The destination broke off.
    #[error("the answer broke off")]
    Broken(#[source] hyper::Error),
    /// The next piece did not come in time, or all of it took too long.
    #[error("the answer stopped arriving")]
    Idle,
    /// What permitted it does so no longer.
    #[error("not permitted any more")]
    Withdrawn,
    /// More bytes than allowed.
    #[error("the answer is larger than allowed")]
    TooLarge,
}

impl EgressBody {
    fn whole(bytes: Bytes) -> Self {
        Self(Content::Whole((!bytes.is_empty()).then_some(bytes)))
    }

    pub(super) fn streamed(streamed: Streamed) -> Self {
        Self(Content::Streamed(Box::new(streamed)))
    }
}

impl Streamed {
    /// The end of an answer that is not permitted any more; why stands in the log.
    fn poll_withdrawn(&mut self, cx: &mut Context<'_>) -> Poll<EgressBodyError> {
        self.withdrawn.as_mut().poll(cx).map(|reason| {
            self.tail.withdrawn(reason);
            EgressBodyError::Withdrawn
        })
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, EgressBodyError>>> {
        loop {
            // A destination that always has more to say is not asked for it for ever.
            let now = Instant::now();
            if now >= self.until {
                return Poll::Ready(Some(Err(EgressBodyError::Idle)));
            }
            if now.duration_since(self.began) >= ASKED_EVERY
                && let Poll::Ready(error) = self.poll_withdrawn(cx)
            {
                return Poll::Ready(Some(Err(error)));
            }
            let frame = match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Pending => {
                    if let Poll::Ready(error) = self.poll_withdrawn(cx) {
                        return Poll::Ready(Some(Err(error)));
                    }
                    return self
                        .timer
                        .as_mut()
                        .poll(cx)
                        .map(|()| Some(Err(EgressBodyError::Idle)));
                }
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Ready(Some(Err(error))) => {
                    return Poll::Ready(Some(Err(EgressBodyError::Broken(error))));
                }
                Poll::Ready(Some(Ok(frame))) => frame,
            };
            let next = Instant::now() + self.idle;
            self.timer.as_mut().reset(next.min(self.until));
            // Trailers end here, as they do on the way in.
            let Ok(data) = frame.into_data() else {
                continue;
            };
            let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
            let Some(left) = self.left.checked_sub(length) else {
                return Poll::Ready(Some(Err(EgressBodyError::TooLarge)));
            };
            self.left = left;
            self.tail.passed_on(length);
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
    }
}

impl Body for EgressBody {
    type Data = Bytes;
    type Error = EgressBodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, EgressBodyError>>> {
        match &mut self.get_mut().0 {
            Content::Streamed(streamed) => streamed.poll(cx),
            Content::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Content::Streamed(streamed) => streamed.body.is_end_stream(),
            Content::Whole(bytes) => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Content::Streamed(streamed) => streamed.body.size_hint(),
            Content::Whole(bytes) => SizeHint::with_exact(
                bytes
                    .as_ref()
                    .map_or(0, |bytes| u64::try_from(bytes.len()).unwrap_or(u64::MAX)),
            ),
        }
    }
}
