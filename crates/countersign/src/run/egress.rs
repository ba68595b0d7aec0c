//! The ways out, made of `[egress]`: the guarded client of this installation, and the proxy's rules.

use super::routes::thumbprint;
use crate::config::egress::EgressSection;
use crate::config::egress::proxy::{
    CredentialSection, ProxySection, ProxyTransport, RuleForm, RuleSection, TokenProof,
    WorkloadSection,
};
use crate::config::error::ConfigError;
use crate::config::{Config, FILE};
use countersign_authn::{Anonymous, Binding, ResourceRules, TrustedIssuer};
use countersign_control::Fabric;
use countersign_crypto::jose::Algorithm;
use countersign_gateway::egress::{
    ClientKey, Credential, EgressOptions, EgressRules, EgressSpec, Form, Lifted, RequestRule,
    RuleSpec, TokenSource, WorkloadSpec,
};
use countersign_net::tls::Alpn;
use countersign_net::{
    ClientCertificates, DeliveryLimits, DeliveryPool, EgressPolicy, GuardedClient, Limits, Pins,
    Schemes, ServerTls, TlsClient, TlsIdentity, Transport, TrustRoots,
};
use http::HeaderName;
use std::iter::once;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Where machines keep the certificate authorities that they believe.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// Connections to the proxy at once, on one core.
const CONNECTIONS_MAX: usize = 4_096;

/// The client for everything that somebody else named.
///
/// # Errors
/// When the configured certificate authorities cannot be read. A machine without any believes nobody, so that nothing is fetched.
pub(super) fn client(config: &Config) -> Result<GuardedClient, ConfigError> {
    let section = &config.egress;
    let roots = roots(config, section.ca.as_deref())?;
    let tls = TlsClient::new(&roots, None, Alpn::Http1).map_err(|error| whole(config, &error))?;
    let policy = section
        .allow
        .iter()
        .fold(policy(section), |policy, host| policy.allowing(host));
    Ok(GuardedClient::new(tls, policy))
}

/// The connections on which webhooks go out: to receivers that somebody else named, by the rules of [`client`], and to the services behind the gateway, which the operator named.
/// Neither leads to `own`, the listeners of this process.
///
/// # Errors
/// As [`client`].
pub(super) fn deliveries(
    config: &Config,
    own: &[SocketAddr],
) -> Result<(DeliveryPool, DeliveryPool), ConfigError> {
    let section = &config.egress;
    let roots = roots(config, section.ca.as_deref())?;
    let tls = TlsClient::new(&roots, None, Alpn::Http1).map_err(|error| whole(config, &error))?;
    let allow = |policy: EgressPolicy, host: &str| policy.allowing(host);
    let named = section.allow.iter().map(String::as_str);
    let outside = named.fold(policy(section), allow);
    let upstreams = config.upstreams.iter();
    let services = upstreams.flat_map(|upstream| once(&upstream.url).chain(&upstream.also));
    let services = services.filter_map(|url| url.host_str());
    let inside = services.fold(EgressPolicy::public_only(), allow);
    let webhooks = &config.webhooks;
    let limits = DeliveryLimits {
        connect_timeout: webhooks.connect_timeout,
        timeout: webhooks.timeout,
        // One for each attempt under way, and as many that are kept for the next.
        connections_max: webhooks.deliveries_max.saturating_mul(2),
        ..DeliveryLimits::default()
    };
    let sparing = |policy: EgressPolicy| policy.sparing(own.iter().copied());
    Ok((
        DeliveryPool::new(
            tls.clone(),
            sparing(outside),
            Schemes::HttpsOrLoopback,
            limits,
        ),
        DeliveryPool::new(tls, sparing(inside), Schemes::HttpToo, limits),
    ))
}

/// Public addresses, and the networks that are excepted with a reason.
fn policy(section: &EgressSection) -> EgressPolicy {
    section
        .networks
        .iter()
        .fold(EgressPolicy::public_only(), |policy, exception| {
            policy.admitting(exception.network)
        })
}

/// The proxy's rules. `own` are the listeners of this process, which no workload reaches by it.
///
/// # Errors
/// What the configuration's own check cannot see: files that cannot be read, secrets that are none.
pub(super) fn rules(
    config: &Config,
    base: &str,
    own: &[SocketAddr],
) -> Result<Option<EgressRules>, Vec<ConfigError>> {
    let Some(section) = &config.egress.proxy else {
        return Ok(None);
    };
    let mut errors = Vec::new();
    let workloads = section
        .workloads
        .iter()
        .map(|workload| spec_of_workload(config, workload));
    let rules = section.rules.iter().map(|rule| spec_of_rule(config, rule));
    let workloads = collected(workloads, &mut errors);
    let rules = collected(rules, &mut errors);
    let tokens = match tokens(config, section, base) {
        Ok(tokens) => tokens,
        Err(message) => {
            errors.push(message);
            None
        }
    };
    if !errors.is_empty() {
        let file = config.dir.join(FILE);
        let errors = errors
            .into_iter()
            .map(|message| ConfigError::in_file(&file, message));
        return Err(errors.collect());
    }
    Ok(Some(EgressRules::new(EgressSpec {
        workloads,
        tokens,
        rules,
        policy: policy(&config.egress).sparing(own.iter().copied()),
        limits: section.limits,
    })))
}

fn collected<T>(
    results: impl Iterator<Item = Result<T, String>>,
    errors: &mut Vec<String>,
) -> Vec<T> {
    results
        .filter_map(|result| result.map_err(|message| errors.push(message)).ok())
        .collect()
}

/// How the proxy listens.
///
/// # Errors
/// When no certificate can be made.
pub(super) fn options(
    section: &ProxySection,
    fabric: &Fabric,
    names: &[String],
) -> Result<(EgressOptions, Option<ServerTls>), super::RunError> {
    let limits = Limits {
        connections_max: CONNECTIONS_MAX,
        ..Limits::default()
    };
    let (transport, tls) = match section.transport {
        ProxyTransport::Plain => (Transport::Plaintext, None),
        ProxyTransport::Tls => {
            let issued = fabric.authority().server(names, fabric.now())?;
            let identity = TlsIdentity::from_issued(&issued)?;
            let tls = ServerTls::speaking(&identity, ClientCertificates::Held, Alpn::Http1)?;
            (Transport::Tls(tls.clone()), Some(tls))
        }
    };
    Ok((EgressOptions { transport, limits }, tls))
}

/// What tokens have to be: of any tenant's own issuer, for the audience of the proxy.
fn tokens(
    config: &Config,
    section: &ProxySection,
    base: &str,
) -> Result<Option<ResourceRules>, String> {
    let Some(audience) = &section.audience else {
        return Ok(None);
    };
    let issuers = config.tenants.iter().map(|tenant| {
        Ok(TrustedIssuer {
            issuer: tenant.issuer(base).map_err(|error| error.to_string())?,
            tenant: tenant.name.clone(),
            algorithms: Algorithm::ALL.to_vec(),
        })
    });
    let issuers = issuers.collect::<Result<_, String>>()?;
    let binding = match section.proof {
        TokenProof::Any => Binding::Any,
        TokenProof::Bound => Binding::Required,
    };
    Ok(Some(ResourceRules::new(
        audience.clone(),
        issuers,
        binding,
        Anonymous::Refused,
    )))
}

fn spec_of_workload(config: &Config, section: &WorkloadSection) -> Result<WorkloadSpec, String> {
    let named = |message: String| format!("egress workload `{}`: {message}", section.name);
    let key = match &section.key {
        None => None,
        Some(reference) => {
            let key = reference.read(&config.dir).map_err(named)?;
            let key = ClientKey::new(&key);
            Some(key.ok_or_else(|| named("its key has less than 32 bytes".to_owned()))?)
        }
    };
    let certificate = section.certificate.as_ref().map(|path| {
        let path = config.dir.join(path);
        thumbprint(&path).map_err(|message| named(format!("`{}`: {message}", path.display())))
    });
    Ok(WorkloadSpec {
        name: section.name.clone(),
        tenant: section.tenant.clone(),
        client: section.client.clone(),
        key,
        certificate: certificate.transpose()?,
    })
}

fn spec_of_rule(config: &Config, section: &RuleSection) -> Result<RuleSpec, String> {
    let named = |message: String| format!("egress rule `{}`: {message}", section.name);
    let requests = || RequestRule {
        methods: section.methods.clone(),
        paths: section.paths.clone(),
    };
    let form = match section.form {
        RuleForm::Tunnel => Form::Tunnel,
        RuleForm::Http => Form::Plain(requests()),
        RuleForm::Https => {
            let ca = section.ca.as_deref().or(config.egress.ca.as_deref());
            let roots = roots(config, ca).map_err(|error| named(error.to_string()))?;
            let tls = match Pins::new(section.pins.clone()) {
                Some(pins) => TlsClient::pinned(&roots, pins),
                None => TlsClient::new(&roots, None, Alpn::Http1),
            };
            let credential = section
                .credential
                .as_ref()
                .map(|credential| credential_of(config, credential).map_err(named));
            Form::Lifted(Box::new(Lifted {
                requests: requests(),
                tls: tls.map_err(|error| named(error.to_string()))?,
                credential: credential.transpose()?,
            }))
        }
    };
    Ok(RuleSpec {
        id: section.name.clone(),
        tenant: section.tenant.clone(),
        clients: section.clients.clone(),
        host: section.host.clone(),
        ports: section.ports.clone(),
        form,
    })
}

fn credential_of(config: &Config, section: &CredentialSection) -> Result<Credential, String> {
    let credential = match section {
        CredentialSection::Basic { user, password } => {
            Credential::basic(user, &password.read(&config.dir)?)
        }
        CredentialSection::Bearer(secret) => Credential::bearer(&secret.read(&config.dir)?),
        CredentialSection::Field { header, value } => {
            let name = HeaderName::from_bytes(header.as_bytes())
                .map_err(|_| "its credential's header is none".to_owned())?;
            Credential::field(name, &value.read(&config.dir)?)
        }
        CredentialSection::Tokens {
            endpoint,
            client,
            secret,
            scope,
        } => {
            let guarded = self::client(config).map_err(|error| error.to_string())?;
            let secret = secret.read(&config.dir)?;
            TokenSource::new(guarded, endpoint.clone(), client, &secret, scope.as_deref())
                .map(Credential::tokens)
        }
    };
    credential.map_err(|error| format!("its credential: {error}"))
}

/// The authorities in this file, or those of the machine.
pub(crate) fn roots(config: &Config, ca: Option<&Path>) -> Result<TrustRoots, ConfigError> {
    match ca {
        Some(path) => read(&config.dir.join(path)),
        None => match BUNDLES.iter().map(PathBuf::from).find(|path| path.exists()) {
            Some(path) => {
                let pem = std::fs::read(path).unwrap_or_default();
                TrustRoots::from_bundle(&pem).or_else(|_none| nobody(config))
            }
            None => nobody(config),
        },
    }
}

fn read(path: &Path) -> Result<TrustRoots, ConfigError> {
    let pem = std::fs::read(path)
        .map_err(|error| ConfigError::in_file(path, format!("cannot be read: {}", error.kind())))?;
    TrustRoots::from_pem(&pem).map_err(|error| ConfigError::in_file(path, error.to_string()))
}

/// An authority that nobody has the key of.
fn nobody(config: &Config) -> Result<TrustRoots, ConfigError> {
    let nobody = countersign_crypto::x509::CertificateAuthority::generate(
        "nobody",
        &countersign_crypto::Random::system(),
        super::system_clock().now(),
    )
    .map_err(|error| whole(config, &error))?;
    TrustRoots::from_pem(nobody.certificate_pem().as_bytes()).map_err(|error| whole(config, &error))
}

fn whole(config: &Config, error: &dyn std::fmt::Display) -> ConfigError {
    ConfigError::in_file(&config.dir.join(FILE), error.to_string())
}
