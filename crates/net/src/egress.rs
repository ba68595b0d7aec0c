//! Where this program may connect to when an address comes from configuration or from outside.
//!
//! Names are resolved first and every address is judged; the connection then goes to the judged address, so that a name can't point
//! elsewhere in between (DNS rebinding). Hosts are compared whole: no pattern, no suffix, so that nothing that looks alike passes.
//!
//! Not here: what is fetched and how much of it; see [`crate::guarded`].

use futures_util::future::BoxFuture;
use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use tokio::net::TcpStream;

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

/// Names that a program may reach although they lead to private or special addresses; public addresses are always allowed.
#[derive(Debug, Clone, Default)]
pub struct EgressPolicy {
    allowed: BTreeSet<String>,
    network: Network,
}

/// Why a destination was refused.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// Every address of the host is private, local or reserved, and the host is not on the allow-list.
    #[error(
        "`{0}` leads to a private or special address; name it in the list of allowed hosts if that is meant"
    )]
    Forbidden(String),
    /// The name has no address.
    #[error("`{0}` has no address")]
    Unknown(String, #[source] Option<io::Error>),
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

    /// Over this network instead of the system's.
    #[must_use]
    pub fn over(mut self, network: Network) -> Self {
        self.network = network;
        self
    }

    /// Connects to an address that [`EgressPolicy::resolve`] returned: to it and not to its name.
    ///
    /// # Errors
    /// When none of them answers.
    pub async fn connect(&self, addresses: &[SocketAddr]) -> io::Result<TcpStream> {
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in addresses {
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

    /// Resolves `host` and returns the addresses that may be connected to, in the resolver's order.
    ///
    /// # Errors
    /// When there is none, or none is allowed.
    pub async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, EgressError> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let resolved = match bare.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_) => (self.network.resolve)(host.to_owned(), port)
                .await
                .map_err(|error| EgressError::Unknown(host.to_owned(), Some(error)))?,
        };
        if resolved.is_empty() {
            return Err(EgressError::Unknown(host.to_owned(), None));
        }
        let named = self.allowed.contains(&host.to_ascii_lowercase());
        let allowed: Vec<SocketAddr> = resolved
            .into_iter()
            .filter(|address| named || is_public(address.ip()))
            .collect();
        if allowed.is_empty() {
            Err(EgressError::Forbidden(host.to_owned()))
        } else {
            Ok(allowed)
        }
    }
}

/// Whether an address belongs to the public internet: everything that the IANA special-purpose registries do not set apart.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (b == 18 || b == 19));
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(v4) = embedded_v4(address) {
        return is_public_v4(v4);
    }
    let [first, second, ..] = address.segments();
    // 2000::/3 is all that is allocated as global unicast; within it, the documentation, benchmarking and ORCHID blocks are not.
    let global = first & 0xe000 == 0x2000;
    let special = (first == 0x2001 && (second < 0x0200 || second == 0x0db8)) || first == 0x3fff;
    global && !special
}

/// The IPv4 address that an IPv6 address stands for: mapped (`::ffff:0:0/96`), NAT64 (`64:ff9b::/96`) and 6to4 (`2002::/16`). What else
/// embeds one (compatible, translated, Teredo, NAT64 of one's own `64:ff9b:1::/48`) lies outside global unicast or in a block set apart.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    if let Some(mapped) = address.to_ipv4_mapped() {
        return Some(mapped);
    }
    let join = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match address.segments() {
        [0x0064, 0xff9b, 0, 0, 0, 0, high, low] => Some(join(high, low)),
        [0x2002, high, low, ..] => Some(join(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
