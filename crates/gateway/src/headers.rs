//! What stays of a caller's header fields on the way to the upstream, and what the gateway says there itself (HDR-1 to HDR-8).
//!
//! Fields that the gateway sets, and fields that upstreams commonly trust, are removed in upper and lower case (hyper has folded that
//! already), however often they stand there. With underscores or dots for dashes they can only be meant to get past somebody: such a request
//! is refused, as is one that repeats a field of which upstreams read the first or the last. Fields of one hop end here (RFC 9110 §7.6.1). Nothing that `Connection` names can
//! remove what the gateway sets, because it sets its own fields afterwards.

use countersign_authn::api_key::{self, ApiKeyField};
use countersign_oauth::session::COOKIE_PREFIXES;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use std::net::IpAddr;

/// The person, client or workload, as the token names them.
pub const SUBJECT: HeaderName = HeaderName::from_static("countersign-subject");
/// The client that got the token.
pub const CLIENT: HeaderName = HeaderName::from_static("countersign-client");
/// The tenant.
pub const TENANT: HeaderName = HeaderName::from_static("countersign-tenant");
/// The scopes of the caller's token.
pub const SCOPES: HeaderName = HeaderName::from_static("countersign-scopes");
/// The request's id, in the audit log too.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("countersign-request-id");
/// The audit event of the decision.
pub const DECISION: HeaderName = HeaderName::from_static("countersign-decision");

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const DPOP: HeaderName = HeaderName::from_static("dpop");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Beginnings of names that no caller may send on. Names are compared after `_` and `.` became `-`.
const TRUSTED_PREFIXES: [&str; 25] = [
    "countersign-",
    "x-countersign-",
    "x-forwarded-",
    "x-original-",
    "x-rewrite-",
    "x-auth-",
    "x-authenticated-",
    "x-client-cert",
    "x-ssl-",
    "client-cert",
    "remote-",
    "x-remote-",
    "x-webauth-",
    "x-user-",
    // Kong.
    "x-consumer-",
    "x-credential-",
    // Clouds, meshes and identity proxies.
    "cf-access-",
    "tailscale-",
    "x-amzn-oidc-",
    "x-authentik-",
    "x-envoy-",
    "x-goog-",
    "x-ms-client-",
    "x-pomerium-",
    "x-vouch-",
];
/// Whole names that no caller may send on.
const TRUSTED_NAMES: [&str; 26] = [
    "authenticated-user",
    "cf-connecting-ip",
    "client-ip",
    "fastly-client-ip",
    "forwarded",
    "front-end-https",
    "proxy",
    "proxy-client-ip",
    "ssl-client-cert",
    "true-client-ip",
    "wl-proxy-client-ip",
    "x-amzn-request-context",
    "x-client-dn",
    "x-client-ip",
    "x-client-verify",
    "x-cluster-client-ip",
    "x-endpoint-api-userinfo",
    "x-forwarded",
    "x-host",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-real-ip",
    "x-scheme",
    "x-url-scheme",
    "x-user",
];

/// Names that stand in a head and never in trailers.
const HEAD_ALONE: [HeaderName; 17] = [
    header::AGE,
    header::AUTHORIZATION,
    header::CACHE_CONTROL,
    header::CONTENT_ENCODING,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    header::COOKIE,
    header::DATE,
    header::EXPIRES,
    header::HOST,
    header::LOCATION,
    header::RETRY_AFTER,
    header::SET_COOKIE,
    header::STRICT_TRANSPORT_SECURITY,
    header::VARY,
    header::WARNING,
    header::WWW_AUTHENTICATE,
];

/// Names that frame or type a message or hold a credential: in another spelling some servers read them as these (CGI knows underscores alone).
const FRAMING_NAMES: [&str; 4] = [
    "content-length",
    "content-type",
    "transfer-encoding",
    "x-api-key",
];

/// Why fields could be read in two ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// A field that may stand there once stands there twice.
    #[error("a field that has one value is repeated")]
    Repeated,
    /// A name that only differs from a trusted one by underscores or dots.
    #[error("a trusted field is written with underscores or dots")]
    Spelling,
}

/// Refuses fields that two readers could read differently.
///
/// # Errors
/// See [`FieldError`].
pub fn unambiguous(headers: &HeaderMap) -> Result<(), FieldError> {
    let respelled = headers.keys().any(|name| {
        let name = name.as_str();
        name.contains(['_', '.']) && {
            let dashed = name.replace(['_', '.'], "-");
            is_trusted_dashed(&dashed) || FRAMING_NAMES.contains(&dashed.as_str())
        }
    });
    if respelled {
        return Err(FieldError::Spelling);
    }
    let repeated = [
        header::CONTENT_TYPE,
        header::CONTENT_ENCODING,
        header::ORIGIN,
    ]
    .iter()
    .any(|name| headers.get_all(name).iter().nth(1).is_some());
    if repeated {
        return Err(FieldError::Repeated);
    }
    Ok(())
}

/// Removes what no caller may send on, and what belongs to this hop alone.
pub fn remove_untrusted(headers: &mut HeaderMap) {
    remove_hop_by_hop(headers);
    remove_trusted(headers);
    headers.remove(header::EXPECT);
}

/// Removes what upstreams may take for the word of a proxy, and proofs of possession.
pub(crate) fn remove_trusted(headers: &mut HeaderMap) {
    let untrusted: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_trusted_name(name.as_str()))
        .cloned()
        .collect();
    for name in untrusted {
        headers.remove(name);
    }
    // A proof of possession was made for this gateway and is worthless, or worse, behind it.
    headers.remove(DPOP);
}

/// The names of fields that no caller may send on, as far as they are whole names.
pub(crate) fn trusted_names() -> impl Iterator<Item = HeaderName> {
    let own = [SUBJECT, CLIENT, TENANT, SCOPES, REQUEST_ID, DECISION];
    let forwarded = [FORWARDED_FOR, FORWARDED_HOST, FORWARDED_PROTO, DPOP];
    own.into_iter()
        .chain(forwarded)
        .chain(TRUSTED_NAMES.into_iter().map(HeaderName::from_static))
}

/// Removes an API key of ours: the whole field where the route takes keys in it, and anywhere else what looks like one of ours, which was sent to the wrong route.
pub fn remove_api_key(headers: &mut HeaderMap, taken: Option<ApiKeyField>) {
    let ours = match taken {
        Some(ApiKeyField::ApiKey) => true,
        Some(ApiKeyField::Authorization) | None => headers
            .get_all(api_key::FIELD)
            .iter()
            .any(|value| value.as_bytes().starts_with(api_key::PREFIX.as_bytes())),
    };
    if ours {
        headers.remove(api_key::FIELD);
    }
}

/// Removes the fabric's own cookies from a request: who is signed in here is no upstream's business. Other cookies keep their order.
pub fn remove_own_cookies(headers: &mut HeaderMap) {
    let own = headers
        .get_all(header::COOKIE)
        .iter()
        .any(|value| cookies(value).any(is_own_cookie));
    if !own {
        return;
    }
    // HTTP/2 may send each cookie in a line of its own (RFC 9113 §8.2.3); an upstream gets one line.
    let left: Vec<&[u8]> = headers
        .get_all(header::COOKIE)
        .iter()
        .flat_map(cookies)
        .filter(|cookie| !cookie.is_empty() && !is_own_cookie(cookie))
        .collect();
    match HeaderValue::from_bytes(&left.join(&b"; "[..])) {
        Ok(value) if !left.is_empty() => _ = headers.insert(header::COOKIE, value),
        Ok(_) | Err(_) => _ = headers.remove(header::COOKIE),
    }
}

/// Removes cookies from an answer that an upstream sets in the fabric's name: browsers would take them to the fabric.
pub fn remove_planted_cookies(headers: &mut HeaderMap) {
    let planted = |value: &HeaderValue| cookies(value).next().is_some_and(is_own_cookie);
    if !headers.get_all(header::SET_COOKIE).iter().any(planted) {
        return;
    }
    let honest: Vec<HeaderValue> = headers
        .get_all(header::SET_COOKIE)
        .iter()
        .filter(|value| !planted(value))
        .cloned()
        .collect();
    headers.remove(header::SET_COOKIE);
    for value in honest {
        headers.append(header::SET_COOKIE, value);
    }
}

/// The parts between semicolons, without the space around them.
fn cookies(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value
        .as_bytes()
        .split(|byte| *byte == b';')
        .map(<[u8]>::trim_ascii)
}

/// Whether it is `NAME=VALUE` with a name of ours; some servers take names without regard to case.
fn is_own_cookie(cookie: &[u8]) -> bool {
    let name = cookie
        .split(|byte| *byte == b'=')
        .next()
        .unwrap_or_default()
        .trim_ascii();
    COOKIE_PREFIXES.iter().any(|prefix| {
        name.get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
    })
}

/// Removes the fields of one hop, of a request or an answer: the fixed ones and those that `Connection` names. Framing is written anew by
/// whoever sends the message on.
pub fn remove_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(header::CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(header::CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok())
            .collect();
        for name in named {
            headers.remove(name);
        }
        headers.remove(header::CONNECTION);
    }
    for name in [
        header::CONTENT_LENGTH,
        header::PROXY_AUTHENTICATE,
        header::PROXY_AUTHORIZATION,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        HTTP2_SETTINGS,
        KEEP_ALIVE,
        PROXY_CONNECTION,
    ] {
        headers.remove(name);
    }
}

/// Removes from the trailers of an answer what may stand in a head alone (RFC 9110 §6.5.1): framing, routing, cookies, credentials and their challenges, and what only a
/// gateway says (HDR-8).
pub(crate) fn remove_from_trailers(trailers: &mut HeaderMap) {
    remove_hop_by_hop(trailers);
    remove_trusted(trailers);
    for name in HEAD_ALONE {
        trailers.remove(name);
    }
    let cors: Vec<HeaderName> = trailers
        .keys()
        .filter(|name| name.as_str().starts_with("access-control-"))
        .cloned()
        .collect();
    for name in cors {
        trailers.remove(name);
    }
}

/// Whether upstreams may take the field for something that a proxy in front of them said.
fn is_trusted_name(name: &str) -> bool {
    // Most names begin with a letter that no trusted one begins with.
    let first = name.as_bytes().first().copied().unwrap_or(0);
    if !matches!(
        first,
        b'a' | b'c' | b'f' | b'p' | b'r' | b's' | b't' | b'w' | b'x'
    ) {
        return false;
    }
    if name.contains(['_', '.']) {
        let dashed = name.replace(['_', '.'], "-");
        return is_trusted_dashed(&dashed);
    }
    is_trusted_dashed(name)
}

fn is_trusted_dashed(name: &str) -> bool {
    TRUSTED_NAMES.binary_search(&name).is_ok()
        || TRUSTED_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix))
}

/// Says where the request came from: address, host and scheme as this gateway saw them.
pub(crate) fn set_forwarded(headers: &mut HeaderMap, remote: IpAddr, authority: &str) {
    set(headers, FORWARDED_FOR, &remote.to_canonical().to_string());
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static("https"));
    set(headers, FORWARDED_HOST, authority);
}

/// Sets `name`, or removes it when the text can't stand in a field: a caller's text never becomes half a field.
pub(crate) fn set(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    match HeaderValue::from_str(text) {
        Ok(value) => _ = headers.insert(name, value),
        Err(_) => _ = headers.remove(name),
    }
}

#[cfg(test)]
mod tests;
