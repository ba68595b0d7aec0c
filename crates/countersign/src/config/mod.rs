//! The configuration directory: `countersign.toml` raw, then checked. One file a section.
//!
//! Unknown keys are errors. All mistakes of a file are reported at once, each with its line. Secrets are references, never values.

pub mod accepted;
pub mod agent;
pub mod attribute_sources;
pub mod attributes;
pub mod audit;
pub mod branding;
pub mod browser_sessions;
pub mod ciba;
pub mod clients;
mod cors;
pub mod data;
pub mod egress;
pub mod error;
pub mod findings;
pub mod forward_auth;
pub mod gateway;
pub mod gateway_issuers;
pub mod groups;
pub mod identity_providers;
pub mod key_places;
pub mod keys;
pub mod limits;
pub mod listeners;
pub mod partners;
pub mod passwords;
pub mod policies;
pub mod registration;
pub mod requests;
pub mod resilience;
pub mod routes;
pub mod schema;
pub mod shared_limits;
pub mod span;
pub mod store;
pub mod telemetry;
pub mod tenants;
pub mod threats;
pub mod trusted_issuers;
pub mod upstreams;
pub mod users;
pub mod webhook_sources;
pub mod webhooks;

use countersign_authn::trust::SecretInBody;
use countersign_base::Tenant;
use error::{ConfigError, Mistakes, distance};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use toml::Spanned;

/// The file that every configuration directory holds.
pub const FILE: &str = "countersign.toml";

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Raw {
    agent: Option<agent::RawAgent>,
    listeners: listeners::RawListeners,
    store: store::StoreSection,
    keys: keys::RawKeys,
    tenants: Vec<tenants::RawTenant>,
    trusted_issuers: Vec<trusted_issuers::RawTrustedIssuer>,
    clients: Vec<clients::RawClient>,
    users: Vec<users::RawUser>,
    groups: Vec<groups::RawGroup>,
    identity_providers: Vec<identity_providers::RawProvider>,
    limits: Vec<limits::RawLimit>,
    shared_limits: Option<shared_limits::RawSharedLimits>,
    forward_auth: Vec<forward_auth::RawProxy>,
    gateway: gateway::RawGateway,
    messages: Option<partners::MessagesSection>,
    waf: Vec<threats::RawWaf>,
    networks: Vec<threats::RawNetwork>,
    geography: threats::GeographySection,
    browser_sessions: Vec<browser_sessions::RawSessions>,
    routes: Vec<routes::RawRoute>,
    webhook_sources: Vec<webhook_sources::RawSource>,
    webhooks: webhooks::RawWebhooks,
    upstreams: Vec<upstreams::RawUpstream>,
    #[serde(default)]
    attribute_sources: Vec<attribute_sources::RawAttributeSource>,
    policies: policies::PoliciesSection,
    passwords: passwords::PasswordsSection,
    audit: audit::AuditSection,
    data: data::DataSection,
    egress: egress::RawEgress,
    telemetry: telemetry::RawTelemetry,
    accepted: Vec<accepted::RawAccepted>,
}

/// A checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// The directory it came from; relative paths start here.
    pub dir: PathBuf,
    /// `[agent]`
    pub agent: Option<agent::AgentSection>,
    /// `[listeners]`
    pub listeners: listeners::Listeners,
    /// `[store]`
    pub store: store::StoreSection,
    /// `[keys]`
    pub keys: keys::KeysSection,
    /// `[[tenants]]`
    pub tenants: Vec<tenants::TenantSection>,
    /// `[[trusted_issuers]]`
    pub trusted_issuers: Vec<trusted_issuers::TrustedIssuerSection>,
    /// `[[clients]]`
    pub clients: Vec<clients::ClientSection>,
    /// `[[users]]`
    pub users: Vec<users::UserSection>,
    /// `[[groups]]`
    pub groups: Vec<groups::GroupSection>,
    /// `[[identity_providers]]`
    pub identity_providers: Vec<identity_providers::ProviderSection>,
    /// `[[limits]]`
    pub limits: Vec<limits::LimitSection>,
    /// `[shared_limits]`
    pub shared_limits: Option<shared_limits::SharedLimitsSection>,
    /// `[[forward_auth]]`
    pub forward_auth: Vec<forward_auth::ProxySection>,
    /// `[gateway]`
    pub gateway: gateway::GatewaySection,
    /// `[messages]`
    pub messages: Option<partners::MessagesSection>,
    /// `partners/*.toml`
    pub partners: Vec<partners::PartnerSection>,
    /// `[[waf]]`
    pub waf: Vec<countersign_gateway::threats::waf::WafSpec>,
    /// `[[networks]]`
    pub networks: Vec<threats::NetworkSection>,
    /// `[geography]`
    pub geography: threats::GeographySection,
    /// `[[browser_sessions]]`
    pub browser_sessions: Vec<browser_sessions::SessionsSection>,
    /// `[[routes]]`
    pub routes: Vec<routes::RouteSection>,
    /// `[[routes]]` at which webhooks come in.
    pub webhook_routes: Vec<routes::WebhookRouteSection>,
    /// `[[webhook_sources]]`
    pub webhook_sources: Vec<webhook_sources::WebhookSourceSection>,
    /// `[webhooks]`
    pub webhooks: webhooks::WebhooksSection,
    /// `[[attribute_sources]]`
    pub attribute_sources: Vec<attribute_sources::AttributeSourceSection>,
    /// `[[upstreams]]`
    pub upstreams: Vec<upstreams::UpstreamSection>,
    /// `[policies]`
    pub policies: policies::PoliciesSection,
    /// `[passwords]`
    pub passwords: passwords::PasswordsSection,
    /// `[audit]`
    pub audit: audit::AuditSection,
    /// `[data]`
    pub data: data::DataSection,
    /// `[egress]`
    pub egress: egress::EgressSection,
    /// `[telemetry]`
    pub telemetry: telemetry::TelemetrySection,
    /// `[[accepted]]`
    pub accepted: Vec<accepted::AcceptedSection>,
}

/// The tenants that other sections may name.
pub(crate) struct Tenants<'a>(&'a [tenants::TenantSection]);

impl Tenants<'_> {
    /// The named tenant, or the default one where none is named.
    pub(crate) fn find(
        &self,
        named: Option<&Spanned<Tenant>>,
        mistakes: &mut Mistakes<'_>,
    ) -> Option<Tenant> {
        let Some(named) = named else {
            return Some(Tenant::default_tenant());
        };
        if self.0.iter().any(|tenant| tenant.name == *named.get_ref()) {
            return Some(named.get_ref().clone());
        }
        let names = self.0.iter().map(|tenant| tenant.name.as_str());
        let help = nearest(named.get_ref().as_str(), names);
        mistakes.at(
            &named.span(),
            format!("no tenant `{}`", named.get_ref()),
            help,
        );
        None
    }

    /// Whether a client of this tenant may send its secret in the body.
    pub(crate) fn secret_in_body(&self, tenant: &Tenant) -> SecretInBody {
        self.0
            .iter()
            .find(|section| section.name == *tenant)
            .map_or(SecretInBody::Refused, |section| section.client_secret_post)
    }
}

/// "the nearest is ..." for a name that is not there.
pub(crate) fn nearest<'a>(wanted: &str, known: impl Iterator<Item = &'a str>) -> String {
    known
        .map(|name| (distance(wanted, name), name))
        .min()
        .map_or_else(
            || "none is declared".to_owned(),
            |(_, name)| format!("the nearest one declared is `{name}`"),
        )
}

/// Reads and checks the configuration in `dir`.
///
/// # Errors
/// Every mistake that was found, ordered by file and line.
pub fn load(dir: &Path) -> Result<Config, Vec<ConfigError>> {
    let path = dir.join(FILE);
    let text = std::fs::read_to_string(&path).map_err(|error| {
        vec![
            ConfigError::in_file(&path, format!("cannot be read: {}", error.kind()))
                .with_help("`countersign init DIR` writes a configuration to begin with"),
        ]
    })?;
    parse(dir, &path, &text)
}

/// Checks a configuration that is already in memory, as if it stood in `dir`.
///
/// # Errors
/// As [`load`].
pub fn parse(dir: &Path, path: &Path, text: &str) -> Result<Config, Vec<ConfigError>> {
    let raw: Raw =
        toml::from_str(text).map_err(|error| vec![ConfigError::from_toml(path, text, &error)])?;
    let mut mistakes = Mistakes {
        file: path,
        text,
        found: Vec::new(),
    };
    let config = checked(dir, raw, &mut mistakes);
    let mut found = mistakes.found;
    if found.is_empty() {
        return Ok(config);
    }
    found.sort();
    Err(found)
}

fn checked(dir: &Path, raw: Raw, mistakes: &mut Mistakes<'_>) -> Config {
    let tenants = tenants::check(raw.tenants, mistakes);
    let known = Tenants(&tenants);
    let egress = egress::check(raw.egress, &known, mistakes);
    let groups = groups::check(raw.groups, &known, mistakes);
    let users = users::check(raw.users, &known, &groups, mistakes);
    let identity_providers = identity_providers::check(raw.identity_providers, &known, mistakes);
    let trusted_issuers = trusted_issuers::check(raw.trusted_issuers, &known, mistakes);
    let clients = clients::check(raw.clients, &known, &trusted_issuers, mistakes);
    let upstreams = upstreams::check(raw.upstreams, mistakes);
    let shared_limits = shared_limits::check(raw.shared_limits, mistakes);
    let limits = limits::check(raw.limits, shared_limits.as_ref(), mistakes);
    let attribute_sources = attribute_sources::check(raw.attribute_sources, mistakes);
    let sessions = browser_sessions::check(raw.browser_sessions, &known, &clients, mistakes);
    let waf = threats::wafs(raw.waf, mistakes);
    let networks = threats::networks(raw.networks, mistakes);
    let dangers = threats::Known::new(&waf, &networks, &raw.geography);
    let gateway = gateway::check(raw.gateway, shared_limits.as_ref().into(), mistakes);
    let webhooks = webhooks::check(raw.webhooks, mistakes);
    let named = webhook_sources::Known::new(&known, &upstreams, &webhooks.schedules);
    let webhook_sources = webhook_sources::check(raw.webhook_sources, &named, mistakes);
    let others = routes::Others {
        sources: &webhook_sources,
        issuers: &gateway.issuers,
        upstreams: &upstreams,
        clients: &clients,
        limits: &limits,
        threats: &dangers,
    };
    let (routes, webhook_routes) = routes::check(raw.routes, &known, &others, mistakes);
    routes::check_sessions(&routes, &sessions, mistakes);
    let listeners = listeners::check(raw.listeners, &dangers, mistakes);
    let messages = raw.messages.as_ref();
    let partners = partners::read(dir, &known, &routes, messages, &mut mistakes.found);
    Config {
        dir: dir.to_owned(),
        agent: raw.agent.and_then(|raw| agent::check(raw, mistakes)),
        listeners,
        messages: raw.messages,
        partners,
        waf,
        networks,
        geography: raw.geography,
        store: raw.store,
        keys: keys::check(raw.keys, mistakes),
        tenants,
        trusted_issuers,
        clients,
        users,
        groups,
        identity_providers,
        limits,
        shared_limits,
        forward_auth: forward_auth::check(raw.forward_auth, mistakes),
        gateway,
        browser_sessions: sessions,
        routes,
        webhook_routes,
        webhook_sources,
        webhooks,
        attribute_sources,
        upstreams,
        policies: raw.policies,
        passwords: raw.passwords,
        audit: raw.audit,
        data: raw.data,
        egress,
        telemetry: telemetry::check(raw.telemetry, mistakes),
        accepted: accepted::check(raw.accepted, mistakes),
    }
}

#[cfg(test)]
mod tests;
