//! Whom a delivery goes to: an origin, and with which trust and which certificate.

use super::Refused;
use crate::egress::without_brackets;
use crate::tls::{Alpn, TlsClient, TlsError, TlsIdentity, TrustRoots};
use rustls::pki_types::ServerName;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use url::{Host, Url};

/// Bytes of a URL that is looked at.
const URL_BYTES_MAX: usize = 2048;

/// Which URLs a pool takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schemes {
    /// `https` alone.
    Https,
    /// `https`, and `http` to this machine: receivers that somebody else named. Whether this machine may be reached is the egress policy's.
    HttpsOrLoopback,
    /// Also `http`: services that the operator named.
    HttpToo,
}

/// A receiver's own trust and our certificate for it. Clones share connections; two that were made apart share none, whatever they hold.
#[derive(Clone)]
pub struct DeliveryTls {
    number: u64,
    client: TlsClient,
}

impl DeliveryTls {
    /// Trusts `roots` alone, and presents `identity` to a server that asks for a certificate.
    ///
    /// # Errors
    /// When rustls refuses the roots.
    pub fn new(roots: &TrustRoots, identity: Option<&TlsIdentity>) -> Result<Self, TlsError> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Ok(Self {
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            client: TlsClient::new(roots, identity, Alpn::Http1)?,
        })
    }
}

/// Who gets a delivery. Cloning it is cheap.
#[derive(Clone)]
pub struct Receiver {
    url: Arc<Url>,
    tls: Option<DeliveryTls>,
    server_name: Option<Arc<str>>,
}

impl Receiver {
    /// A receiver that the pool's own trust is enough for.
    #[must_use]
    pub fn new(url: Url) -> Self {
        Self {
            url: Arc::new(url),
            tls: None,
            server_name: None,
        }
    }

    /// With trust and certificate of its own.
    #[must_use]
    pub fn with_tls(mut self, tls: DeliveryTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// With a certificate that carries this name in place of the URL's host.
    #[must_use]
    pub fn with_server_name(mut self, name: &str) -> Self {
        self.server_name = Some(Arc::from(name));
        self
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    pub(super) fn tls(&self) -> Option<&TlsClient> {
        self.tls.as_ref().map(|tls| &tls.client)
    }

    pub(super) fn target(&self, schemes: Schemes) -> Result<Target, Refused> {
        let url = &self.url;
        let encryption = match (url.scheme(), schemes) {
            ("https", _) => Encryption::Tls,
            ("http", Schemes::HttpToo) => Encryption::None,
            ("http", Schemes::HttpsOrLoopback) if is_loopback(url) => Encryption::None,
            _ => return Err(Refused::Url),
        };
        let plain = url.username().is_empty()
            && url.password().is_none()
            && url.fragment().is_none()
            && url.as_str().len() <= URL_BYTES_MAX;
        if !plain {
            return Err(Refused::Url);
        }
        let host = match url.host() {
            Some(Host::Domain(name)) => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => format!("[{address}]"),
            None => return Err(Refused::Url),
        };
        Ok(Target {
            encryption,
            host: host.into_boxed_str(),
            port: url.port_or_known_default().ok_or(Refused::Url)?,
            trust: self.tls.as_ref().map_or(0, |tls| tls.number),
            certified: self.server_name.clone(),
        })
    }
}

/// Whether a URL names this machine: by an address that never leaves it, or by the name that RFC 6761 keeps for that.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

impl std::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

/// What connections are kept by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Target {
    pub(super) encryption: Encryption,
    pub(super) host: Box<str>,
    pub(super) port: u16,
    /// Whose trust and certificate: 0 is the pool's.
    trust: u64,
    /// The name in its certificate, if not the host's.
    certified: Option<Arc<str>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Encryption {
    None,
    Tls,
}

impl Target {
    pub(super) fn server_name(&self) -> Result<ServerName<'static>, Refused> {
        let host: &str = self.certified.as_deref().unwrap_or(&self.host);
        let name = without_brackets(host).to_owned();
        ServerName::try_from(name).map_err(|_| Refused::Url)
    }
}
