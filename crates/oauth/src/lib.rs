//! The authorization server's protocol: requests, grants, sessions, metadata.
//!
//! Pure: a request's parts and stored records come in, and what to answer, to write and to mint goes out. Nothing here reads a clock, opens a socket or signs.
//!
//! - Records that the store keeps: [`client`], [`user`], [`session`], [`grant`], [`code`], [`refresh`], [`par`], [`tenant`], [`exchange`].
//! - The authorization endpoint: [`authorize`]. The token endpoint: [`token`], which comes to an [`Issuance`]. The others: [`introspection`], [`revocation`],
//!   [`userinfo`], [`metadata`], [`registration`], [`logout`].
//! - What is asked for beside scopes: [`authorization_details`], [`claims_request`]. What is told of people: [`profile`], [`subject_identifier`].
//! - [`security_profile`]: what FAPI 2.0 demands, and of whom. [`response_mode`]: how answers travel.
//! - [`throttle`]: how often somebody may try to sign in.

pub mod address;
pub mod api_key;
pub mod authentication;
pub mod authorization_details;
pub mod authorization_request;
pub mod authorize;
pub mod binding;
pub mod change;
pub mod claims;
pub mod claims_request;
pub mod client;
pub mod code;
pub mod decoupled;
pub mod error;
pub mod exchange;
#[cfg(test)]
mod fixture;
pub mod grant;
pub mod introspection;
pub mod issuance;
pub mod logout;
pub mod metadata;
pub mod par;
mod parameter;
pub mod particulars;
pub mod pkce;
pub mod profile;
pub mod redirect;
pub mod refresh;
pub mod registration;
pub mod response_mode;
pub mod revocation;
pub mod security_profile;
pub mod session;
pub mod subject_identifier;
pub mod tenant;
pub mod throttle;
pub mod token;
pub mod totp;
pub mod user;
pub mod userinfo;

pub use address::WebAddress;
pub use authentication::{Authentication, AuthenticationMethod, achieved};
pub use authorization_request::AuthorizationRequest;
pub use binding::Binding;
pub use change::{Change, ClientGrant, Standing, Taken};
pub use client::{ClientAuthentication, ClientRecord, GrantType};
pub use code::CodeRecord;
pub use decoupled::{DecoupledRequest, Polled};
pub use error::{ErrorCode, OAuthError};
pub use exchange::ExchangeRecord;
pub use grant::{GrantRecord, RevocationReason};
pub use issuance::Issuance;
pub use par::PushedRequest;
pub use particulars::Particulars;
pub use profile::{Claim, Profile};
pub use refresh::{FamilyId, RefreshFamily, RefreshHandle, RefreshOrder};
pub use response_mode::ResponseMode;
pub use security_profile::SecurityProfile;
pub use session::{ConsentRecord, Session};
pub use tenant::TenantRecord;
pub use token::{Fresh, Redeemed, Refused, Requester, TokenRequest};
pub use user::{GroupRecord, ResolvedUser, StoredPassword, UserRecord};
