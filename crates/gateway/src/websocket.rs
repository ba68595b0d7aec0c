//! WebSocket (RFC 6455): the handshake as a request that is judged like any other.
//!
//! A route says that it takes them; anywhere else a handshake is refused. Browsers send cookies along with a handshake from any page and apply no CORS to it, so the
//! gateway asks for the page's origin: that of the target itself, or one of the route's `cors`. Nothing of the other protocol goes on before the upstream answered 101
//! (FRM-10): until then what the caller sends is framed as HTTP, and broken as such. After it, [`tunnel`] carries bytes.
//!
//! Not here: frames, but for where one ends ([`frames`]). WebSocket over HTTP/2 (RFC 8441) is not offered: see `docs/protocols.md`.

pub mod frames;
pub(crate) mod tunnel;

use crate::canonical::CanonicalTarget;
use crate::routes::{Route, Upgrade};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Version, request};
use hyper::upgrade::OnUpgrade;
use std::time::Duration;

const KEY: HeaderName = header::SEC_WEBSOCKET_KEY;
const VERSION: HeaderName = header::SEC_WEBSOCKET_VERSION;
/// The one version of the protocol.
pub(crate) const VERSION_13: HeaderValue = HeaderValue::from_static("13");
const UPGRADE: HeaderValue = HeaderValue::from_static("Upgrade");
const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");
/// How long neither side may send anything, unless the route says otherwise.
pub const IDLE: Duration = Duration::from_secs(300);

/// Why a handshake ends here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UpgradeError {
    /// It is not the handshake of RFC 6455 §4.2.1.
    #[error("not a handshake of a WebSocket")]
    Broken,
    /// The route takes none.
    #[error("the route takes no WebSocket")]
    NotTaken,
    /// A page of an origin that may not call this route.
    #[error("a page of another origin")]
    Origin,
    /// Another version than 13.
    #[error("not version 13")]
    Version,
}

/// A handshake of a caller that may have one if policy permits it; with it comes the caller's connection.
pub(crate) struct Handshake(pub(crate) OnUpgrade);

/// Marks a request whose answer may be 101.
#[derive(Clone, Copy)]
pub(crate) struct Switching;

/// Whether pages of the origin that the request names may call the route, by its `cors`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PageOrigin {
    Listed,
    Unlisted,
}

/// What a request would like its connection to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Nothing,
    WebSocket,
}

/// The handshake in a request; none if it is a plain request, whatever else it would like to upgrade to.
pub(crate) fn handshake(
    head: &request::Parts,
    target: &CanonicalTarget,
    route: &Route,
    origin: PageOrigin,
) -> Result<Asked, UpgradeError> {
    // Most requests end here.
    if !head.headers.contains_key(header::UPGRADE)
        || !names(&head.headers, &header::UPGRADE, "websocket")
    {
        return Ok(Asked::Nothing);
    }
    let headers = &head.headers;
    match route.upgrade {
        Upgrade::Refused if headers.contains_key(KEY) => return Err(UpgradeError::NotTaken),
        // No handshake, so nobody would take it for one.
        Upgrade::Refused => return Ok(Asked::Nothing),
        Upgrade::WebSocket => {}
    }
    let plain = head.method == Method::GET
        && head.version == Version::HTTP_11
        && names(headers, &header::CONNECTION, "upgrade")
        && !headers.contains_key(header::TRANSFER_ENCODING)
        && headers
            .get(header::CONTENT_LENGTH)
            .is_none_or(|length| length == "0");
    if !plain || !one(headers, &KEY).is_some_and(is_key) {
        return Err(UpgradeError::Broken);
    }
    if one(headers, &VERSION) != Some(&VERSION_13) {
        return Err(UpgradeError::Version);
    }
    if let Some(page) = headers.get(header::ORIGIN) {
        let own = format!("https://{}", target.authority());
        if origin == PageOrigin::Unlisted && page.as_bytes() != own.as_bytes() {
            return Err(UpgradeError::Origin);
        }
    }
    Ok(Asked::WebSocket)
}

/// Writes what asks for the switch, or says that it is made: the two fields of one hop.
pub(crate) fn write_switch(headers: &mut HeaderMap) {
    headers.insert(header::CONNECTION, UPGRADE);
    headers.insert(header::UPGRADE, WEBSOCKET);
}

/// Whether an answer says that the upstream speaks WebSocket from now on, and nothing else.
pub(crate) fn is_switch(headers: &HeaderMap) -> bool {
    one(headers, &header::UPGRADE)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

fn names(headers: &HeaderMap, field: &HeaderName, wanted: &str) -> bool {
    headers.get_all(field).iter().any(|value| {
        let mut named = value.as_bytes().split(|byte| *byte == b',');
        named.any(|name| name.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes()))
    })
}

fn one<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// Base64 of sixteen bytes.
fn is_key(value: &HeaderValue) -> bool {
    let Some((digits, b"==")) = value.as_bytes().split_at_checked(22) else {
        return false;
    };
    digits
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_sixteen_bytes_in_base64() {
        for (key, good) in [
            ("dGhlIHNhbXBsZSBub25jZQ==", true),
            ("+/hlIHNhbXBsZSBub25jZQ==", true),
            ("dGhlIHNhbXBsZSBub25jZQ=", false),
            ("dGhlIHNhbXBsZSBub25jZ===", false),
            ("dGhlIHNhbXBsZSBub25j==ZQ", false),
            ("dGhlIHNhbXBsZSBub25jZQ==a", false),
            ("-_hlIHNhbXBsZSBub25jZQ==", false),
            ("", false),
        ] {
            assert_eq!(is_key(&HeaderValue::from_static(key)), good, "{key}");
        }
    }

    #[test]
    fn a_switch_is_to_websocket_alone() {
        let answer = |value: &'static str| {
            [(header::UPGRADE, HeaderValue::from_static(value))]
                .into_iter()
                .collect()
        };
        assert!(is_switch(&answer("websocket")) && is_switch(&answer("WebSocket")));
        assert!(!is_switch(&answer("h2c")) && !is_switch(&answer("websocket, h2c")));
        assert!(!is_switch(&HeaderMap::new()));
    }
}
