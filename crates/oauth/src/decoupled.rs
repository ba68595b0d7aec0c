//! Authorization apart from the device that asks for it: the device grant (RFC 8628) and CIBA (OpenID Connect CIBA Core 1.0).
//!
//! A client asks, a person answers in a browser of their own, the client polls. A [`DecoupledRequest`] waits until somebody made an [`Answer`] of its [`Question`],
//! and only a question that was put to a person who is signed in, and that policy permits for them, can be allowed (A33).
//!
//! Not here: pages, polling over HTTP, notification of clients (`api`), the rows and their single use (`store`).

mod backchannel;
mod binding_message;
mod device;
mod guesses;
mod pace;
mod question;
mod user_code;

pub use backchannel::{BackchannelRequest, Hint, NOTIFICATION_TOKEN_BYTES_MAX, signed_parameters};
pub use binding_message::BindingMessage;
pub use device::DeviceAuthorizationRequest;
pub use guesses::{Guess, GuessThrottle};
pub use pace::{Pace, PollPace};
pub(crate) use question::still_registered;
pub use question::{Question, QuestionRefused};
pub use user_code::{NotAUserCode, USER_CODE_ALPHABET, UserCode};

use crate::authentication::AuthenticationMethod;
use crate::client::GrantType;
use crate::particulars::Particulars;
use countersign_base::{
    Audience, Bounded, ClientId, Duration, GrantId, Scopes, SessionId, Tenant, UnixTime, UserId,
};
use countersign_crypto::jose::JwkThumbprint;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How long a device code and its user code live (RFC 8628 §3.2).
pub const DEVICE_CODE_LIFETIME: Duration = Duration::from_secs(600);
/// How long an `auth_req_id` lives when the client asks for nothing else (CIBA Core §7.3).
pub const AUTH_REQ_ID_LIFETIME: Duration = Duration::from_secs(300);
/// The longest that a client may ask for.
pub const AUTH_REQ_ID_LIFETIME_MAX: Duration = Duration::from_secs(600);
/// Seconds between two polls (RFC 8628 §3.2, CIBA Core §7.3).
pub const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// Which protocol a request came by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flow {
    /// OpenID Connect Client-Initiated Backchannel Authentication.
    Ciba,
    /// RFC 8628.
    Device,
}

impl Flow {
    /// The grant that redeems it.
    #[must_use]
    pub const fn grant_type(self) -> GrantType {
        match self {
            Self::Ciba => GrantType::Ciba,
            Self::Device => GrantType::DeviceCode,
        }
    }

    /// Its name in the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ciba => "ciba",
            Self::Device => "device",
        }
    }
}

/// What a client asks for while a person is elsewhere, as the store keeps it under the keyed hash of what the client polls with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecoupledRequest {
    /// How it came.
    pub flow: Flow,
    /// The tenant of everybody involved.
    pub tenant: Tenant,
    /// Who asks, and alone may poll.
    pub client: ClientId,
    /// The grant that its redemption begins; pages name the request by it.
    pub grant: GrantId,
    /// What is asked for.
    pub scopes: Scopes,
    /// Where: the first is the audience of tokens that name none.
    pub audiences: Vec<Audience>,
    /// Authorization details that are asked for (RFC 9396).
    #[serde(default)]
    pub particulars: Particulars,
    /// The DPoP key that was proven when it was asked, and that must redeem it.
    pub dpop_jkt: Option<JwkThumbprint>,
    /// Who is asked (CIBA). Nobody in particular: whoever enters the user code.
    pub user: Option<UserId>,
    /// What the person should see on both devices (CIBA Core §7.1).
    pub binding_message: Option<BindingMessage>,
    /// The network address from which it was asked, as the person is told.
    pub source: Bounded<64>,
    /// What the client is notified with, sealed (CIBA Core §10.2). Nothing: it polls.
    pub notification: Option<Bounded<SEALED_BYTES_MAX>>,
    /// When it was asked.
    pub issued: UnixTime,
    /// When it is too late to answer and to redeem it.
    pub expires: UnixTime,
}

/// Characters of a sealed notification.
pub const SEALED_BYTES_MAX: usize = 4096;

/// The name of CIBA notifications among the kinds of deliveries.
pub const CIBA_PING: &str = "ciba_ping";

/// What the outbox keeps of a notification that is to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PingDelivery {
    /// To whom.
    pub client: ClientId,
    /// Of which request.
    pub grant: GrantId,
    /// What it says, sealed.
    pub notice: Bounded<SEALED_BYTES_MAX>,
}

/// What the person said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Yes.
    Allowed(Allowance),
    /// No. Who said so is known by then.
    Denied(UserId),
}

impl Answer {
    /// Who said it.
    #[must_use]
    pub const fn user(&self) -> UserId {
        match self {
            Self::Allowed(allowance) => allowance.user,
            Self::Denied(user) => *user,
        }
    }
}

/// Who allowed a request, and in which sign-in. Made by [`Question::allow`] and by the store, which reads back what that made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowance {
    /// The person.
    pub user: UserId,
    /// The session they said it in.
    pub session: SessionId,
    /// When they proved who they are.
    pub auth_time: UnixTime,
    /// By which methods.
    #[serde(default)]
    pub methods: BTreeSet<AuthenticationMethod>,
}

/// A decoupled request as a transaction found it when a client presented its handle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Polled {
    /// The person answered, and it is this transaction that spends an "Allow".
    Answered(Box<DecoupledRequest>, Answer),
    /// Nobody can answer or redeem it any more.
    Expired(Box<DecoupledRequest>),
    /// It had been redeemed before.
    Spent(Box<DecoupledRequest>),
    /// There is none: never made, swept, or of another kind or tenant.
    Unknown,
    /// Nobody has answered yet.
    Waiting(Box<DecoupledRequest>),
}

#[cfg(test)]
pub(crate) mod tests;
