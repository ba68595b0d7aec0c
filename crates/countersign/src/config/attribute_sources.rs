//! `[[attribute_sources]]`: whom the gateway asks about objects before it decides: their owner, their state.

use super::error::Mistakes;
use super::upstreams::GatewayIdentity;
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;
use toml::Spanned;

/// One of `[[attribute_sources]]` as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawAttributeSource {
    name: Spanned<String>,
    /// `https://orders.internal/objects/{}`: the segment `{}` is the object's id.
    url: String,
    /// A file with the certificate authority of its certificate; without it, the local development authority.
    ca: Option<PathBuf>,
    /// Whether the gateway shows it a client certificate of the local authority.
    #[serde(default)]
    identity: GatewayIdentity,
    /// How long an answer counts.
    #[serde(default = "thirty")]
    ttl_seconds: u32,
    /// How long it counts that an object is not there.
    #[serde(default = "five")]
    negative_ttl_seconds: u32,
    /// Time for a look-up.
    #[serde(default = "thousand")]
    timeout_ms: u32,
    /// Look-ups under way at once.
    #[serde(default = "thirty")]
    concurrency: u32,
}

const fn five() -> u32 {
    5
}

const fn thirty() -> u32 {
    30
}

const fn thousand() -> u32 {
    1_000
}

/// One source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeSourceSection {
    /// Its name, which attributes of routes use.
    pub name: String,
    /// Its address, with `{}` for the id.
    pub url: String,
    /// The certificate authority of its certificate, if not the local one.
    pub ca: Option<PathBuf>,
    /// What the gateway shows.
    pub identity: GatewayIdentity,
    /// How long an answer counts.
    pub ttl: Duration,
    /// How long it counts that an object is not there.
    pub negative_ttl: Duration,
    /// Time for a look-up.
    pub timeout: Duration,
    /// Look-ups under way at once.
    pub concurrency: usize,
}

pub(crate) fn check(
    raw: Vec<RawAttributeSource>,
    mistakes: &mut Mistakes<'_>,
) -> Vec<AttributeSourceSection> {
    let mut sources = Vec::new();
    for source in raw {
        let within = (1..=86_400).contains(&source.ttl_seconds)
            && (1..=3_600).contains(&source.negative_ttl_seconds)
            && (10..=10_000).contains(&source.timeout_ms)
            && (1..=1_024).contains(&source.concurrency);
        if !within {
            mistakes.at(
                &source.name.span(),
                "a number of this attribute source is out of its range",
                "`ttl_seconds` is 1 to 86400, `negative_ttl_seconds` 1 to 3600, `timeout_ms` 10 to 10000, `concurrency` 1 to 1024",
            );
        }
        sources.push(AttributeSourceSection {
            name: source.name.into_inner(),
            url: source.url,
            ca: source.ca,
            identity: source.identity,
            ttl: Duration::from_secs(source.ttl_seconds.into()),
            negative_ttl: Duration::from_secs(source.negative_ttl_seconds.into()),
            timeout: Duration::from_millis(source.timeout_ms.into()),
            concurrency: usize::try_from(source.concurrency).unwrap_or(1),
        });
    }
    sources
}
