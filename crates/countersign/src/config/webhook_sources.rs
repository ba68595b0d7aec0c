//! `[[webhook_sources]]`: who sends webhooks to this installation, how we know that they did, and which service gets what they send. A route takes them in
//! (`webhook = "NAME"` of `[[routes]]`).
//!
//! Secrets are references. Each source has a window of time for what it signs, where its scheme signs a time, and remembers what came: there is no way to have neither.

mod schemes;

use super::error::Mistakes;
use super::key_places::{self, KeyPlace};
use super::span::{SecretReference, Span, within};
use super::upstreams::UpstreamSection;
use super::{Tenants, nearest};
use countersign_base::{Duration, EventTypeName, JsonPointer, RouteId, SourceName, Tenant};
use countersign_channels::webhook::receiver::{REMEMBER_DEFAULT, REMEMBER_MAX};
use countersign_control::webhooks::Schedules;
use countersign_wire::webhook::{EventIdRule, KEYS_MAX, Scheme, TOLERANCE_DEFAULT};
use schemes::{RawField, RawSignature};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::PathBuf;
use toml::Spanned;

/// The widest window of time: clocks that are further apart are a fault to mend.
const TOLERANCE_MAX: Duration = Duration::from_secs(15 * 60);
/// The shortest that events are remembered: a provider that tries again does so within a day.
const REMEMBER_MIN: Duration = Duration::from_secs(86_400);
/// Sources of one installation.
const SOURCES_MAX: usize = 1_000;
/// The schedule for our own services, unless the configuration says otherwise.
const RETRIES: &str = "service";
/// What bodies are unless the configuration says otherwise.
const JSON: &str = "application/json";

/// What a source refers to.
pub(crate) struct Known<'a> {
    tenants: &'a Tenants<'a>,
    upstreams: &'a [UpstreamSection],
    schedules: &'a Schedules,
}

impl<'a> Known<'a> {
    /// What there is.
    pub(crate) const fn new(
        tenants: &'a Tenants<'a>,
        upstreams: &'a [UpstreamSection],
        schedules: &'a Schedules,
    ) -> Self {
        Self {
            tenants,
            upstreams,
            schedules,
        }
    }
}

/// One of `[[webhook_sources]]` as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawSource {
    name: Spanned<SourceName>,
    #[serde(default)]
    tenant: Option<Spanned<Tenant>>,
    /// `standard-webhooks`, `stripe`, `github`, ...
    scheme: Spanned<String>,
    /// Where the signature stands and what it covers, of a scheme that leaves that open.
    signature: Option<Spanned<RawSignature>>,
    /// Its secrets in rotation, or its public keys.
    #[serde(default = "nothing")]
    secrets: Spanned<Vec<SecretReference>>,
    /// A file with its public keys as a JWK set, of a scheme whose keys are public.
    jwks: Option<Spanned<PathBuf>>,
    /// In place of that and of `secrets`, the address of the set: `https`, reached by the rules of `[egress]`.
    jwks_url: Option<Spanned<String>>,
    /// How far the time of what it signs may be from ours, either way; 5 minutes unless this says otherwise.
    tolerance: Option<Spanned<Span>>,
    /// How long its events are remembered; 7 days unless this says otherwise.
    remember: Option<Spanned<Span>>,
    /// Where the id of an event stands, if not where the scheme has it.
    id: Option<Spanned<RawId>>,
    /// Media types of bodies; `application/json` unless this says otherwise.
    media_types: Option<Spanned<BTreeSet<String>>>,
    /// Which service gets what it sends.
    deliver: RawDeliver,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawId {
    /// A place in the JSON body.
    body: Option<JsonPointer>,
    /// A header field.
    field: Option<RawField>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDeliver {
    upstream: Spanned<RouteId>,
    path: Spanned<String>,
    /// Secrets of Standard Webhooks, in rotation, that deliveries are signed with.
    #[serde(default = "nothing")]
    sign: Spanned<Vec<SecretReference>>,
    /// A schedule of retries; `service` unless this says otherwise.
    retries: Option<Spanned<String>>,
}

fn nothing() -> Spanned<Vec<SecretReference>> {
    Spanned::new(0..0, Vec::new())
}

/// One source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookSourceSection {
    /// Its name, which routes use.
    pub name: SourceName,
    /// Whose it is.
    pub tenant: Tenant,
    /// How it signs.
    pub scheme: Scheme,
    /// Its secrets in rotation, or its public keys.
    pub secrets: Vec<SecretReference>,
    /// Where its public keys are as a JWK set, if they are. An address stands alone, without secrets.
    pub jwks: Option<KeyPlace>,
    /// How far the time of what it signs may be from ours.
    pub tolerance: Duration,
    /// How long its events are remembered.
    pub remember: Duration,
    /// What the id of an event is.
    pub event_id: EventIdRule,
    /// Media types of bodies, in lower case.
    pub media_types: BTreeSet<String>,
    /// Which service gets what it sends.
    pub deliver: DeliverSection,
}

/// Where what a source sends goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliverSection {
    /// One of `[[upstreams]]`.
    pub upstream: RouteId,
    /// The path there.
    pub path: String,
    /// What deliveries are signed with; nothing, if they are not.
    pub sign: Vec<SecretReference>,
    /// The schedule of retries.
    pub retries: String,
}

pub(crate) fn check(
    raw: Vec<RawSource>,
    known: &Known<'_>,
    mistakes: &mut Mistakes<'_>,
) -> Vec<WebhookSourceSection> {
    let mut sources: Vec<WebhookSourceSection> = Vec::new();
    for source in raw {
        let name = source.name.get_ref();
        let twice = sources.iter().any(|earlier| earlier.name == *name);
        if twice || sources.len() == SOURCES_MAX || name.as_str().parse::<EventTypeName>().is_err()
        {
            mistakes.at(
                &source.name.span(),
                format!("`{name}` is the name of another source, or one that types of events cannot have, or there are more than {SOURCES_MAX}"),
                "use lower-case letters, digits, `-` and `_`",
            );
            continue;
        }
        if let Some(section) = section(source, known, mistakes) {
            sources.push(section);
        }
    }
    sources
}

fn section(
    mut raw: RawSource,
    known: &Known<'_>,
    mistakes: &mut Mistakes<'_>,
) -> Option<WebhookSourceSection> {
    let tenant = known.tenants.find(raw.tenant.as_ref(), mistakes)?;
    let scheme = schemes::scheme(&raw.scheme, raw.signature.take(), mistakes)?;
    let jwks = key_set(&raw, &scheme, mistakes);
    let tolerance = within(
        raw.tolerance,
        Duration::from_secs(1)..=TOLERANCE_MAX,
        TOLERANCE_DEFAULT,
        "the time of what a source signs may be 1 second to 15 minutes from ours",
        mistakes,
    );
    let remember = within(
        raw.remember,
        REMEMBER_MIN..=REMEMBER_MAX,
        REMEMBER_DEFAULT,
        "events are remembered for 1 to 90 days",
        mistakes,
    );
    let event_id = match raw.id {
        None => scheme.event_id_default(),
        Some(id) => event_id(id, mistakes).unwrap_or_else(|| scheme.event_id_default()),
    };
    Some(WebhookSourceSection {
        name: raw.name.into_inner(),
        tenant,
        secrets: raw.secrets.into_inner(),
        jwks,
        tolerance,
        remember,
        event_id,
        media_types: media_types(raw.media_types, mistakes),
        deliver: deliver(raw.deliver, known, mistakes),
        scheme,
    })
}

/// Where the source's public keys are, if they are a set; and whether it has any keys at all.
fn key_set(raw: &RawSource, scheme: &Scheme, mistakes: &mut Mistakes<'_>) -> Option<KeyPlace> {
    let (span, secrets) = (raw.name.span(), raw.secrets.get_ref().len());
    let has_set = raw.jwks.is_some() || raw.jwks_url.is_some();
    if secrets > KEYS_MAX || secrets == 0 && !has_set {
        mistakes.at(
            &span,
            format!("a source has 1 to {KEYS_MAX} secrets: those that are in rotation"),
            "write `secrets = [{ file = \"...\" }]`",
        );
    }
    if !has_set {
        return None;
    }
    if !scheme.takes_key_sets() {
        mistakes.at(
            &span,
            format!("the keys of `{}` are secrets, and a JWK set is public", scheme.name()),
            "write `secrets`, or a scheme with public keys: `jws-detached`, `http-signature`, `public-key`",
        );
    }
    if secrets > 0 && raw.jwks_url.is_some() {
        mistakes.at(
            &span,
            "`secrets` and `jwks_url`: a key that left the set at its address would go on to count",
            "leave one of them out",
        );
    }
    key_places::one(&span, raw.jwks.clone(), raw.jwks_url.clone(), mistakes)
}

fn event_id(written: Spanned<RawId>, mistakes: &mut Mistakes<'_>) -> Option<EventIdRule> {
    let span = written.span();
    match written.into_inner() {
        RawId {
            body: Some(pointer),
            field: None,
        } => Some(EventIdRule::Pointer(pointer)),
        RawId {
            body: None,
            field: Some(name),
        } => Some(EventIdRule::Field(name.0)),
        RawId { .. } => {
            mistakes.at(
                &span,
                "the id of an event stands in one place",
                "write `id = { body = \"/id\" }` or `id = { field = \"x-event-id\" }`",
            );
            None
        }
    }
}

fn media_types(
    written: Option<Spanned<BTreeSet<String>>>,
    mistakes: &mut Mistakes<'_>,
) -> BTreeSet<String> {
    let Some(written) = written else {
        return [JSON.to_owned()].into();
    };
    let plain = |text: &String| {
        text.split_once('/')
            .is_some_and(|(kind, rest)| !kind.is_empty() && !rest.is_empty())
            && !text.contains([';', '*', ' ', ','])
    };
    if written.get_ref().is_empty() || !written.get_ref().iter().all(plain) {
        mistakes.at(
            &written.span(),
            "media types are written in full, without parameters",
            "write `media_types = [\"application/json\"]`",
        );
    }
    let types = written.into_inner().into_iter();
    types.map(|text| text.to_ascii_lowercase()).collect()
}

fn deliver(raw: RawDeliver, known: &Known<'_>, mistakes: &mut Mistakes<'_>) -> DeliverSection {
    let wanted = raw.upstream.get_ref();
    let upstreams = known.upstreams.iter();
    if !upstreams.clone().any(|upstream| upstream.name == *wanted) {
        let known = upstreams.map(|upstream| upstream.name.as_str());
        mistakes.at(
            &raw.upstream.span(),
            format!("no upstream `{wanted}`"),
            nearest(wanted.as_str(), known),
        );
    }
    let path = raw.path.get_ref();
    if !path.starts_with('/') || path.contains(['?', '#', '%']) {
        mistakes.at(
            &raw.path.span(),
            "a path begins with `/` and has no query",
            "write it as in `/webhooks/billing`",
        );
    }
    if raw.sign.get_ref().len() > KEYS_MAX {
        mistakes.at(
            &raw.sign.span(),
            format!(
                "deliveries are signed with {KEYS_MAX} secrets at most: those that are in rotation"
            ),
            "leave out those that no service verifies with any more",
        );
    }
    if let Some(retries) = &raw.retries
        && !known.schedules.knows(retries.get_ref())
    {
        mistakes.at(
            &retries.span(),
            format!("no schedule of retries `{}`", retries.get_ref()),
            format!(
                "there are {}; your own stand in `[webhooks.schedules]`",
                known.schedules.listed()
            ),
        );
    }
    DeliverSection {
        upstream: raw.upstream.into_inner(),
        path: raw.path.into_inner(),
        sign: raw.sign.into_inner(),
        retries: raw
            .retries
            .map_or_else(|| RETRIES.to_owned(), Spanned::into_inner),
    }
}

#[cfg(test)]
mod tests;
