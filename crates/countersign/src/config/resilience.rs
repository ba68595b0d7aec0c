//! What an upstream is given and what it is spared: timeouts, retries, a circuit breaker, health checks, a limit of requests under way; and of a
//! route its own such limit and what it does with `Idempotency-Key`. Everything may be left out; what is left out has a default.

use super::error::Mistakes;
use super::routes::Anonymous;
use super::span::Span;
use countersign_base::Duration;
use countersign_gateway::idempotency::KEY_BYTES_MIN;
use http::uri::PathAndQuery;
use serde::Deserialize;
use toml::Spanned;

const PLACES_MAX: u32 = 65_536;
const ATTEMPTS_MAX: u32 = 5;
const KEY_BYTES_MAX: u32 = 255;
const KEEP_MAX: Duration = Duration::from_secs(7 * 86_400);

/// These keys of `[[upstreams]]` as written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawTimeouts {
    connect: Option<Span>,
    answer: Option<Span>,
    idle: Option<Span>,
    total: Option<Span>,
}

/// How long each step to an upstream may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeoutsSection {
    /// To resolve, connect and shake hands.
    pub connect: Duration,
    /// For the head of an answer, of each attempt.
    pub answer: Duration,
    /// Between two pieces of an answer's body.
    pub idle: Duration,
    /// For the head of an answer, of all attempts together.
    pub total: Duration,
}

impl RawTimeouts {
    pub(super) fn checked(self) -> TimeoutsSection {
        let or = |said: Option<Span>, seconds| {
            said.map_or_else(|| Duration::from_secs(seconds), |said| said.0)
        };
        TimeoutsSection {
            connect: or(self.connect, 3),
            answer: or(self.answer, 30),
            idle: or(self.idle, 300),
            total: or(self.total, 60),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRetries {
    attempts: Option<Spanned<u32>>,
    budget_percent: Option<Spanned<u32>>,
    hedge: Option<Span>,
}

/// What is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetriesSection {
    /// The first attempt counted too.
    pub attempts: u32,
    /// Retries a hundred requests earn.
    pub budget_percent: u32,
    /// When another address is asked as well.
    pub hedge: Option<Duration>,
}

impl RawRetries {
    pub(super) fn checked(self, mistakes: &mut Mistakes<'_>) -> RetriesSection {
        if let Some(attempts) = &self.attempts {
            between(attempts, (1, ATTEMPTS_MAX), "attempts", mistakes);
        }
        if let Some(percent) = &self.budget_percent {
            between(percent, (1, 100), "percent", mistakes);
        }
        RetriesSection {
            attempts: self.attempts.map_or(1, Spanned::into_inner),
            budget_percent: self.budget_percent.map_or(20, Spanned::into_inner),
            hedge: self.hedge.map(|span| span.0),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawBreaker {
    failures: Spanned<u32>,
    ejection: Option<Span>,
}

/// When an address is given up for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerSection {
    /// Failures in a row.
    pub failures: u32,
    /// How long the first time.
    pub ejection: Duration,
}

impl RawBreaker {
    pub(super) fn checked(self, mistakes: &mut Mistakes<'_>) -> BreakerSection {
        between(&self.failures, (1, 1_000), "failures in a row", mistakes);
        BreakerSection {
            failures: self.failures.into_inner(),
            ejection: self.ejection.map_or(Duration::from_secs(1), |span| span.0),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHealth {
    path: Spanned<String>,
    every: Option<Span>,
    timeout: Option<Span>,
    sick_after: Option<Spanned<u32>>,
    well_after: Option<Spanned<u32>>,
}

/// How the addresses of an upstream are asked whether they are well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthSection {
    /// Path and query of a `GET`.
    pub path: PathAndQuery,
    /// The pause between two checks.
    pub every: Duration,
    /// How long a check may take.
    pub timeout: Duration,
    /// Bad checks in a row after which an address is passed over.
    pub sick_after: u32,
    /// Good checks in a row after which it is used again.
    pub well_after: u32,
}

impl RawHealth {
    pub(super) fn checked(self, mistakes: &mut Mistakes<'_>) -> Option<HealthSection> {
        for count in self.sick_after.iter().chain(&self.well_after) {
            between(count, (1, 100), "checks in a row", mistakes);
        }
        let text = self.path.get_ref();
        let Some(path) = text.parse().ok().filter(|_| text.starts_with('/')) else {
            let help = "write a path such as `/healthz`";
            mistakes.at(&self.path.span(), format!("`{text}` is not a path"), help);
            return None;
        };
        Some(HealthSection {
            path,
            every: self.every.map_or(Duration::from_secs(10), |span| span.0),
            timeout: self.timeout.map_or(Duration::from_secs(2), |span| span.0),
            sick_after: self.sick_after.map_or(3, Spanned::into_inner),
            well_after: self.well_after.map_or(2, Spanned::into_inner),
        })
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawConcurrency {
    max: Spanned<u32>,
    /// With it the number follows the upstream's latency and never goes below this.
    min: Option<Spanned<u32>>,
}

/// How many requests may be under way at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConcurrencySection {
    /// Never more.
    pub max: u32,
    /// Where the number follows the upstream's latency, never fewer.
    pub min: Option<u32>,
}

impl RawConcurrency {
    pub(super) fn checked(self, mistakes: &mut Mistakes<'_>) -> ConcurrencySection {
        between(&self.max, (1, PLACES_MAX), "requests at once", mistakes);
        let max = self.max.into_inner();
        if let Some(min) = &self.min {
            between(min, (1, max.max(1)), "requests at once", mistakes);
        }
        ConcurrencySection {
            max,
            min: self.min.map(Spanned::into_inner),
        }
    }
}

/// How an address is chosen among several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BalanceSection {
    /// The same one for a client.
    Client,
    /// The less loaded of two.
    #[default]
    LeastLoaded,
    /// The same one for a network.
    Network,
    /// The same one for whom a token speaks of.
    Subject,
}

/// `idempotency` of a route as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawIdempotency {
    keys: Spanned<KeysSection>,
    keep: Option<Spanned<Span>>,
    /// Characters that a key has at least.
    key_min: Option<Spanned<u32>>,
    /// The page that says what becomes of keys, for whoever is refused.
    described_by: Option<Spanned<String>>,
    #[serde(default)]
    upstream: UpstreamKeysSection,
}

/// Whether an unsafe request must have a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeysSection {
    /// It may do without.
    Optional,
    /// It is refused without.
    Required,
}

/// Whether the upstream knows keys by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpstreamKeysSection {
    /// It does: a request with a key may be sent again.
    Honours,
    /// Nobody knows.
    #[default]
    Ignores,
}

/// What a route does with `Idempotency-Key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencySection {
    /// Whether an unsafe request must have one.
    pub keys: KeysSection,
    /// Characters that a key has at least.
    pub key_min: u8,
    /// The page that says what becomes of keys.
    pub described_by: Option<String>,
    /// How long an answer is kept.
    pub keep: Duration,
    /// Whether the upstream knows keys by itself.
    pub upstream: UpstreamKeysSection,
}

impl RawIdempotency {
    pub(super) fn checked(
        self,
        callers: Anonymous,
        mistakes: &mut Mistakes<'_>,
    ) -> IdempotencySection {
        if callers == Anonymous::Allowed {
            mistakes.at(
                &self.keys.span(),
                "callers without a token have no keys of their own",
                "remove `anonymous = \"allowed\"`, or `idempotency`",
            );
        }
        let keep = self.keep.as_ref();
        if let Some(keep) = keep.filter(|keep| keep.get_ref().0 > KEEP_MAX) {
            let help = "write `7d` at most: a caller that tries again does so sooner";
            mistakes.at(
                &keep.span(),
                "an answer is kept for seven days at most",
                help,
            );
        }
        if let Some(characters) = &self.key_min {
            between(characters, (1, KEY_BYTES_MAX), "characters", mistakes);
        }
        let described_by = self.described_by.map(|page| {
            let is_address = page.get_ref().starts_with("https://")
                && page.get_ref().parse::<http::Uri>().is_ok()
                && !page.get_ref().contains(['<', '>', '#']);
            if !is_address {
                let help = "write an address such as `https://docs.example/idempotency`";
                let message = format!("`{}` is not the address of a page", page.get_ref());
                mistakes.at(&page.span(), message, help);
            }
            page.into_inner()
        });
        IdempotencySection {
            key_min: self
                .key_min
                .and_then(|characters| u8::try_from(characters.into_inner()).ok())
                .unwrap_or(KEY_BYTES_MIN),
            described_by,
            keys: self.keys.into_inner(),
            keep: keep.map_or(Duration::from_secs(86_400), |keep| keep.get_ref().0),
            upstream: self.upstream,
        }
    }
}

/// The places of a route as written.
pub(super) fn places(said: Option<Spanned<u32>>, mistakes: &mut Mistakes<'_>) -> Option<u32> {
    let said = said?;
    between(&said, (1, PLACES_MAX), "requests at once", mistakes);
    Some(said.into_inner())
}

fn between(
    number: &Spanned<u32>,
    (least, most): (u32, u32),
    what: &str,
    mistakes: &mut Mistakes<'_>,
) {
    if !(least..=most).contains(number.get_ref()) {
        mistakes.at(
            &number.span(),
            format!("{} is not a number of {what}", number.get_ref()),
            format!("write {least} to {most}"),
        );
    }
}

#[cfg(test)]
mod tests;
