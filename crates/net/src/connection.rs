//! Who is at the other end of a connection. A request never travels without it.

use crate::framing::FramingWatch;
use crate::ja4::Ja4;
use countersign_base::{Conditional, NoTls};
use countersign_crypto::x509::PeerCertificate;
use std::net::SocketAddr;
use std::sync::Arc;

/// The certificate that the peer proved to hold, or why there is none.
pub type Peer = Conditional<PeerCertificate, NoTls>;

/// Whether the connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `http`.
    Http,
    /// `https`.
    Https,
}

impl Scheme {
    /// The scheme as it stands in a URI.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// What is known of one accepted connection.
pub struct Connection {
    /// The certificate whose key the peer holds; whether an authority stands behind it, the listener or whoever uses it has asked.
    pub peer: Peer,
    /// The address the connection came from.
    pub remote: SocketAddr,
    /// Plain text or TLS.
    pub scheme: Scheme,
    /// The fingerprint of the software that opened it; absent without TLS.
    pub ja4: Option<Ja4>,
    /// Who is told when its bytes cannot be framed.
    pub framing: FramingWatch,
}

/// A request together with the connection it came on.
pub struct Inbound<B> {
    /// The connection.
    pub connection: Arc<Connection>,
    /// The request as the HTTP layer read it: framing checked, nothing else.
    pub request: http::Request<B>,
}
