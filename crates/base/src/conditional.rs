//! A value that is there, or a stated reason why it is not.

/// Like `Option`, but absence carries its reason, so that a refusal can say why and no code confuses two kinds of absence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conditional<T, R> {
    /// There is none, and this is why.
    Absent(R),
    /// The value.
    Present(T),
}

impl<T, R> Conditional<T, R> {
    /// The value, if there is one.
    pub const fn as_option(&self) -> Option<&T> {
        match self {
            Self::Absent(_) => None,
            Self::Present(value) => Some(value),
        }
    }
}

/// Why a connection has no certificate of its peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NoTls {
    /// The connection is TLS, but the peer sent no certificate.
    NoCertificate,
    /// The connection is not TLS at all.
    Plaintext,
}
