//! `ciba` of `[[clients]]`: whether the requests of a client of the grant `ciba` must be signed.
//!
//! `ciba = { signed_requests = "required" }`

use countersign_oauth::client::{BackchannelSigning, CibaRules, DeliveryMode};
use serde::Deserialize;

/// The settings as written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawCiba {
    /// `optional` or `required`.
    signed_requests: BackchannelSigning,
}

impl RawCiba {
    /// The rules they come to.
    pub(crate) fn rules(self) -> CibaRules {
        CibaRules {
            delivery: DeliveryMode::Poll,
            signing: self.signed_requests,
        }
    }
}
