//! Where this program may connect to when an address comes from configuration or from outside.
//!
//! Names are resolved once and every address is judged; the connection then goes to a judged address ([`Judged`]), so that a name can't point
//! elsewhere in between (DNS rebinding). One forbidden address among several refuses the name: whoever mixes them wants the next attempt to go there. Hosts are compared
//! whole: no pattern, no suffix, so that nothing that looks alike passes.
//!
//! Everything of ours that opens a connection passes here; `cargo xtask tidy` holds the list of what does not (`connections`). What somebody else named is fetched by
//! [`crate::GuardedClient`] alone; what the operator named by [`crate::HttpClient`], whose makers that list names with what for.
//!
//! Not here: what is fetched and how much of it; see [`crate::guarded`].

mod address;
mod destination;

pub use address::{Prefix, PrefixError, Special, is_public, special};
pub use destination::{Destination, DestinationError, DestinationHost};

use futures_util::future::BoxFuture;
use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use tokio::net::TcpStream;

/// Addresses of one name that are tried.
const ATTEMPTS_MAX: usize = 8;

/// A host without the brackets around an IPv6 address (RFC 3986 §3.2.2): as resolvers and certificates name it.
pub(crate) fn without_brackets(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

type Resolve = dyn Fn(String, u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync;
type Dial = dyn Fn(SocketAddr) -> BoxFuture<'static, io::Result<TcpStream>> + Send + Sync;

/// How names become addresses and addresses connections. The default is the system's; tests bring an internet of their own.
#[derive(Clone)]
pub struct Network {
    resolve: Arc<Resolve>,
    dial: Arc<Dial>,
}

impl Network {
    /// A network of these two functions.
    #[must_use]
    pub fn new(
        resolve: impl Fn(String, u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>
        + Send
        + Sync
        + 'static,
        dial: impl Fn(SocketAddr) -> BoxFuture<'static, io::Result<TcpStream>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            resolve: Arc::new(resolve),
            dial: Arc::new(dial),
        }
    }
}

impl Default for Network {
    fn default() -> Self {
        Self::new(
            |host, port| {
                Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
            },
            |address| Box::pin(TcpStream::connect(address)),
        )
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Network")
    }
}

/// What a program may reach: public addresses, and beyond them what its operator named, by host or by network.
#[derive(Debug, Clone, Default)]
pub struct EgressPolicy {
    allowed: BTreeSet<String>,
    networks: Vec<Prefix>,
    own: Vec<SocketAddr>,
    network: Network,
}

/// Why a destination was refused.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// An address of the host is private, local or reserved, and neither the host nor its network is allowed.
    #[error(
        "`{0}` leads to a private or special address; name it in the list of allowed hosts if that is meant"
    )]
    Forbidden(String, Special),
    /// The program would connect to itself.
    #[error("`{0}` leads to a listener of this program")]
    Own(String),
    /// The name has no address.
    #[error("`{0}` has no address")]
    Unknown(String, #[source] Option<io::Error>),
}

/// Addresses that were judged: what may be connected to, whatever its name leads to later.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Judged(Vec<SocketAddr>);

impl Judged {
    /// The addresses, in the resolver's order.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.0
    }
}

impl EgressPolicy {
    /// Public addresses alone.
    #[must_use]
    pub fn public_only() -> Self {
        Self::default()
    }

    /// Also this host, by the name or the address that requests write.
    #[must_use]
    pub fn allowing(mut self, host: &str) -> Self {
        self.allowed.insert(host.to_ascii_lowercase());
        self
    }

    /// Also the addresses of this network. A metadata service is reached only where the network is that address alone.
    #[must_use]
    pub fn admitting(mut self, network: Prefix) -> Self {
        self.networks.push(network);
        self
    }

    /// The same network and the same listeners to spare, and public addresses alone.
    #[must_use]
    pub fn without_exceptions(&self) -> Self {
        Self {
            allowed: BTreeSet::new(),
            networks: Vec::new(),
            own: self.own.clone(),
            network: self.network.clone(),
        }
    }

    /// Never these listeners, whatever else is said: they are this program's own.
    #[must_use]
    pub fn sparing(mut self, listeners: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.own.extend(listeners);
        self
    }

    /// Over this network instead of the system's.
    #[must_use]
    pub fn over(mut self, network: Network) -> Self {
        self.network = network;
        self
    }

    /// Connects to an address that was judged: to it and not to its name.
    ///
    /// # Errors
    /// When none of them answers.
    pub async fn connect(&self, judged: &Judged) -> io::Result<TcpStream> {
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in judged.0.iter().take(ATTEMPTS_MAX) {
            match (self.network.dial)(*address).await {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Resolves `host`, once, and judges every address of it.
    ///
    /// # Errors
    /// When there is none, or one of them is forbidden.
    pub async fn resolve(&self, host: &str, port: u16) -> Result<Judged, EgressError> {
        let resolved = match without_brackets(host).parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_) => (self.network.resolve)(host.to_owned(), port)
                .await
                .map_err(|error| EgressError::Unknown(host.to_owned(), Some(error)))?,
        };
        if resolved.is_empty() {
            return Err(EgressError::Unknown(host.to_owned(), None));
        }
        self.judge_all(host, resolved)
    }

    /// Judges addresses again that another policy judged, for a connection that goes on: the name is not looked up.
    ///
    /// # Errors
    /// When one of them is forbidden now.
    pub fn judge_again(
        &self,
        destination: &Destination,
        judged: &Judged,
    ) -> Result<Judged, EgressError> {
        self.judge_all(&destination.host().to_string(), judged.0.clone())
    }

    fn judge_all(&self, host: &str, resolved: Vec<SocketAddr>) -> Result<Judged, EgressError> {
        let named = self.allowed.contains(&host.to_ascii_lowercase());
        for address in &resolved {
            if self.is_own(*address) {
                return Err(EgressError::Own(host.to_owned()));
            }
            if let Some(special) = special(address.ip())
                && !named
                && !self.admits(address.ip(), special)
            {
                return Err(EgressError::Forbidden(host.to_owned(), special));
            }
        }
        Ok(Judged(resolved))
    }

    /// The same for a destination in its canonical form.
    ///
    /// # Errors
    /// As [`EgressPolicy::resolve`].
    pub async fn judge(&self, destination: &Destination) -> Result<Judged, EgressError> {
        self.resolve(&destination.host().to_string(), destination.port())
            .await
    }

    fn admits(&self, address: IpAddr, special: Special) -> bool {
        self.networks.iter().any(|network| {
            network.contains(address) && (special != Special::Metadata || network.is_single())
        })
    }

    /// Whether a listener of this program is meant: the same port, and its very address or, where it listens on every address, any of this machine.
    fn is_own(&self, address: SocketAddr) -> bool {
        let (ip, port) = (address.ip().to_canonical(), address.port());
        self.own.iter().any(|own| {
            let listens = own.ip().to_canonical();
            own.port() == port
                && (listens == ip
                    || ip.is_unspecified()
                    || (listens.is_unspecified() && is_of_this_machine(ip)))
        })
    }
}

/// The system binds addresses of its own alone.
fn is_of_this_machine(address: IpAddr) -> bool {
    UdpSocket::bind(SocketAddr::new(address, 0)).is_ok()
}

#[cfg(test)]
mod tests;
