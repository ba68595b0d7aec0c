//! A request as it arrives: method, path, namespace, credential and body, each in its own type before anything looks at it.

use super::answer::Refused;
use super::{AUDIENCE, Door};
use crate::bearer::{BearerRequest, Surface};
use axum::body::{Body, HttpBody as _};
use axum::extract::Request;
use countersign_authn::Subject;
use countersign_base::{Conditional, Duration, NoTls, RequestId, Secret, Tenant};
use countersign_crypto::x509::PeerCertificate;
use countersign_vault::caller::{self, Presented};
use countersign_vault::{Body as Members, Operation, RequestPath, VaultError, duration};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, header};
use http_body_util::BodyExt as _;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Bytes of a body that comes without a credential, or is no large one.
const SMALL_BODY_BYTES_MAX: usize = 64 * 1024;
/// Bytes of any body.
const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How long a large body may take to arrive.
const LARGE_BODY_WAIT: Duration = Duration::from_secs(30);
/// Bytes of a credential.
const CREDENTIAL_BYTES_MAX: usize = 16 * 1024;

/// A request that can be handed on.
pub(super) struct Arrived {
    pub(super) tenant: Tenant,
    pub(super) request: caller::Request,
    pub(super) presented: Presented,
}

impl Arrived {
    /// Reads a request; the body last, and never more of it than its sender may have kept here.
    pub(super) async fn read(
        door: &Door,
        id: RequestId,
        request: Request,
    ) -> Result<Self, Refused> {
        let (parts, body) = request.into_parts();
        let query = query_of(&parts);
        let operation = operation_of(&parts.method, &query)?;
        let raw = parts.uri.path().strip_prefix("/v1/").unwrap_or_default();
        let (tenant, raw) = namespace(door, &parts.headers, raw)?;
        let path = RequestPath::parse(raw)?;
        let from = parts
            .extensions
            .get::<SocketAddr>()
            .map(|remote| remote.ip().to_canonical());
        let shown = credential(&parts.headers)?;
        let presented = match shown {
            None => Presented::Nothing,
            Some(token) if is_ours(&token) => {
                let subject = subject(door, &parts, &token, from).await?;
                if *subject.tenant() != tenant {
                    return Err(VaultError::Denied.into());
                }
                Presented::Subject(Arc::new(subject))
            }
            Some(token) => Presented::Token(Arc::new(Secret::new(token))),
        };
        let wrap_ttl = match parts.headers.get("x-vault-wrap-ttl") {
            None => None,
            Some(value) => {
                let ttl = value.to_str().ok().and_then(duration::of_text);
                let ttl = ttl.ok_or_else(|| {
                    VaultError::invalid("`X-Vault-Wrap-TTL` must be a duration, such as `60s`")
                })?;
                Some(ttl).filter(|ttl| !ttl.is_zero())
            }
        };
        let bytes = bytes_of(door, &tenant, body, &presented).await?;
        Ok(Self {
            tenant,
            request: caller::Request {
                operation,
                path,
                query,
                body: Members::parse(&bytes)?,
                peer: peer_of(&parts),
                from,
                request: id,
                wrap_ttl,
            },
            presented,
        })
    }
}

fn query_of(parts: &Parts) -> BTreeMap<String, String> {
    let query = parts.uri.query().unwrap_or_default();
    url::form_urlencoded::parse(query.as_bytes())
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect()
}

fn operation_of(
    method: &Method,
    query: &BTreeMap<String, String>,
) -> Result<Operation, VaultError> {
    let lists = query
        .get("list")
        .is_some_and(|value| matches!(value.as_str(), "true" | "1"));
    match method.as_str() {
        "GET" | "HEAD" if lists => Ok(Operation::List),
        "GET" | "HEAD" => Ok(Operation::Read),
        "LIST" => Ok(Operation::List),
        "POST" | "PUT" => Ok(Operation::Update),
        "DELETE" => Ok(Operation::Delete),
        "PATCH" => Ok(Operation::Patch),
        _ => Err(VaultError::Unsupported),
    }
}

/// The tenant that a request is for, and the path within it. The namespace stands in the header, or as the path's first segment. `root` is the default tenant,
/// however many slashes stand around it; a name that is no tenant's is refused as a token is that nobody knows.
fn namespace<'p>(
    door: &Door,
    headers: &HeaderMap,
    raw: &'p str,
) -> Result<(Tenant, &'p str), VaultError> {
    let mut values = headers.get_all("x-vault-namespace").iter();
    let named = values.next().map(HeaderValue::to_str).transpose();
    let named = named
        .ok()
        .filter(|_| values.next().is_none())
        .ok_or(VaultError::Denied)?;
    let named = named.unwrap_or_default().trim_matches('/');
    let known = |name: &str| {
        let tenant: Tenant = name.parse().ok()?;
        door.fabric.directory().tenant(&tenant).map(|_| tenant)
    };
    if !matches!(named, "" | "root") {
        return Ok((known(named).ok_or(VaultError::Denied)?, raw));
    }
    let default = Tenant::default_tenant();
    match raw.trim_start_matches('/').split_once('/') {
        Some((first, rest)) if first != default.as_str() => match known(first) {
            Some(tenant) => Ok((tenant, rest)),
            None => Ok((default, raw)),
        },
        Some(_) | None => Ok((default, raw)),
    }
}

/// What is shown: `X-Vault-Token`, or else a bearer. One that is there but cannot be read is no absent one.
fn credential(headers: &HeaderMap) -> Result<Option<String>, VaultError> {
    let one = |name: &str| {
        let mut values = headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(value), None) if value.len() <= CREDENTIAL_BYTES_MAX => value
                .to_str()
                .map(|text| Some(text.trim().to_owned()))
                .map_err(|_| VaultError::Denied),
            (Some(_), _) => Err(VaultError::Denied),
        }
    };
    if let Some(token) = one("x-vault-token")?.filter(|token| !token.is_empty()) {
        return Ok(Some(token));
    }
    match one("authorization")? {
        None => Ok(None),
        Some(value) => match value.split_once(' ') {
            Some((scheme, token))
                if ["bearer", "dpop"].contains(&scheme.to_ascii_lowercase().as_str()) =>
            {
                Ok(Some(token.trim().to_owned()))
            }
            Some(_) | None => Err(VaultError::Denied),
        },
    }
}

/// Whether it is an access token of ours: everything that has not the form of a vault token.
fn is_ours(token: &str) -> bool {
    !["hvs.", "hvb.", "hvr.", "s."]
        .iter()
        .any(|prefix| token.starts_with(prefix))
        && (token.starts_with(countersign_authn::opaque::PREFIX)
            || token.split('.').count() == 3
            || token.starts_with("csk_"))
}

async fn subject(
    door: &Door,
    parts: &Parts,
    token: &str,
    from: Option<IpAddr>,
) -> Result<Subject, Refused> {
    let mut headers = parts.headers.clone();
    if headers.contains_key("x-vault-token") {
        // A client of Vault shows it where it shows vault tokens; bound to a key it is shown with a proof.
        let scheme = if headers.contains_key("dpop") {
            "DPoP"
        } else {
            "Bearer"
        };
        let mut value =
            HeaderValue::from_str(&format!("{scheme} {token}")).map_err(|_| VaultError::Denied)?;
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    }
    let request = BearerRequest {
        method: &parts.method,
        target_uri: &format!("{}{}", door.origin, parts.uri.path()),
        query: parts.uri.query(),
        headers: &headers,
        peer: parts.extensions.get(),
        from: from.unwrap_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED)),
    };
    let surface = Surface {
        fabric: &door.fabric,
        audience: AUDIENCE,
        lookups: &door.lookups,
    };
    match surface.subject(&request, door.fabric.now()).await {
        Ok(subject) => Ok(subject),
        Err(unproven) => {
            use countersign_audit::Code;
            use countersign_audit::event::{Decision, Verdict};
            let event = Decision::new(
                Code::of("vault"),
                Verdict::Denied,
                Code::of(unproven.reason()),
            );
            door.fabric.metrics().decided("vault", "refused");
            door.fabric
                .recorder()
                .refused(request.from, &Tenant::default_tenant(), None, event)
                .map_err(|_| Refused::Unavailable)?;
            Err(VaultError::Denied.into())
        }
    }
}

fn peer_of(parts: &Parts) -> Option<PeerCertificate> {
    let peer = parts
        .extensions
        .get::<Conditional<PeerCertificate, NoTls>>()?;
    match peer {
        Conditional::Absent(_) => None,
        Conditional::Present(certificate) => Some(certificate.clone()),
    }
}

/// The body. A large one is read of nobody but the holder of a token that stands, only so many at a time, and not for longer than [`LARGE_BODY_WAIT`].
async fn bytes_of(
    door: &Door,
    tenant: &Tenant,
    body: Body,
    presented: &Presented,
) -> Result<Vec<u8>, Refused> {
    let bytes_max = u64::try_from(SMALL_BODY_BYTES_MAX).unwrap_or_default();
    let declared = body.size_hint().upper();
    if body.is_end_stream() || declared.is_some_and(|bytes| bytes <= bytes_max) {
        return read_up_to(SMALL_BODY_BYTES_MAX, body).await;
    }
    let may_be_large = match presented {
        Presented::Nothing => false,
        Presented::Subject(_) => true,
        Presented::Token(shown) => door.vault.stands(tenant, shown).await?,
    };
    if !may_be_large {
        return Err(VaultError::TooLarge.into());
    }
    let _turn = door
        .large_bodies
        .try_acquire()
        .map_err(|_| Refused::Unavailable)?;
    tokio::time::timeout(LARGE_BODY_WAIT, read_up_to(BODY_BYTES_MAX, body))
        .await
        .map_err(|_| VaultError::TooLarge)?
}

async fn read_up_to(bytes_max: usize, body: Body) -> Result<Vec<u8>, Refused> {
    let limited = http_body_util::Limited::new(body, bytes_max);
    let read = limited.collect().await;
    Ok(read.map_err(|_| VaultError::TooLarge)?.to_bytes().to_vec())
}
