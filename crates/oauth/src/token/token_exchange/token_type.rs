//! Token type identifiers (RFC 8693 §3) and which token may be made of which.

use crate::error::OAuthError;
use serde::{Deserialize, Serialize};

/// A token type that an exchange may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenType {
    /// An access token of ours, opaque or not.
    AccessToken,
    /// An identity assertion for another authorization server (draft-ietf-oauth-identity-assertion-authz-grant).
    IdJag,
    /// An ID token of ours.
    IdToken,
    /// A JWT: an access token of ours that is one.
    Jwt,
    /// A refresh token of ours.
    RefreshToken,
    /// A transaction token (draft-ietf-oauth-transaction-tokens).
    #[serde(rename = "txn_token")]
    TransactionToken,
}

impl TokenType {
    /// Every type, in the order of their names.
    pub const ALL: [Self; 6] = [
        Self::AccessToken,
        Self::IdJag,
        Self::IdToken,
        Self::Jwt,
        Self::RefreshToken,
        Self::TransactionToken,
    ];

    /// The identifier.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccessToken => "urn:ietf:params:oauth:token-type:access_token",
            Self::IdJag => "urn:ietf:params:oauth:token-type:id-jag",
            Self::IdToken => "urn:ietf:params:oauth:token-type:id_token",
            Self::Jwt => "urn:ietf:params:oauth:token-type:jwt",
            Self::RefreshToken => "urn:ietf:params:oauth:token-type:refresh_token",
            Self::TransactionToken => "urn:ietf:params:oauth:token-type:txn_token",
        }
    }

    /// The type with this identifier.
    #[must_use]
    pub fn from_parameter(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// Whether a token of this type can be asked for with one of type `subject` (TX-6).
    pub(super) const fn check_made_of(self, subject: Self) -> Result<(), OAuthError> {
        match (self, subject) {
            (Self::AccessToken, Self::AccessToken | Self::Jwt | Self::IdToken)
            | (Self::IdJag, Self::IdToken | Self::RefreshToken)
            | (Self::TransactionToken, Self::AccessToken | Self::Jwt | Self::TransactionToken) => {
                Ok(())
            }
            (
                Self::AccessToken
                | Self::IdJag
                | Self::IdToken
                | Self::Jwt
                | Self::RefreshToken
                | Self::TransactionToken,
                _,
            ) => Err(OAuthError::TokenType),
        }
    }
}
