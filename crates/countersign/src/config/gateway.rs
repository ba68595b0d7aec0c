//! `[gateway]`: what is one for all routes.

use super::error::Mistakes;
use super::gateway_issuers::{self, GatewayIssuerSection, RawGatewayIssuer};
use super::shared_limits::SharedLimitsSection;
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
    /// Where the keys of routes with `idempotency` are kept, with the answers: `store` (the database), `redis` (what `[shared_limits]` names) or `memory` (forgotten when the process ends).
    /// Without the setting `store`; `redis` where `[shared_limits]` is there and the database is a SQLite file, which no other process can share.
    idempotency_keys: Option<Spanned<KeysIn>>,
}

/// Where idempotency keys are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeysIn {
    /// In this process, until it ends.
    Memory,
    /// In the Redis of `[shared_limits]`.
    Redis,
    /// In the database.
    Store,
}

/// `[gateway]` as used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewaySection {
    /// How many access tokens are remembered as verified.
    pub verified_tokens: usize,
    /// Issuers that are not ours and whose access tokens routes may take.
    pub issuers: Vec<GatewayIssuerSection>,
    /// Where idempotency keys are kept, if that is said.
    pub idempotency_keys: Option<KeysIn>,
}

/// Whether `[shared_limits]` is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HasSharedLimits {
    /// It is not.
    No,
    /// It is.
    Yes,
}

impl From<Option<&SharedLimitsSection>> for HasSharedLimits {
    fn from(section: Option<&SharedLimitsSection>) -> Self {
        match section {
            Some(_) => Self::Yes,
            None => Self::No,
        }
    }
}

pub(crate) fn check(
    raw: RawGateway,
    has_shared_limits: HasSharedLimits,
    mistakes: &mut Mistakes<'_>,
) -> GatewaySection {
    if let Some(keys) = &raw.idempotency_keys
        && (*keys.get_ref(), has_shared_limits) == (KeysIn::Redis, HasSharedLimits::No)
    {
        mistakes.at(
            &keys.span(),
            "no Redis is named in which idempotency keys could be kept",
            "add `[shared_limits]`, or write `store`",
        );
    }
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
        idempotency_keys: raw.idempotency_keys.map(Spanned::into_inner),
    }
}
