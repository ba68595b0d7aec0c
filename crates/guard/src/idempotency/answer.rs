//! An answer as it is kept: status, fields and body, and the same in bytes for a storage.
//!
//! Fields of the connection (RFC 9110 §7.6.1), the length, and cookies are not kept: a cookie is told once, since later it would bring back a session that has ended.

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};

/// Bytes of an answer that is kept, its fields counted too.
pub const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// Of this form.
const FORM: u8 = 1;
/// What is not kept.
const NOT_KEPT: [HeaderName; 9] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::PROXY_AUTHENTICATE,
    header::SET_COOKIE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// It has more than [`ANSWER_BYTES_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the answer is too large to be kept")]
pub struct AnswerTooLarge;

impl Answer {
    /// An answer with those of `headers` that are kept.
    ///
    /// # Errors
    /// When it is too large to be kept.
    pub fn new(
        status: StatusCode,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Self, AnswerTooLarge> {
        let mut headers = headers.clone();
        for name in NOT_KEPT {
            headers.remove(name);
        }
        if fields_bytes(&headers).saturating_add(body.len()) > ANSWER_BYTES_MAX {
            return Err(AnswerTooLarge);
        }
        Ok(Self {
            status,
            headers,
            body,
        })
    }

    /// Its status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// Its fields.
    #[must_use]
    pub const fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Its body.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// What it takes, roughly.
    #[must_use]
    pub fn bytes(&self) -> usize {
        fields_bytes(&self.headers).saturating_add(self.body.len())
    }

    /// The answer once more.
    pub fn to_response<B: From<Bytes>>(&self) -> Response<B> {
        let mut response = Response::new(B::from(self.body.clone()));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers.clone();
        response
    }

    /// In bytes: its form, its status, its fields with their lengths before them, and its body to the end.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.bytes());
        bytes.push(FORM);
        bytes.extend(self.status.as_u16().to_be_bytes());
        bytes.extend(length(self.headers.len()));
        for (name, value) in &self.headers {
            for part in [name.as_str().as_bytes(), value.as_bytes()] {
                bytes.extend(length(part.len()));
                bytes.extend(part);
            }
        }
        bytes.extend(&self.body);
        bytes
    }

    /// What [`Self::encode`] wrote; absent for anything else.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (&form, rest) = bytes.split_first()?;
        let (status, rest) = rest.split_first_chunk::<2>()?;
        let (&fields, mut rest) = rest.split_first_chunk::<4>()?;
        let status = StatusCode::from_u16(u16::from_be_bytes(*status)).ok()?;
        let mut headers = HeaderMap::new();
        for _ in 0..u32::from_be_bytes(fields) {
            let (name, value);
            (name, rest) = part(rest)?;
            (value, rest) = part(rest)?;
            let name = HeaderName::from_bytes(name).ok()?;
            let value = HeaderValue::from_bytes(value).ok()?;
            headers.try_append(name, value).ok()?;
        }
        let body = Bytes::copy_from_slice(rest);
        (form == FORM)
            .then(|| Self::new(status, &headers, body).ok())
            .flatten()
    }
}

fn fields_bytes(headers: &HeaderMap) -> usize {
    let fields = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 64);
    fields.sum()
}

/// Answers are bounded far below.
fn length(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()
}

fn part(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

#[cfg(test)]
mod tests;
