//! What answers of the gateway's own say.

use super::GatewayBody;
use crate::idempotency::{IdempotencySpec, KeyError};
use crate::schema::Fault;
use crate::threats::work::{Posed, page};
use bytes::Bytes;
use countersign_base::RequestId;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Response, StatusCode};

/// Where a request does not fit, for whoever wrote it. Names in the pointer are their own.
pub(super) fn described(fault: &Fault, request: RequestId) -> String {
    let told = serde_json::json!({
        "request_id": request.to_string(),
        "in": fault.place().as_str(),
        "pointer": fault.pointer(),
        "keyword": fault.keyword(),
    });
    format!("{told}\n")
}

/// A problem (RFC 9457 §3): what the status says, and an id to ask with.
pub(super) fn problem(status: StatusCode, request: RequestId) -> String {
    let told = serde_json::json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or_default(),
        "status": status.as_u16(),
        "request_id": request.to_string(),
    });
    format!("{told}\n")
}

/// Makes the answer to a key that is refused a problem (RFC 9457) that says how long answers are kept, and where the route's rules for keys are written
/// (draft-ietf-httpapi-idempotency-key-header-07 §2.7).
pub(crate) fn describe_key(
    response: &mut Response<GatewayBody>,
    (code, error): (&'static str, KeyError),
    spec: &IdempotencySpec,
    request: RequestId,
) {
    let mut told = serde_json::json!({
        "code": code,
        "kept_seconds": spec.keep.as_secs(),
        "request_id": request.to_string(),
        "status": response.status().as_u16(),
        "title": error.to_string(),
    });
    let link = spec.described_by.as_deref().and_then(|page| {
        if let Some(members) = told.as_object_mut() {
            members.insert("type".to_owned(), format!("{page}#{code}").into());
        }
        HeaderValue::from_str(&format!("<{page}>; rel=\"describedby\"")).ok()
    });
    *response.body_mut() = GatewayBody::whole(Bytes::from(format!("{told}\n")));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    if let Some(link) = link {
        headers.insert(header::LINK, link);
    }
}

/// A challenge: a page for who opens one, a document for programs.
pub(super) fn challenge(posed: &Posed, request: RequestId) -> Response<GatewayBody> {
    let told = page::told(posed, request);
    let mut response = Response::new(GatewayBody::whole(Bytes::from(told.text)));
    *response.status_mut() = StatusCode::FORBIDDEN;
    let headers = response.headers_mut();
    let media_type = HeaderValue::from_static(told.media_type);
    headers.insert(header::CONTENT_TYPE, media_type);
    write_own(headers);
    if let Some(policy) = told.policy {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// What every answer of the gateway's own says to browsers: it is no page, holds no script, and is kept by nobody.
pub(super) fn write_own(headers: &mut HeaderMap) {
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        ),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::STRICT_TRANSPORT_SECURITY, "max-age=31536000"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}
