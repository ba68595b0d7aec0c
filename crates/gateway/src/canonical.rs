//! One form of a request's target. Routing, policy, audit and the upstream all read this and nothing else (PATH-1 to PATH-17).
//!
//! Every segment of the path is decoded once, judged, and encoded once. What two readers could read differently is refused, not repaired:
//! dot segments, dots written as escapes, empty segments, encoded or literal separators (`/`, `\`, `;`, `?`, `#`), control characters,
//! escapes that would survive a second decoding, escapes in both cases, segments that end in a dot or a space, bytes that are not UTF-8.
//! Letters keep their case: paths are compared exactly.
//!
//! RFC 3986 §6.2.2 (escapes, case of the host), RFC 9110 §7.2 and RFC 9112 §3.2 (`Host` and the forms of the target), RFC 9113 §8.3.1.

use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, Method, Uri, header};
use std::borrow::Cow;
use std::fmt::Write;

/// Bytes of a path and its query together.
pub const TARGET_BYTES_MAX: usize = 8 * 1024;
/// Segments of a path.
pub const SEGMENTS_MAX: usize = 64;
/// Bytes of a host name (RFC 1035 §2.3.4), with room for a port.
const AUTHORITY_BYTES_MAX: usize = 262;

/// Why a target has no canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// `Host` is absent, repeated, malformed, or differs from the authority in the target.
    #[error("expected one valid host, the same wherever it is written")]
    Authority,
    /// A control character or NUL, literal or escaped.
    #[error("the target has a control character")]
    Control,
    /// `.` or `..`, literal or escaped, or any dot that is written as an escape.
    #[error("the path has a dot segment or an escaped dot")]
    DotSegment,
    /// Two slashes in a row.
    #[error("the path has an empty segment")]
    EmptySegment,
    /// `%` that is not followed by two hexadecimal digits, an escape hidden in an escape, or escapes in upper and in lower case.
    #[error("the target has a broken or doubled escape, or escapes in both cases")]
    Escape,
    /// Neither a path nor an absolute URI: `*`, or an authority alone.
    #[error("the target is not a path")]
    Form,
    /// The target is absolute and names another scheme than the connection has.
    #[error("the target's scheme is not `https`")]
    Scheme,
    /// `;`, `\`, or an escaped `/`, `?` or `#`.
    #[error("the path has a separator that others may read differently")]
    Separator,
    /// Past [`TARGET_BYTES_MAX`] or [`SEGMENTS_MAX`].
    #[error("the target is too long")]
    TooLong,
    /// A segment that ends in a dot or a space.
    #[error("a segment of the path ends in a dot or a space")]
    TrailingDotOrSpace,
    /// Bytes that are not UTF-8, or not ASCII where only ASCII may stand.
    #[error("the target is not UTF-8")]
    Utf8,
}

/// The canonical target of a request: method, authority, path and query, each in its one form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanonicalTarget {
    method: Method,
    host: String,
    port: Option<u16>,
    path_and_query: PathAndQuery,
}

impl CanonicalTarget {
    /// The canonical form of what a request line and its `Host` (or `:authority`) say.
    ///
    /// # Errors
    /// See [`TargetError`].
    pub fn of(method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<Self, TargetError> {
        if *method == Method::CONNECT {
            return Err(TargetError::Form);
        }
        if uri.scheme().is_some_and(|scheme| *scheme != Scheme::HTTPS) {
            return Err(TargetError::Scheme);
        }
        let (host, port) = authority(uri, headers)?;
        let given = uri.path_and_query().ok_or(TargetError::Form)?;
        Ok(Self {
            method: method.clone(),
            host,
            port,
            path_and_query: canonical_path_and_query(given)?,
        })
    }

    /// The method.
    #[must_use]
    pub const fn method(&self) -> &Method {
        &self.method
    }

    /// The host in lower case, without port.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The path: canonical, escaped.
    #[must_use]
    pub fn path(&self) -> &str {
        self.path_and_query.path()
    }

    /// The query: canonical, escaped; absent if there was none.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.path_and_query.query()
    }

    /// Path and query as they go to the upstream.
    #[must_use]
    pub const fn path_and_query(&self) -> &PathAndQuery {
        &self.path_and_query
    }

    /// Host and port as the caller addressed us; the default port of `https` is left out.
    #[must_use]
    pub fn authority(&self) -> String {
        let mut text = String::with_capacity(self.host.len() + 6);
        self.write_authority(&mut text);
        text
    }

    /// The target URI without query, the form in which DPoP proofs name it (RFC 9449 §4.3, `htu`).
    #[must_use]
    pub fn target_uri(&self) -> String {
        let mut text = String::with_capacity(8 + self.host.len() + 6 + self.path().len());
        text.push_str("https://");
        self.write_authority(&mut text);
        text.push_str(self.path());
        text
    }

    fn write_authority(&self, text: &mut String) {
        text.push_str(&self.host);
        if let Some(port) = self.port {
            // Writing into a String can't fail.
            let _ = write!(text, ":{port}");
        }
    }
}

/// The segment's text without escapes. Canonical segments decode to UTF-8 without surprises, or they would not be canonical.
#[must_use]
pub fn decoded(segment: &str) -> Cow<'_, str> {
    percent_encoding::percent_decode_str(segment).decode_utf8_lossy()
}

fn authority(uri: &Uri, headers: &HeaderMap) -> Result<(String, Option<u16>), TargetError> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let field = match (hosts.next(), hosts.next()) {
        (Some(value), None) => Some(parse_authority(
            value.to_str().map_err(|_| TargetError::Authority)?,
        )?),
        (None, _) => None,
        (Some(_), Some(_)) => return Err(TargetError::Authority),
    };
    let target = match uri.authority() {
        Some(authority) => Some(parse_authority(authority.as_str())?),
        None => None,
    };
    match (field, target) {
        (Some(field), Some(target)) if field == target => Ok(field),
        (Some(one), None) | (None, Some(one)) => Ok(one),
        (Some(_), Some(_)) | (None, None) => Err(TargetError::Authority),
    }
}

fn parse_authority(text: &str) -> Result<(String, Option<u16>), TargetError> {
    if text.len() > AUTHORITY_BYTES_MAX {
        return Err(TargetError::Authority);
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(parse_port(port)?)),
        Some(_) | None => (text, None),
    };
    let bracketed = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let valid = match bracketed {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => is_name(host),
    };
    if !valid {
        return Err(TargetError::Authority);
    }
    Ok((host.to_ascii_lowercase(), port.filter(|port| *port != 443)))
}

fn parse_port(text: &str) -> Result<u16, TargetError> {
    let digits = (1..=5).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && !text.starts_with('0');
    if !digits {
        return Err(TargetError::Authority);
    }
    text.parse().map_err(|_| TargetError::Authority)
}

/// A registered name or an IPv4 address: labels of letters, digits and inner dashes; no empty label, so no trailing dot.
fn is_name(host: &str) -> bool {
    host.split('.').all(|label| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    })
}

pub(crate) fn canonical_path_and_query(given: &PathAndQuery) -> Result<PathAndQuery, TargetError> {
    if given.as_str().len() > TARGET_BYTES_MAX {
        return Err(TargetError::TooLong);
    }
    let path = given.path();
    let query = given.query();
    // The usual request is canonical already: its bytes are shared, not copied.
    if is_plainly_canonical(path) && query.is_none_or(is_plain_query) {
        return Ok(given.clone());
    }
    one_case_of_escapes(given.as_str())?;
    let mut text = canonical_path(path)?;
    if let Some(query) = query {
        text.push('?');
        push_canonical_query(&mut text, query)?;
    }
    PathAndQuery::try_from(text).map_err(|_| TargetError::Form)
}

/// A conservative answer in one pass: `true` means that [`canonical_path`] would return the same text.
fn is_plainly_canonical(path: &str) -> bool {
    let mut previous = 0;
    let mut segments = 0;
    if !path.starts_with('/') {
        return false;
    }
    for byte in path.bytes() {
        match byte {
            b'/' if previous == b'/' || previous == b'.' => return false,
            b'/' => segments += 1,
            _ if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~' | b'.') => {}
            _ => return false,
        }
        previous = byte;
    }
    previous != b'.' && segments <= SEGMENTS_MAX
}

fn is_plain_query(query: &str) -> bool {
    query.bytes().all(|byte| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'_' | b'~' | b'.' | b'=' | b'&' | b',')
    })
}

/// The canonical form of a path.
///
/// # Errors
/// See [`TargetError`].
pub fn canonical_path(path: &str) -> Result<String, TargetError> {
    if path.len() > TARGET_BYTES_MAX {
        return Err(TargetError::TooLong);
    }
    one_case_of_escapes(path)?;
    let rest = path.strip_prefix('/').ok_or(TargetError::Form)?;
    let mut text = String::with_capacity(path.len());
    let mut segments = rest.split('/').peekable();
    let mut count = 0;
    while let Some(segment) = segments.next() {
        count += 1;
        if count > SEGMENTS_MAX {
            return Err(TargetError::TooLong);
        }
        text.push('/');
        match (segment.is_empty(), segments.peek().is_some()) {
            // `/` alone, and one slash at the end.
            (true, false) => {}
            (true, true) => return Err(TargetError::EmptySegment),
            (false, _) => push_canonical_segment(&mut text, segment)?,
        }
    }
    // Escaping makes a path longer; the limit is on what goes on as well as on what came.
    if text.len() > TARGET_BYTES_MAX {
        return Err(TargetError::TooLong);
    }
    Ok(text)
}

fn push_canonical_segment(text: &mut String, segment: &str) -> Result<(), TargetError> {
    let decoded = judged(segment)?;
    if decoded
        .chars()
        .any(|c| matches!(c, '/' | '\\' | ';' | '?' | '#'))
    {
        return Err(TargetError::Separator);
    }
    if decoded == "." || decoded == ".." {
        return Err(TargetError::DotSegment);
    }
    if decoded.ends_with(['.', ' ']) {
        return Err(TargetError::TrailingDotOrSpace);
    }
    if segment.contains("%2e") || segment.contains("%2E") {
        return Err(TargetError::DotSegment);
    }
    let literal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@".contains(&byte);
    for byte in decoded.bytes() {
        if literal(byte) {
            text.push(char::from(byte))
        } else {
            push_escape(text, byte)
        }
    }
    Ok(())
}

/// In a query, `&`, `=`, `+`, `;` and their escapes mean different things, so escapes of anything but unreserved characters stay.
fn push_canonical_query(text: &mut String, query: &str) -> Result<(), TargetError> {
    judged(query)?;
    let mut bytes = query.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let (Some(high), Some(low)) = (bytes.next().and_then(hex), bytes.next().and_then(hex))
            else {
                return Err(TargetError::Escape);
            };
            let value = high * 16 + low;
            if is_unreserved(value) {
                text.push(char::from(value))
            } else {
                push_escape(text, value)
            }
        } else {
            let literal = is_unreserved(byte) || b"!$&'()*+,;=:@/?".contains(&byte);
            if literal {
                text.push(char::from(byte))
            } else {
                push_escape(text, byte)
            }
        }
    }
    Ok(())
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn push_escape(text: &mut String, byte: u8) {
    // Writing into a String can't fail.
    let _ = write!(text, "%{byte:02X}");
}

/// Decodes `text` once and refuses what no reader should have to interpret: literal bytes beyond ASCII, broken escapes, bytes that are not
/// UTF-8, control characters, and escapes that a second decoding would find.
fn judged(text: &str) -> Result<String, TargetError> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let (Some(high), Some(low)) = (bytes.next().and_then(hex), bytes.next().and_then(hex))
            else {
                return Err(TargetError::Escape);
            };
            decoded.push(high * 16 + low);
        } else if byte.is_ascii() {
            decoded.push(byte);
        } else {
            return Err(TargetError::Utf8);
        }
    }
    let decoded = String::from_utf8(decoded).map_err(|_| TargetError::Utf8)?;
    if decoded.chars().any(char::is_control) {
        return Err(TargetError::Control);
    }
    if decoded.as_bytes().windows(3).any(is_escape) {
        return Err(TargetError::Escape);
    }
    Ok(decoded)
}

/// `%c3%A9` was put together from two spellings: readers that compare paths as text disagree about which is meant. One case throughout is
/// fine, and becomes upper case (RFC 3986 §6.2.2.1).
fn one_case_of_escapes(text: &str) -> Result<(), TargetError> {
    let digits = || {
        text.split('%')
            .skip(1)
            .flat_map(|after| after.bytes().take(2))
    };
    let lower = digits().any(|digit| matches!(digit, b'a'..=b'f'));
    let upper = digits().any(|digit| matches!(digit, b'A'..=b'F'));
    if lower && upper {
        return Err(TargetError::Escape);
    }
    Ok(())
}

fn is_escape(window: &[u8]) -> bool {
    matches!(window, [b'%', high, low] if hex(*high).is_some() && hex(*low).is_some())
}

const fn hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
