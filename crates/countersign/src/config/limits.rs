//! `[[limits]]`: how often routes may be called, and by whom counted together. A route names its limits (`limits = ["a", "b"]`), all of which
//! must let a request through; routes that name the same limit share its counts, unless it goes by `route`.
//!
//! `rate = { requests = 100, per = "1m" }` in a route is short for a token bucket by client and route.

use super::error::Mistakes;
use super::nearest;
use super::routes::Anonymous;
use super::shared_limits::SharedLimitsSection;
use super::span::{Span, parse_span};
use countersign_base::{Duration, RouteId};
use serde::Deserialize;
use serde::de::{self, Deserializer};
use std::collections::BTreeSet;
use toml::Spanned;

/// The name that callers see for `rate`.
const RATE: &str = "default";
const WINDOW_MAX: Duration = Duration::from_secs(31 * 86_400);
const WAIT_SECONDS_MAX: u64 = 30;

/// One of `[[limits]]` as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawLimit {
    name: Spanned<String>,
    #[serde(default)]
    algorithm: RawAlgorithm,
    requests: Spanned<u32>,
    per: Spanned<Per>,
    /// How many may come at once, of a token bucket; without it, all of a window.
    burst: Option<Spanned<u32>>,
    /// How many may wait, of a leaky bucket; without it, none.
    queue: Option<Spanned<u32>>,
    by: Spanned<BTreeSet<By>>,
    anonymous: Option<AnonymousCount>,
    /// Whether other processes count with this one.
    #[serde(default)]
    counts: Counts,
}

/// `rate` of a route as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRate {
    requests: Spanned<u32>,
    per: Span,
    anonymous: Option<AnonymousCount>,
    #[serde(default)]
    counts: Counts,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawAlgorithm {
    Calendar,
    FixedWindow,
    LeakyBucket,
    SlidingWindow,
    #[default]
    TokenBucket,
}

/// A window: a span of time, or for calendars `day` or `month`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Per {
    Day,
    Month,
    Span(Duration),
}

impl<'de> Deserialize<'de> for Per {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "day" => Ok(Self::Day),
            "month" => Ok(Self::Month),
            text => parse_span(text).map(Self::Span).ok_or_else(|| {
                de::Error::custom(
                    "expected a span of time such as `30s`, `5m`, `12h`, or `day` or `month` of a calendar",
                )
            }),
        }
    }
}

/// What callers must have in common to be counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The certificate of the connection.
    Certificate,
    /// The client of the token.
    Client,
    /// The network of the connection.
    Network,
    /// The route.
    Route,
    /// Whom the token speaks of.
    Subject,
    /// The tenant.
    Tenant,
}

/// How callers without a token are counted by a limit that goes by identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnonymousCount {
    /// Each network by itself.
    Network,
    /// All of them together.
    Together,
}

/// Who keeps the counts of a limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counts {
    /// Each process by itself.
    #[default]
    Process,
    /// All processes of `[shared_limits]` together.
    Shared,
}

/// How requests are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counting {
    /// From midnight to midnight, UTC.
    CalendarDay,
    /// From the first of a month to the first of the next, UTC.
    CalendarMonth,
    /// So many in each window.
    FixedWindow,
    /// At a constant pace.
    LeakyBucket {
        /// How many may wait.
        queue: u32,
    },
    /// So many in any window, nearly.
    SlidingWindow,
    /// Refilled at a constant pace.
    TokenBucket {
        /// How many may come at once.
        burst: u32,
    },
}

/// One limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitSection {
    /// Its name, which callers see.
    pub name: String,
    /// How it counts.
    pub counting: Counting,
    /// How many requests a window has.
    pub requests: u32,
    /// The window; of no meaning for calendars.
    pub per: Duration,
    /// Who is counted together.
    pub by: BTreeSet<By>,
    /// How those without a token are counted, if it was said.
    pub anonymous_said: Option<AnonymousCount>,
    /// How those without a token are counted.
    pub anonymous: AnonymousCount,
    /// Who keeps its counts.
    pub counts: Counts,
}

impl LimitSection {
    /// Whether somebody without a token has nothing that it goes by.
    fn goes_by_identity(&self) -> bool {
        self.by
            .iter()
            .any(|by| matches!(by, By::Certificate | By::Client | By::Subject))
    }
}

pub(crate) fn check(
    raw: Vec<RawLimit>,
    shared: Option<&SharedLimitsSection>,
    mistakes: &mut Mistakes<'_>,
) -> Vec<LimitSection> {
    let mut limits: Vec<LimitSection> = Vec::new();
    for limit in raw {
        let name = limit.name.get_ref();
        if name == RATE || limits.iter().any(|earlier| earlier.name == *name) {
            mistakes.at(
                &limit.name.span(),
                format!("the limit `{name}` stands here twice, or is the name of `rate`"),
                "give it another name",
            );
            continue;
        }
        check_name(&limit.name, mistakes);
        check_requests(&limit.requests, mistakes);
        check_counts(limit.counts, shared, &limit.name.span(), mistakes);
        if limit.by.get_ref().is_empty() {
            mistakes.at(
                &limit.by.span(),
                "a limit goes by something",
                "write `by = [\"client\"]`, or another of `certificate`, `network`, `route`, `subject`, `tenant`",
            );
        }
        // A limit that was wrong stays, so that routes that name it are not wrong too.
        let (counting, per) =
            counting(&limit, mistakes).unwrap_or((Counting::FixedWindow, WINDOW_MAX));
        limits.push(LimitSection {
            name: limit.name.into_inner(),
            counting,
            requests: limit.requests.into_inner(),
            per,
            by: limit.by.into_inner(),
            anonymous_said: limit.anonymous,
            anonymous: limit.anonymous.unwrap_or(AnonymousCount::Together),
            counts: limit.counts,
        });
    }
    limits
}

fn check_counts(
    counts: Counts,
    shared: Option<&SharedLimitsSection>,
    span: &std::ops::Range<usize>,
    mistakes: &mut Mistakes<'_>,
) {
    if counts == Counts::Shared && shared.is_none() {
        mistakes.at(
            span,
            "the counts of this limit are shared, and nothing says where",
            "add `[shared_limits]` with `url`, `names` and `nodes`",
        );
    }
}

fn check_name(name: &Spanned<String>, mistakes: &mut Mistakes<'_>) {
    let text = name.get_ref();
    let named = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
    if text.is_empty() || text.len() > 32 || !text.bytes().all(named) {
        mistakes.at(
            &name.span(),
            format!("`{text}` is not the name of a limit"),
            "use 1 to 32 lower-case letters, digits, `-` and `_`: callers see it",
        );
    }
}

fn check_requests(requests: &Spanned<u32>, mistakes: &mut Mistakes<'_>) {
    if *requests.get_ref() == 0 {
        mistakes.at(
            &requests.span(),
            "a limit of no requests closes the route",
            "remove the route, or allow at least one",
        );
    }
}

/// How a limit counts, with its window; absent when that was wrong.
fn counting(limit: &RawLimit, mistakes: &mut Mistakes<'_>) -> Option<(Counting, Duration)> {
    let of_other =
        |mistakes: &mut Mistakes<'_>, key: &str, owner: &str, value: &Option<Spanned<u32>>| {
            if let Some(value) = value {
                mistakes.at(
                    &value.span(),
                    format!("`{key}` belongs to a {owner}"),
                    format!("remove it, or write `algorithm = \"{owner}\"`"),
                );
            }
        };
    if limit.algorithm != RawAlgorithm::TokenBucket {
        of_other(mistakes, "burst", "token_bucket", &limit.burst);
    }
    if limit.algorithm != RawAlgorithm::LeakyBucket {
        of_other(mistakes, "queue", "leaky_bucket", &limit.queue);
    }
    let requests = *limit.requests.get_ref();
    let per = match (limit.algorithm, limit.per.get_ref()) {
        (RawAlgorithm::Calendar, Per::Day) => {
            return Some((Counting::CalendarDay, Duration::from_secs(86_400)));
        }
        (RawAlgorithm::Calendar, Per::Month) => return Some((Counting::CalendarMonth, WINDOW_MAX)),
        (RawAlgorithm::Calendar, Per::Span(_)) => {
            let help = "write `per = \"day\"` or `per = \"month\"`";
            mistakes.at(&limit.per.span(), "a calendar has days and months", help);
            return None;
        }
        (_, Per::Span(per)) if *per <= WINDOW_MAX => *per,
        (_, Per::Span(_)) => {
            let help = "write `31d` at most, or `algorithm = \"calendar\"`";
            mistakes.at(&limit.per.span(), "a window has at most 31 days", help);
            return None;
        }
        (_, Per::Day | Per::Month) => {
            let help = "write `algorithm = \"calendar\"`, or a span such as `1d`";
            mistakes.at(
                &limit.per.span(),
                "days and months belong to a calendar",
                help,
            );
            return None;
        }
    };
    let value = |value: &Option<Spanned<u32>>| value.as_ref().map(|value| *value.get_ref());
    let counting = match limit.algorithm {
        RawAlgorithm::Calendar | RawAlgorithm::FixedWindow => Counting::FixedWindow,
        RawAlgorithm::LeakyBucket => Counting::LeakyBucket {
            queue: value(&limit.queue).unwrap_or(0),
        },
        RawAlgorithm::SlidingWindow => Counting::SlidingWindow,
        RawAlgorithm::TokenBucket => Counting::TokenBucket {
            burst: value(&limit.burst).unwrap_or(requests),
        },
    };
    check_counting(limit, counting, per, mistakes);
    Some((counting, per))
}

fn check_counting(
    limit: &RawLimit,
    counting: Counting,
    per: Duration,
    mistakes: &mut Mistakes<'_>,
) {
    let (span, requests) = (limit.requests.span(), *limit.requests.get_ref());
    match counting {
        Counting::TokenBucket { burst: 0 } if requests > 0 => {
            let span = limit.burst.as_ref().map_or(span, Spanned::span);
            mistakes.at(
                &span,
                "a bucket that holds nothing closes the route",
                "allow at least one",
            );
        }
        Counting::LeakyBucket { queue }
            if u128::from(queue) * per.as_nanos()
                > u128::from(requests) * u128::from(WAIT_SECONDS_MAX) * 1_000_000_000 =>
        {
            let span = limit.queue.as_ref().map_or(span, Spanned::span);
            mistakes.at(
                &span,
                "the last of a full queue would wait longer than 30 seconds",
                "let fewer wait, or pass on more",
            );
        }
        Counting::CalendarDay
        | Counting::CalendarMonth
        | Counting::FixedWindow
        | Counting::LeakyBucket { .. }
        | Counting::SlidingWindow
        | Counting::TokenBucket { .. } => {}
    }
}

/// The limits of a route: its `rate`, then those that it names.
pub(super) fn of_route(
    route: &RouteId,
    callers: Anonymous,
    rate: Option<RawRate>,
    names: Vec<Spanned<String>>,
    limits: &[LimitSection],
    mistakes: &mut Mistakes<'_>,
) -> Vec<LimitSection> {
    let mut chosen: Vec<LimitSection> = Vec::new();
    if let Some(rate) = rate {
        check_requests(&rate.requests, mistakes);
        let span = rate.requests.span();
        let section = LimitSection {
            name: RATE.to_owned(),
            counting: Counting::TokenBucket {
                burst: *rate.requests.get_ref(),
            },
            requests: rate.requests.into_inner(),
            per: rate.per.0,
            by: [By::Client, By::Route].into(),
            anonymous_said: rate.anonymous,
            anonymous: rate.anonymous.unwrap_or(AnonymousCount::Together),
            counts: rate.counts,
        };
        add(&mut chosen, section, (route, callers, &span), mistakes);
    }
    for name in names {
        let Some(limit) = limits.iter().find(|limit| limit.name == *name.get_ref()) else {
            let known = limits.iter().map(|limit| limit.name.as_str());
            mistakes.at(
                &name.span(),
                format!("no limit `{}`", name.get_ref()),
                nearest(name.get_ref(), known),
            );
            continue;
        };
        add(
            &mut chosen,
            limit.clone(),
            (route, callers, &name.span()),
            mistakes,
        );
    }
    chosen
}

/// The limits of a route for webhooks: its `rate` counts networks, because its callers have nothing else to be counted by; then those that it names.
pub(super) fn of_webhook_route(
    route: &RouteId,
    rate: Option<RawRate>,
    names: Vec<Spanned<String>>,
    limits: &[LimitSection],
    mistakes: &mut Mistakes<'_>,
) -> Vec<LimitSection> {
    let rate = rate.map(|rate| RawRate {
        anonymous: rate.anonymous.or(Some(AnonymousCount::Network)),
        ..rate
    });
    of_route(route, Anonymous::Allowed, rate, names, limits, mistakes)
}

fn add(
    chosen: &mut Vec<LimitSection>,
    limit: LimitSection,
    (route, callers, span): (&RouteId, Anonymous, &std::ops::Range<usize>),
    mistakes: &mut Mistakes<'_>,
) {
    if limit.per > WINDOW_MAX {
        mistakes.at(span, "a window has at most 31 days", "write `31d` at most");
    }
    if callers == Anonymous::Allowed && limit.goes_by_identity() && limit.anonymous_said.is_none() {
        mistakes.at(
            span,
            format!(
                "the route `{route}` lets callers without a token through, and its limit `{}` does not say how they are counted",
                limit.name
            ),
            "add `anonymous = \"network\"` (people behind one address share a count) or `anonymous = \"together\"` to the limit",
        );
    }
    if chosen
        .first()
        .is_some_and(|first| first.counts != limit.counts)
    {
        mistakes.at(
            span,
            format!("the limits of the route `{route}` are counted by this process and by all of them"),
            "write `counts = \"shared\"` in all of them or in none: a request is charged to all limits or to none",
        );
    }
    if chosen.iter().any(|earlier| earlier.name == limit.name) {
        mistakes.at(
            span,
            format!("the route `{route}` names the limit `{}` twice", limit.name),
            "remove one of them",
        );
        return;
    }
    if chosen.len() == 8 {
        mistakes.at(span, "a route has at most 8 limits", "remove one of them");
        return;
    }
    chosen.push(limit);
}

#[cfg(test)]
mod tests;
