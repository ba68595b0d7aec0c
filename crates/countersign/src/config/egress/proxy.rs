//! `[egress.proxy]`, `[[egress.workloads]]` and `[[egress.rules]]`: the proxy through which workloads reach anything outside.
//!
//! It listens only where it is configured, in plain text on loopback alone. A rule names its clients, its host, its ports and its form; nothing is a pattern but a name that begins with a
//! dot, which stands for everything below. A credential belongs to a rule whose form is `https`, so that it never leaves in plain text. All of it but the address takes
//! effect at a reload.

use crate::config::Tenants;
use crate::config::error::Mistakes;
use crate::config::span::{SecretReference, Span};
use countersign_base::{Audience, ClientId, RouteId, Tenant};
use countersign_gateway::canonical::canonical_path;
use countersign_gateway::egress::{EgressLimits, HostPattern};
use countersign_net::SpkiPin;
use countersign_net::egress::DestinationHost;
use http::{HeaderName, Method};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;
use toml::Spanned;
use url::Url;

/// Tunnels of one workload at once, at most.
const PER_WORKLOAD_MAX: usize = 4_096;
/// The user name with which clients that know Basic alone send a token.
const TOKEN_USER: &str = "token";

/// `[egress.proxy]` as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawProxy {
    listen: SocketAddr,
    /// Plain text on loopback, TLS elsewhere, unless it is said.
    transport: Option<RawTransport>,
    /// Whom access tokens of workloads are for; without it, none is taken.
    audience: Option<Audience>,
    #[serde(default)]
    proof: TokenProof,
    connect: Option<Span>,
    idle: Option<Span>,
    total: Option<Span>,
    bytes: Option<u64>,
    per_workload: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawTransport {
    Plain,
    Tls,
}

/// How the proxy's listener talks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyTransport {
    /// Without encryption, on loopback.
    Plain,
    /// TLS.
    Tls,
}

/// What tokens have to show.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenProof {
    /// Nothing beside themselves.
    Any,
    /// The certificate that they are bound to.
    #[default]
    Bound,
}

/// One of `[[egress.workloads]]` as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawWorkload {
    name: Spanned<ClientId>,
    tenant: Option<Spanned<Tenant>>,
    /// The client that it is, if not the one of its name.
    client: Option<ClientId>,
    key: Option<SecretReference>,
    certificate: Option<PathBuf>,
}

/// One of `[[egress.rules]]` as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawRule {
    name: RouteId,
    tenant: Option<Spanned<Tenant>>,
    clients: BTreeSet<ClientId>,
    host: Spanned<String>,
    ports: Option<BTreeSet<u16>>,
    #[serde(default)]
    form: RuleForm,
    #[serde(default)]
    methods: Vec<Spanned<String>>,
    #[serde(default)]
    paths: Vec<Spanned<String>>,
    #[serde(default)]
    pins: Vec<Spanned<String>>,
    ca: Option<PathBuf>,
    credential: Option<Spanned<RawCredential>>,
}

/// How a rule lets out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleForm {
    /// Requests in plain text.
    Http,
    /// Requests that the proxy sends on over TLS.
    Https,
    /// `CONNECT`.
    #[default]
    Tunnel,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCredential {
    bearer: Option<SecretReference>,
    user: Option<String>,
    password: Option<SecretReference>,
    header: Option<String>,
    value: Option<SecretReference>,
    /// A token endpoint, whose tokens are shown.
    token: Option<String>,
    client: Option<String>,
    secret: Option<SecretReference>,
    scope: Option<String>,
}

/// The proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxySection {
    /// Where it listens.
    pub listen: SocketAddr,
    /// How it talks.
    pub transport: ProxyTransport,
    /// Whom tokens are for, if they are taken.
    pub audience: Option<Audience>,
    /// What tokens have to show.
    pub proof: TokenProof,
    /// What it may cost.
    pub limits: EgressLimits,
    /// Who shows a key or a certificate.
    pub workloads: Vec<WorkloadSection>,
    /// The allow-list.
    pub rules: Vec<RuleSection>,
}

/// A workload without tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadSection {
    /// What it calls itself.
    pub name: String,
    /// Its tenant.
    pub tenant: Tenant,
    /// The client that it is.
    pub client: ClientId,
    /// The key that it shows.
    pub key: Option<SecretReference>,
    /// The certificate that it shows.
    pub certificate: Option<PathBuf>,
}

/// One entry of the allow-list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSection {
    /// Its name.
    pub name: RouteId,
    /// Whose clients.
    pub tenant: Tenant,
    /// Which.
    pub clients: BTreeSet<ClientId>,
    /// Where to.
    pub host: HostPattern,
    /// At which ports.
    pub ports: BTreeSet<u16>,
    /// How.
    pub form: RuleForm,
    /// The methods of requests.
    pub methods: BTreeSet<String>,
    /// Beginnings of their paths.
    pub paths: Vec<String>,
    /// Keys of the destination, one of which it has to have.
    pub pins: Vec<SpkiPin>,
    /// The authorities of its certificate, if not the machine's.
    pub ca: Option<PathBuf>,
    /// What the proxy shows there.
    pub credential: Option<CredentialSection>,
}

/// What the proxy shows at a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialSection {
    /// `Authorization: Basic`.
    Basic {
        /// The user name.
        user: String,
        /// The password.
        password: SecretReference,
    },
    /// `Authorization: Bearer`.
    Bearer(SecretReference),
    /// Any other field.
    Field {
        /// Its name.
        header: String,
        /// Its value.
        value: SecretReference,
    },
    /// `Authorization: Bearer` with tokens of the destination's authorization server.
    Tokens {
        /// Its token endpoint.
        endpoint: Url,
        /// Who we are there.
        client: String,
        /// The client's secret.
        secret: SecretReference,
        /// What is asked for.
        scope: Option<String>,
    },
}

pub(super) fn check(
    proxy: Option<Spanned<RawProxy>>,
    workloads: Vec<RawWorkload>,
    rules: Vec<Spanned<RawRule>>,
    tenants: &Tenants<'_>,
    mistakes: &mut Mistakes<'_>,
) -> Option<ProxySection> {
    let Some(proxy) = proxy else {
        let orphan = workloads.first().map(|workload| workload.name.span());
        let orphan = orphan.or_else(|| rules.first().map(Spanned::span));
        if let Some(span) = orphan {
            mistakes.at(
                &span,
                "there is no proxy that this is for",
                "write `[egress.proxy]` with `listen = \"127.0.0.1:3128\"`",
            );
        }
        return None;
    };
    let span = proxy.span();
    let raw = proxy.into_inner();
    let limits = limits(&raw, &span, mistakes);
    Some(ProxySection {
        listen: raw.listen,
        transport: transport(&raw, &span, mistakes),
        audience: raw.audience,
        proof: raw.proof,
        limits,
        workloads: check_workloads(workloads, tenants, mistakes),
        rules: check_rules(rules, tenants, mistakes),
    })
}

fn transport(raw: &RawProxy, span: &Range<usize>, mistakes: &mut Mistakes<'_>) -> ProxyTransport {
    let loopback = raw.listen.ip().is_loopback();
    match raw.transport {
        Some(RawTransport::Tls) => ProxyTransport::Tls,
        Some(RawTransport::Plain) if !loopback => {
            mistakes.at(
                span,
                "keys and tokens of workloads would cross a network in plain text",
                "listen on loopback, or leave `transport` out and name the proxy `https://...`",
            );
            ProxyTransport::Tls
        }
        None if !loopback => ProxyTransport::Tls,
        Some(RawTransport::Plain) | None => ProxyTransport::Plain,
    }
}

fn limits(raw: &RawProxy, span: &Range<usize>, mistakes: &mut Mistakes<'_>) -> EgressLimits {
    let default = EgressLimits::default();
    let time = |given: Option<Span>, default| given.map_or(default, |given| given.0);
    let limits = EgressLimits {
        connect: time(raw.connect, default.connect),
        idle: time(raw.idle, default.idle),
        total: time(raw.total, default.total),
        bytes_max: raw.bytes.unwrap_or(default.bytes_max),
        per_workload: raw.per_workload.unwrap_or(default.per_workload),
    };
    if limits.bytes_max == 0 || !(1..=PER_WORKLOAD_MAX).contains(&limits.per_workload) {
        mistakes.at(
            span,
            "a limit of nothing, or of more than there can be",
            "`bytes` is 1 at least, `per_workload` from 1 to 4096",
        );
    }
    limits
}

fn check_workloads(
    raw: Vec<RawWorkload>,
    tenants: &Tenants<'_>,
    mistakes: &mut Mistakes<'_>,
) -> Vec<WorkloadSection> {
    let mut workloads: Vec<WorkloadSection> = Vec::new();
    for raw in raw {
        let Some(tenant) = tenants.find(raw.tenant.as_ref(), mistakes) else {
            continue;
        };
        let (span, name) = (raw.name.span(), raw.name.into_inner());
        let taken = workloads
            .iter()
            .any(|earlier| earlier.name == name.as_str());
        if taken || name.as_str() == TOKEN_USER {
            mistakes.at(
                &span,
                format!("the name `{name}` is taken"),
                "each workload has a name of its own; `token` stands for whoever shows an access token",
            );
        } else if raw.key.is_none() && raw.certificate.is_none() {
            mistakes.at(
                &span,
                format!("anybody could be the workload `{name}`"),
                "write `key = { file = \"...\" }` or `certificate = \"...\"`",
            );
        } else {
            workloads.push(WorkloadSection {
                name: name.as_str().to_owned(),
                tenant,
                client: raw.client.unwrap_or(name),
                key: raw.key,
                certificate: raw.certificate,
            });
        }
    }
    workloads
}

fn check_rules(
    raw: Vec<Spanned<RawRule>>,
    tenants: &Tenants<'_>,
    mistakes: &mut Mistakes<'_>,
) -> Vec<RuleSection> {
    let mut rules: Vec<RuleSection> = Vec::new();
    for raw in raw {
        let span = raw.span();
        let Some(rule) = check_rule(raw.into_inner(), &span, tenants, mistakes) else {
            continue;
        };
        if rules.iter().any(|earlier| earlier.name == rule.name) {
            mistakes.at(
                &span,
                format!("the rule `{}` stands here twice", rule.name),
                "records and policies name rules: give each a name of its own",
            );
            continue;
        }
        rules.push(rule);
    }
    rules
}

fn check_rule(
    raw: RawRule,
    span: &Range<usize>,
    tenants: &Tenants<'_>,
    mistakes: &mut Mistakes<'_>,
) -> Option<RuleSection> {
    let tenant = tenants.find(raw.tenant.as_ref(), mistakes)?;
    let host = host(&raw.host, mistakes)?;
    let ports = raw.ports.clone().unwrap_or_else(|| {
        BTreeSet::from([match raw.form {
            RuleForm::Http => 80,
            RuleForm::Https | RuleForm::Tunnel => 443,
        }])
    });
    if raw.clients.is_empty() || ports.is_empty() || ports.contains(&0) {
        mistakes.at(
            span,
            "a rule names its clients and its ports",
            "write `clients = [\"billing\"]`; port 0 is none",
        );
    }
    belongs_together(&raw, span, mistakes);
    let credential = raw
        .credential
        .and_then(|credential| check_credential(credential, mistakes));
    Some(RuleSection {
        name: raw.name,
        tenant,
        clients: raw.clients,
        host,
        ports,
        form: raw.form,
        methods: methods(raw.methods, mistakes),
        paths: paths(raw.paths, mistakes),
        pins: pins(&raw.pins, mistakes),
        ca: raw.ca,
        credential,
    })
}

/// What the proxy cannot read it cannot judge; what it does not encrypt it does not vouch for.
fn belongs_together(raw: &RawRule, span: &Range<usize>, mistakes: &mut Mistakes<'_>) {
    let reads = !raw.methods.is_empty() || !raw.paths.is_empty();
    let tls = !raw.pins.is_empty() || raw.ca.is_some() || raw.credential.is_some();
    match raw.form {
        RuleForm::Tunnel if reads || tls => mistakes.at(
            span,
            "nobody reads what goes through a tunnel: methods, paths, pins, `ca` and credentials need requests",
            "write `form = \"https\"`, and let the workload ask for `http://HOST/...` through the proxy",
        ),
        RuleForm::Http if tls => mistakes.at(
            span,
            "pins, `ca` and credentials belong to TLS",
            "write `form = \"https\"`",
        ),
        RuleForm::Http | RuleForm::Https if raw.methods.is_empty() || raw.paths.is_empty() => {
            mistakes.at(
                span,
                "requests have methods and paths that are listed",
                "write `methods = [\"GET\"]` and `paths = [\"/v1\"]`; `paths = [\"/\"]` is every path",
            );
        }
        RuleForm::Http | RuleForm::Https | RuleForm::Tunnel => {}
    }
    if raw.credential.is_some() && raw.host.get_ref().starts_with('.') {
        mistakes.at(
            span,
            "a credential belongs to one host: whoever has a name below this one would be shown the secret",
            "write a rule with the whole name of the host that knows the credential",
        );
    }
}

fn host(raw: &Spanned<String>, mistakes: &mut Mistakes<'_>) -> Option<HostPattern> {
    let text = raw.get_ref();
    let (whole, below) = match text.strip_prefix('.') {
        Some(rest) => (rest, true),
        None => (text.as_str(), false),
    };
    let parsed: Result<DestinationHost, _> = whole.parse();
    let parsed = parsed.ok().filter(|host| host.to_string() == whole);
    match (parsed, below) {
        (Some(host), false) => Some(HostPattern::Exactly(host)),
        // A suffix has a dot inside: `.com` is no partner.
        (Some(DestinationHost::Name(name)), true) if name.contains('.') => {
            Some(HostPattern::Below(text.as_str().into()))
        }
        (Some(_) | None, _) => {
            mistakes.at(
                &raw.span(),
                "not a host",
                "write a whole host name in lower case or an address, or `.partner.example` for everything below that name",
            );
            None
        }
    }
}

fn methods(raw: Vec<Spanned<String>>, mistakes: &mut Mistakes<'_>) -> BTreeSet<String> {
    let mut methods = BTreeSet::new();
    for method in raw {
        let name = method.get_ref();
        let known = Method::from_bytes(name.as_bytes()).is_ok();
        let plain = name
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte == b'-');
        if !known || !plain || name == "CONNECT" || name == "TRACE" {
            mistakes.at(
                &method.span(),
                format!("`{name}` is no method of requests to destinations"),
                "write methods in upper case; `TRACE` would send the credential back",
            );
            continue;
        }
        methods.insert(method.into_inner());
    }
    methods
}

fn paths(raw: Vec<Spanned<String>>, mistakes: &mut Mistakes<'_>) -> Vec<String> {
    let mut paths = Vec::new();
    for path in raw {
        match canonical_path(path.get_ref()) {
            Ok(canonical) if canonical == *path.get_ref() => paths.push(canonical),
            Ok(_) | Err(_) => mistakes.at(
                &path.span(),
                "not the beginning of a path in its canonical form",
                "write `/v1/orders`: no `.`, `..`, `//` and no escape that is not needed",
            ),
        }
    }
    paths
}

fn pins(raw: &[Spanned<String>], mistakes: &mut Mistakes<'_>) -> Vec<SpkiPin> {
    let mut pins = Vec::new();
    for pin in raw {
        match pin.get_ref().parse::<SpkiPin>() {
            Ok(parsed) => pins.push(parsed),
            Err(error) => mistakes.at(
                &pin.span(),
                error.to_string(),
                "docs/egress.md says how to make one with openssl",
            ),
        }
    }
    pins
}

fn check_credential(
    raw: Spanned<RawCredential>,
    mistakes: &mut Mistakes<'_>,
) -> Option<CredentialSection> {
    let span = raw.span();
    let raw = raw.into_inner();
    let (basic, field) = ((raw.user, raw.password), (raw.header, raw.value));
    let tokens = (raw.token, raw.client, raw.secret);
    let found = match (raw.bearer, basic, field, tokens) {
        (Some(secret), (None, None), (None, None), (None, None, None)) => {
            Some(CredentialSection::Bearer(secret))
        }
        (None, (Some(user), Some(password)), (None, None), (None, None, None)) => {
            Some(CredentialSection::Basic { user, password })
        }
        (None, (None, None), (Some(header), Some(value)), (None, None, None)) => {
            let named = HeaderName::from_bytes(header.as_bytes()).is_ok();
            named.then_some(CredentialSection::Field { header, value })
        }
        (None, (None, None), (None, None), (Some(endpoint), Some(client), Some(secret))) => {
            let endpoint = Url::parse(&endpoint).ok();
            endpoint
                .filter(|endpoint| endpoint.scheme() == "https" && endpoint.has_host())
                .map(|endpoint| CredentialSection::Tokens {
                    endpoint,
                    client,
                    secret,
                    scope: raw.scope,
                })
        }
        (_, _, _, _) => None,
    };
    if found.is_none() {
        mistakes.at(
            &span,
            "a credential is a bearer token, a user with a password, a header with a value, or a client at an `https` token endpoint",
            "write `{ bearer = { file = \"...\" } }`, `{ user = \"...\", password = { file = \"...\" } }`, `{ header = \"X-Api-Key\", value = { file = \"...\" } }` or `{ token = \"https://...\", client = \"...\", secret = { file = \"...\" } }`",
        );
    }
    found
}
