//! `[gateway]`: what is one for all routes.

use super::error::Mistakes;
use super::gateway_issuers::{self, GatewayIssuerSection, RawGatewayIssuer};
use countersign_gateway::{TOKENS_KEPT, TOKENS_KEPT_MAX};
use serde::Deserialize;
use toml::Spanned;

/// `[gateway]` as written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawGateway {
    /// How many access tokens are remembered as verified, so that the signature of one that comes again is not verified again; 0 remembers none. Everything
    /// else about a token is judged every time either way.
    verified_tokens: Option<Spanned<usize>>,
    /// Issuers that are not ours and whose access tokens routes may take.
    issuers: Vec<Spanned<RawGatewayIssuer>>,
}

/// `[gateway]` as used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewaySection {
    /// How many access tokens are remembered as verified.
    pub verified_tokens: usize,
    /// Issuers that are not ours and whose access tokens routes may take.
    pub issuers: Vec<GatewayIssuerSection>,
}

pub(crate) fn check(raw: RawGateway, mistakes: &mut Mistakes<'_>) -> GatewaySection {
    let verified_tokens = raw.verified_tokens.map_or(TOKENS_KEPT, |given| {
        if *given.get_ref() > TOKENS_KEPT_MAX {
            mistakes.at(
                &given.span(),
                format!("at most {TOKENS_KEPT_MAX} verified tokens are remembered"),
                format!("without the setting it is {TOKENS_KEPT}, about a kilobyte each"),
            );
        }
        *given.get_ref()
    });
    GatewaySection {
        verified_tokens,
        issuers: gateway_issuers::check(raw.issuers, mistakes),
    }
}
