//! What the proxy shows at a destination so that the workload never holds it.
//!
//! It belongs to one rule, whose hosts are reached over TLS, and goes nowhere else: a redirect is the workload's own next request, and gets what its own rule has. The workload's
//! own field of that name, in any spelling, is removed before; the value is marked so that nothing prints it. Where the destination wants tokens, they are fetched with the client
//! credentials grant ([`token`]).

mod token;

pub use token::TokenSource;

use super::answer::EgressRefusal;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_base::Secret;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// Fields that frame, route or end with one hop, or belong to the proxy itself: no credential stands in them.
const RESERVED: [HeaderName; 12] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::EXPECT,
    header::HOST,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::VIA,
    header::COOKIE,
];

/// Why there is no such credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// The field has another use.
    #[error("a credential cannot stand in this field")]
    Field,
    /// Empty, or with characters that no field has.
    #[error("the secret cannot stand in a header field")]
    Secret,
}

/// A header field with a secret in it. It has no `Debug`, and the value prints as `Sensitive`.
pub struct Credential {
    name: HeaderName,
    source: Source,
}

enum Source {
    Fixed(HeaderValue),
    Token(Box<TokenSource>),
}

impl Credential {
    /// `Authorization: Bearer SECRET` (RFC 6750).
    ///
    /// # Errors
    /// When the secret cannot stand there.
    pub fn bearer(secret: &Secret<String>) -> Result<Self, CredentialError> {
        let text = Secret::new(format!("Bearer {}", checked(secret)?));
        Self::of(header::AUTHORIZATION, &text)
    }

    /// `Authorization: Basic` (RFC 7617).
    ///
    /// # Errors
    /// When the user name has a colon, or either is empty.
    pub fn basic(user: &str, secret: &Secret<String>) -> Result<Self, CredentialError> {
        if user.is_empty() || user.contains(':') {
            return Err(CredentialError::Secret);
        }
        let pair = Secret::new(format!("{user}:{}", checked(secret)?));
        let text = Secret::new(format!("Basic {}", STANDARD.encode(pair.expose())));
        Self::of(header::AUTHORIZATION, &text)
    }

    /// The secret as it is, in a field of this name.
    ///
    /// # Errors
    /// When the field has another use, or the secret cannot stand there.
    pub fn field(name: HeaderName, secret: &Secret<String>) -> Result<Self, CredentialError> {
        let reserved = RESERVED.contains(&name)
            || name.as_str().starts_with("proxy-")
            || name.as_str().starts_with("countersign-");
        if reserved {
            return Err(CredentialError::Field);
        }
        let text = Secret::new(checked(secret)?.to_owned());
        Self::of(name, &text)
    }

    /// `Authorization: Bearer` with tokens of an authorization server.
    #[must_use]
    pub fn tokens(source: TokenSource) -> Self {
        Self {
            name: header::AUTHORIZATION,
            source: Source::Token(Box::new(source)),
        }
    }

    fn of(name: HeaderName, text: &Secret<String>) -> Result<Self, CredentialError> {
        Ok(Self {
            name,
            source: Source::Fixed(sensitive(text)?),
        })
    }

    /// Its field, with a value of now.
    pub(super) async fn field_now(&self) -> Result<Field, EgressRefusal> {
        let value = match &self.source {
            Source::Fixed(value) => value.clone(),
            Source::Token(source) => source.value().await?,
        };
        Ok(Field {
            name: self.name.clone(),
            value,
        })
    }
}

/// A header value that nothing prints.
fn sensitive(text: &Secret<String>) -> Result<HeaderValue, CredentialError> {
    let mut value = HeaderValue::from_str(text.expose()).map_err(|_| CredentialError::Secret)?;
    value.set_sensitive(true);
    Ok(value)
}

/// A credential as it goes out.
pub(super) struct Field {
    name: HeaderName,
    value: HeaderValue,
}

impl Field {
    /// Puts it in the place of whatever the workload wrote there.
    pub(super) fn write(self, headers: &mut HeaderMap) {
        let spelled = |name: &HeaderName| {
            let dashed = name.as_str().replace(['_', '.'], "-");
            dashed == self.name.as_str().replace(['_', '.'], "-")
        };
        let own: Vec<HeaderName> = headers
            .keys()
            .filter(|name| spelled(name))
            .cloned()
            .collect();
        for name in own {
            headers.remove(name);
        }
        headers.insert(self.name, self.value);
    }
}

/// The secret, if it can stand in a field; a line end behind it is the file's.
fn checked(secret: &Secret<String>) -> Result<&str, CredentialError> {
    let text = secret.expose().trim_end_matches(['\r', '\n']);
    let visible = !text.is_empty() && text.bytes().all(|byte| matches!(byte, 0x20..=0x7e));
    if visible {
        Ok(text)
    } else {
        Err(CredentialError::Secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    async fn written(
        credential: &Credential,
        fields: &[(&'static str, &'static str)],
    ) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let field = credential.field_now().await.unwrap();
        field.write(&mut headers);
        headers
    }

    #[tokio::test]
    async fn it_takes_the_place_of_the_workloads_own_in_every_spelling() {
        let credential =
            Credential::field(HeaderName::from_static("x-api-key"), &secret("s3cret")).unwrap();
        let headers = written(
            &credential,
            &[
                ("x-api-key", "mine"),
                ("x-api-key", "mine too"),
                ("x_api_key", "mine"),
                ("x-api.key", "mine"),
                ("x-api-key-id", "other"),
            ],
        )
        .await;
        let values: Vec<_> = headers.get_all("x-api-key").iter().collect();
        assert_eq!(values, ["s3cret"]);
        assert_eq!(headers.len(), 2);
        assert_eq!(headers["x-api-key-id"], "other");
        assert!(!format!("{headers:?}").contains("s3cret"), "{headers:?}");
    }

    #[tokio::test]
    async fn the_schemes_are_those_of_their_rfcs() {
        let bearer = Credential::bearer(&secret("abc\n")).unwrap();
        assert_eq!(written(&bearer, &[]).await["authorization"], "Bearer abc");
        // RFC 7617 §2.
        let basic = Credential::basic("Aladdin", &secret("open sesame")).unwrap();
        assert_eq!(
            written(&basic, &[("authorization", "Bearer mine")]).await["authorization"],
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
        );
    }

    #[test]
    fn what_cannot_stand_in_a_field_is_refused() {
        for text in ["", "\n", "a\r\nX-Evil: 1", "a\0b", "ü"] {
            assert_eq!(
                Credential::bearer(&secret(text)).err(),
                Some(CredentialError::Secret),
                "{text:?}"
            );
        }
        assert!(Credential::basic("a:b", &secret("c")).is_err());
        for name in [
            "host",
            "connection",
            "proxy-authorization",
            "via",
            "countersign-subject",
        ] {
            let field = Credential::field(HeaderName::from_static(name), &secret("a"));
            assert_eq!(field.err(), Some(CredentialError::Field), "{name}");
        }
    }
}
