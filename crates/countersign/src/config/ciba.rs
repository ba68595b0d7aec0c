//! `ciba` of `[[clients]]`: how a client of the grant `ciba` hears of an answer, and whether its requests must be signed.
//!
//! `ciba = { notification_endpoint = "https://bank.example.com/ciba", signed_requests = "required" }`

use countersign_oauth::client::{
    BackchannelSigning, CibaRules, DeliveryMode, NotificationEndpoint,
};
use serde::Deserialize;

/// The settings as written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawCiba {
    /// Where the client is told that there is an answer (mode `ping`). Without it the client polls.
    notification_endpoint: Option<NotificationEndpoint>,
    /// `optional` or `required`.
    signed_requests: BackchannelSigning,
}

impl RawCiba {
    /// The rules they come to.
    pub(crate) fn rules(self) -> CibaRules {
        CibaRules {
            delivery: match self.notification_endpoint {
                Some(endpoint) => DeliveryMode::Ping { endpoint },
                None => DeliveryMode::Poll,
            },
            signing: self.signed_requests,
        }
    }
}
