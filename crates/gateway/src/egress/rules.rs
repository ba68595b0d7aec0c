//! The allow-list: who may go where, and how. What no rule lists is denied.
//!
//! A rule names its clients, one host or everything below one, the ports, and one form: a tunnel, plain HTTP, or HTTP that is lifted to TLS on the way out. All of it has to fit; rules
//! are tried in their order, and a denial says how far the best of them got.

use super::answer::EgressRefusal;
use super::asked::{Asked, AskedScheme, How};
use super::credential::Credential;
use super::who::Workload;
use countersign_authn::ResourceRules;
use countersign_base::{ClientId, RouteId, Secret, Tenant};
use countersign_crypto::digest::sha256;
use countersign_crypto::x509::CertificateThumbprint;
use countersign_net::egress::DestinationHost;
use countersign_net::{Destination, EgressPolicy, TlsClient};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of a workload's key, at least.
const KEY_BYTES_MIN: usize = 32;

/// What tunnels and requests may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EgressLimits {
    /// Time to look up, connect and shake hands.
    pub connect: Duration,
    /// Time without a byte in either direction.
    pub idle: Duration,
    /// Time of one tunnel or request.
    pub total: Duration,
    /// Bytes of one tunnel, both directions together, or of a request's body and of its answer's.
    pub bytes_max: u64,
    /// Tunnels and requests of one workload at once.
    pub per_workload: usize,
}

impl Default for EgressLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            idle: Duration::from_secs(120),
            total: Duration::from_secs(3_600),
            bytes_max: 10 * 1024 * 1024 * 1024,
            per_workload: 64,
        }
    }
}

/// A key that a workload shows: kept as its digest alone.
pub struct ClientKey([u8; 32]);

impl ClientKey {
    /// The digest of `key`; nothing if it is too short to be one.
    #[must_use]
    pub fn new(key: &Secret<String>) -> Option<Self> {
        let bytes = key.expose().as_bytes();
        (bytes.len() >= KEY_BYTES_MIN).then(|| Self(sha256(bytes)))
    }

    pub(super) const fn digest(&self) -> [u8; 32] {
        self.0
    }
}

/// A workload that has no token.
pub struct WorkloadSpec {
    /// What it calls itself to the proxy.
    pub name: String,
    /// Its tenant.
    pub tenant: Tenant,
    /// The client that it is, in rules, policies and records.
    pub client: ClientId,
    /// The key that it shows.
    pub key: Option<ClientKey>,
    /// The certificate that it shows.
    pub certificate: Option<CertificateThumbprint>,
}

/// Which hosts a rule is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPattern {
    /// Every name below this one, which begins with a dot.
    Below(Box<str>),
    /// This host alone.
    Exactly(DestinationHost),
}

impl HostPattern {
    fn fits(&self, host: &DestinationHost) -> bool {
        match self {
            Self::Below(suffix) => host.is_below(suffix),
            Self::Exactly(exact) => exact == host,
        }
    }
}

/// What requests may be, where they can be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestRule {
    /// Their methods.
    pub methods: BTreeSet<String>,
    /// Beginnings of their paths, canonical; each ends where a segment ends.
    pub paths: Vec<String>,
}

impl RequestRule {
    fn path_fits(&self, path: &str) -> bool {
        self.paths.iter().any(|prefix| {
            path.strip_prefix(prefix.as_str()).is_some_and(|rest| {
                prefix.ends_with('/') || rest.is_empty() || rest.starts_with('/')
            })
        })
    }
}

/// HTTP from the workload to the proxy, TLS from the proxy on.
pub struct Lifted {
    /// What may be asked.
    pub requests: RequestRule,
    /// Whom the proxy believes, and which keys are pinned.
    pub tls: TlsClient,
    /// What the proxy shows there and the workload never sees.
    pub credential: Option<Credential>,
}

/// How a rule lets out.
pub enum Form {
    /// As requests that are sent on over TLS.
    Lifted(Box<Lifted>),
    /// As requests in plain text.
    Plain(RequestRule),
    /// Through a tunnel that nobody here reads.
    Tunnel,
}

impl Form {
    /// As policies name it.
    pub(super) const fn as_str(&self) -> &'static str {
        match self {
            Self::Lifted(_) => "https",
            Self::Plain(_) => "http",
            Self::Tunnel => "tunnel",
        }
    }
}

/// One entry of the allow-list.
pub struct RuleSpec {
    /// Its name, in records and policies.
    pub id: RouteId,
    /// Whose clients.
    pub tenant: Tenant,
    /// Which.
    pub clients: BTreeSet<ClientId>,
    /// Where to.
    pub host: HostPattern,
    /// At which ports; a lifted rule connects to the first of them.
    pub ports: BTreeSet<u16>,
    /// How.
    pub form: Form,
}

/// Everything that a configuration says of the proxy.
pub struct EgressSpec {
    /// Workloads without tokens.
    pub workloads: Vec<WorkloadSpec>,
    /// What tokens have to be, if any are taken. They let nobody through without one.
    pub tokens: Option<ResourceRules>,
    /// The allow-list, in its order.
    pub rules: Vec<RuleSpec>,
    /// Which addresses may be reached.
    pub policy: EgressPolicy,
    /// What it may cost.
    pub limits: EgressLimits,
}

/// The rules of one moment.
pub struct EgressRules {
    spec: EgressSpec,
    rules: Vec<Arc<RuleSpec>>,
}

/// Evidence that the allow-list has it: the rule, and the destination that it leads to.
#[must_use]
pub(crate) struct Listed {
    rule: Arc<RuleSpec>,
    destination: Destination,
}

impl Listed {
    /// Where to connect to.
    pub(super) const fn destination(&self) -> &Destination {
        &self.destination
    }

    /// The rule.
    pub(super) fn rule(&self) -> &RuleSpec {
        &self.rule
    }

    pub(super) fn is_tunnel(&self) -> bool {
        match self.rule.form {
            Form::Tunnel => true,
            Form::Lifted(_) | Form::Plain(_) => false,
        }
    }
}

/// How far a request got in the rule that fits it best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Missed {
    Host,
    Form,
    Port,
    Method,
    Path,
}

impl EgressRules {
    /// The rules of a configuration.
    #[must_use]
    pub fn new(mut spec: EgressSpec) -> Self {
        let rules = spec.rules.drain(..).map(Arc::new).collect();
        Self { spec, rules }
    }

    /// Rules that let nobody out.
    #[must_use]
    pub fn nothing() -> Self {
        Self::new(EgressSpec {
            workloads: Vec::new(),
            tokens: None,
            rules: Vec::new(),
            policy: EgressPolicy::default(),
            limits: EgressLimits::default(),
        })
    }

    pub(super) fn workloads(&self) -> &[WorkloadSpec] {
        &self.spec.workloads
    }

    pub(super) const fn tokens(&self) -> Option<&ResourceRules> {
        self.spec.tokens.as_ref()
    }

    pub(super) const fn policy(&self) -> &EgressPolicy {
        &self.spec.policy
    }

    pub(super) const fn limits(&self) -> &EgressLimits {
        &self.spec.limits
    }

    /// The rule that lists what a workload asks for.
    pub(super) fn find(&self, workload: &Workload, asked: &Asked) -> Result<Listed, EgressRefusal> {
        let mut best = Missed::Host;
        for rule in &self.rules {
            let theirs =
                rule.tenant == *workload.tenant() && rule.clients.contains(workload.client());
            if !theirs || !rule.host.fits(asked.destination().host()) {
                continue;
            }
            match rule.leads(asked) {
                Ok(destination) => {
                    return Ok(Listed {
                        rule: Arc::clone(rule),
                        destination,
                    });
                }
                Err(missed) => best = best.max(missed),
            }
        }
        Err(match best {
            Missed::Host => EgressRefusal::NotListed,
            Missed::Form => EgressRefusal::FormNotListed,
            Missed::Port => EgressRefusal::PortNotListed,
            Missed::Method => EgressRefusal::MethodNotListed,
            Missed::Path => EgressRefusal::PathNotListed,
        })
    }
}

impl RuleSpec {
    /// Where the rule leads what is asked for, whose host fits.
    fn leads(&self, asked: &Asked) -> Result<Destination, Missed> {
        let port = asked.destination().port();
        let here = |port| {
            Destination::new(asked.destination().host().clone(), port).map_err(|_| Missed::Port)
        };
        match (&self.form, asked.how()) {
            (Form::Tunnel, How::Connect) if self.ports.contains(&port) => here(port),
            (Form::Tunnel, How::Connect) => Err(Missed::Port),
            (
                Form::Plain(requests),
                How::Request {
                    scheme: AskedScheme::Http,
                    method,
                    path,
                },
            ) => {
                if !self.ports.contains(&port) {
                    return Err(Missed::Port);
                }
                let _fits: RequestFits = requests.judge(method.as_str(), path.path())?;
                here(port)
            }
            (
                Form::Lifted(lifted),
                How::Request {
                    scheme,
                    method,
                    path,
                },
            ) => {
                // `http://HOST/` means the rule's own port, wherever TLS is spoken.
                let onward = if port == scheme.port() && *scheme == AskedScheme::Http {
                    self.ports.first().copied()
                } else {
                    self.ports.get(&port).copied()
                };
                let onward = onward.ok_or(Missed::Port)?;
                let _fits: RequestFits = lifted.requests.judge(method.as_str(), path.path())?;
                here(onward)
            }
            (Form::Tunnel | Form::Plain(_), How::Request { .. })
            | (Form::Plain(_) | Form::Lifted(_), How::Connect) => Err(Missed::Form),
        }
    }
}

/// Evidence that a method and a path are listed.
struct RequestFits;

impl RequestRule {
    fn judge(&self, method: &str, path: &str) -> Result<RequestFits, Missed> {
        if !self.methods.contains(method) {
            return Err(Missed::Method);
        }
        if !self.path_fits(path) {
            return Err(Missed::Path);
        }
        Ok(RequestFits)
    }
}

#[cfg(test)]
mod tests;
