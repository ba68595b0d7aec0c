//! `[egress]`: how this installation reaches addresses that somebody else named: keys and documents of clients, logout endpoints, other issuers.
//!
//! Such addresses are reached over `https` alone, never inside a private or special network unless their host stands here, and without following redirects. What
//! stands here takes effect at the next start.

use super::error::Mistakes;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::PathBuf;
use toml::Spanned;

/// `[egress]` as written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawEgress {
    /// Hosts that may be reached although they lie in a private network: whole names or addresses, no patterns.
    allow: Vec<Spanned<String>>,
    /// A file with the certificate authorities to believe; without it, those of the machine.
    ca: Option<PathBuf>,
}

/// `[egress]` as used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EgressSection {
    /// Hosts in private networks that may be reached.
    pub allow: BTreeSet<String>,
    /// The certificate authorities, if not the machine's.
    pub ca: Option<PathBuf>,
}

/// Whether this is one host as it is written in addresses, and no pattern: hosts are compared whole, so a pattern would match nothing.
pub(super) fn is_host(text: &str) -> bool {
    let host = url::Url::parse(&format!("https://{text}/"))
        .ok()
        .and_then(|url| url.host_str().map(str::to_owned));
    host.as_deref() == Some(text) && !text.contains('*')
}

pub(crate) fn check(raw: RawEgress, mistakes: &mut Mistakes<'_>) -> EgressSection {
    for host in &raw.allow {
        if !is_host(host.get_ref()) {
            mistakes.at(
                &host.span(),
                "not a host",
                "write a whole host name in lower case or an address, without scheme, port and pattern",
            );
        }
    }
    EgressSection {
        allow: raw.allow.into_iter().map(Spanned::into_inner).collect(),
        ca: raw.ca,
    }
}
