//! The limits of one connection and one listener. Past a limit the answer is a refusal or the end of the connection.

use crate::peers::PeerCounts;
use std::time::Duration;

/// Connections that one listening socket keeps open at once; more wait in the kernel's backlog.
pub const CONNECTIONS_MAX: usize = 16_384;
/// Connections that one peer keeps open at once: an IPv4 address, 64 bits of an IPv6 address. More are closed as they come.
pub const CONNECTIONS_PER_PEER_MAX: u32 = 1_024;
/// Connections that the kernel keeps waiting to be accepted.
pub const BACKLOG: i32 = 1_024;
/// Time for the whole TLS handshake.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for the whole head of a request to arrive, counted from the end of the one before.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(15);
/// Time for the next piece of a body to arrive.
pub const BODY_IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// Time for a peer to take some of what is written to it.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// Time that a connection closed before its request was read to the end goes on taking the rest, so that its answer is not lost (RFC 9112 §9.6).
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes that it takes of the rest.
pub const LINGER_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes that the kernel takes of what is written before any of them is on its way. More would hide for long that a peer takes some of it, slowly.
pub const UNSENT_BYTES_MAX: u32 = 128 * 1024;
/// Bytes of a request's body, unless whoever reads it says less or more.
pub const BODY_BYTES_MAX: u64 = 1024 * 1024;
/// Bytes of an HTTP/1.1 request's head. hyper keeps its own limit of 100 fields.
pub const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Bytes of an HTTP/2 request's header list (RFC 9113 §6.5.2, `SETTINGS_MAX_HEADER_LIST_SIZE`).
pub const HEADER_LIST_BYTES_MAX: u32 = 32 * 1024;
/// Concurrent HTTP/2 streams of one connection.
pub const STREAMS_MAX: u32 = 128;
/// HTTP/2 receive window of one stream.
pub const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
/// HTTP/2 receive window of one connection.
pub const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// Bytes buffered for sending on one HTTP/2 stream.
pub const SEND_BUFFER_BYTES_MAX: usize = 256 * 1024;
/// HTTP/2 streams that were reset by the peer before they were accepted (CVE-2023-44487).
pub const PENDING_RESETS_MAX: usize = 20;
/// HTTP/2 streams that this side had to reset because of the peer's errors (CVE-2025-8671).
pub const LOCAL_RESETS_MAX: usize = 256;
/// Interval of HTTP/2 pings on a quiet connection.
pub const PING_INTERVAL: Duration = Duration::from_secs(20);
/// Time for the answer to a ping.
pub const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// The limits that a listener may set otherwise than the constants above. `Default` is the constants.
#[derive(Debug, Clone)]
pub struct Limits {
    /// See [`CONNECTIONS_MAX`].
    pub connections_max: usize,
    /// See [`CONNECTIONS_PER_PEER_MAX`].
    pub connections_per_peer_max: u32,
    /// Who counts them: clones of these limits count together, so that the cores of one listener do.
    pub peers: PeerCounts,
    /// See [`HANDSHAKE_TIMEOUT`].
    pub handshake_timeout: Duration,
    /// See [`HEADER_TIMEOUT`].
    pub header_timeout: Duration,
    /// See [`BODY_IDLE_TIMEOUT`].
    pub body_idle_timeout: Duration,
    /// See [`WRITE_TIMEOUT`].
    pub write_timeout: Duration,
    /// See [`BODY_BYTES_MAX`].
    pub body_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: CONNECTIONS_MAX,
            connections_per_peer_max: CONNECTIONS_PER_PEER_MAX,
            peers: PeerCounts::default(),
            handshake_timeout: HANDSHAKE_TIMEOUT,
            header_timeout: HEADER_TIMEOUT,
            body_idle_timeout: BODY_IDLE_TIMEOUT,
            write_timeout: WRITE_TIMEOUT,
            body_bytes_max: BODY_BYTES_MAX,
        }
    }
}
