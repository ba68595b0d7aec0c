//! Which names a role lets into a certificate. Every name of a certificate, from wherever it came, is judged here and only here.
//!
//! Names are compared in lower case. A name that is no host name (RFC 1123 §2.1, with `_` as in service names) is never judged by a list: it is refused. An address
//! written as a name is an address.

use super::role::Role;
use crate::VaultError;
use countersign_base::Duration;
use countersign_crypto::x509::AlternativeNames;
use std::net::IpAddr;

/// Bytes of one name.
const NAME_BYTES_MAX: usize = 253;
/// Bytes of one URI.
const URI_BYTES_MAX: usize = 1024;
/// Names in one certificate.
const NAMES_MAX: usize = 128;

/// Names all of which a role allows. Only [`judge`] makes it.
#[must_use]
pub(super) struct Allowed {
    common_name: Option<String>,
    names: AlternativeNames,
}

impl Allowed {
    /// The common name and the alternative names.
    pub(super) fn into_parts(self) -> (Option<String>, AlternativeNames) {
        (self.common_name, self.names)
    }
}

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    /// `CN`.
    pub(super) common_name: Option<String>,
    /// Alternative names.
    pub(super) names: AlternativeNames,
    /// Whether the common name stays out of the alternative names.
    pub(super) exclude_common_name: bool,
    /// For how long; as the role says when nothing is said.
    pub(super) lifetime: Option<Duration>,
}

/// Judges every name.
///
/// # Errors
/// [`VaultError::Invalid`] names the kind that is refused.
pub(super) fn judge(role: &Role, wanted: Wanted) -> Result<Allowed, VaultError> {
    let mut names = AlternativeNames::default();
    let common_name = match wanted.common_name {
        None if role.require_cn => {
            return Err(VaultError::invalid(
                "the common_name field is required, or must be provided in a CSR with \"use_csr_common_name\" set to true, unless \"require_cn\" is set to false",
            ));
        }
        None => None,
        Some(name) => Some(common_name(
            role,
            &name,
            wanted.exclude_common_name,
            &mut names,
        )?),
    };
    for name in &wanted.names.dns {
        let name = host(role, name)?;
        if !names.dns.contains(&name) {
            names.dns.push(name);
        }
    }
    for ip in wanted.names.ips {
        let ip = address(role, ip)?;
        if !names.ips.contains(&ip) {
            names.ips.push(ip);
        }
    }
    for uri in &wanted.names.uris {
        names.uris.push(resource(role, uri)?);
    }
    if !wanted.names.emails.is_empty() {
        return Err(VaultError::invalid("e-mail addresses are not issued"));
    }
    let count = names.dns.len() + names.ips.len() + names.uris.len();
    if count > NAMES_MAX {
        return Err(VaultError::invalid("too many names"));
    }
    if count == 0 && common_name.is_none() {
        return Err(VaultError::invalid("no names are asked for"));
    }
    Ok(Allowed { common_name, names })
}

fn common_name(
    role: &Role,
    name: &str,
    exclude: bool,
    names: &mut AlternativeNames,
) -> Result<String, VaultError> {
    // X.520 gives a common name 64 characters.
    if name.chars().count() > 64 {
        return Err(VaultError::invalid("the common name is too long"));
    }
    if let Ok(ip) = name.parse::<IpAddr>() {
        let ip = address(role, ip)?;
        if !exclude {
            names.ips.push(ip);
        }
        return Ok(ip.to_string());
    }
    if is_host(&name.to_ascii_lowercase()) {
        let name = host(role, name)?;
        if !exclude {
            names.dns.push(name.clone());
        }
        return Ok(name);
    }
    let plain = !name.trim().is_empty() && !name.chars().any(char::is_control);
    if role.allow_any_name && !role.enforce_hostnames && plain {
        // It is a title and not a name that anybody looks up: it stays out of the alternative names.
        return Ok(name.to_owned());
    }
    Err(VaultError::invalid(
        "the common name is not allowed by this role",
    ))
}

/// A DNS name, in lower case.
fn host(role: &Role, name: &str) -> Result<String, VaultError> {
    let name = name.to_ascii_lowercase();
    let refused = || VaultError::invalid("a DNS name is not allowed by this role");
    if !is_host(&name) {
        return Err(VaultError::invalid("a DNS name is no host name"));
    }
    let below_wildcard = name.strip_prefix("*.");
    if below_wildcard.is_some() && !role.allow_wildcard_certificates {
        return Err(refused());
    }
    let local = matches!(name.as_str(), "localhost" | "localhost.localdomain");
    let listed = |domain: &String| {
        let domain = domain.to_ascii_lowercase();
        let bare = role.allow_bare_domains && name == domain && below_wildcard.is_none();
        // `*.example.test` stands for subdomains of `example.test`, so the wildcard itself has to be one.
        let subdomain = role.allow_subdomains
            && !domain.contains('*')
            && match below_wildcard {
                Some(parent) => parent == domain || is_below(parent, &domain),
                None => is_below(&name, &domain),
            };
        let glob = role.allow_glob_domains && domain.contains('*') && glob(&domain, &name);
        bare || subdomain || glob
    };
    if role.allow_any_name
        || (local && role.allow_localhost)
        || role.allowed_domains.iter().any(listed)
    {
        Ok(name)
    } else {
        Err(refused())
    }
}

fn address(role: &Role, ip: IpAddr) -> Result<IpAddr, VaultError> {
    if role.allow_ip_sans {
        Ok(ip)
    } else {
        Err(VaultError::invalid(
            "IP subject alternative names are not allowed by this role",
        ))
    }
}

fn resource(role: &Role, uri: &str) -> Result<String, VaultError> {
    let scheme = uri.split_once(':').is_some_and(|(scheme, rest)| {
        !rest.is_empty()
            && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+.-".contains(&byte))
    });
    let readable = uri.len() <= URI_BYTES_MAX && uri.bytes().all(|byte| byte.is_ascii_graphic());
    if scheme
        && readable
        && role
            .allowed_uri_sans
            .iter()
            .any(|pattern| glob(pattern, uri))
    {
        Ok(uri.to_owned())
    } else {
        Err(VaultError::invalid(
            "a URI subject alternative name is not allowed by this role",
        ))
    }
}

fn is_below(name: &str, domain: &str) -> bool {
    name.strip_suffix(domain)
        .and_then(|rest| rest.strip_suffix('.'))
        .is_some_and(|rest| !rest.is_empty())
}

/// Whether a name in lower case is a host name, or one with `*` as its whole first label.
pub(super) fn is_host(name: &str) -> bool {
    let labels = name.strip_prefix("*.").unwrap_or(name);
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte)
            })
    };
    // The last label of a host name is never a number: `10.1` and `0x7f.1` are read as addresses by some.
    let last = labels.rsplit('.').next().unwrap_or_default();
    let numeric = last.starts_with(|c: char| c.is_ascii_digit())
        && (last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x"));
    name.len() <= NAME_BYTES_MAX && labels.split('.').all(label) && !numeric
}

/// Whether a text fits a pattern in which `*` stands for any characters. Linear in the text for every star: no pattern makes it explode.
fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests;
