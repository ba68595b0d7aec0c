//! One request on its way through a handler: what dispatch found out before the handler was chosen.

use super::{Door, Identity};
use axum::body::Body;
use axum::extract::Request;
use countersign_base::{Conditional, NoTls, RequestId};
use countersign_crypto::x509::PeerCertificate;
use countersign_oauth::TenantRecord;
use countersign_oauth::metadata::tenant_path;
use countersign_oauth::session::Device;
use http::request::Parts;
use http::{Extensions, HeaderMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// A request, its tenant and its number.
pub(crate) struct Call {
    pub(crate) id: RequestId,
    pub(crate) tenant: Arc<TenantRecord>,
    pub(crate) path: &'static str,
    /// What the path has in place of the braces of its endpoint's.
    pub(crate) named: Option<String>,
    pub(crate) parts: Parts,
    /// Whether the audit log heard of this call.
    recorded: Arc<AtomicBool>,
    /// Behind a lock only so that a call can be shared between threads; nobody waits for it.
    pub(crate) body: Mutex<Body>,
}

impl Call {
    pub(super) fn new(
        id: RequestId,
        tenant: Arc<TenantRecord>,
        path: &'static str,
        request: Request,
    ) -> Self {
        let (parts, body) = request.into_parts();
        Self {
            id,
            tenant,
            path,
            named: None,
            parts,
            recorded: Arc::default(),
            body: Mutex::new(body),
        }
    }

    /// Whether the audit log heard of this call: still to be asked when the call is gone.
    pub(super) fn recorded(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.recorded)
    }

    /// The audit log heard of this call.
    pub(super) fn was_recorded(&self) {
        self.recorded.store(true, Ordering::Release);
    }

    pub(crate) const fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// Where the connection came from. A listener that says nothing is taken for one source.
    pub(crate) fn source(&self) -> IpAddr {
        source(&self.parts.extensions)
    }

    /// What the person uses, as its software says.
    pub(crate) fn device(&self) -> Option<Device> {
        let text = self
            .headers()
            .get(http::header::USER_AGENT)?
            .to_str()
            .ok()?;
        Some(Device::of_user_agent(text))
    }

    /// The certificate that the peer proved to hold.
    pub(crate) fn peer(&self) -> Conditional<&PeerCertificate, NoTls> {
        match self
            .parts
            .extensions
            .get::<Conditional<PeerCertificate, NoTls>>()
        {
            None => Conditional::Absent(NoTls::NoCertificate),
            Some(Conditional::Absent(reason)) => Conditional::Absent(*reason),
            Some(Conditional::Present(certificate)) => Conditional::Present(certificate),
        }
    }

    /// The address of this request as its sender knows it, for proofs (RFC 9449 §4.2): made of the issuer and never of the `Host` header.
    pub(crate) fn target_uri(&self, identity: &Identity) -> String {
        match (identity.options.door, &identity.options.mtls_origin) {
            (Door::MutualTls, Some(origin)) => {
                format!("{origin}{}{}", tenant_path(&self.tenant.name), self.path)
            }
            (Door::MutualTls, None) | (Door::Browser, _) => {
                format!("{}{}", self.tenant.issuer, self.path)
            }
        }
    }

    /// What stands behind `prefix` in the path below the tenant's.
    pub(crate) fn below(&self, prefix: &str) -> Option<&str> {
        let path = self.parts.uri.path();
        let path = path
            .strip_prefix(&tenant_path(&self.tenant.name))
            .unwrap_or(path);
        path.strip_prefix(prefix)
    }

    /// The path of another endpoint of the same tenant.
    pub(crate) fn path_of(&self, endpoint: &str) -> String {
        format!("{}{endpoint}", tenant_path(&self.tenant.name))
    }
}

/// Where the connection of a request came from. IPv4 is IPv4, also where the listener takes both: policies and counters know it by one form.
pub(super) fn source(extensions: &Extensions) -> IpAddr {
    let remote = extensions.get::<SocketAddr>();
    remote.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |remote| {
        remote.ip().to_canonical()
    })
}

/// What one customer of a network usually has whole: an address of IPv4, 64 bits of IPv6. Whoever counts by less is told nothing.
pub(super) fn subscriber(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(
            address.to_bits() & !u128::from(u64::MAX),
        )),
    }
}

#[cfg(test)]
mod tests;
