//! `[webhooks]`: how webhooks that go out are tried, how long what ended is kept, and the schedules of retries that endpoints name beside the built-in ones.
//!
//! Not here: endpoints and event types, which are not declared (`countersign webhook`), and who sends webhooks to us (`[[webhook_sources]]`).

use super::error::Mistakes;
use super::span::{Span, within};
use countersign_base::Duration;
use countersign_channels::webhook::dispatcher::TIMEOUT_MAX;
use countersign_control::webhooks::{PublishingRate, Schedule, ScheduleError, Schedules};
use countersign_net::DeliveryLimits;
use countersign_store::webhooks::WebhookKept;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use toml::Spanned;

/// Attempts that are under way at once unless the configuration says otherwise. Each holds its body in memory, and a connection.
const DELIVERIES: usize = 1_024;
const DELIVERIES_RANGE: RangeInclusive<usize> = 4..=8_192;
/// The shortest that an attempt may take: a receiver is given a moment.
const TIMEOUT_MIN: Duration = Duration::from_secs(1);
/// Messages that a client may be allowed to publish in one moment.
const PUBLISHED_MAX: u32 = 1_000_000;
/// The longest span over which they are counted: who used it up waits that long for as many again.
const PUBLISHED_PER_MAX: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
/// The shortest that what was delivered is kept: an endpoint that took nothing for five days is disabled, and what it took is how that is known.
const DELIVERED_MIN: Duration = Duration::from_secs(7 * 86_400);
/// The longest that anything is kept: a delivery log is no archive.
const KEPT_MAX: Duration = Duration::from_secs(365 * 86_400);

/// `[webhooks]` as written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawWebhooks {
    /// Attempts that are under way at once; 1,024 unless this says otherwise.
    deliveries_max: Option<Spanned<usize>>,
    /// Time for one attempt, connecting included; 20 seconds unless this says otherwise.
    timeout: Option<Spanned<Span>>,
    /// Of it, time to resolve, connect and shake hands; 10 seconds unless this says otherwise.
    connect_timeout: Option<Spanned<Span>>,
    /// How long deliveries that ended are kept.
    kept: RawKept,
    /// How much a client may publish; 10,000 messages in 10 seconds unless this says otherwise.
    publishing: Option<Spanned<RawPublishing>>,
    /// The pauses between attempts, by the name that endpoints give as `retries`.
    schedules: BTreeMap<String, Spanned<Vec<Span>>>,
}

/// `kept` of `[webhooks]` as written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawKept {
    /// Those that were delivered; 7 days unless this says otherwise.
    delivered: Option<Spanned<Span>>,
    /// Those that were given up; 30 days unless this says otherwise.
    dead: Option<Spanned<Span>>,
}

/// `publishing` of `[webhooks]` as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPublishing {
    requests: u32,
    per: Span,
}

/// `[webhooks]` as used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhooksSection {
    /// Attempts that are under way at once.
    pub deliveries_max: usize,
    /// Time for one attempt, connecting included.
    pub timeout: Duration,
    /// Of it, time to resolve, connect and shake hands.
    pub connect_timeout: Duration,
    /// How long deliveries that ended are kept.
    pub kept: WebhookKept,
    /// How much a client may publish.
    pub publishing: PublishingRate,
    /// The schedules of retries, the built-in ones too.
    pub schedules: Schedules,
}

pub(crate) fn check(raw: RawWebhooks, mistakes: &mut Mistakes<'_>) -> WebhooksSection {
    let usual = DeliveryLimits::default();
    let timeout = within(
        raw.timeout,
        TIMEOUT_MIN..=TIMEOUT_MAX,
        usual.timeout,
        "an attempt takes between 1 and 60 seconds",
        mistakes,
    );
    let connect_timeout = within(
        raw.connect_timeout,
        TIMEOUT_MIN..=timeout,
        usual.connect_timeout.min(timeout),
        "connecting is part of an attempt: it takes between a second and `timeout`",
        mistakes,
    );
    let kept = WebhookKept::default();
    WebhooksSection {
        deliveries_max: deliveries_max(raw.deliveries_max, mistakes),
        timeout,
        connect_timeout,
        kept: WebhookKept {
            delivered: within(
                raw.kept.delivered,
                DELIVERED_MIN..=KEPT_MAX,
                kept.delivered,
                "deliveries are kept between 7 and 365 days: what an endpoint took says whether it still takes anything",
                mistakes,
            ),
            dead: within(
                raw.kept.dead,
                DAY..=KEPT_MAX,
                kept.dead,
                "what was given up is kept between 1 and 365 days",
                mistakes,
            ),
        },
        publishing: publishing(raw.publishing, mistakes),
        schedules: schedules(raw.schedules, mistakes),
    }
}

fn publishing(
    written: Option<Spanned<RawPublishing>>,
    mistakes: &mut Mistakes<'_>,
) -> PublishingRate {
    let Some(written) = written else {
        return PublishingRate::default();
    };
    let rate = PublishingRate {
        requests: written.get_ref().requests,
        per: written.get_ref().per.0,
    };
    if !(1..=PUBLISHED_MAX).contains(&rate.requests) || rate.per > PUBLISHED_PER_MAX {
        mistakes.at(
            &written.span(),
            format!("a client publishes 1 to {PUBLISHED_MAX} messages per 1 second to 1 hour"),
            "write it as `publishing = { requests = 10000, per = \"10s\" }`",
        );
    }
    rate
}

fn deliveries_max(written: Option<Spanned<usize>>, mistakes: &mut Mistakes<'_>) -> usize {
    let Some(written) = written else {
        return DELIVERIES;
    };
    if !DELIVERIES_RANGE.contains(written.get_ref()) {
        mistakes.at(
            &written.span(),
            format!(
                "between {} and {} attempts are under way at once",
                DELIVERIES_RANGE.start(),
                DELIVERIES_RANGE.end()
            ),
            format!("without the setting it is {DELIVERIES}; each holds a payload of up to 256 KiB and a connection"),
        );
    }
    written.into_inner()
}

/// The built-in schedules and these. Each is judged by itself, so that every mistake has its line.
fn schedules(
    written: BTreeMap<String, Spanned<Vec<Span>>>,
    mistakes: &mut Mistakes<'_>,
) -> Schedules {
    let mut own = BTreeMap::new();
    for (name, pauses) in written {
        let span = pauses.span();
        if pauses.get_ref().is_empty() {
            mistakes.at(
                &span,
                format!("the schedule `{name}` has no pause"),
                "write `[\"5s\", \"1m\", \"10m\"]`; to try once and never again, endpoints name the schedule `once`",
            );
            continue;
        }
        let pauses = pauses.into_inner().into_iter().map(|pause| pause.0);
        let schedule = match Schedule::new(pauses.collect()) {
            Ok(schedule) => schedule,
            Err(error) => {
                wrong(&name, &span, error, mistakes);
                continue;
            }
        };
        let mut with = own.clone();
        with.insert(name.clone(), schedule);
        match Schedules::new(with.clone()) {
            Ok(_) => own = with,
            Err(error) => wrong(&name, &span, error, mistakes),
        }
    }
    Schedules::new(own).unwrap_or_default()
}

fn wrong(
    name: &str,
    span: &std::ops::Range<usize>,
    error: ScheduleError,
    mistakes: &mut Mistakes<'_>,
) {
    let help = match error {
        ScheduleError::Name => "give it another name",
        ScheduleError::Number => "remove those that no endpoint names",
        ScheduleError::Pause => "write each pause as `5s`, `10m`, `2h` or `1d`",
        ScheduleError::Retries => "leave some out: the last attempts tell the least",
    };
    mistakes.at(span, format!("the schedule `{name}`: {error}"), help);
}

#[cfg(test)]
mod tests;
