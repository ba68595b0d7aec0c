//! A sign-in of one browser (OpenID Connect Core §2, `auth_time`), and the consent a person gave.
//!
//! Not here: the cookie. The shell keeps a keyed hash of its value beside the record.

pub mod device;

pub use device::Device;

use crate::authentication::{Acr, AuthenticationMethod, achieved};
use crate::particulars::Particulars;
use crate::profile::Claim;
use countersign_base::{Audience, ClientId, Duration, Scopes, SessionId, Tenant, UnixTime, UserId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How long a session lives, counted from the sign-in: absolute, not sliding.
pub const SESSION_LIFETIME: Duration = Duration::from_secs(8 * 3600);

/// The beginning of the name of the cookie that says which browser this is; the tenant's name follows.
pub const BROWSER_COOKIE: &str = "__Host-browser-";
/// The beginning of the name of the cookie that says who is signed in; the tenant's name follows.
pub const SESSION_COOKIE: &str = "__Host-session-";
/// The beginning of the name of the cookie that says that a program did some work; the name of the routes that take it follows.
pub const WORK_COOKIE: &str = "__Host-work-";
/// How the names of the fabric's own cookies begin. No upstream sees them or sets them.
pub const COOKIE_PREFIXES: [&str; 3] = [BROWSER_COOKIE, SESSION_COOKIE, WORK_COOKIE];

/// One sign-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its identifier, the `sid` of ID tokens.
    pub id: SessionId,
    /// The tenant signed in to.
    pub tenant: Tenant,
    /// Who signed in.
    pub user: UserId,
    /// When they proved who they are. A factor that was added later leaves it as it is.
    pub auth_time: UnixTime,
    /// By which methods.
    #[serde(default)]
    pub methods: BTreeSet<AuthenticationMethod>,
    /// When the session ends by itself.
    pub expires: UnixTime,
    /// When it was ended by a sign-out or an administrator.
    pub ended: Option<UnixTime>,
    /// What the person signed in with, for them to recognise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<Device>,
}

impl Session {
    /// A session that begins now, of somebody who proved who they are by these methods.
    #[must_use]
    pub fn begin(
        id: SessionId,
        tenant: Tenant,
        user: UserId,
        methods: BTreeSet<AuthenticationMethod>,
        now: UnixTime,
    ) -> Self {
        Self {
            id,
            tenant,
            user,
            auth_time: now,
            methods,
            expires: now.plus(SESSION_LIFETIME),
            ended: None,
            device: None,
        }
    }

    /// The same session on this device.
    #[must_use]
    pub fn on(self, device: Option<Device>) -> Self {
        Self { device, ..self }
    }

    /// The same session of somebody who proved who they are at another time before.
    #[must_use]
    pub fn proven_at(self, auth_time: UnixTime) -> Self {
        Self { auth_time, ..self }
    }

    /// The class that its methods come to.
    #[must_use]
    pub fn acr(&self) -> Option<Acr> {
        achieved(&self.methods)
    }

    /// The same session with one factor more. Its cookie changes with it, so that whoever held the old one gains nothing (A61).
    #[must_use]
    pub fn raised(&self, method: AuthenticationMethod) -> Self {
        let mut raised = self.clone();
        raised.methods.insert(method);
        raised
    }

    /// Whether it is neither ended nor expired.
    #[must_use]
    pub fn is_live(&self, now: UnixTime) -> bool {
        self.ended.is_none() && now < self.expires
    }
}

/// What a person allowed a client, remembered so that they are not asked again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentRecord {
    /// The tenant of both.
    pub tenant: Tenant,
    /// The person.
    pub user: UserId,
    /// The client.
    pub client: ClientId,
    /// The scopes they allowed.
    pub scopes: Scopes,
    /// The audiences they allowed.
    pub audiences: BTreeSet<Audience>,
    /// The single claims they allowed (OpenID Connect Core §5.5).
    #[serde(default)]
    pub claims: BTreeSet<Claim>,
    /// When they last said yes.
    pub granted: UnixTime,
}

impl ConsentRecord {
    /// Whether it covers a request for these scopes at these audiences, with these particulars. Authorization details are never covered: each payment, each
    /// account is a question of its own.
    #[must_use]
    pub fn covers(
        &self,
        scopes: &Scopes,
        audiences: &[Audience],
        particulars: &Particulars,
    ) -> bool {
        particulars.authorization_details.is_empty()
            && particulars.claims.of_the_person().is_subset(&self.claims)
            && scopes.is_subset(&self.scopes)
            && audiences
                .iter()
                .all(|audience| self.audiences.contains(audience))
    }
}

impl Session {
    /// Until when the store keeps the row: longer than any refresh token that hangs on it, so that an ended session is never mistaken for a swept one.
    #[must_use]
    pub fn kept_until(&self) -> UnixTime {
        self.expires.plus(crate::client::REFRESH_TOKEN_LIFETIME_MAX)
    }
}
