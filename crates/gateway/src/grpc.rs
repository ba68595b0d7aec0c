//! What gRPC callers are told: a refusal as `grpc-status` and `grpc-message` in one head (the trailers-only answer of the gRPC protocol over HTTP/2), because a
//! gRPC client reads nothing else of it.
//!
//! Not here: messages. What passes between caller and upstream is a stream of bytes as any other.

use crate::answer::GatewayBody;
use crate::ground::Of;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use std::collections::VecDeque;
use std::time::Duration;

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");
const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/grpc");
/// Digits of a `grpc-timeout`.
const TIMEOUT_DIGITS_MAX: usize = 8;

/// The language that a caller is answered in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// gRPC's own.
    Grpc,
    /// Status and fields of HTTP.
    Http,
}

impl Dialect {
    pub(crate) fn of<B>(request: &Request<B>) -> Self {
        Self::read(request.version(), request.method(), request.headers())
    }

    fn read(version: Version, method: &Method, headers: &HeaderMap) -> Self {
        if version == Version::HTTP_2 && method == Method::POST && is_grpc(headers) {
            Self::Grpc
        } else {
            Self::Http
        }
    }

    /// A refusal of the gateway's own in this language.
    pub(crate) fn refusal(self, refused: Response<GatewayBody>) -> Response<GatewayBody> {
        match self {
            Self::Grpc => trailers_only(refused),
            Self::Http => refused,
        }
    }
}

/// A call on its way to the upstream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    /// How long its caller waits for all of it.
    pub(crate) timeout: Option<Duration>,
}

impl Call {
    pub(crate) fn of(dialect: Dialect, headers: &HeaderMap) -> Option<Self> {
        match dialect {
            Dialect::Grpc => Some(Self {
                timeout: timeout(headers),
            }),
            Dialect::Http => None,
        }
    }
}

/// Whether a message has the content type of gRPC: `application/grpc`, with a format or without. `application/grpc-web` is another protocol.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    let content = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let rest = content.and_then(|content| content.strip_prefix(b"application/grpc"));
    matches!(rest.map(<[u8]>::first), Some(None | Some(b'+' | b';')))
}

/// How long the caller waits for the whole call, if it says so as the protocol wants it; anything else is the upstream's to refuse.
fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let plain = (1..=TIMEOUT_DIGITS_MAX).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = digits.parse().ok().filter(|_| plain)?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3_600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

/// The end of a call that took longer than its caller waits.
pub(crate) fn deadline_exceeded() -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert(STATUS, HeaderValue::from_static("4"));
    trailers.insert(MESSAGE, HeaderValue::from_static("the deadline passed"));
    trailers
}

/// The end of a call that is not permitted any more.
pub(crate) fn withdrawn(of: Of) -> HeaderMap {
    let (status, message) = match of {
        Of::Credential => ("16", "the credential has ended"),
        Of::Permission => ("7", "not permitted any more"),
    };
    let mut trailers = HeaderMap::new();
    trailers.insert(STATUS, HeaderValue::from_static(status));
    trailers.insert(MESSAGE, HeaderValue::from_static(message));
    trailers
}

fn trailers_only(refused: Response<GatewayBody>) -> Response<GatewayBody> {
    let (mut head, body) = refused.into_parts();
    let body = body.text();
    let text = std::str::from_utf8(&body).unwrap_or_default();
    // The request's id is all that the body says; what gRPC would have to escape is not in it.
    let id = text.split('"').nth(3).unwrap_or_default();
    let headers = &mut head.headers;
    headers.insert(header::CONTENT_TYPE, CONTENT_TYPE);
    headers.insert(STATUS, HeaderValue::from(code(head.status)));
    crate::headers::set(
        headers,
        MESSAGE,
        &format!("{} request {id}", word(head.status)),
    );
    let seconds = headers.get(header::RETRY_AFTER);
    let seconds = seconds.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if let Some(seconds) = seconds {
        headers.insert(PUSHBACK, HeaderValue::from(seconds.saturating_mul(1_000)));
    }
    head.status = StatusCode::OK;
    Response::from_parts(head, GatewayBody::own(VecDeque::new()))
}

/// The code that a status of ours becomes.
fn code(status: StatusCode) -> u16 {
    match status {
        StatusCode::BAD_REQUEST => 3,
        StatusCode::UNAUTHORIZED => 16,
        StatusCode::FORBIDDEN => 7,
        StatusCode::NOT_FOUND => 12,
        StatusCode::CONFLICT => 10,
        StatusCode::PAYLOAD_TOO_LARGE | StatusCode::TOO_MANY_REQUESTS => 8,
        StatusCode::UNPROCESSABLE_ENTITY => 9,
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE => 14,
        StatusCode::GATEWAY_TIMEOUT => 4,
        status if status.is_client_error() => 9,
        status if status.is_server_error() => 13,
        _ => 2,
    }
}

fn word(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or("refused")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Denial;
    use crate::upstream::PassError;
    use countersign_authn::Binding;
    use countersign_base::RequestId;

    #[test]
    fn a_call_is_known_by_its_content_type() {
        for (content, grpc) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc; charset=utf-8", true),
            ("application/grpc-web", false),
            ("application/grpcx", false),
            ("application/json", false),
        ] {
            let headers: HeaderMap = [(header::CONTENT_TYPE, HeaderValue::from_static(content))]
                .into_iter()
                .collect();
            assert_eq!(is_grpc(&headers), grpc, "{content}");
            let dialect = Dialect::read(Version::HTTP_2, &Method::POST, &headers);
            assert_eq!(dialect == Dialect::Grpc, grpc);
            let dialect = Dialect::read(Version::HTTP_11, &Method::POST, &headers);
            assert_eq!(dialect, Dialect::Http);
        }
    }

    #[test]
    fn a_timeout_is_at_most_eight_digits_and_a_unit() {
        let read = |text: &'static str| {
            timeout(
                &[(TIMEOUT, HeaderValue::from_static(text))]
                    .into_iter()
                    .collect(),
            )
        };
        assert_eq!(read("5S"), Some(Duration::from_secs(5)));
        assert_eq!(
            read("99999999H"),
            Some(Duration::from_secs(99_999_999 * 3_600))
        );
        assert_eq!(read("100m"), Some(Duration::from_millis(100)));
        assert_eq!(read("7u"), Some(Duration::from_micros(7)));
        assert_eq!(read("7n"), Some(Duration::from_nanos(7)));
        assert_eq!(read("1M"), Some(Duration::from_secs(60)));
        for broken in ["", "S", "5", "5s", "-5S", "+5S", "100000000S", "5 S", "5SS"] {
            assert_eq!(read(broken), None, "{broken}");
        }
    }

    #[test]
    fn a_refusal_is_a_head_that_grpc_reads() {
        let told = |denial: Denial| {
            let refused = denial.answer(RequestId::from_bytes([7; 16]), Binding::Any);
            Dialect::Grpc.refusal(refused)
        };
        let limited = told(Denial::RateLimited {
            retry_after_seconds: 7,
        });
        assert_eq!(limited.status(), StatusCode::OK);
        let value = |name: &str| limited.headers()[name].to_str().unwrap();
        assert_eq!(value("grpc-status"), "8");
        assert_eq!(value("grpc-retry-pushback-ms"), "7000");
        assert_eq!(value("content-type"), "application/grpc");
        assert!(value("grpc-message").ends_with("07070707070707070707070707070707"));
        assert!(http_body::Body::is_end_stream(limited.body()));
        for (denial, code) in [
            (Denial::BodyTooLarge, "8"),
            (Denial::Overloaded, "14"),
            (Denial::Pass(PassError::Timeout), "4"),
            (Denial::Pass(PassError::Body), "3"),
            (Denial::NoRoute(crate::routes::NoRoute::Path), "12"),
        ] {
            assert_eq!(told(denial).headers()["grpc-status"], code);
        }
    }
}
