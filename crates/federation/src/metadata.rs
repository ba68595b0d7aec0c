//! What a provider says of itself (OpenID Connect Discovery §3, RFC 8414 §3.3): believed only when it says that it is the issuer that was asked.
//!
//! Not here: what it supports beyond what we use. We ask for a code with PKCE and verify its answer; what else it offers does not matter.

use crate::provider::{IssuerUrl, is_plain_https};
use serde::Deserialize;
use url::Url;

/// Bytes of a discovery document.
pub const METADATA_BYTES_MAX: usize = 64 * 1024;

/// The addresses of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderMetadata {
    issuer: IssuerUrl,
    authorization_endpoint: Url,
    token_endpoint: Url,
    jwks_uri: Url,
    pushed_authorization_request_endpoint: Option<Url>,
    end_session_endpoint: Option<Url>,
    revocation_endpoint: Option<Url>,
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    pushed_authorization_request_endpoint: Option<String>,
    end_session_endpoint: Option<String>,
    revocation_endpoint: Option<String>,
}

/// Why a discovery document is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MetadataRefusal {
    /// An address is not https, or carries user information or a fragment.
    #[error("`{0}` is not an https address")]
    Address(&'static str),
    /// It is another issuer's (RP-5).
    #[error("it names another issuer")]
    Issuer,
    /// Not the JSON object that was expected.
    #[error("it is no discovery document")]
    Malformed,
    /// Larger than is looked at.
    #[error("it is larger than accepted")]
    TooLong,
}

impl MetadataRefusal {
    /// The reason as records name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Address(_) => "upstream_metadata_address",
            Self::Issuer => "upstream_metadata_issuer",
            Self::Malformed => "upstream_metadata_malformed",
            Self::TooLong => "upstream_metadata_too_long",
        }
    }
}

impl ProviderMetadata {
    /// Reads the document that was found for `issuer`.
    ///
    /// # Errors
    /// When it is not of that issuer, character for character, or names an address that is not https.
    pub fn parse(bytes: &[u8], issuer: &IssuerUrl) -> Result<Self, MetadataRefusal> {
        if bytes.len() > METADATA_BYTES_MAX {
            return Err(MetadataRefusal::TooLong);
        }
        let document: Document =
            serde_json::from_slice(bytes).map_err(|_| MetadataRefusal::Malformed)?;
        if document.issuer != issuer.as_str() {
            return Err(MetadataRefusal::Issuer);
        }
        let may = |name: &'static str, text: Option<&String>| {
            text.map(|text| address(name, text)).transpose()
        };
        Ok(Self {
            pushed_authorization_request_endpoint: may(
                "pushed_authorization_request_endpoint",
                document.pushed_authorization_request_endpoint.as_ref(),
            )?,
            end_session_endpoint: may(
                "end_session_endpoint",
                document.end_session_endpoint.as_ref(),
            )?,
            revocation_endpoint: may("revocation_endpoint", document.revocation_endpoint.as_ref())?,
            issuer: issuer.clone(),
            authorization_endpoint: address(
                "authorization_endpoint",
                &document.authorization_endpoint,
            )?,
            token_endpoint: address("token_endpoint", &document.token_endpoint)?,
            jwks_uri: address("jwks_uri", &document.jwks_uri)?,
        })
    }

    /// Whose it is.
    #[must_use]
    pub const fn issuer(&self) -> &IssuerUrl {
        &self.issuer
    }

    /// Where browsers are sent.
    #[must_use]
    pub const fn authorization_endpoint(&self) -> &Url {
        &self.authorization_endpoint
    }

    /// Where codes are redeemed.
    #[must_use]
    pub const fn token_endpoint(&self) -> &Url {
        &self.token_endpoint
    }

    /// Where authorization requests are pushed (RFC 9126 §5).
    #[must_use]
    pub const fn pushed_authorization_request_endpoint(&self) -> Option<&Url> {
        self.pushed_authorization_request_endpoint.as_ref()
    }

    /// Where browsers sign out (RP-Initiated Logout §2.1).
    #[must_use]
    pub const fn end_session_endpoint(&self) -> Option<&Url> {
        self.end_session_endpoint.as_ref()
    }

    /// Where tokens are revoked (RFC 7009).
    #[must_use]
    pub const fn revocation_endpoint(&self) -> Option<&Url> {
        self.revocation_endpoint.as_ref()
    }

    /// Where its keys are.
    #[must_use]
    pub const fn jwks_uri(&self) -> &Url {
        &self.jwks_uri
    }
}

fn address(name: &'static str, text: &str) -> Result<Url, MetadataRefusal> {
    Url::parse(text)
        .ok()
        .filter(is_plain_https)
        .ok_or(MetadataRefusal::Address(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn issuer() -> IssuerUrl {
        "https://corp.example".parse().unwrap()
    }

    fn document(change: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
        let mut document = json!({
            "issuer": "https://corp.example",
            "authorization_endpoint": "https://corp.example/authorize?p=1",
            "token_endpoint": "https://token.corp.example/token",
            "jwks_uri": "https://corp.example/jwks",
            "response_types_supported": ["code"],
        });
        change(&mut document);
        document.to_string().into_bytes()
    }

    #[test]
    fn rp_5_metadata_of_another_issuer_end_the_login() {
        for other in [
            "https://corp.example/",
            "https://CORP.example",
            "https://evil.example",
            "",
        ] {
            let bytes = document(|d| d["issuer"] = other.into());
            assert_eq!(
                ProviderMetadata::parse(&bytes, &issuer()),
                Err(MetadataRefusal::Issuer),
                "{other}"
            );
        }
        let twin = ProviderMetadata::parse(&document(|_| {}), &issuer()).unwrap();
        assert_eq!(
            twin.token_endpoint().as_str(),
            "https://token.corp.example/token"
        );
    }

    #[test]
    fn r60_every_address_is_https() {
        for name in ["authorization_endpoint", "token_endpoint", "jwks_uri"] {
            for text in [
                "http://corp.example/x",
                "https://u@corp.example/x",
                "javascript:alert(1)",
                "/x",
                "https://corp.example/#x",
            ] {
                let bytes = document(|d| d[name] = text.into());
                assert_eq!(
                    ProviderMetadata::parse(&bytes, &issuer()),
                    Err(MetadataRefusal::Address(name)),
                    "{text}"
                );
            }
            let bytes = document(|d| d[name] = json!(7));
            assert_eq!(
                ProviderMetadata::parse(&bytes, &issuer()),
                Err(MetadataRefusal::Malformed)
            );
        }
        let long = vec![b' '; METADATA_BYTES_MAX + 1];
        assert_eq!(
            ProviderMetadata::parse(&long, &issuer()),
            Err(MetadataRefusal::TooLong)
        );
    }
}
