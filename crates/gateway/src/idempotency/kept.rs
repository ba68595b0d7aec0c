//! An answer in bytes, for other processes: its status, its fields with their lengths before them, and its body to the end. Sealed on its way, so that what is read was written here.

use super::Answer;
use bytes::Bytes;
use http::StatusCode;
use http::header::{HeaderMap, HeaderName, HeaderValue};

/// Of this form.
const FORM: u8 = 1;

impl Answer {
    /// See the module.
    pub(crate) fn encode(&self) -> Vec<u8> {
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
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
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
            headers.append(name, HeaderValue::from_bytes(value).ok()?);
        }
        (form == FORM).then(|| Self {
            status,
            headers,
            body: Bytes::copy_from_slice(rest),
        })
    }
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_answer_comes_back_as_it_was(
            status in 100_u16..600,
            fields in proptest::collection::vec(("[a-z][a-z0-9-]{0,20}", "[ -~]{0,40}"), 0..8),
            body in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let mut headers = HeaderMap::new();
            for (name, value) in &fields {
                let name: HeaderName = name.parse().unwrap();
                headers.append(name, HeaderValue::from_str(value).unwrap());
            }
            let answer = Answer {
                status: StatusCode::from_u16(status).unwrap(),
                headers,
                body: Bytes::from(body),
            };
            let bytes = answer.encode();
            let back = Answer::decode(&bytes).unwrap();
            prop_assert_eq!(back.status, answer.status);
            prop_assert_eq!(&back.headers, &answer.headers);
            prop_assert_eq!(&back.body, &answer.body);
            // Cut short anywhere before the body, or of another form, it is nothing.
            for end in 0..bytes.len() - answer.body.len() {
                prop_assert!(Answer::decode(&bytes[..end]).is_none());
            }
            let mut other = bytes;
            other[0] = 2;
            prop_assert!(Answer::decode(&other).is_none());
        }

        #[test]
        fn bytes_of_somebody_else_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Answer::decode(&bytes);
        }
    }
}
