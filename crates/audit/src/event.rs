//! The closed list of what the audit log can say. One file a topic, one line a kind.
//!
//! No event holds personal data: people appear by [`countersign_base::UserId`], what they asked for as a salted commitment. A new kind needs a
//! line in the list below, and every match on [`Event`] then says what it does with it.

mod api_key;
mod browser_session;
mod decision;
mod decoupled;
mod delivery;
mod directory;
mod keys;
mod lifecycle;
mod message;
mod refusals;
mod registration;
mod seal;
mod sign_in;
mod subject;
mod token;
mod upstream;
mod webhook;
mod webhook_refusal;

pub use api_key::{ApiKeyAdded, ApiKeyEnded};
pub use browser_session::{BrowserSessionBegan, BrowserSessionEnded};
pub use decision::{Actor, AdminAction, Decision, Outcome, Verdict};
pub use decoupled::{DecoupledAnswer, DecoupledAnswered, DecoupledRequested, UserCodeRefused};
pub use delivery::{DeliveryEnded, WebhookEndpointDisabled};
pub use directory::{ClientAdded, ClientChanged, TenantAdded, UserAdded, UserChanged};
pub use keys::{KeyCreated, KeyRotated, KeyRotationBegan, KeyRotationEnded};
pub use lifecycle::{ConfigurationApplied, PoliciesOverdue, Started, Stopped};
pub use message::{MessageReceived, MessageSent};
pub use refusals::RefusalsCounted;
pub use registration::{RegistrationRefused, RegistrationTokenMade};
pub use seal::SealOperation;
pub use sign_in::{
    AuthenticatorChanged, AuthorizationRefused, AuthorizationRequested, CodeIssued, Consent,
    ConsentAnswer, SignIn, SignInOutcome, SignOut,
};
pub use subject::{Restored, SubjectErased};
pub use token::{Activity, ClientAuthentication, GrantRevoked, Introspected, RefreshReused, Token};

pub use upstream::{ProviderChanged, UpstreamLink, UpstreamReturned, UpstreamSignIn};
pub use webhook::{
    WebhookEndpointChanged, WebhookEventTypeChanged, WebhookPublished, WebhookReplayAsked,
    WebhookSecretRotated,
};
pub use webhook_refusal::{WebhookRefused, WebhookRepeated};

use crate::record::Class;
use serde::Serialize;
use serde::de::Error as _;

macro_rules! events {
    ($($(#[$doc:meta])* $variant:ident = $kind:literal, $class:ident;)*) => {
        /// One thing that happened.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Event {
            $($(#[$doc])* $variant($variant),)*
        }

        impl Event {
            /// Every kind's name, in the order of the list.
            pub const KINDS: &'static [&'static str] = &[$($kind),*];

            /// The name of this kind, as records and queries use it.
            #[must_use]
            pub const fn kind(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $kind,)*
                }
            }

            /// Whether it changes who may do what (its space in the queue is reserved) or reports on traffic.
            #[must_use]
            pub const fn class(&self) -> Class {
                match self {
                    $(Self::$variant(_) => Class::$class,)*
                }
            }

            pub(crate) fn from_parts(kind: &str, detail: &serde_json::value::RawValue) -> Result<Self, serde_json::Error> {
                match kind {
                    $($kind => serde_json::from_str(detail.get()).map(Self::$variant),)*
                    _ => Err(serde_json::Error::custom("unknown kind of event")),
                }
            }
        }

        impl Serialize for Event {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self {
                    $(Self::$variant(detail) => detail.serialize(serializer),)*
                }
            }
        }

        $(impl From<$variant> for Event {
            fn from(detail: $variant) -> Self {
                Self::$variant(detail)
            }
        })*
    };
}

events! {
    /// An administrator did something, or was refused.
    AdminAction = "admin.action", Control;
    /// A person changed what they prove who they are with, or was refused.
    AuthenticatorChanged = "authenticator.changed", Control;
    /// An authorization request was refused.
    AuthorizationRefused = "authorization.refused", Data;
    /// A valid authorization request arrived, directly or pushed.
    AuthorizationRequested = "authorization.requested", Data;
    /// An API key was made.
    ApiKeyAdded = "api_key.added", Control;
    /// An API key was revoked.
    ApiKeyEnded = "api_key.ended", Control;
    /// A browser signed in at the gateway.
    BrowserSessionBegan = "browser_session.began", Control;
    /// A browser's session at the gateway ended.
    BrowserSessionEnded = "browser_session.ended", Control;
    /// A client came into being.
    ClientAdded = "client.added", Control;
    /// A client proved who it is, or failed to.
    ClientAuthentication = "client.authentication", Data;
    /// A client's registration changed.
    ClientChanged = "client.changed", Control;
    /// An authorization code was issued.
    CodeIssued = "code.issued", Control;
    /// A configuration was applied or refused.
    ConfigurationApplied = "configuration.applied", Control;
    /// A person answered a consent question.
    Consent = "consent", Control;
    /// A request was allowed or denied.
    Decision = "decision", Data;
    /// A person answered a request that came from another device.
    DecoupledAnswered = "decoupled.answered", Control;
    /// A client asked for something that a person answers on another device.
    DecoupledRequested = "decoupled.requested", Data;
    /// A delivery left the outbox.
    DeliveryEnded = "delivery.ended", Control;
    /// A grant was revoked.
    GrantRevoked = "grant.revoked", Control;
    /// A token was introspected.
    Introspected = "introspected", Data;
    /// A key was made.
    KeyCreated = "key.created", Control;
    /// A key changed its state.
    KeyRotated = "key.rotated", Control;
    /// A key of the hierarchy began to be replaced.
    KeyRotationBegan = "key.rotation_began", Control;
    /// Nothing is left under older versions of a key of the hierarchy.
    KeyRotationEnded = "key.rotation_ended", Control;
    /// A partner's message was taken or refused.
    MessageReceived = "message.received", Data;
    /// A message was made for a partner.
    MessageSent = "message.sent", Data;
    /// How a permitted request ended.
    Outcome = "outcome", Data;
    /// The time of the signed bundle whose policies decide is over.
    PoliciesOverdue = "policies.overdue", Control;
    /// A refresh token was used a second time.
    RefreshReused = "refresh.reused", Control;
    /// Refusals of one source that were counted instead of recorded one by one.
    RefusalsCounted = "refusals.counted", Data;
    /// A registration of a client was refused.
    RegistrationRefused = "registration.refused", Data;
    /// A token for one registration was made.
    RegistrationTokenMade = "registration.token_made", Control;
    /// A backup was restored into a new data directory.
    Restored = "restored", Control;
    /// Something was done to what stands above the root key.
    SealOperation = "seal.operation", Control;
    /// A person tried to sign in.
    SignIn = "sign_in", Control;
    /// A person signed out.
    SignOut = "sign_out", Control;
    /// The program started.
    Started = "started", Control;
    /// The program stopped.
    Stopped = "stopped", Control;
    /// A person was erased.
    SubjectErased = "subject.erased", Control;
    /// A tenant came into being.
    TenantAdded = "tenant.added", Control;
    /// A token request was answered.
    Token = "token", Control;
    /// An identity provider that is not ours came into being, changed or was disabled.
    ProviderChanged = "provider.changed", Control;
    /// An upstream identity was linked to an account, or its link ended.
    UpstreamLink = "upstream.link", Control;
    /// A browser came back from another identity provider.
    UpstreamReturned = "upstream.returned", Data;
    /// A person came back from another identity provider and is signed in, or not.
    UpstreamSignIn = "upstream.sign_in", Control;
    /// A user came into being.
    UserAdded = "user.added", Control;
    /// A user's record changed.
    UserChanged = "user.changed", Control;
    /// Somebody typed a user code that leads nowhere.
    UserCodeRefused = "user_code.refused", Data;
    /// An endpoint of webhooks was disabled because of what it answered.
    WebhookEndpointDisabled = "webhook_endpoint.disabled", Control;
    /// An endpoint of webhooks was added, changed, enabled, disabled or removed by somebody's hand.
    WebhookEndpointChanged = "webhook_endpoint.changed", Control;
    /// An event type of webhooks was added or retired.
    WebhookEventTypeChanged = "webhook_event_type.changed", Control;
    /// An administrator published a webhook.
    WebhookPublished = "webhook.published", Data;
    /// Somebody asked for webhooks to be delivered again.
    WebhookReplayAsked = "webhook.replay_asked", Control;
    /// An endpoint of webhooks got a new secret.
    WebhookSecretRotated = "webhook_secret.rotated", Control;
    /// A webhook was not taken in.
    WebhookRefused = "webhook.refused", Data;
    /// A webhook came again.
    WebhookRepeated = "webhook.repeated", Data;
}

#[cfg(test)]
pub(crate) mod tests;
