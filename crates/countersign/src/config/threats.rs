//! `[[waf]]`, `[[networks]]`, `[geography]`, and what routes and the gateway's listener say of them. Whether rules and files can be used is found out when they are read.

use super::error::Mistakes;
use super::nearest;
use countersign_gateway::threats::network::{Cidr, CountryRules, Unknown};
use countersign_gateway::threats::waf::{
    ARGUMENTS_MAX, BODY_BYTES_MAX, Exclusion, LeftOut, Limits, Mode, TIME_MAX, WafSpec,
};
use countersign_gateway::threats::work::{WorkSet, WorkSetError};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;
use toml::Spanned;

/// The score from which on the Core Rule Set denies.
const THRESHOLD: u32 = 5;
/// Milliseconds that a firewall may be given for one request.
const TIME_MS_MAX: u64 = 10_000;

/// One of `[[waf]]` as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawWaf {
    name: Spanned<String>,
    /// Files with rules, or directories of them.
    rules: Spanned<OneOrMore<PathBuf>>,
    mode: RawMode,
    paranoia: Option<Spanned<u8>>,
    threshold: Option<Spanned<u32>>,
    #[serde(default)]
    exclude: Vec<Spanned<RawExclusion>>,
    #[serde(default)]
    left_out: Vec<RawLeftOut>,
    /// Variables of the `tx` collection.
    #[serde(default)]
    variables: BTreeMap<String, String>,
    body_bytes: Option<usize>,
    arguments: Option<usize>,
    time_ms: Option<Spanned<u64>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum OneOrMore<T> {
    More(Vec<T>),
    One(T),
}

impl<T> OneOrMore<T> {
    fn into_vec(self) -> Vec<T> {
        match self {
            Self::More(all) => all,
            Self::One(one) => vec![one],
        }
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawMode {
    Block,
    Detect,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawExclusion {
    /// `942100`, `942100-942199`.
    #[serde(default)]
    rules: Vec<RuleIds>,
    tag: Option<String>,
    /// `ARGS:note`.
    target: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum RuleIds {
    One(u32),
    Range(String),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLeftOut {
    rule: u32,
    reason: String,
}

/// One of `[[networks]]` as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawNetwork {
    name: Spanned<String>,
    #[serde(default)]
    addresses: Vec<Spanned<String>>,
    /// One network a line; `#` begins a comment.
    file: Option<PathBuf>,
}

/// A list of addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkSection {
    /// Its name, for routes.
    pub name: String,
    /// What stands in the configuration.
    pub addresses: Vec<Cidr>,
    /// A file with more.
    pub file: Option<PathBuf>,
}

/// `[geography]`: files of the operator's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GeographySection {
    /// A MaxMind DB with countries.
    pub countries: Option<PathBuf>,
    /// A MaxMind DB with numbers of networks.
    pub networks: Option<PathBuf>,
}

/// `waf` of a route: a name, or a name with exclusions.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum RawRouteWaf {
    Named(String),
    With(RawRouteWafWith),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRouteWafWith {
    name: String,
    #[serde(default)]
    exclude: Vec<Spanned<RawExclusion>>,
}

/// `from` of a route or of the gateway's listener.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawFrom {
    allow: Vec<Spanned<String>>,
    deny: Vec<Spanned<String>>,
    countries: Option<RawCountries>,
    asns: RawAsns,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCountries {
    #[serde(default)]
    allow: Vec<Spanned<String>>,
    #[serde(default)]
    deny: Vec<Spanned<String>>,
    /// Has no default: where nothing is known, somebody has to say.
    unknown: RawUnknown,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawUnknown {
    Allowed,
    Refused,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawAsns {
    deny: BTreeSet<u32>,
}

/// What policies see of a request beside who sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Signal {
    /// `context.country` and `context.asn`.
    Place,
    /// `context.ja4` and `context.bot_signals`.
    Software,
}

/// Who may call from where: names of `[[networks]]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FromSection {
    /// From one of these alone, if there are any.
    pub allow: Vec<String>,
    /// Not from these.
    pub deny: Vec<String>,
    /// About countries.
    pub countries: Option<CountryRules>,
    /// Networks of operators that may not.
    pub asns_denied: BTreeSet<u32>,
}

/// What a route does about attacks that a credential does not stop.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RouteThreatsSection {
    /// The firewall, and what it does not look at here.
    pub waf: Option<(String, Vec<Exclusion>)>,
    /// Who may call.
    pub from: Option<FromSection>,
    /// What policies see.
    pub signals: BTreeSet<Signal>,
    /// Whether a policy's challenge is posed, and the name under which routes share proofs.
    pub challenge: Option<WorkSet>,
}

/// The names and files that routes may refer to.
pub(super) struct Known<'a> {
    pub(super) wafs: &'a [WafSpec],
    pub(super) networks: &'a [NetworkSection],
    pub(super) geography: &'a GeographySection,
}

impl<'a> Known<'a> {
    pub(super) const fn new(
        wafs: &'a [WafSpec],
        networks: &'a [NetworkSection],
        geography: &'a GeographySection,
    ) -> Self {
        Self {
            wafs,
            networks,
            geography,
        }
    }
}

pub(super) fn wafs(raw: Vec<RawWaf>, mistakes: &mut Mistakes<'_>) -> Vec<WafSpec> {
    let mut found: Vec<WafSpec> = Vec::new();
    for waf in raw {
        let (span, name) = (waf.name.span(), waf.name.into_inner());
        if found.iter().any(|earlier| earlier.name == name) {
            mistakes.at(
                &span,
                format!("the firewall `{name}` stands here twice"),
                "remove one of them",
            );
            continue;
        }
        let (rules_span, rules) = (waf.rules.span(), waf.rules.into_inner().into_vec());
        if rules.is_empty() {
            mistakes.at(
                &rules_span,
                "a firewall without rules",
                "write such as `rules = \"/usr/share/modsecurity-crs\"`",
            );
        }
        let paranoia = bounded(waf.paranoia, 1, 1..=4, "a level from 1 to 4", mistakes);
        let threshold = bounded(
            waf.threshold,
            THRESHOLD,
            1..=10_000,
            "a score from 1 to 10000",
            mistakes,
        );
        let default = u64::try_from(TIME_MAX.as_millis()).unwrap_or(TIME_MS_MAX);
        let time_ms = bounded(
            waf.time_ms,
            default,
            1..=TIME_MS_MAX,
            "1 to 10000 milliseconds",
            mistakes,
        );
        let mut variables = waf.variables;
        // Routes say which methods there are.
        variables
            .entry("allowed_methods".to_owned())
            .or_insert_with(|| "GET HEAD POST OPTIONS PUT PATCH DELETE".to_owned());
        let left_out = waf.left_out.into_iter().map(|left| LeftOut {
            rule: left.rule,
            reason: left.reason,
        });
        found.push(WafSpec {
            name,
            rules,
            mode: match waf.mode {
                RawMode::Block => Mode::Block,
                RawMode::Detect => Mode::Detect,
            },
            paranoia,
            threshold,
            exclusions: exclusions(waf.exclude, mistakes),
            left_out: left_out.collect(),
            variables,
            limits: Limits {
                body_bytes_max: waf.body_bytes.unwrap_or(BODY_BYTES_MAX),
                arguments_max: waf.arguments.unwrap_or(ARGUMENTS_MAX),
                time_max: Duration::from_millis(time_ms),
            },
        });
    }
    found
}

fn bounded<N: PartialOrd + Copy>(
    written: Option<Spanned<N>>,
    default: N,
    range: RangeInclusive<N>,
    expected: &str,
    mistakes: &mut Mistakes<'_>,
) -> N {
    let Some(written) = written else {
        return default;
    };
    if !range.contains(written.get_ref()) {
        mistakes.at(
            &written.span(),
            format!("expected {expected}"),
            "leave it out for the default",
        );
        return default;
    }
    written.into_inner()
}

fn exclusions(raw: Vec<Spanned<RawExclusion>>, mistakes: &mut Mistakes<'_>) -> Vec<Exclusion> {
    let mut found = Vec::new();
    for written in raw {
        let (span, raw) = (written.span(), written.into_inner());
        let ranges: Option<Vec<_>> = raw.rules.iter().map(RuleIds::range).collect();
        match ranges {
            Some(rules) if !rules.is_empty() || raw.tag.is_some() => {
                found.push(Exclusion {
                    rules,
                    tag: raw.tag,
                    target: raw.target,
                });
            }
            Some(_) | None => mistakes.at(
                &span,
                "an exclusion names rules by their ids or by a tag",
                "write such as `{ rules = [942100, \"942200-942299\"], target = \"ARGS:note\" }`",
            ),
        }
    }
    found
}

impl RuleIds {
    fn range(&self) -> Option<RangeInclusive<u32>> {
        match self {
            Self::One(id) => Some(*id..=*id),
            Self::Range(text) => {
                let (from, to) = text.split_once('-').unwrap_or((text, text));
                let range = from.trim().parse().ok()?..=to.trim().parse().ok()?;
                (!range.is_empty()).then_some(range)
            }
        }
    }
}

pub(super) fn networks(raw: Vec<RawNetwork>, mistakes: &mut Mistakes<'_>) -> Vec<NetworkSection> {
    let mut found: Vec<NetworkSection> = Vec::new();
    for network in raw {
        let (span, name) = (network.name.span(), network.name.into_inner());
        if found.iter().any(|earlier| earlier.name == name) {
            mistakes.at(
                &span,
                format!("the networks `{name}` stand here twice"),
                "remove one of them",
            );
            continue;
        }
        if network.addresses.is_empty() && network.file.is_none() {
            mistakes.at(
                &span,
                format!("nothing is in the networks `{name}`"),
                "write `addresses = [\"192.0.2.0/24\"]` or `file = \"...\"`",
            );
        }
        let mut addresses = Vec::new();
        for written in network.addresses {
            match written.get_ref().parse() {
                Ok(cidr) => addresses.push(cidr),
                Err(error) => mistakes.at(
                    &written.span(),
                    format!("`{}` is not a network: {error}", written.get_ref()),
                    "write such as `192.0.2.0/24`, `2001:db8::/32` or one address",
                ),
            }
        }
        found.push(NetworkSection {
            name,
            addresses,
            file: network.file,
        });
    }
    found
}

/// What a route says.
pub(super) fn of_route(
    waf: Option<Spanned<RawRouteWaf>>,
    from: Option<Spanned<RawFrom>>,
    signals: Spanned<BTreeSet<Signal>>,
    challenge: Option<Spanned<String>>,
    known: &Known<'_>,
    mistakes: &mut Mistakes<'_>,
) -> RouteThreatsSection {
    let waf = waf.and_then(|written| {
        let span = written.span();
        let (name, exclude) = match written.into_inner() {
            RawRouteWaf::Named(name) => (name, Vec::new()),
            RawRouteWaf::With(with) => (with.name, with.exclude),
        };
        if known.wafs.iter().any(|waf| waf.name == name) {
            return Some((name, exclusions(exclude, mistakes)));
        }
        let help = nearest(&name, known.wafs.iter().map(|waf| waf.name.as_str()));
        mistakes.at(&span, format!("no firewall `{name}`"), help);
        None
    });
    let without_files = known.geography.countries.is_none() && known.geography.networks.is_none();
    if signals.get_ref().contains(&Signal::Place) && without_files {
        mistakes.at(
            &signals.span(),
            "no file says where addresses are",
            "write `countries` or `networks` in `[geography]`",
        );
    }
    let challenge = challenge.and_then(|written| {
        let set = written.get_ref().parse::<WorkSet>();
        let wrong = |error: &WorkSetError| {
            mistakes.at(
                &written.span(),
                error.to_string(),
                "write such as `challenge = \"door\"`: routes of one name share proofs",
            )
        };
        set.inspect_err(wrong).ok()
    });
    RouteThreatsSection {
        challenge,
        waf,
        from: from.map(|raw| of_place(raw, known, mistakes)),
        signals: signals.into_inner(),
    }
}

/// Who may call from where.
pub(super) fn of_place(
    raw: Spanned<RawFrom>,
    known: &Known<'_>,
    mistakes: &mut Mistakes<'_>,
) -> FromSection {
    let span = raw.span();
    let raw = raw.into_inner();
    if raw.countries.is_some() && known.geography.countries.is_none() {
        mistakes.at(
            &span,
            "no file says which country an address is in",
            "write `countries` in `[geography]`",
        );
    }
    if !raw.asns.deny.is_empty() && known.geography.networks.is_none() {
        mistakes.at(
            &span,
            "no file says whose network an address is in",
            "write `networks` in `[geography]`",
        );
    }
    FromSection {
        allow: named(raw.allow, known, mistakes),
        deny: named(raw.deny, known, mistakes),
        countries: raw.countries.map(|raw| CountryRules {
            allow: countries(raw.allow, mistakes),
            deny: countries(raw.deny, mistakes),
            unknown: match raw.unknown {
                RawUnknown::Allowed => Unknown::Allowed,
                RawUnknown::Refused => Unknown::Refused,
            },
        }),
        asns_denied: raw.asns.deny,
    }
}

fn named(
    names: Vec<Spanned<String>>,
    known: &Known<'_>,
    mistakes: &mut Mistakes<'_>,
) -> Vec<String> {
    for name in &names {
        let wanted = name.get_ref();
        if !known.networks.iter().any(|network| network.name == *wanted) {
            let help = nearest(
                wanted,
                known.networks.iter().map(|network| network.name.as_str()),
            );
            mistakes.at(&name.span(), format!("no networks `{wanted}`"), help);
        }
    }
    names.into_iter().map(Spanned::into_inner).collect()
}

fn countries(codes: Vec<Spanned<String>>, mistakes: &mut Mistakes<'_>) -> BTreeSet<String> {
    for code in &codes {
        let written = code.get_ref();
        if written.len() != 2 || !written.bytes().all(|byte| byte.is_ascii_uppercase()) {
            mistakes.at(
                &code.span(),
                format!("`{written}` is not a country"),
                "write two capital letters (ISO 3166-1), such as `CH`",
            );
        }
    }
    codes.into_iter().map(Spanned::into_inner).collect()
}
