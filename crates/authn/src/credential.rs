//! The credential in a request's headers: absent, present or broken (RFC 6750 §2, RFC 9449 §7.1, RFC 9110 §11).
//!
//! Not here: what the credential is worth.

use countersign_base::Conditional;
use http::{HeaderMap, HeaderName, header};

/// A header that may stand once. `Err` is a header that stands twice or is not text.
pub(crate) fn single_header<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Conditional<Result<&'a str, ()>, ()> {
    let mut values = headers.get_all(name).iter();
    let Some(first) = values.next() else {
        return Conditional::Absent(());
    };
    if values.next().is_some() {
        return Conditional::Present(Err(()));
    }
    Conditional::Present(first.to_str().map_err(|_| ()))
}

/// The content of the header `Authorization`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Authorization<'a> {
    Absent,
    Broken,
    Present {
        scheme: &'a str,
        credentials: &'a str,
    },
}

impl<'a> Authorization<'a> {
    /// Reads the header. One space stands between scheme and credentials, and the credentials hold no other.
    pub(crate) fn read(headers: &'a HeaderMap) -> Self {
        let value = match single_header(headers, &header::AUTHORIZATION) {
            Conditional::Absent(()) => return Self::Absent,
            Conditional::Present(Err(())) => return Self::Broken,
            Conditional::Present(Ok(value)) => value,
        };
        match value.split_once(' ') {
            Some((scheme, credentials)) if is_token(scheme) && is_token68(credentials) => {
                Self::Present {
                    scheme,
                    credentials,
                }
            }
            Some(_) | None => Self::Broken,
        }
    }
}

/// RFC 9110 §5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// RFC 9110 §11.2 `token68`, which is also `b64token` of RFC 6750 §2.1.
fn is_token68(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    !body.is_empty()
        && body
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte))
}
