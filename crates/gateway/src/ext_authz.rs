//! Requests that Envoy has before it: the gRPC service `envoy.service.auth.v3.Authorization` (its `ext_authz` filter).
//!
//! It is [`crate::forward_auth`] in another language: the same proxies may ask, shown by the same secret (in the call's metadata) or certificate, and what they
//! describe takes the same way. Two things differ. Envoy names the caller's fields one by one and does with them what it is told, so a field that only a gateway may
//! set is not refused but removed: the answer names every field that [`crate::forward`] would have set or removed. And the address is the one that Envoy itself saw
//! (`source`), not a field.
//!
//! Not here: the request's body, certificates of callers (they end at Envoy: a token that is bound to one is refused), exchange of tokens.

mod proto;

pub(crate) use proto::{CheckRequest, CheckResponse};

use crate::forward::Edits;
use crate::forward_auth::{Described, ForwardError};
use bytes::Bytes;
use countersign_base::{Conditional, NoTls};
use countersign_net::{Connection, FramingWatch};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, StatusCode, Uri, Version, request};
use prost::Message;
use proto::{
    BoolValue, DeniedHttpResponse, HeaderField, HeaderValueOption, HttpRequest, HttpResponse,
    HttpStatus, OkHttpResponse, RpcStatus,
};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Where Envoy asks.
pub const PATH: &str = "/envoy.service.auth.v3.Authorization/Check";
/// Bytes of a question: the caller's header fields, twice at most, with their names.
pub(crate) const QUESTION_BYTES_MAX: usize = 256 * 1024;

/// `HeaderAppendAction`: in the place of what is there.
const OVERWRITE_IF_EXISTS_OR_ADD: i32 = 2;
/// `google.rpc.Code`
const PERMISSION_DENIED: i32 = 7;
const UNAUTHENTICATED: i32 = 16;

/// Whether the bytes of a question describe one request: what comes before anybody judges it.
///
/// # Errors
/// See [`ForwardError`].
pub fn read(bytes: &[u8]) -> Result<(), ForwardError> {
    let question = CheckRequest::decode(bytes).map_err(|_| ForwardError::Description)?;
    head_of(question).map(|_described| ())
}

/// The request that is asked about, on a connection that says where it came from and nothing else of its caller.
pub(crate) fn described(
    connection: &Connection,
    question: CheckRequest,
) -> Result<Described, ForwardError> {
    let (remote, head) = head_of(question)?;
    let connection = Connection {
        // The certificate of the connection is Envoy's and speaks for no caller.
        peer: Conditional::Absent(NoTls::NoCertificate),
        remote: SocketAddr::new(remote, 0),
        scheme: connection.scheme,
        ja4: None,
        framing: FramingWatch::default(),
    };
    Ok(Described {
        connection: Arc::new(connection),
        head,
    })
}

/// Where the request came from, and its head.
fn head_of(question: CheckRequest) -> Result<(IpAddr, request::Parts), ForwardError> {
    let attributes = question.attributes.ok_or(ForwardError::Description)?;
    let remote = attributes
        .source
        .and_then(|peer| peer.address?.socket_address)
        .and_then(|address| address.address.parse::<IpAddr>().ok())
        .ok_or(ForwardError::Description)?;
    let http = attributes.request.and_then(|request| request.http);
    let http = http.ok_or(ForwardError::Description)?;
    let (mut head, ()) = Request::new(()).into_parts();
    head.headers = fields(&http)?;
    if http.scheme != "https" {
        return Err(ForwardError::Plaintext);
    }
    head.method =
        Method::from_bytes(http.method.as_bytes()).map_err(|_| ForwardError::Description)?;
    head.uri = target(&http.path)?;
    let host = HeaderValue::from_str(&http.host).map_err(|_| ForwardError::Description)?;
    if host.is_empty() {
        return Err(ForwardError::Description);
    }
    head.headers.insert(header::HOST, host);
    head.version = Version::HTTP_11;
    Ok((remote, head))
}

/// A path, so that the host comes from one place alone.
fn target(path: &str) -> Result<Uri, ForwardError> {
    let uri: Uri = path.parse().map_err(|_| ForwardError::Description)?;
    if !path.starts_with('/') || path.contains('#') || uri.authority().is_some() {
        return Err(ForwardError::Description);
    }
    Ok(uri)
}

/// The caller's fields. What describes the request a second time must describe the same one.
fn fields(http: &HttpRequest) -> Result<HeaderMap, ForwardError> {
    let mut fields = HeaderMap::new();
    let listed = http.header_map.iter().flat_map(|list| &list.headers);
    let listed = listed.map(|field| match field.raw_value.is_empty() {
        true => (field.key.as_str(), field.value.as_bytes()),
        false => (field.key.as_str(), &field.raw_value[..]),
    });
    let joined = http
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        // With both, the list alone counts: it keeps apart what the other joins.
        .filter(|_| http.header_map.is_none());
    for (name, value) in listed.chain(joined) {
        let same = match name {
            ":method" => Some(http.method.as_str()),
            ":path" => Some(http.path.as_str()),
            ":authority" | "host" => Some(http.host.as_str()),
            ":scheme" => Some(http.scheme.as_str()),
            // `:protocol`: an extended CONNECT, which has no route.
            _ if name.starts_with(':') => return Err(ForwardError::Description),
            _ => None,
        };
        match same {
            Some(same) if same.as_bytes() == value => {}
            Some(_) => return Err(ForwardError::Description),
            None => {
                let name = HeaderName::from_bytes(name.as_bytes());
                let value = HeaderValue::from_bytes(value);
                let (Ok(name), Ok(value)) = (name, value) else {
                    return Err(ForwardError::Description);
                };
                fields.append(name, value);
            }
        }
    }
    Ok(fields)
}

/// The answer about a request that was permitted: what its upstream and its caller are told.
pub(crate) fn permitted(edits: &Edits, told: &HeaderMap) -> CheckResponse {
    CheckResponse {
        status: Some(RpcStatus { code: 0 }),
        http_response: Some(HttpResponse::Permitted(OkHttpResponse {
            headers: options(&edits.set),
            headers_to_remove: edits.remove.iter().map(ToString::to_string).collect(),
            response_headers_to_add: options(told),
        })),
    }
}

/// The answer about a request that was refused: what its caller is told.
pub(crate) fn refused(status: StatusCode, headers: &HeaderMap, body: &Bytes) -> CheckResponse {
    let code = match status {
        StatusCode::UNAUTHORIZED => UNAUTHENTICATED,
        _ => PERMISSION_DENIED,
    };
    CheckResponse {
        status: Some(RpcStatus { code }),
        http_response: Some(HttpResponse::Denied(DeniedHttpResponse {
            status: Some(HttpStatus {
                code: i32::from(status.as_u16()),
            }),
            headers: options(headers),
            body: String::from_utf8_lossy(body).into_owned(),
        })),
    }
}

fn options(headers: &HeaderMap) -> Vec<HeaderValueOption> {
    let options = headers.iter().filter_map(|(name, value)| {
        Some(HeaderValueOption {
            header: Some(HeaderField {
                key: name.to_string(),
                // Text of the protocol is UTF-8; what is none stands among the fields to be removed.
                value: std::str::from_utf8(value.as_bytes()).ok()?.to_owned(),
                raw_value: Bytes::new(),
            }),
            append: Some(BoolValue { value: false }),
            append_action: OVERWRITE_IF_EXISTS_OR_ADD,
        })
    });
    options.collect()
}

#[cfg(test)]
mod tests;
