//! `config/acme` and `config/cluster`: whether there is ACME, by which roles, for whom, and where this mount is reached.

use super::super::unsupported;
use crate::VaultError;
use crate::answer::Answer;
use crate::call::{Call, Operation};
use crate::work::{Stop, Work};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::net::IpAddr;

/// Networks that one mount may list.
const NETWORKS_MAX: usize = 64;

/// What `config/acme` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    pub(super) enabled: bool,
    /// `allowed_roles`; `*` is every role.
    allowed_roles: Vec<String>,
    /// `eab_policy`.
    pub(super) binding_required: bool,
    /// `default_directory_policy`.
    pub(super) default_role: Option<String>,
    /// `challenge_networks`: private networks in which challenges are looked for, beside all that is public.
    pub(super) networks: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            enabled: false,
            allowed_roles: Vec::new(),
            binding_required: true,
            default_role: None,
            networks: Vec::new(),
        }
    }
}

impl Settings {
    /// # Errors
    /// As [`Work::read`].
    pub(super) fn read(call: &Call, work: &mut Work<'_>) -> Result<Self, Stop> {
        Ok(work
            .read(&call.entry(&["pki", "acme-config"]))?
            .unwrap_or_default())
    }

    pub(super) fn allows(&self, role: &str) -> bool {
        self.allowed_roles
            .iter()
            .any(|allowed| allowed == "*" || allowed == role)
    }

    fn of(call: &Call) -> Result<Self, VaultError> {
        let body = &call.body;
        unsupported(
            body,
            &["dns_resolver", "allow_role_ext_key_usage", "max_ttl"],
        )?;
        let issuers = body.texts("allowed_issuers")?.unwrap_or_default();
        if !issuers
            .iter()
            .all(|issuer| issuer == "*" || issuer == "default")
        {
            return Err(VaultError::invalid("the mount has one issuer: `default`"));
        }
        let binding_required = match body.text("eab_policy")?.as_deref() {
            None | Some("" | "always-required" | "new-account-required") => true,
            Some("not-required") => false,
            Some(_) => {
                return Err(VaultError::invalid(
                    "`eab_policy` must be always-required, new-account-required or not-required",
                ));
            }
        };
        let policy = body.text("default_directory_policy")?;
        let default_role = match policy.as_deref() {
            None | Some("" | "forbid") => None,
            Some(policy) => match policy.strip_prefix("role:") {
                Some(role) if !role.is_empty() => Some(role.to_owned()),
                Some(_) | None => {
                    return Err(VaultError::invalid(
                        "`default_directory_policy` must be forbid, or role: and the name of a role",
                    ));
                }
            },
        };
        let networks = body.texts("challenge_networks")?.unwrap_or_default();
        if networks.len() > NETWORKS_MAX || !networks.iter().all(|network| is_network(network)) {
            return Err(VaultError::invalid(
                "`challenge_networks` must be networks such as 10.0.0.0/8",
            ));
        }
        Ok(Self {
            enabled: body.truth("enabled")?.unwrap_or(false),
            allowed_roles: body.texts("allowed_roles")?.unwrap_or_default(),
            binding_required,
            default_role,
            networks,
        })
    }

    fn shown(&self) -> Answer {
        let policy = self
            .default_role
            .as_ref()
            .map_or_else(|| "forbid".to_owned(), |role| format!("role:{role}"));
        Answer::data(json!({
            "allowed_issuers": ["default"],
            "allowed_roles": self.allowed_roles,
            "challenge_networks": self.networks,
            "default_directory_policy": policy,
            "eab_policy": if self.binding_required { "always-required" } else { "not-required" },
            "enabled": self.enabled,
        }))
    }
}

fn is_network(text: &str) -> bool {
    text.split_once('/').is_some_and(|(address, length)| {
        let most = match address.parse() {
            Ok(IpAddr::V4(_)) => 32,
            Ok(IpAddr::V6(_)) => 128,
            Err(_) => return false,
        };
        length.parse::<u8>().is_ok_and(|length| length <= most)
    })
}

/// Reads or writes `config/acme`.
///
/// # Errors
/// When a parameter makes no sense, or the mount's address is not known yet.
pub(in crate::pki) fn configuration(call: &Call, work: &mut Work<'_>) -> Result<Answer, Stop> {
    if call.operation == Operation::Read {
        return Ok(Settings::read(call, work)?.shown());
    }
    if !call.operation.writes() {
        return Err(VaultError::Unsupported.into());
    }
    let settings = Settings::of(call)?;
    if settings.enabled && cluster_path(call, work)?.is_none() {
        return Err(VaultError::invalid(
            "write `path` to config/cluster first: ACME says its own address in every answer",
        )
        .into());
    }
    work.put(&call.entry(&["pki", "acme-config"]), &settings)?;
    Ok(settings.shown())
}

/// Where this mount is reached.
///
/// # Errors
/// As [`Work::read`].
pub(super) fn cluster_path(call: &Call, work: &mut Work<'_>) -> Result<Option<String>, Stop> {
    work.read(&call.entry(&["pki", "cluster"]))
}

/// Reads or writes `config/cluster`.
///
/// # Errors
/// When it is no address by which this mount could be reached.
pub(in crate::pki) fn cluster(call: &Call, work: &mut Work<'_>) -> Result<Answer, Stop> {
    if call.operation.writes() {
        unsupported(&call.body, &["aia_path"])?;
        let path = call.body.required_text("path")?;
        let path = path.trim_end_matches('/');
        let plain = path.starts_with("https://")
            && path.contains("/v1/")
            && path.len() <= 512
            && path
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && !b"<>\"?#\\".contains(&byte));
        if !plain {
            return Err(VaultError::invalid(
                "`path` must be the address of this mount, such as https://vault.example/v1/pki",
            )
            .into());
        }
        work.put(&call.entry(&["pki", "cluster"]), &path)?;
    } else if call.operation != Operation::Read {
        return Err(VaultError::Unsupported.into());
    }
    let path = cluster_path(call, work)?;
    Ok(Answer::data(
        json!({ "aia_path": "", "path": path.unwrap_or_default() }),
    ))
}

/// Which directory a path is of, and what follows: `acme/REST`, `roles/ROLE/acme/REST`.
pub(in crate::pki) fn named<'s, 'p>(
    segments: &'s [&'p str],
) -> Option<(Option<&'p str>, &'s [&'p str])> {
    match segments {
        ["acme", rest @ ..] => Some((None, rest)),
        ["roles", role, "acme", rest @ ..] => Some((Some(role), rest)),
        _ => None,
    }
}
