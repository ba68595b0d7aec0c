//! Signatures of webhooks: what a sender writes and a receiver checks, one file a scheme.
