//! Where a workload wants to go, read once: `CONNECT host:port`, or a method and a whole URL.
//!
//! The path of a URL takes the canonical form that paths have on the way in, and is refused where that refuses. RFC 9112 §3.2.2, §3.2.3.

use super::answer::EgressRefusal;
use crate::canonical::{TargetError, canonical_path_and_query};
use crate::headers::unambiguous;
use countersign_net::Destination;
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, Method, Uri, Version, header};

/// Proxies that a request may have behind it.
const VIA_MAX: usize = 8;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    destination: Destination,
    how: How,
}

/// How it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum How {
    /// A tunnel: what goes through it nobody here reads.
    Connect,
    /// A request to a URL.
    Request {
        /// Whether the URL says `https`.
        scheme: AskedScheme,
        /// The method.
        method: Method,
        /// Its canonical path and query.
        path: PathAndQuery,
    },
}

/// The scheme of the URL in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AskedScheme {
    Http,
    Https,
}

impl AskedScheme {
    pub(super) const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl Asked {
    /// Reads the target of a request to the proxy.
    pub(super) fn of(
        method: &Method,
        uri: &Uri,
        version: Version,
        headers: &HeaderMap,
    ) -> Result<Self, EgressRefusal> {
        unambiguous(headers).map_err(|_| EgressRefusal::Fields)?;
        let authority = uri.authority().ok_or(TargetError::Form)?.as_str();
        if *method == Method::CONNECT {
            if uri.scheme().is_some() || uri.path_and_query().is_some() {
                return Err(TargetError::Form.into());
            }
            let destination = Destination::parse(authority)?;
            // A tunnel has no content, so that nothing after the head could be taken for it (RFC 9110 §9.3.6).
            if headers.contains_key(header::CONTENT_LENGTH)
                || headers.contains_key(header::TRANSFER_ENCODING)
            {
                return Err(EgressRefusal::Content);
            }
            same_host(version, headers, &destination, |host| {
                Destination::parse_or(host, AskedScheme::Https.port())
            })?;
            return Ok(Self {
                destination,
                how: How::Connect,
            });
        }
        let scheme = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => AskedScheme::Http,
            Some(scheme) if *scheme == Scheme::HTTPS => AskedScheme::Https,
            Some(_) => return Err(TargetError::Scheme.into()),
            None => return Err(TargetError::Form.into()),
        };
        let destination = Destination::parse_or(authority, scheme.port())?;
        same_host(version, headers, &destination, |host| {
            Destination::parse_or(host, scheme.port())
        })?;
        let given = uri.path_and_query().ok_or(TargetError::Form)?;
        Ok(Self {
            destination,
            how: How::Request {
                scheme,
                method: method.clone(),
                path: canonical_path_and_query(given)?,
            },
        })
    }

    /// Where to, as it was asked for.
    pub(super) const fn destination(&self) -> &Destination {
        &self.destination
    }

    /// How.
    pub(super) const fn how(&self) -> &How {
        &self.how
    }
}

/// `Host` says the same as the target (RFC 9112 §3.2: the target counts; two opinions are one too many).
fn same_host(
    version: Version,
    headers: &HeaderMap,
    destination: &Destination,
    read: impl Fn(&str) -> Result<Destination, countersign_net::egress::DestinationError>,
) -> Result<(), EgressRefusal> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host,
        // HTTP/1.0 knows no such field.
        (None, _) if version == Version::HTTP_10 => return Ok(()),
        (None, _) | (Some(_), Some(_)) => return Err(TargetError::Authority.into()),
    };
    let host = host.to_str().map_err(|_| TargetError::Authority)?;
    if read(host).as_ref() == Ok(destination) {
        Ok(())
    } else {
        Err(TargetError::Authority.into())
    }
}

/// Refuses a request that this proxy has passed on before, or that went through too many (RFC 9110 §7.6.3).
pub(super) fn not_in_a_loop(headers: &HeaderMap, pseudonym: &str) -> Result<(), EgressRefusal> {
    let hops = headers
        .get_all(header::VIA)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let mut count = 0;
    for hop in hops {
        count += 1;
        let ours = hop
            .split(u8::is_ascii_whitespace)
            .any(|word| word.eq_ignore_ascii_case(pseudonym.as_bytes()));
        if ours || count > VIA_MAX {
            return Err(EgressRefusal::Loop);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
