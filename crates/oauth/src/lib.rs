//! The authorization server's protocol.
