//! From the configuration's routes and upstreams to the gateway's.

mod rules;
mod webhooks;

pub(super) use webhooks::{services, signing};

use crate::config::attribute_sources::AttributeSourceSection;
use crate::config::attributes::AttributeSection;
use crate::config::error::ConfigError;
use crate::config::forward_auth::{ProxyAnswers, ProxySection};
use crate::config::limits::{AnonymousCount, By, Counting, Counts as CountsSection, LimitSection};
use crate::config::resilience::{
    BalanceSection, IdempotencySection, KeysSection, UpstreamKeysSection,
};
use crate::config::routes::{
    ExchangeSection, LimitsAway, Recording, ResourceSection, RouteSection, UpgradeSection,
};
use crate::config::schema::{SchemaMode, SchemaSection};
use crate::config::upstreams::{GatewayIdentity, ProtocolSection, UpstreamSection};
use crate::config::{Config, FILE};
use crate::run::threats::Threats;
use countersign_base::{Duration, UnixTime};
use countersign_control::{Fabric, ForeignKeys};
use countersign_crypto::Random;
use countersign_crypto::x509::{
    CertificateAuthority, CertificateRequest, CertificateThumbprint, CertificateUsage,
    IssuedCertificate, PeerCertificate,
};
use countersign_gateway::attributes::SourceSpec;
use countersign_gateway::forward_auth::{Answers, ForwardAuth, TrustedProxy};
use countersign_gateway::idempotency::{IdempotencySpec, KeyNeed, UpstreamKeys};
use countersign_gateway::limiter::{
    Algorithm as Counts, CalendarWindow, Dimension, LimitSpec, SharedSpec, Sharing, Strangers,
    WhenAway,
};
use countersign_gateway::routes::{
    ActionSpec, AttributeSource, CallersToken, ExchangeSpec, ResourceId, ResourceSpec, Upgrade,
};
use countersign_gateway::schema::{ContractSpec, Document, Mode};
use countersign_gateway::upstream::{
    Adapt, Balance, BreakerSpec, ConcurrencySpec, HashBy, HealthSpec, Timeouts,
};
use countersign_gateway::{Endpoint, RouteSpec, Routes, UpstreamSpec, UpstreamTls};
use countersign_net::tls::Alpn;
use countersign_net::{TlsClient, TlsIdentity, TrustRoots};
use countersign_store::Durability;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes of a request's body through the gateway.
const BODY_BYTES_MAX: u64 = 1024 * 1024;
/// How long the gateway's own client certificate lives; a reload or a new start renews it.
const GATEWAY_CERTIFICATE_LIFETIME: Duration = Duration::from_secs(7 * 86_400);
/// Who the gateway is to upstreams that ask for a certificate.
const GATEWAY_URI: &str = "urn:countersign:gateway";

/// The gateway's routes.
///
/// # Errors
/// What the configuration's own check cannot see: an upstream's authority that cannot be read, routes that answer the same request.
pub(super) fn build(
    config: &Config,
    fabric: &Fabric,
    base: &str,
    roots: &TrustRoots,
) -> Result<Routes, Vec<ConfigError>> {
    let file = config.dir.join(FILE);
    let failed = |message: String| vec![ConfigError::in_file(&file, message)];
    let own = OwnIdentity::issue(fabric).map_err(failed)?;
    assemble(config, &own, base, (roots, fabric.foreign_keys()))
}

/// What [`build`] would refuse, found out with a certificate of nobody's: nothing has to run.
///
/// # Errors
/// As [`build`].
pub(super) fn check(config: &Config, base: &str, now: UnixTime) -> Result<(), Vec<ConfigError>> {
    let failed = |message: String| vec![ConfigError::in_file(&config.dir.join(FILE), message)];
    let (own, roots) = OwnIdentity::nobody(now).map_err(failed)?;
    let nobodys = ForeignKeys::new(super::system_clock(), Vec::new());
    assemble(config, &own, base, (&roots, &nobodys)).map(drop)
}

fn assemble(
    config: &Config,
    own: &OwnIdentity,
    base: &str,
    (roots, foreign): (&TrustRoots, &ForeignKeys),
) -> Result<Routes, Vec<ConfigError>> {
    let file = config.dir.join(FILE);
    let failed = |message: String| vec![ConfigError::in_file(&file, message)];
    let upstreams = config
        .upstreams
        .iter()
        .map(|section| upstream(config, section, roots, own));
    let upstreams = upstreams
        .collect::<Result<Vec<_>, String>>()
        .map_err(failed)?;
    let documents = documents(config)?;
    let threats = Threats::read(config).map_err(|lines| {
        let mistake = |line| ConfigError::in_file(&file, line);
        lines.into_iter().map(mistake).collect::<Vec<_>>()
    })?;
    let specs = config
        .routes
        .iter()
        .map(|section| threats.protect(route(config, section, base, &documents)?, section));
    let specs = specs.collect::<Result<Vec<_>, String>>().map_err(failed)?;
    let mut hosts = BTreeSet::from([
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        "[::1]".to_owned(),
    ]);
    hosts.extend(
        config
            .listeners
            .names
            .iter()
            .map(|name| name.to_ascii_lowercase()),
    );
    let webhooks = config.webhook_routes.iter();
    let webhooks = webhooks.map(|section| webhooks::spec(section, config, &threats));
    let routes = Routes::build(specs, upstreams, hosts)
        .and_then(|routes| routes.with_webhooks(webhooks.collect()))
        .map_err(|error| failed(error.to_string()))?;
    let sources = config
        .attribute_sources
        .iter()
        .map(|section| source(config, section, roots, own));
    let sources = sources
        .collect::<Result<Vec<_>, String>>()
        .map_err(failed)?;
    let routes = routes
        .looking_up(sources)
        .map_err(|error| failed(error.to_string()))?;
    let routes = super::messages::add(config, foreign, routes).map_err(failed)?;
    let proxies = config
        .forward_auth
        .iter()
        .map(|section| proxy(config, section));
    let proxies = proxies
        .collect::<Result<Vec<_>, String>>()
        .map_err(failed)?;
    Ok(routes.asked_by(ForwardAuth::new(proxies)))
}

/// A proxy that may ask about requests that it holds.
fn proxy(config: &Config, section: &ProxySection) -> Result<TrustedProxy, String> {
    let named = |message: String| format!("proxy `{}`: {message}", section.name);
    let secret = section
        .secret
        .as_ref()
        .map(|reference| reference.read(&config.dir).map_err(named))
        .transpose()?;
    let certificate = section
        .certificate
        .as_ref()
        .map(|path| {
            let path = config.dir.join(path);
            thumbprint(&path).map_err(|message| named(format!("`{}`: {message}", path.display())))
        })
        .transpose()?;
    let answers = match section.answers {
        ProxyAnswers::Exact => Answers::Exact,
        ProxyAnswers::Subrequest => Answers::Subrequest,
    };
    TrustedProxy::new(secret.as_ref(), certificate, answers)
        .ok_or_else(|| named("its secret has less than 32 bytes".to_owned()))
}

/// The thumbprint of the first certificate in a PEM file.
///
/// # Errors
/// When there is none.
pub(super) fn thumbprint(path: &Path) -> Result<CertificateThumbprint, String> {
    let pem = fs::read(path).map_err(|error| format!("cannot be read: {}", error.kind()))?;
    let chain = PeerCertificate::from_pem(&pem).map_err(|error| error.to_string())?;
    chain
        .first()
        .map(|certificate| certificate.thumbprint())
        .ok_or_else(|| "there is no certificate".to_owned())
}

struct OwnIdentity {
    tls: TlsIdentity,
    thumbprint: CertificateThumbprint,
}

impl OwnIdentity {
    fn issue(fabric: &Fabric) -> Result<Self, String> {
        let issued =
            fabric
                .authority()
                .client(GATEWAY_URI, GATEWAY_CERTIFICATE_LIFETIME, fabric.now());
        Self::of(&issued.map_err(|error| error.to_string())?)
    }

    fn nobody(now: UnixTime) -> Result<(Self, TrustRoots), String> {
        let authority = CertificateAuthority::generate("nobody", &Random::system(), now)
            .map_err(|error| error.to_string())?;
        let request = CertificateRequest {
            dns: Vec::new(),
            ips: Vec::new(),
            uris: vec![GATEWAY_URI.to_owned()],
            usage: CertificateUsage::Client,
            lifetime: GATEWAY_CERTIFICATE_LIFETIME,
        };
        let issued = authority
            .issue(&request, now)
            .map_err(|error| error.to_string())?;
        let roots = TrustRoots::from_pem(authority.certificate_pem().as_bytes())
            .map_err(|error| error.to_string())?;
        Ok((Self::of(&issued)?, roots))
    }

    fn of(issued: &IssuedCertificate) -> Result<Self, String> {
        let leaf = issued.chain_der.first().cloned().unwrap_or_default();
        let thumbprint = PeerCertificate::from_der(leaf)
            .map_err(|error| error.to_string())?
            .thumbprint();
        let tls = TlsIdentity::from_issued(issued).map_err(|error| error.to_string())?;
        Ok(Self { tls, thumbprint })
    }
}

/// Whose certificates are believed: the authority's in this file, or the local one's.
fn believed(config: &Config, ca: Option<&Path>, local: &TrustRoots) -> Result<TrustRoots, String> {
    let Some(path) = ca else {
        return Ok(local.clone());
    };
    let path = config.dir.join(path);
    let pem = fs::read(&path)
        .map_err(|error| format!("`{}` cannot be read: {}", path.display(), error.kind()))?;
    TrustRoots::from_pem(&pem).map_err(|error| format!("`{}`: {error}", path.display()))
}

fn source(
    config: &Config,
    section: &AttributeSourceSection,
    local: &TrustRoots,
    own: &OwnIdentity,
) -> Result<SourceSpec, String> {
    let roots = believed(config, section.ca.as_deref(), local)?;
    let identity = match section.identity {
        GatewayIdentity::Certificate => Some(&own.tls),
        GatewayIdentity::None => None,
    };
    let tls = TlsClient::new(&roots, identity, Alpn::Http1).map_err(|error| error.to_string())?;
    Ok(SourceSpec {
        name: section.name.clone(),
        url: section.url.clone(),
        tls,
        ttl: section.ttl,
        negative_ttl: section.negative_ttl,
        timeout: section.timeout,
        concurrency: section.concurrency,
    })
}

fn upstream(
    config: &Config,
    section: &UpstreamSection,
    local: &TrustRoots,
    own: &OwnIdentity,
) -> Result<UpstreamSpec, String> {
    let roots = believed(config, section.ca.as_deref(), local)?;
    let (identity, certificate) = match section.identity {
        GatewayIdentity::Certificate => (Some(&own.tls), Some(own.thumbprint)),
        GatewayIdentity::None => (None, None),
    };
    let alpn = match section.protocol {
        ProtocolSection::Negotiated => Alpn::Http2OrHttp1,
        ProtocolSection::Http1 => Alpn::Http1,
        ProtocolSection::Http2 => Alpn::Http2,
    };
    let client = TlsClient::new(&roots, identity, alpn).map_err(|error| error.to_string())?;
    let tls = UpstreamTls {
        client,
        certificate,
    };
    let endpoints = std::iter::once(&section.url)
        .chain(&section.also)
        .map(|url| {
            let host = url.host_str().unwrap_or_default();
            let server_name = section.server_name.as_deref().unwrap_or(host);
            Endpoint::new(&section.name, url, server_name, tls.clone())
        });
    let mut endpoints = endpoints
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| error.to_string())?;
    if section.protocol == ProtocolSection::Http2 {
        endpoints.iter_mut().for_each(Endpoint::speak_http2);
    }
    Ok(resilient(
        UpstreamSpec::of(section.name.clone(), endpoints),
        section,
    ))
}

/// The upstream with what its section says beyond its addresses.
fn resilient(mut spec: UpstreamSpec, section: &UpstreamSection) -> UpstreamSpec {
    spec.balance = match section.balance {
        BalanceSection::Client => Balance::ConsistentHash(HashBy::Client),
        BalanceSection::LeastLoaded => Balance::LeastLoaded,
        BalanceSection::Network => Balance::ConsistentHash(HashBy::Network),
        BalanceSection::Subject => Balance::ConsistentHash(HashBy::Subject),
    };
    spec.timeouts = Timeouts {
        connect: section.timeouts.connect,
        answer: section.timeouts.answer,
        idle: section.timeouts.idle,
        total: section.timeouts.total,
    };
    if let Some(retries) = section.retries {
        spec.retries.attempts = retries.attempts;
        spec.retries.budget_percent = retries.budget_percent;
        spec.retries.hedge = retries.hedge;
    }
    if let Some(breaker) = section.breaker {
        spec.breaker = BreakerSpec {
            failures: breaker.failures,
            ejection: breaker.ejection,
        };
    }
    spec.health = section.health.as_ref().map(|health| HealthSpec {
        path: health.path.clone(),
        every: health.every,
        timeout: health.timeout,
        sick_after: health.sick_after,
        well_after: health.well_after,
    });
    spec.concurrency = section.concurrency.map(|places| ConcurrencySpec {
        max: places.max,
        adapt: places
            .min
            .map_or(Adapt::Fixed, |min| Adapt::Latency { min }),
    });
    spec
}

fn idempotency(section: &IdempotencySection) -> IdempotencySpec {
    IdempotencySpec {
        key_bytes_min: section.key_min,
        described_by: section.described_by.as_deref().map(Into::into),
        need: match section.keys {
            KeysSection::Optional => KeyNeed::Optional,
            KeysSection::Required => KeyNeed::Required,
        },
        keep: section.keep,
        upstream: match section.upstream {
            UpstreamKeysSection::Honours => UpstreamKeys::Honoured,
            UpstreamKeysSection::Ignores => UpstreamKeys::Ignored,
        },
    }
}

/// The documents of all routes, each read once.
type Documents = BTreeMap<PathBuf, Arc<Document>>;

fn documents(config: &Config) -> Result<Documents, Vec<ConfigError>> {
    let (mut documents, mut wrong) = (Documents::new(), Vec::new());
    let wanted: BTreeSet<&PathBuf> = config
        .routes
        .iter()
        .filter_map(|route| Some(&route.schema.as_ref()?.document))
        .collect();
    for path in wanted {
        let file = config.dir.join(path);
        let read = fs::read(&file)
            .map_err(|error| format!("cannot be read: {}", error.kind()))
            .and_then(|bytes| {
                Document::parse(&path.display().to_string(), &bytes)
                    .map_err(|error| error.to_string())
            });
        match read {
            Ok(document) => _ = documents.insert(path.clone(), document),
            Err(message) => wrong.push(ConfigError::in_file(&file, message)),
        }
    }
    if wrong.is_empty() {
        Ok(documents)
    } else {
        Err(wrong)
    }
}

fn contract(section: &SchemaSection, documents: &Documents) -> Option<ContractSpec> {
    Some(ContractSpec {
        document: Arc::clone(documents.get(&section.document)?),
        mode: match section.mode {
            SchemaMode::Enforce => Mode::Enforce,
            SchemaMode::Report => Mode::Report,
        },
    })
}

fn route(
    config: &Config,
    section: &RouteSection,
    base: &str,
    documents: &Documents,
) -> Result<RouteSpec, String> {
    let tenant = config
        .tenants
        .iter()
        .find(|tenant| tenant.name == section.tenant);
    let tenant = tenant
        .ok_or_else(|| format!("route `{}`: no tenant `{}`", section.name, section.tenant))?;
    let rules = rules::of(config, section, tenant, base)?;
    Ok(RouteSpec {
        id: section.name.clone(),
        tenant: section.tenant.clone(),
        hosts: section
            .hosts
            .iter()
            .map(|host| host.to_ascii_lowercase())
            .collect(),
        path: section.path.clone(),
        actions: actions(section),
        upstream: section.upstream.clone(),
        rules,
        resource: resource(section.resource.as_ref()),
        exchange: section.exchange.as_ref().map(exchange),
        callers_token: CallersToken::Remove,
        limits: section
            .limits
            .iter()
            .map(|limit| self::limit(limit, section.limits_away, config))
            .collect(),
        cors: section.cors.clone(),
        session: section
            .session
            .as_ref()
            .map(|session| session.get_ref().clone()),
        concurrency: section.concurrency.map(|max| ConcurrencySpec {
            max,
            adapt: Adapt::Fixed,
        }),
        idempotency: section.idempotency.as_ref().map(idempotency),
        purposes: section.purposes.clone(),
        upgrade: match section.upgrade {
            UpgradeSection::Refused => Upgrade::Refused,
            UpgradeSection::Websocket => Upgrade::WebSocket,
        },
        idle: section.idle,
        threats: None,
        durability: match section.record {
            Recording::Durable => Durability::Durable,
            Recording::Queued => Durability::Queued,
        },
        body_bytes_max: section.body_bytes_max.unwrap_or(BODY_BYTES_MAX),
        contract: section
            .schema
            .as_ref()
            .and_then(|schema| contract(schema, documents)),
    })
}

fn actions(section: &RouteSection) -> BTreeMap<String, ActionSpec> {
    let actions = section.actions.iter().map(|(method, action)| {
        let spec = ActionSpec {
            action: action.action.clone(),
            scopes: action.scopes.iter().cloned().collect(),
        };
        (method.clone(), spec)
    });
    actions.collect()
}

fn limit(section: &LimitSection, limits_away: LimitsAway, config: &Config) -> LimitSpec {
    let algorithm = match section.counting {
        Counting::CalendarDay => Counts::Calendar(CalendarWindow::Day),
        Counting::CalendarMonth => Counts::Calendar(CalendarWindow::Month),
        Counting::FixedWindow => Counts::FixedWindow,
        Counting::LeakyBucket { queue } => Counts::LeakyBucket { queue },
        Counting::SlidingWindow => Counts::SlidingWindow,
        Counting::TokenBucket { burst } => Counts::TokenBucket { burst },
    };
    let by = section.by.iter().map(|by| match by {
        By::Certificate => Dimension::Certificate,
        By::Client => Dimension::Client,
        By::Network => Dimension::Network,
        By::Route => Dimension::Route,
        By::Subject => Dimension::Subject,
        By::Tenant => Dimension::Tenant,
    });
    LimitSpec {
        name: section.name.clone(),
        algorithm,
        requests: section.requests,
        per: section.per,
        by: by.collect(),
        strangers: match section.anonymous {
            AnonymousCount::Network => Strangers::ByNetwork,
            AnonymousCount::Together => Strangers::Together,
        },
        sharing: match section.counts {
            CountsSection::Process => Sharing::Process,
            CountsSection::Shared => Sharing::Processes(SharedSpec {
                away: match limits_away {
                    LimitsAway::Closed => WhenAway::Closed,
                    LimitsAway::Open => WhenAway::Open,
                    LimitsAway::Share => WhenAway::Share,
                },
                nodes: config
                    .shared_limits
                    .as_ref()
                    .map_or(NonZeroU32::MIN, |shared| shared.nodes),
            }),
        },
    }
}

fn exchange(section: &ExchangeSection) -> ExchangeSpec {
    let scopes = section.scopes.iter().cloned().collect();
    ExchangeSpec {
        client: section.client.clone(),
        audience: section.audience.clone(),
        scopes,
    }
}

fn attribute(section: &AttributeSection) -> AttributeSource {
    match section {
        AttributeSection::Body { pointer, kind } => AttributeSource::Body {
            pointer: pointer.clone(),
            kind: kind.clone(),
        },
        AttributeSection::Parameter { name, kind: None } => {
            AttributeSource::Parameter(name.clone())
        }
        AttributeSection::Parameter {
            name,
            kind: Some(kind),
        } => AttributeSource::Entity {
            kind: kind.clone(),
            parameter: name.clone(),
        },
        AttributeSection::Source {
            source,
            parameter,
            field,
            kind,
        } => AttributeSource::Source {
            source: source.clone(),
            parameter: parameter.clone(),
            field: field.clone(),
            kind: kind.clone(),
        },
        AttributeSection::Static(value) => AttributeSource::Static(value.clone()),
    }
}

fn resource(section: Option<&ResourceSection>) -> ResourceSpec {
    let Some(section) = section else {
        return ResourceSpec::Route;
    };
    let text = section
        .attributes
        .iter()
        .map(|(name, section)| (name.clone(), attribute(section)));
    let people = section.users.iter().map(|name| {
        let source = AttributeSource::Entity {
            kind: "User".to_owned(),
            parameter: name.clone(),
        };
        (name.clone(), source)
    });
    let fixed = section
        .fixed
        .iter()
        .map(|(name, value)| (name.clone(), AttributeSource::Static(value.clone())));
    ResourceSpec::Entity {
        kind: section.kind.clone(),
        id: section
            .id
            .clone()
            .map_or(ResourceId::Path, ResourceId::Parameter),
        attributes: text.chain(people).chain(fixed).collect(),
    }
}
