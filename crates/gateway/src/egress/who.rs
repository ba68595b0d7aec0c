//! Which workload asks: by a client certificate of its connection, by a key, or by an access token, the latter two in `Proxy-Authorization` (RFC 9110 §11.7.2).
//!
//! `Authorization` is meant for the destination and is never looked at. A credential that is broken, unknown or for somebody else ends the request; it never becomes
//! an anonymous one, and without any credential nobody is let out.

use super::answer::EgressRefusal;
use super::rules::{EgressRules, WorkloadSpec};
use crate::planes::Planes;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_authn::{Demand, Found, ResourceRequest, Standing, Subject, demand, prove};
use countersign_base::{ClientId, Conditional, Secret, Tenant, UnixTime};
use countersign_crypto::digest::sha256;
use countersign_crypto::x509::CertificateThumbprint;
use countersign_net::{Connection, Peer};
use http::{HeaderMap, HeaderValue, Method, header};

/// The user name with which a token is sent as a password, by clients that know Basic alone.
pub(super) const TOKEN_USER: &str = "token";
/// Bytes of a value of `Proxy-Authorization` that is looked at.
const CREDENTIAL_BYTES_MAX: usize = 16 * 1024;

/// A workload that proved which it is. Only [`authenticate`] makes one.
pub(crate) struct Workload(Kind);

enum Kind {
    /// By a key or a certificate that the configuration names.
    Configured {
        tenant: Tenant,
        client: ClientId,
        shown: Shown,
    },
    /// By a token, whose subject may be a person for whom the client acts, and when it was shown.
    Token(Box<Subject>, UnixTime),
}

/// What a configured workload showed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    Certificate(CertificateThumbprint),
    Key([u8; 32]),
}

impl Workload {
    /// Its tenant.
    pub(crate) fn tenant(&self) -> &Tenant {
        match &self.0 {
            Kind::Configured { tenant, .. } => tenant,
            Kind::Token(subject, _) => subject.tenant(),
        }
    }

    /// The client that it is.
    pub(crate) fn client(&self) -> &ClientId {
        match &self.0 {
            Kind::Configured { client, .. } => client,
            Kind::Token(subject, _) => subject.client(),
        }
    }

    /// The subject of its token, if it showed one.
    pub(crate) fn subject(&self) -> Option<&Subject> {
        match &self.0 {
            Kind::Configured { .. } => None,
            Kind::Token(subject, _) => Some(subject),
        }
    }

    /// Whether it may still be taken for who it is: its token lives and is not revoked, or its key or certificate is configured still.
    pub(super) fn standing<P: Planes>(
        &self,
        planes: &P,
        rules: &EgressRules,
        now: UnixTime,
    ) -> Result<StillStands, &'static str> {
        match &self.0 {
            Kind::Configured {
                tenant,
                client,
                shown,
            } => rules
                .workloads()
                .iter()
                .any(|spec| spec.tenant == *tenant && spec.client == *client && shown.is_of(spec))
                .then_some(StillStands(()))
                .ok_or("workload_withdrawn"),
            Kind::Token(subject, began) => {
                match subject.standing(planes.revocations(), *began, now) {
                    Standing::Ended(reason) => Err(reason.as_str()),
                    Standing::Stands => Ok(StillStands(())),
                }
            }
        }
    }
}

/// Evidence that a credential counted still when it was asked again.
#[must_use]
pub(super) struct StillStands(());

impl Shown {
    fn is_of(self, spec: &WorkloadSpec) -> bool {
        match self {
            Self::Certificate(thumbprint) => spec.certificate == Some(thumbprint),
            // Two digests: how many of their bytes agree says nothing of the key.
            Self::Key(digest) => spec.key.as_ref().is_some_and(|key| key.digest() == digest),
        }
    }
}

/// What `Proxy-Authorization` holds.
enum Presented {
    Key { name: String, key: Secret<String> },
    Nothing,
    Token(Secret<String>),
}

/// Reads and removes the workload's credential, and proves it.
pub(super) async fn authenticate<P: Planes>(
    planes: &P,
    rules: &EgressRules,
    connection: &Connection,
    headers: &mut HeaderMap,
    now: UnixTime,
) -> Result<Workload, EgressRefusal> {
    let presented = presented(headers)?;
    headers.remove(header::PROXY_AUTHORIZATION);
    match presented {
        Presented::Nothing => by_certificate(rules, &connection.peer),
        Presented::Key { name, key } => by_key(rules, &name, &key),
        Presented::Token(token) => by_token(planes, rules, connection, &token, now).await,
    }
}

fn presented(headers: &HeaderMap) -> Result<Presented, EgressRefusal> {
    let mut values = headers.get_all(header::PROXY_AUTHORIZATION).iter();
    let value = match (values.next(), values.next()) {
        (None, _) => return Ok(Presented::Nothing),
        (Some(value), None) if value.len() <= CREDENTIAL_BYTES_MAX => value,
        (Some(_), _) => return Err(EgressRefusal::CredentialBroken),
    };
    let (scheme, credentials) = value
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .ok_or(EgressRefusal::CredentialBroken)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Ok(Presented::Token(Secret::new(credentials.to_owned())));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(EgressRefusal::CredentialScheme);
    }
    let decoded = STANDARD
        .decode(credentials)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .map(Secret::new)
        .ok_or(EgressRefusal::CredentialBroken)?;
    let (name, password) = decoded
        .expose()
        .split_once(':')
        .ok_or(EgressRefusal::CredentialBroken)?;
    let password = Secret::new(password.to_owned());
    if name == TOKEN_USER {
        Ok(Presented::Token(password))
    } else {
        Ok(Presented::Key {
            name: name.to_owned(),
            key: password,
        })
    }
}

fn by_certificate(rules: &EgressRules, peer: &Peer) -> Result<Workload, EgressRefusal> {
    let Conditional::Present(certificate) = peer else {
        return Err(EgressRefusal::NoCredential);
    };
    let shown = Shown::Certificate(certificate.thumbprint());
    let spec = rules.workloads().iter().find(|spec| shown.is_of(spec));
    spec.map(|spec| configured(spec, shown))
        .ok_or(EgressRefusal::CertificateUnknown)
}

fn by_key(
    rules: &EgressRules,
    name: &str,
    key: &Secret<String>,
) -> Result<Workload, EgressRefusal> {
    let shown = Shown::Key(sha256(key.expose().as_bytes()));
    let spec = rules.workloads().iter().find(|spec| spec.name == name);
    spec.filter(|spec| shown.is_of(spec))
        .map(|spec| configured(spec, shown))
        .ok_or(EgressRefusal::KeyUnknown)
}

fn configured(spec: &WorkloadSpec, shown: Shown) -> Workload {
    Workload(Kind::Configured {
        tenant: spec.tenant.clone(),
        client: spec.client.clone(),
        shown,
    })
}

async fn by_token<P: Planes>(
    planes: &P,
    rules: &EgressRules,
    connection: &Connection,
    token: &Secret<String>,
    now: UnixTime,
) -> Result<Workload, EgressRefusal> {
    let resource = rules.tokens().ok_or(EgressRefusal::CredentialScheme)?;
    let value = HeaderValue::try_from(format!("Bearer {}", token.expose()))
        .map_err(|_| EgressRefusal::CredentialBroken)?;
    let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value)]);
    let request = ResourceRequest {
        method: &Method::CONNECT,
        target_uri: "",
        query: None,
        headers: &headers,
        peer: match &connection.peer {
            Conditional::Absent(reason) => Conditional::Absent(*reason),
            Conditional::Present(certificate) => Conditional::Present(certificate),
        },
        remote: Some(connection.remote.ip()),
    };
    let demand = match demand(&request, resource).map_err(EgressRefusal::Credential)? {
        Demand::Token(demand) => demand,
        // The rules let nobody through without one.
        Demand::Anonymous(_) => return Err(EgressRefusal::NoCredential),
    };
    let found = match demand.opaque() {
        Some(opaque) => Found::Stored(planes.stored(opaque, demand.issuers()).await),
        None => {
            let needed = demand.key().map_err(EgressRefusal::Credential)?;
            let answer = planes.key(&needed, now).await;
            Found::Key(needed, answer)
        }
    };
    let nonces = planes.nonces().policy(now);
    let proven = prove(demand, found, planes.revocations(), nonces, now)
        .map_err(EgressRefusal::Credential)?;
    let subject = planes
        .replay()
        .spend_replay(proven.subject, now)
        .map_err(|replayed| EgressRefusal::Credential(replayed.into()))?;
    Ok(Workload(Kind::Token(Box::new(subject), now)))
}
