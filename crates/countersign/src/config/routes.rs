//! `[[routes]]`: what the gateway lets through, to where, and what it asks of the caller. A path or method that no route names is denied. Routes for webhooks, which have
//! a source in place of an upstream, are in `webhooks`.

mod choices;
mod issuers;
mod references;
mod webhooks;

pub use issuers::{IssuersOfRoute, OwnTokens};
pub(crate) use references::check_sessions;
pub use webhooks::WebhookRouteSection;

pub use choices::{
    Anonymous, ApiKeysSection, KeyField, LimitsAway, Proof, Recording, UpgradeSection,
};

use super::Tenants;
use super::attributes::{self, AttributeSection, RawAttributes};
use super::clients::ClientSection;
use super::cors::{self, RawCors};
use super::error::Mistakes;
use super::gateway_issuers::GatewayIssuerSection;
use super::limits::{self, Counts, LimitSection, RawRate};
use super::resilience::{self, IdempotencySection, RawIdempotency};
use super::schema::{self, Ownership, SchemaSection};
use super::span::Span;
use super::threats::{self, Known, RawFrom, RawRouteWaf, RouteThreatsSection, Signal};
use super::upstreams::UpstreamSection;
use super::webhook_sources::WebhookSourceSection;
use countersign_base::{Audience, ClientId, Duration, RouteId, Scope, SourceName, Tenant};
use countersign_control::browser_sessions::SessionName;
use countersign_gateway::cors::CorsSpec;
use countersign_policy::obligation::is_purpose;
use references::{Goes, check_path, check_references};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use toml::Spanned;

/// Bytes of a reason.
const REASON_BYTES_MAX: usize = 512;

/// One of `[[routes]]` as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawRoute {
    name: Spanned<RouteId>,
    #[serde(default)]
    tenant: Option<Spanned<Tenant>>,
    /// Hosts it answers for; without any, every host.
    #[serde(default)]
    hosts: Vec<String>,
    /// `/orders/{owner}/{order}`: a name in braces takes one segment, which policies see as an attribute of the resource.
    path: Spanned<String>,
    upstream: Option<Spanned<RouteId>>,
    /// In place of an upstream: the source of the webhooks that come in here.
    webhook: Option<Spanned<SourceName>>,
    /// The one audience that tokens must have.
    audience: Option<Audience>,
    /// What policies call the thing behind the route; without it, the route itself (`Route::"NAME"`).
    resource: Option<RawResource>,
    /// What each method means.
    #[serde(default)]
    actions: BTreeMap<String, RawAction>,
    #[serde(default)]
    anonymous: Anonymous,
    #[serde(default)]
    proof: Proof,
    #[serde(default)]
    record: Recording,
    /// Requests of each client, in short.
    rate: Option<RawRate>,
    /// Names of `[[limits]]`.
    #[serde(default)]
    limits: Vec<Spanned<String>>,
    /// What it does while the counts of its shared limits are away.
    limits_away: Option<Spanned<LimitsAway>>,
    exchange: Option<RawExchange>,
    /// Which pages of other origins may call it.
    cors: Option<Spanned<RawCors>>,
    /// How many requests may be under way at once.
    concurrency: Option<Spanned<u32>>,
    idempotency: Option<RawIdempotency>,
    /// Whether partners who can do nothing better may show API keys.
    api_keys: Option<Spanned<RawApiKeys>>,
    /// What requests may be for.
    #[serde(default)]
    purposes: Vec<Spanned<String>>,
    /// What callers may upgrade to.
    #[serde(default)]
    upgrade: UpgradeSection,
    /// How long nothing may move within a request, an answer or a WebSocket.
    idle: Option<Spanned<Span>>,
    /// Bytes of a request's body.
    body_bytes_max: Option<Spanned<u64>>,
    /// The document that says what its requests and answers look like.
    schema: Option<SchemaSection>,
    /// The attribute of the resource that says whose it is.
    owner: Option<Spanned<String>>,
    /// Why nobody owns what is behind it.
    unowned: Option<Spanned<String>>,
    /// The name of a `[[waf]]`.
    waf: Option<Spanned<RawRouteWaf>>,
    /// Who may call from where.
    from: Option<Spanned<RawFrom>>,
    /// What policies see of a request beside who sends it.
    #[serde(default = "no_signals")]
    signals: Spanned<BTreeSet<Signal>>,
    /// A name: where policies ask for a proof of work, it is taken here and on every route of this name.
    challenge: Option<Spanned<String>>,
    /// The name of `[[browser_sessions]]` whose sessions it takes.
    session: Option<Spanned<SessionName>>,
    /// Whose tokens it takes: `own` is the tenant's own issuer, others are names of `[[gateway.issuers]]`.
    issuers: Option<Vec<Spanned<String>>>,
}

fn no_signals() -> Spanned<BTreeSet<Signal>> {
    Spanned::new(0..0, BTreeSet::new())
}

/// The other sections that routes refer to.
pub(super) struct Others<'a> {
    pub(super) issuers: &'a [GatewayIssuerSection],
    pub(super) upstreams: &'a [UpstreamSection],
    pub(super) clients: &'a [ClientSection],
    pub(super) sources: &'a [WebhookSourceSection],
    pub(super) limits: &'a [LimitSection],
    pub(super) threats: &'a Known<'a>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawApiKeys {
    /// Why it has to be: a key lives long and is bound to nothing.
    reason: String,
    #[serde(default)]
    field: KeyField,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAction {
    action: String,
    #[serde(default)]
    scopes: BTreeSet<Scope>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawResource {
    #[serde(rename = "type")]
    kind: String,
    /// The parameter of the path that is its id; without it, the whole path.
    id: Option<String>,
    /// Its attributes: a list of parameters of the same name, or a table that says where each comes from.
    #[serde(default)]
    attributes: RawAttributes,
    /// Parameters that are attributes of the same name and name a person.
    #[serde(default)]
    users: BTreeSet<String>,
    /// Attributes that are the same for every request.
    #[serde(default, rename = "static")]
    fixed: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawExchange {
    client: Spanned<ClientId>,
    audience: Audience,
    #[serde(default)]
    scopes: BTreeSet<Scope>,
}

/// Longest that a route may let nothing move.
const IDLE_MAX: Duration = Duration::from_secs(86_400);
/// Most bytes that a route may let a body have.
const BODY_BYTES_MAX: u64 = 64 * 1024 * 1024 * 1024;

/// What one method means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionSection {
    /// The action in policies.
    pub action: String,
    /// The scopes it needs, all of them.
    pub scopes: BTreeSet<Scope>,
}

/// What policies call the thing behind a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceSection {
    /// Its entity type.
    pub kind: String,
    /// The parameter of the path that is its id; without it, the whole path.
    pub id: Option<String>,
    /// Where attributes come from, by name.
    pub attributes: BTreeMap<String, AttributeSection>,
    /// Parameters that are attributes and name a person.
    pub users: BTreeSet<String>,
    /// Attributes that are the same for every request.
    pub fixed: BTreeMap<String, String>,
}

/// One route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteSection {
    /// Its name.
    pub name: RouteId,
    /// Whose tokens it accepts.
    pub tenant: Tenant,
    /// Hosts it answers for.
    pub hosts: Vec<String>,
    /// The template of its path.
    pub path: String,
    /// Where requests go.
    pub upstream: RouteId,
    /// The one audience that tokens must have.
    pub audience: Audience,
    /// What policies call the thing behind it.
    pub resource: Option<ResourceSection>,
    /// What each method means; others are denied.
    pub actions: BTreeMap<String, ActionSection>,
    /// Whether a request without a credential goes on to policy.
    pub anonymous: Anonymous,
    /// How a caller proves that a token is theirs.
    pub proof: Proof,
    /// When the decision is on disk.
    pub record: Recording,
    /// How often it may be called; all of them must let a request through.
    pub limits: Vec<LimitSection>,
    /// What it does while the counts of its shared limits are away.
    pub limits_away: LimitsAway,
    /// How many requests may be under way at once.
    pub concurrency: Option<u32>,
    /// What it does with `Idempotency-Key`.
    pub idempotency: Option<IdempotencySection>,
    /// What requests may be for; nothing else counts as a purpose.
    pub purposes: BTreeSet<String>,
    /// The token that the upstream gets instead of the caller's.
    pub exchange: Option<ExchangeSection>,
    /// Which pages of other origins may call it; without rules none.
    pub cors: Option<CorsSpec>,
    /// That it takes API keys, and why.
    pub api_keys: Option<ApiKeysSection>,
    /// What callers may upgrade to.
    pub upgrade: UpgradeSection,
    /// How long nothing may move within a request, an answer or a WebSocket, if not as long as listener and upstream say.
    pub idle: Option<Duration>,
    /// Bytes of a request's body, if not as many as the listener says.
    pub body_bytes_max: Option<u64>,
    /// What its requests and answers look like.
    pub schema: Option<SchemaSection>,
    /// Whose the thing behind it is.
    pub ownership: Ownership,
    /// What it does about attacks that a credential does not stop.
    pub threats: RouteThreatsSection,
    /// Whose sessions of browsers it takes.
    pub session: Option<Spanned<SessionName>>,
    /// Whose tokens it takes.
    pub issuers: IssuersOfRoute,
}

/// A token exchange before the upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangeSection {
    /// As which client the gateway exchanges; the actor in the new token.
    pub client: ClientId,
    /// The upstream's own audience.
    pub audience: Audience,
    /// The scopes of the new token.
    pub scopes: BTreeSet<Scope>,
}

pub(super) fn check(
    raw: Vec<RawRoute>,
    tenants: &Tenants<'_>,
    others: &Others<'_>,
    mistakes: &mut Mistakes<'_>,
) -> (Vec<RouteSection>, Vec<WebhookRouteSection>) {
    let mut routes: Vec<RouteSection> = Vec::new();
    let mut webhooks: Vec<WebhookRouteSection> = Vec::new();
    for mut route in raw {
        let Some(tenant) = tenants.find(route.tenant.as_ref(), mistakes) else {
            continue;
        };
        let mut names = routes.iter().map(|earlier| &earlier.name);
        let mut others_names = webhooks.iter().map(|earlier| &earlier.name);
        let name = route.name.get_ref();
        if names.any(|earlier| earlier == name) || others_names.any(|earlier| earlier == name) {
            mistakes.at(
                &route.name.span(),
                format!("the route `{}` stands here twice", route.name.get_ref()),
                "remove one of them",
            );
            continue;
        }
        check_path(&route, mistakes);
        if let Some(source) = route.webhook.clone() {
            webhooks.push(webhooks::section(route, source, tenant, others, mistakes));
            continue;
        }
        let Some(goes) = Goes::of(&mut route, mistakes) else {
            continue;
        };
        check_references(&route, &goes, &tenant, others, mistakes);
        routes.push(section(route, goes, tenant, others, mistakes));
    }
    (routes, webhooks)
}

/// A reason is a sentence that somebody will read in a year.
fn api_keys(raw: Spanned<RawApiKeys>, mistakes: &mut Mistakes<'_>) -> ApiKeysSection {
    let span = raw.span();
    let RawApiKeys { reason, field } = raw.into_inner();
    let reason = reason.trim().to_owned();
    let words = reason.split_whitespace().count();
    if words < 3 || reason.len() > REASON_BYTES_MAX {
        mistakes.at(
            &span,
            "no reason why this route takes API keys",
            format!("write `reason` as a sentence of three words or more, at most {REASON_BYTES_MAX} bytes: who can do nothing better, and until when"),
        );
    }
    ApiKeysSection { reason, field }
}

fn purposes(written: Vec<Spanned<String>>, mistakes: &mut Mistakes<'_>) -> BTreeSet<String> {
    let mut purposes = BTreeSet::new();
    for purpose in written {
        if !is_purpose(purpose.get_ref()) {
            mistakes.at(
                &purpose.span(),
                format!("`{}` cannot be the name of a purpose", purpose.get_ref()),
                "write up to 64 of `a-z`, `0-9`, `-`, `_`, `.` and `:`, as in `billing`",
            );
        } else {
            purposes.insert(purpose.into_inner());
        }
    }
    purposes
}

/// Closed where callers without a token may change something, which is where they sign in: guessing is what a limit stops there. Elsewhere each process
/// lets its share through.
fn limits_away(
    route: &RawRoute,
    limits: &[LimitSection],
    mistakes: &mut Mistakes<'_>,
) -> LimitsAway {
    let shared = limits.iter().any(|limit| limit.counts == Counts::Shared);
    if let Some(said) = &route.limits_away {
        if !shared {
            mistakes.at(
                &said.span(),
                "`limits_away` says what happens while shared counts are away, and no limit of this route is shared",
                "write `counts = \"shared\"` in its limits, or remove it",
            );
        }
        return *said.get_ref();
    }
    let is_safe = |method: &String| matches!(method.as_str(), "GET" | "HEAD" | "OPTIONS");
    let only_reads = route.actions.keys().all(is_safe);
    match route.anonymous {
        Anonymous::Allowed if !only_reads => LimitsAway::Closed,
        Anonymous::Allowed | Anonymous::Refused => LimitsAway::Share,
    }
}

/// A handshake is a GET.
fn upgrade(
    upgrade: UpgradeSection,
    methods: &[String],
    path: &Spanned<String>,
    mistakes: &mut Mistakes<'_>,
) -> UpgradeSection {
    if upgrade == UpgradeSection::Websocket && !methods.iter().any(|method| method == "GET") {
        mistakes.at(
            &path.span(),
            "the handshake of a WebSocket is a GET, and the route has no action for it",
            "write `actions.GET = { action = \"...\" }`",
        );
    }
    upgrade
}

fn idle(idle: Option<Spanned<Span>>, mistakes: &mut Mistakes<'_>) -> Option<Duration> {
    let idle = idle?;
    let (span, Span(said)) = (idle.span(), idle.into_inner());
    if said.is_zero() || said > IDLE_MAX {
        mistakes.at(
            &span,
            "a route may let nothing move for a second to a day",
            "write `idle = \"5m\"`",
        );
        return None;
    }
    Some(said)
}

fn body_bytes_max(bytes: Option<Spanned<u64>>, mistakes: &mut Mistakes<'_>) -> Option<u64> {
    let bytes = bytes?;
    if *bytes.get_ref() > BODY_BYTES_MAX {
        mistakes.at(
            &bytes.span(),
            "a body may have 64 GiB",
            format!("write `body_bytes_max = {BODY_BYTES_MAX}` or less"),
        );
        return None;
    }
    Some(bytes.into_inner())
}

fn resource(resource: Option<RawResource>, mistakes: &mut Mistakes<'_>) -> Option<ResourceSection> {
    resource.map(|resource| ResourceSection {
        kind: resource.kind,
        id: resource.id,
        attributes: attributes::check(resource.attributes, mistakes),
        users: resource.users,
        fixed: resource.fixed,
    })
}

fn action((method, action): (String, RawAction)) -> (String, ActionSection) {
    let RawAction { action, scopes } = action;
    (
        method.to_ascii_uppercase(),
        ActionSection { action, scopes },
    )
}

fn exchange(exchange: RawExchange) -> ExchangeSection {
    ExchangeSection {
        client: exchange.client.into_inner(),
        audience: exchange.audience,
        scopes: exchange.scopes,
    }
}

fn methods(route: &RawRoute, mistakes: &mut Mistakes<'_>) -> Vec<String> {
    if route.actions.is_empty() {
        mistakes.at(
            &route.name.span(),
            "a route without actions denies everything",
            "write `actions.GET = { action = \"read\" }`",
        );
    }
    let methods = route.actions.keys();
    methods.map(|method| method.to_ascii_uppercase()).collect()
}

fn section(
    mut route: RawRoute,
    goes: Goes,
    tenant: Tenant,
    others: &Others<'_>,
    mistakes: &mut Mistakes<'_>,
) -> RouteSection {
    let issuers = issuers::of_route(&mut route, others.issuers, mistakes);
    let limits = limits::of_route(
        route.name.get_ref(),
        route.anonymous,
        route.rate.take(),
        std::mem::take(&mut route.limits),
        others.limits,
        mistakes,
    );
    let methods = methods(&route, mistakes);
    let limits_away = limits_away(&route, &limits, mistakes);
    let upgrade = upgrade(route.upgrade, &methods, &route.path, mistakes);
    let threats = threats::of_route(
        route.waf,
        route.from,
        route.signals,
        route.challenge,
        others.threats,
        mistakes,
    );
    let cors = route
        .cors
        .and_then(|raw| cors::of_route(raw, methods.iter().map(String::as_str), mistakes));
    let resource = resource(route.resource, mistakes);
    let known = resource.as_ref();
    let ownership = schema::ownership(
        route.owner,
        route.unowned,
        known.map(|resource| &resource.attributes),
        |name| known.is_some_and(|resource| resource.users.contains(name)),
        mistakes,
    );
    RouteSection {
        api_keys: route.api_keys.map(|raw| api_keys(raw, mistakes)),
        threats,
        session: route.session,
        issuers,
        cors,
        schema: route.schema,
        ownership,
        name: route.name.into_inner(),
        tenant,
        hosts: route.hosts,
        path: route.path.into_inner(),
        upstream: goes.upstream.into_inner(),
        audience: goes.audience,
        resource,
        actions: route.actions.into_iter().map(action).collect(),
        upgrade,
        idle: idle(route.idle, mistakes),
        body_bytes_max: body_bytes_max(route.body_bytes_max, mistakes),
        concurrency: resilience::places(route.concurrency, mistakes),
        idempotency: route
            .idempotency
            .map(|raw| raw.checked(route.anonymous, mistakes)),
        purposes: purposes(route.purposes, mistakes),
        anonymous: route.anonymous,
        proof: route.proof,
        record: route.record,
        limits,
        limits_away,
        exchange: route.exchange.map(exchange),
    }
}
