//! The authorization server's protocol: requests, grants, sessions, metadata.
//!
//! Pure: a request's parts and stored records come in, and what to answer, to write and to mint goes out. Nothing here reads a clock, opens a socket or signs.
//!
//! - Records that the store keeps: [`client`], [`user`], [`session`], [`grant`], [`code`], [`refresh`], [`par`], [`tenant`].

pub mod authorization_request;
pub mod binding;
pub mod change;
pub mod client;
pub mod code;
pub mod error;
pub mod grant;
pub mod par;
pub mod pkce;
pub mod redirect;
pub mod refresh;
pub mod session;
pub mod tenant;
pub mod user;

pub use authorization_request::AuthorizationRequest;
pub use binding::Binding;
pub use change::{Change, Standing, Taken};
pub use client::{ClientAuthentication, ClientRecord, GrantType};
pub use code::CodeRecord;
pub use error::{ErrorCode, OAuthError};
pub use grant::{GrantRecord, RevocationReason};
pub use par::PushedRequest;
pub use refresh::{FamilyId, RefreshFamily, RefreshHandle, RefreshOrder};
pub use session::{ConsentRecord, Session};
pub use tenant::TenantRecord;
pub use user::{GroupRecord, ResolvedUser, StoredPassword, UserRecord};
