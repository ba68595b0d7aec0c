//! `[audit]`: the log's origin, and how long sealed details are kept.

use super::span::Span;
use serde::Deserialize;

/// `[audit]` as written and as used.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuditSection {
    /// The log's name, which stands in every checkpoint (C2SP tlog-checkpoint): like a host name with a path. `countersign.local/log` if absent.
    pub origin: Option<String>,
    /// How long the sealed details of a decision are kept.
    pub details_for: Option<Span>,
}

impl AuditSection {
    /// The origin to write into checkpoints.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.origin.as_deref().unwrap_or("countersign.local")
    }
}
