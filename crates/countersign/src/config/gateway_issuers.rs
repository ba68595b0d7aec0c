//! `[[gateway.issuers]]`: issuers that are not ours and whose access tokens routes take by name (`issuers` of `[[routes]]`).
//!
//! A line says what is believed and nothing else is: whose tokens (`issuer`, character for character), for whom (`audience`), signed with what, and where its keys come
//! from. Symmetric algorithms have no name here at all: whoever can check such a token can make one.

use super::error::Mistakes;
use super::span::Span;
use super::trusted_issuers::{KeySource, RawKeys, key_source};
use countersign_authn::jwks::JwksLimits;
use countersign_authn::{
    Believed, IssuerMistake, LEEWAY_DEFAULT, OtherIssuer, OtherIssuerSpec, TokenForm,
};
use countersign_base::{Audience, Duration, Scope};
use countersign_crypto::jose::Algorithm;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;
use toml::Spanned;

/// Issuers that the gateway may know.
const ISSUERS_MAX: usize = 64;
/// How long a set of keys may be kept before it is fetched again.
const REFRESH: RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(86_400);
/// For how long after that it may serve while it cannot be fetched.
const STALE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(7 * 86_400);
/// The pause between two fetches for key ids that are not in the set.
const COOLDOWN: RangeInclusive<Duration> = Duration::from_secs(5)..=Duration::from_secs(3_600);

/// One of `[[gateway.issuers]]` as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawGatewayIssuer {
    name: Spanned<String>,
    /// Its `iss`.
    issuer: Spanned<String>,
    keys: RawKeys,
    /// Whom its tokens must be for, if not the route's own audience.
    audience: Option<Spanned<String>>,
    /// What it may sign with.
    algorithms: Option<Vec<Spanned<String>>>,
    /// By how much its clock may differ from ours.
    leeway: Option<Spanned<Span>>,
    /// `at+jwt`, or `jwt` for issuers that know nothing better.
    #[serde(default)]
    tokens: TokenForm,
    /// What of its tokens is believed beyond subject, client, scopes and times.
    #[serde(default)]
    believe: BTreeSet<Believed>,
    /// The scopes that it may give.
    scopes: Option<BTreeSet<Scope>>,
    /// How long a set of keys is kept before it is fetched again.
    refresh: Option<Spanned<Span>>,
    /// For how long after that it serves while it cannot be fetched.
    stale: Option<Spanned<Span>>,
    /// The pause between two fetches for key ids that are not in the set.
    cooldown: Option<Spanned<Span>>,
}

/// One issuer whose access tokens routes may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayIssuerSection {
    /// What is believed of it.
    pub issuer: Arc<OtherIssuer>,
    /// The audience of its own, if it has one.
    pub audience: Option<Audience>,
    /// What its tokens look like.
    pub tokens: TokenForm,
    /// What of them is believed beyond subject, client, scopes and times.
    pub believe: BTreeSet<Believed>,
    /// Where its keys come from.
    pub keys: KeySource,
    /// How they are kept.
    pub limits: JwksLimits,
}

impl GatewayIssuerSection {
    /// What the configuration calls it.
    #[must_use]
    pub fn name(&self) -> &str {
        self.issuer.name().as_str()
    }
}

pub(super) fn check(
    raw: Vec<Spanned<RawGatewayIssuer>>,
    mistakes: &mut Mistakes<'_>,
) -> Vec<GatewayIssuerSection> {
    let mut sections: Vec<GatewayIssuerSection> = Vec::new();
    for raw in raw {
        let span = raw.get_ref().name.span();
        if sections.len() == ISSUERS_MAX {
            mistakes.at(
                &span,
                format!("the gateway knows {ISSUERS_MAX} issuers at most"),
                "remove those that no route names",
            );
            break;
        }
        let Some(section) = check_one(raw.into_inner(), mistakes) else {
            continue;
        };
        let clash = sections.iter().any(|earlier| {
            earlier.name() == section.name() || earlier.issuer.issuer() == section.issuer.issuer()
        });
        if clash {
            mistakes.at(
                &span,
                "another entry has the same name or the same `issuer`",
                "join the two: a token could not tell which of them it is of",
            );
            continue;
        }
        sections.push(section);
    }
    sections
}

fn check_one(raw: RawGatewayIssuer, mistakes: &mut Mistakes<'_>) -> Option<GatewayIssuerSection> {
    let (name, iss) = (raw.name.span(), raw.issuer.span());
    let keys = key_source(raw.keys, &name, mistakes)?;
    let audience = audience(raw.audience, mistakes)?;
    let algorithms = algorithms(raw.algorithms, &name, mistakes)?;
    let leeway = raw.leeway.as_ref();
    let spec = OtherIssuerSpec {
        name: raw.name.into_inner(),
        iss: raw.issuer.into_inner(),
        audience: audience.clone(),
        algorithms,
        leeway: leeway.map_or(LEEWAY_DEFAULT, |leeway| leeway.get_ref().0),
        form: raw.tokens,
        believed: raw.believe.clone(),
        scopes: raw.scopes.map(|scopes| scopes.into_iter().collect()),
    };
    let default = JwksLimits::default();
    let limits = JwksLimits {
        lifetime_max: within(raw.refresh, &REFRESH, default.lifetime_max, mistakes),
        stale_max: within(raw.stale, &STALE, default.stale_max, mistakes),
        unknown_cooldown: within(raw.cooldown, &COOLDOWN, default.unknown_cooldown, mistakes),
        ..default
    };
    match OtherIssuer::new(spec) {
        Ok(issuer) => Some(GatewayIssuerSection {
            issuer: Arc::new(issuer),
            audience,
            tokens: raw.tokens,
            believe: raw.believe,
            keys,
            limits,
        }),
        Err(mistake) => {
            let leeway = leeway.map_or_else(|| name.clone(), Spanned::span);
            refused(mistake, &name, &iss, &leeway, mistakes);
            None
        }
    }
}

fn refused(
    mistake: IssuerMistake,
    name: &Range<usize>,
    iss: &Range<usize>,
    leeway: &Range<usize>,
    mistakes: &mut Mistakes<'_>,
) {
    let (span, help) = match mistake {
        IssuerMistake::Iss => (
            iss,
            "write the `iss` of its tokens, character for character: what vouches for callers over plain `http` is whoever sits in between",
        ),
        IssuerMistake::Leeway => (
            leeway,
            "mend the clocks: an expired token lives on for as long as this says",
        ),
        IssuerMistake::Name => (
            name,
            "`own` is the tenant's own issuer, which has no entry here",
        ),
        IssuerMistake::NoAlgorithm => (name, "leave `algorithms` out, or name one"),
    };
    mistakes.at(span, mistake.to_string(), help);
}

/// Nothing where a mistake was noted.
#[expect(
    clippy::option_option,
    reason = "the outer says whether it could be read, the inner whether there is one"
)]
fn audience(raw: Option<Spanned<String>>, mistakes: &mut Mistakes<'_>) -> Option<Option<Audience>> {
    let Some(raw) = raw else {
        return Some(None);
    };
    match raw.get_ref().parse() {
        Ok(audience) => Some(Some(audience)),
        Err(_) => {
            mistakes.at(
                &raw.span(),
                "an audience is an absolute URI without fragment",
                "write the `aud` of its tokens, or leave it out: then they must be for the route's own audience",
            );
            None
        }
    }
}

fn algorithms(
    raw: Option<Vec<Spanned<String>>>,
    name: &Range<usize>,
    mistakes: &mut Mistakes<'_>,
) -> Option<BTreeSet<Algorithm>> {
    let Some(raw) = raw else {
        return Some(Algorithm::ALL.into_iter().collect());
    };
    if raw.is_empty() {
        mistakes.at(
            name,
            IssuerMistake::NoAlgorithm.to_string(),
            "leave `algorithms` out, or name one",
        );
        return None;
    }
    let mut known = BTreeSet::new();
    for written in &raw {
        let text = written.get_ref();
        if let Some(algorithm) = Algorithm::from_name(text) {
            known.insert(algorithm);
            continue;
        }
        let names: Vec<&str> = Algorithm::ALL.iter().map(|known| known.name()).collect();
        let message = if text.starts_with("HS") {
            format!("`{text}` is symmetric: whoever can check such a token can make one")
        } else if text.eq_ignore_ascii_case("none") {
            "a token that nobody signed is anybody's".to_owned()
        } else {
            format!("`{text}` is not verified here")
        };
        mistakes.at(
            &written.span(),
            message,
            format!("expected some of {}", names.join(", ")),
        );
        return None;
    }
    Some(known)
}

fn within(
    written: Option<Spanned<Span>>,
    bounds: &RangeInclusive<Duration>,
    default: Duration,
    mistakes: &mut Mistakes<'_>,
) -> Duration {
    let Some(written) = written else {
        return default;
    };
    let (span, Span(said)) = (written.span(), written.into_inner());
    if !bounds.contains(&said) {
        mistakes.at(
            &span,
            "this span of time is out of bounds",
            format!(
                "{} to {} seconds; without it {}",
                bounds.start().as_secs(),
                bounds.end().as_secs(),
                default.as_secs()
            ),
        );
    }
    said
}

#[cfg(test)]
mod tests;
