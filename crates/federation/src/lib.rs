//! Identities that others vouch for: this server as the relying party of an upstream OpenID Connect provider (OpenID Connect Core, RFC 9700, RFC 9207).
//!
//! Pure: what a provider sent comes in, and what to ask it next, or who somebody is, goes out. The order of a sign-in is in the types:
//!
//! ```text
//! PendingLogin -> AuthorizationResponse -> CheckedCode -> TokenRequest -> IdToken -> UpstreamIdentity -> SignIn
//! ```
//!
//! A code reaches a token endpoint only as a [`CheckedCode`], which the checks of `state`, browser and issuer give; an account is found only for an
//! [`UpstreamIdentity`], which a verified ID token gives.
//!
//! - [`provider`]: what a provider is to us. [`metadata`]: what it says of itself.
//! - [`login`]: one sign-in under way, and the address that a browser is sent to. [`response`]: how it comes back, plainly or signed ([`jarm`]).
//! - [`token`]: the redemption of the code. [`id_token`]: who it is. [`linking`]: which of our people that is.
//!
//! Not here: fetching, the browser's cookie, what is stored. SAML, SCIM and Shared Signals do not exist yet.

pub mod browser;
pub mod id_token;
pub mod jarm;
pub mod linking;
pub mod login;
pub mod metadata;
pub mod provider;
pub mod response;
pub mod token;

pub use id_token::{IdToken, IdTokenRefusal, UpstreamIdentity};
pub use linking::{LinkOrigin, LinkRecord, PrimaryFactor, SignIn};
pub use login::{LoginPurpose, LoginSecrets, PendingLogin};
pub use metadata::ProviderMetadata;
pub use provider::{IssuerUrl, LinkingRule, MailDomain, ProviderName, ProviderRecord};
pub use response::{AuthorizationResponse, CheckedCode, ResponseRefusal};
pub use token::TokenAnswer;

#[cfg(test)]
mod fixture;
